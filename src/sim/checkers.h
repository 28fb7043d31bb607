// What must be true, looked at from outside the nodes: with the eyes of somebody who sees all
// disks, all answers and all results of clients, and uses nothing of the object core to judge them.
//
//  1. An answer says what is on the disk of who gives it, in an epoch that this disk has entered
//     (design 6, 10.1).
//  2. Who answers clients after a start has what was acknowledged before it in the same epoch
//     (design 6).
//  3. What was acknowledged, or returned by a read, stands on all correct ones of 2f+1 members
//     (design 6).
//  4. Every record is linearizable (one writer, versions ordered); blocks come back byte for byte.
//  5. Who is complete for an epoch holds what was acknowledged before it (design 10).
//  6. Correct disks hold valid objects alone, with each holder's newest hold (design 5).
//  7. A client gets no more than its quota, and its replicas count what they store (design 5).
//  8. What was acknowledged is deleted only when f+1 correct members of one later group hold it
//  (design 10.5).
//  9. No correct node's proof of a block is found wrong by a correct one (design 8.2).
// 10. In the end the members of a group hold the same.
//
// The first violation stays.
#pragma once

#include <map>
#include <set>

#include "sim/world.h"

namespace rosebud::sim {

class Checkers {
 public:
  explicit Checkers(World& world);

  /// From now on what the node says, holds or loses counts for nothing.
  void set_faulty(std::size_t node) { nodes_[node].is_faulty = true; }
  /// It lost everything and comes back with the next epoch: correct from there on, and a faulty
  /// member of all groups before.
  void set_healed(std::size_t node);

  /// It runs with what it held when its epoch was in force; nobody may rely on what it says.
  void set_outdated(std::size_t node) { nodes_[node].is_faulty = nodes_[node].is_outdated = true; }

  const std::string& violation() const { return violation_; }
  void fail(const std::string& what);

  // ---- What clients saw ----
  void block_acknowledged(std::size_t client, const Buffer& bytes, const wire::Hold& hold);
  void block_read(const wire::ObjectId& id, const objects::OperationResult& result);
  std::size_t block_count() const { return block_ids_.size(); }
  const wire::ObjectId& block_id(std::size_t which) const { return block_ids_[which]; }
  const Buffer& block_bytes(const wire::ObjectId& id) const { return blocks_.at(id).bytes; }

  void record_begun(const wire::ObjectId& id, std::uint64_t version, std::string value);
  void record_acknowledged(std::size_t client, const wire::ObjectId& id, std::uint64_t version);
  /// What every later read must at least return.
  std::uint64_t floor(const wire::ObjectId& id) const;
  void record_read(std::size_t client, const wire::ObjectId& id, std::uint64_t floor_at_begin,
                   const objects::OperationResult& result);

  /// No correct replica may ever hold it.
  void forbid(const wire::ObjectId& id) { forbidden_.insert(id); }

  /// A block of the client whose quota is this was acknowledged to it.
  void charge(std::size_t client, std::uint64_t quota_bytes, std::size_t block_size);

  // ---- What nodes say and hold ----
  void on_answer(std::size_t node, World::Endpoint to, const wire::Answer& answer,
                 const std::optional<wire::ObjectId>& about);
  void on_delete(std::size_t node, const wire::ObjectId& id);
  void on_report(std::size_t node, const objects::Report& report);
  void check_completeness();
  void check_disks();
  /// Empty when the members of every group hold the same, undamaged; otherwise who does not.
  std::string difference() const;

 private:
  struct Acknowledgement {
    wire::Epoch epoch;
    Instant at;
    std::uint64_t version = 0;  // of a record; they grow
  };
  struct Block {
    Buffer bytes;
    std::vector<Acknowledgement> acknowledged;
    std::map<crypto::PublicKey, std::uint64_t> serials;  // the newest acknowledged hold
  };
  struct Record {
    std::map<std::uint64_t, std::string> written;  // by version
    std::uint64_t settled = 0;
    std::vector<Acknowledgement> acknowledged;
  };

  struct NodeState {
    bool is_faulty = false;
    bool is_outdated = false;
    wire::Epoch correct_from;
  };
  struct Account {
    std::uint64_t quota_bytes = 0;
    std::uint64_t acknowledged_bytes = 0;
  };

  bool is_faulty_in(std::size_t node, wire::Epoch epoch) const {
    return nodes_[node].is_faulty || epoch < nodes_[node].correct_from;
  }
  std::uint64_t quota_of_all(const Account& account) const;
  void check_accounts(std::size_t node);
  /// It was a member of `epoch` and has given up since what it held.
  bool has_given_up(std::size_t node, const wire::ObjectId& id, wire::Epoch epoch) const;
  const wire::StoredObject* held(std::size_t node, const wire::ObjectId& id) const;
  void expect_durable_at_quorum(std::size_t client, const wire::ObjectId& id,
                                const std::function<bool(const wire::StoredObject&)>& is_it,
                                const char* what);
  void expect_complete(const wire::ObjectId& id, const Acknowledgement& acknowledged);
  void check_after_start(std::size_t node, const wire::Answer& answer, const wire::ObjectId& about);
  std::string flaw_of(const wire::ObjectId& id, const wire::StoredObject& object) const;
  bool is_hold(const wire::ObjectId& id, const wire::StoredObject& object,
               const wire::Hold& hold) const;

  World& world_;
  std::vector<NodeState> nodes_;
  std::string violation_;
  std::map<wire::ObjectId, Block> blocks_;
  std::vector<wire::ObjectId> block_ids_;
  std::map<wire::ObjectId, Record> records_;
  std::set<wire::ObjectId> forbidden_;
  std::map<crypto::PublicKey, Account> accounts_;  // of those who want more than their quota
};

}  // namespace rosebud::sim
