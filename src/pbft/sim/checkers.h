// What must be true, looked at from outside the replicas.
//
//  1. Correct replicas execute the same batch at the same number, in order, without gaps.
//  2. They execute the same requests in the same order, each at most once, only what a client
//     asked for, and nothing behind a stop.
//  3. Agreed time never goes back and stays near the clocks.
//  4. A client's result is that of the execution of its request, which lies behind everything that
//     was acknowledged before it asked.
//  5. No correct replica signs two votes that contradict each other, over all its lives. Of one
//     that was rolled back the votes count that have reached somebody.
//  6. What a correct replica shows as a certificate is one; its view change shows everything that
//     it voted commit for above its stable checkpoint; its new view follows from its proofs.
//  7. Nobody correct is accused.
//  8. Memory is bounded: the window, and what settings.h says.
//  9. Where nothing fails but clients, no correct replica leaves a view.
// 10. In the end correct replicas have the same state.
//
// The first violation stays.
#pragma once

#include "pbft/sim/world.h"

namespace rosebud::pbft::sim {

class Checkers {
 public:
  /// `is_faulty`: by seat. `is_mended`: rolled back, but never lying; its votes are judged by rule
  /// 5 all the same.
  Checkers(World& world, std::vector<bool> is_faulty, std::vector<bool> is_mended);
  void watch();

  /// Rule 9 is judged too.
  void expect_calm() { is_calm_ = true; }

  const std::string& violation() const { return violation_; }
  void fail(const std::string& what);
  bool is_faulty(std::size_t seat) const { return is_faulty_[seat]; }

  // ---- What clients do ----
  /// Returns a number to be given to on_finished.
  std::size_t on_submitted(const ClientId& client, Bytes operation);
  void on_finished(std::size_t submission, const Finish& finish);
  /// An operation that a hostile client may or may not get executed.
  void allow(const ClientId& client, Bytes operation) {
    asked_for_.insert({client, std::move(operation)});
  }

  std::uint64_t executions() const { return executions_.size(); }
  bool is_stopped() const { return is_stopped_; }

  /// Empty when all correct replicas have the same state; otherwise who has not.
  std::string difference() const;

 private:
  void on_execution(std::size_t seat, const Execution& execution);
  void on_executed(std::size_t seat, const Executed& executed);
  void on_sent(std::size_t seat, const Message& message);
  void on_evidence(const Evidence& evidence);
  void after_input(std::size_t seat);
  void check_vote(std::size_t seat, const Vote& vote);
  void check_votes(std::size_t seat, const Message& message);
  void check_certificate(const Certificate& certificate, const char* what);
  void check_view_change(std::size_t seat, const ViewChange& change);
  void check_new_view(const NewView& message);

  struct Submission {
    ClientId client;
    Bytes operation;
    std::uint64_t floor = 0;  // the highest index acknowledged before
  };
  struct VoteKey {
    std::size_t seat;
    VoteKind kind;
    View view;
    SequenceNumber number;
    friend auto operator<=>(const VoteKey&, const VoteKey&) = default;
  };

  World& world_;
  std::vector<bool> is_faulty_;
  std::vector<bool> is_mended_;
  std::string violation_;
  std::vector<Execution> executions_;  // [i] has index i + 1
  std::vector<LedgerResult> results_;  // of them
  std::map<std::pair<ClientId, Bytes>, std::uint64_t> executed_at_;
  std::set<std::pair<ClientId, Bytes>> asked_for_;
  std::map<SequenceNumber, crypto::Digest> batches_;
  std::vector<Submission> submissions_;
  std::uint64_t acknowledged_ = 0;  // the highest index
  bool is_stopped_ = false;
  bool is_calm_ = false;
  std::map<VoteKey, crypto::Digest> votes_;
  std::vector<std::map<SequenceNumber, View>> commits_;  // by seat
};

}  // namespace rosebud::pbft::sim
