// Who the replicas are, and how many of them decide what.
//
// A group has 3F+1 seats and bears F faulty replicas [CL99 §2]. Up to F seats may be vacant: the
// quorums stay what they are, so safety still bears F liars, and progress F minus the vacant ones.
#pragma once

#include <optional>
#include <vector>

#include "base/check.h"
#include "pbft/planted_bugs.h"
#include "pbft/settings.h"
#include "pbft/types.h"

namespace rosebud::pbft {

class Group {
 public:
  /// Requires: 3F+1 seats, at most kSeatsMax, at most F of them without a key, no key twice.
  Group(InstanceId instance, std::vector<std::optional<crypto::PublicKey>> seats)
      : instance_(instance), seats_(std::move(seats)) {
    CHECK(seats_.size() % 3 == 1 && seats_.size() <= kSeatsMax);
    for (std::uint16_t seat = 0; seat < seats_.size(); ++seat) {
      if (seats_[seat]) members_.push_back(ReplicaId(seat));
    }
    CHECK(members_.size() >= quorum());
  }

  const InstanceId& instance() const { return instance_; }
  std::size_t seat_count() const { return seats_.size(); }
  /// Seats that somebody has, ascending.
  const std::vector<ReplicaId>& members() const { return members_; }
  bool is_member(ReplicaId replica) const {
    return replica.value < seats_.size() && seats_[replica.value].has_value();
  }
  /// Requires: is_member(replica).
  const crypto::PublicKey& key_of(ReplicaId replica) const { return *seats_[replica.value]; }

  /// F: how many faulty replicas the group bears.
  std::size_t faults() const { return (seats_.size() - 1) / 3; }
  /// 2F+1: any two such sets share a correct replica.
  std::size_t quorum() const { return 2 * faults() + 1; }
  /// F+1: one of them is correct.
  std::size_t weak_quorum() const { return faults() + 1; }
  /// Members take turns [CL99 §4]; vacant seats are passed over.
  ReplicaId primary_of(View view) const { return members_[view.value % members_.size()]; }

 private:
  InstanceId instance_;
  std::vector<std::optional<crypto::PublicKey>> seats_;
  std::vector<ReplicaId> members_;
};

}  // namespace rosebud::pbft
