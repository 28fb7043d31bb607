// A group for tests of cores: keys, votes made by hand, and replicas that hear what the test lets
// them hear, in order.
#pragma once

#include <gtest/gtest.h>

#include <deque>

#include "pbft/client.h"
#include "pbft/replica.h"
#include "pbft/sim/ledger.h"

namespace rosebud::pbft {

inline crypto::SecretKey test_key(std::string_view name) {
  const crypto::Digest digest = crypto::tagged_hash("test key", as_bytes(name));
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(digest.view()));
}

inline crypto::SecretKey test_replica_key(std::size_t seat) {
  return test_key("replica " + std::to_string(seat));
}

inline std::shared_ptr<const Group> test_group(std::size_t faults = 1, std::size_t vacant = 0) {
  std::vector<std::optional<crypto::PublicKey>> seats;
  for (std::size_t i = 0; i < 3 * faults + 1; ++i) {
    seats.emplace_back(test_replica_key(i).public_key());
  }
  for (std::size_t i = 0; i < vacant; ++i) seats[seats.size() - 1 - i].reset();
  return std::make_shared<const Group>(InstanceId{}, std::move(seats));
}

inline Settings test_settings() {
  Settings out;
  out.group.checkpoint_interval = 4;
  out.group.window = 8;
  return out;
}

inline Verifier test_verifier(std::size_t faults = 1) {
  return {test_group(faults), test_settings().group, crypto::model_scheme()};
}

inline ReplicaId id(std::size_t seat) { return ReplicaId(static_cast<std::uint16_t>(seat)); }

inline Vote signed_vote(const Group& group, VoteKind kind, std::uint64_t view, std::uint64_t number,
                        const crypto::Digest& digest, std::size_t seat, std::uint64_t counter = 1) {
  Vote out{.kind = kind,
           .view = View(view),
           .number = SequenceNumber(number),
           .digest = digest,
           .replica = id(seat),
           .counter = VoteCounter(counter)};
  out.signature = crypto::model_scheme().sign(test_replica_key(seat), Vote::kTag,
                                              out.statement(group.instance()));
  return out;
}

inline Certificate certificate(const Group& group, VoteKind kind, std::uint64_t view,
                               std::uint64_t number, const crypto::Digest& digest) {
  std::vector<Vote> votes;
  for (std::size_t seat = 0; seat < group.seat_count(); ++seat) {
    const bool is_proposal = kind == VoteKind::kPrepare && id(seat) == group.primary_of(View(view));
    votes.push_back(
        signed_vote(group, is_proposal ? VoteKind::kPrePrepare : kind, view, number, digest, seat));
  }
  return *make_certificate(kind, votes, group);
}

inline Request test_request(std::string_view client, std::uint64_t number,
                            std::string_view operation = "op") {
  return sign_request(InstanceId{}, crypto::model_scheme(), test_key(client), RequestNumber(number),
                      Buffer::copy_of(as_bytes(operation)));
}

inline BatchPointer test_batch(std::vector<Request> requests, std::uint64_t time = 1000) {
  return SealedBatch::seal(InstanceId{},
                           {.time = AgreedTime(time), .requests = std::move(requests)});
}

inline crypto::Digest test_digest(std::uint64_t lot) {
  return crypto::Hasher("test").update_u64(lot).finish();
}

template <typename T>
std::vector<T> effects_of(const Effects& effects) {
  std::vector<T> out;
  for (const Effect& effect : effects) {
    if (const auto* one = std::get_if<T>(&effect)) out.push_back(*one);
  }
  return out;
}

/// Messages of one sort among what is broadcast.
template <typename T>
std::vector<T> broadcasts_of(const Effects& effects) {
  std::vector<T> out;
  for (const Broadcast& one : effects_of<Broadcast>(effects)) {
    if (const auto* message = std::get_if<T>(&one.message)) out.push_back(*message);
  }
  return out;
}

/// Votes of one kind among what is broadcast.
inline std::vector<Vote> ballots_of(const Effects& effects, VoteKind kind) {
  std::vector<Vote> out;
  for (const Ballot& one : broadcasts_of<Ballot>(effects)) {
    if (one.vote.kind == kind) out.push_back(one.vote);
  }
  return out;
}

/// One replica, its disk and its state machine. Everything that it hears is told by the test.
class TestReplica {
 public:
  explicit TestReplica(std::size_t seat, Settings settings = test_settings(),
                       std::size_t faults = 1,
                       const crypto::SignatureScheme& scheme = crypto::model_scheme())
      : seat_(seat), settings_(settings), verifier_(test_group(faults), settings.group, scheme) {
    start();
  }

  /// A new life from what is on its disk. Recovered at once: the others show nothing new.
  void start() {
    begin();
    for (std::size_t other = 0; replica->may_vote() == false && other < group().seat_count();
         ++other) {
      if (other != seat_) hear(other, RecoveryAnswer{.nonce = nonce_});
    }
  }
  /// The same without answers of others.
  void begin() {
    ledger = std::make_unique<sim::Ledger>();
    PersistentState state;
    for (const auto& [key, value] : disk) state.records.emplace_back(key, value);
    replica = std::make_unique<Replica>(Identity{id(seat_), test_replica_key(seat_)}, verifier_,
                                        settings_, *ledger, state, Random(seat_));
    Effects out;
    replica->start(now(), out);
    for (const auto& query : broadcasts_of<RecoveryQuery>(out)) nonce_ = query.nonce;
    take(std::move(out));
  }

  /// Requires: the message verifies.
  const Effects& hear(std::size_t from, Message message) {
    const auto verified = verifier_.message(std::move(message));
    EXPECT_TRUE(verified.has_value());
    Effects out;
    if (verified) replica->on_message(now(), id(from), *verified, out);
    return take(std::move(out));
  }
  const Effects& ask(const Request& request) {
    Effects out;
    replica->on_request(now(), *verifier_.request(request), out);
    return take(std::move(out));
  }
  const Effects& pass(Duration time) {
    time_ += time;
    Effects out;
    replica->on_time(now(), out);
    return take(std::move(out));
  }
  /// Prepares and commits of others for what was proposed.
  const Effects& hear_votes(VoteKind kind, std::uint64_t view, std::uint64_t number,
                            const crypto::Digest& digest, const std::vector<std::size_t>& seats) {
    Effects all;
    for (const std::size_t seat : seats) {
      const Effects& one =
          hear(seat, Ballot{signed_vote(group(), kind, view, number, digest, seat)});
      all.insert(all.end(), one.begin(), one.end());
    }
    last_ = std::move(all);
    return last_;
  }
  PrePrepare proposal(std::uint64_t view, std::uint64_t number, BatchPointer batch) const {
    return {signed_vote(group(), VoteKind::kPrePrepare, view, number, batch->digest(),
                        group().primary_of(View(view)).value),
            batch};
  }
  /// Everything that makes a batch executed at a backup.
  void commit(std::uint64_t view, std::uint64_t number, const BatchPointer& batch) {
    hear(group().primary_of(View(view)).value,
         Committed{certificate(group(), VoteKind::kCommit, view, number, batch->digest()), batch});
  }

  Now now() const {
    return {Instant(time_), AgreedTime(1000 + static_cast<std::uint64_t>(time_.count() / 1000))};
  }
  const Group& group() const { return verifier_.group(); }
  const Verifier& verifier() const { return verifier_; }
  const Effects& last() const { return last_; }
  Replica* operator->() { return replica.get(); }

  std::unique_ptr<Replica> replica;
  std::unique_ptr<sim::Ledger> ledger;
  std::map<Bytes, Bytes> disk;
  /// What is persisted waits for release_disk().
  bool is_disk_held = false;
  const Effects& release_disk() {
    is_disk_held = false;
    Effects out;
    for (const Persist& one : std::exchange(held_, {})) write(one, out);
    return take(std::move(out));
  }
  std::uint64_t nonce() const { return nonce_; }

 private:
  /// What follows from it when it is durable, which is at once, comes behind.
  const Effects& take(Effects effects) {
    for (Effects some = effects; !some.empty();) {
      Effects more;
      for (const Persist& one : effects_of<Persist>(some)) {
        if (is_disk_held) {
          held_.push_back(one);
        } else {
          write(one, more);
        }
      }
      effects.insert(effects.end(), more.begin(), more.end());
      some = std::move(more);
    }
    replica->check_invariants();
    last_ = std::move(effects);
    return last_;
  }
  void write(const Persist& one, Effects& out) {
    for (const Write& write : one.writes) {
      if (write.value) {
        disk[write.key] = to_bytes(write.value->view());
      } else {
        disk.erase(write.key);
      }
    }
    replica->on_durable(now(), 1, out);
  }

  std::size_t seat_;
  Settings settings_;
  Verifier verifier_;
  Duration time_{};
  Effects last_;
  std::uint64_t nonce_ = 0;
  std::vector<Persist> held_;
};

}  // namespace rosebud::pbft
