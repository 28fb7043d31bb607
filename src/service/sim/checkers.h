// What must be true, looked at from outside the nodes.
//
//  1. Everybody enters the same description of an epoch, which 2F+1 members of the service before
//     signed, and which follows from what was agreed on (rules.h).
//  2. Of members that are there and correct at most F lose their seats from one epoch to the next.
//  3. On no disk is a key of an epoch that is over, nor one of the epoch where there is no seat.
//  4. A key that is announced and a state that is signed are on disk; a node announces one key.
//  5. A group begins with the state whose digest stands in the header.
//  6. No correct node says what another one makes no sense of.
//  7. What was handed in is answered at most once.
//  8. Each step of each machine keeps the rules (rules.h), and all seal the same.
//  9. No correct member opens its share before all candidates announced.
// 10. Where nothing fails but liars, no correct node is ever inactive.
// 11. No correct node is ever found wanting by those who check complaints.
// 12. Who may have signed what follows an epoch signs no lease of it any more.
//
// Of whoever is faulty, or was, its machine, its disk and what it enters are judged, which liars do
// not touch; not what it says. The first violation stays.
#pragma once

#include "service/sim/world.h"

namespace rosebud::service::sim {

class Checkers {
 public:
  /// `world` must outlive it, and must not have started anybody.
  explicit Checkers(World& world);

  /// Rule 10 is judged too.
  void expect_quiet() { is_quiet_ = true; }

  const std::string& violation() const { return violation_; }
  void fail(const std::string& what);

  std::uint64_t steps() const { return steps_; }
  std::uint64_t evictions() const { return evictions_; }
  std::uint64_t admissions() const { return admissions_; }

 private:
  void fail(std::size_t n, const std::string& what);
  bool is_faulty(std::size_t n) const { return world_.is_faulty(n); }
  void on_notice(std::size_t n, const Notice& notice);
  void on_announced(std::size_t n, const Announced& notice);
  void on_asked(std::size_t n, const Operation& operation);
  void on_signed(std::size_t n);
  void on_effect(std::size_t n, const Effect& effect);
  void on_kept_state(std::size_t n, const KeepState& kept);
  void on_opened(std::size_t n, const OpenGroup& group);
  void on_learnt(std::size_t n, const Learn& learn);
  void on_step(std::size_t n, const Step& step);
  void on_sealed(std::size_t n, const Machine& machine);
  void on_entered(std::size_t n);
  void check_newest(const ConfigurationPointer& next);
  void check_seats(const membership::Configuration& next, const State& sealed);
  void check_disk(std::size_t n);
  void count_changes(const membership::Configuration& next);

  World& world_;
  std::string violation_;
  bool is_quiet_ = false;
  ConfigurationPointer newest_;
  std::map<Number, crypto::Digest> headers_;
  std::map<Number, State> sealed_;
  std::map<Number, crypto::Digest> handed_over_;  // by the epoch that begins with it
  std::map<std::pair<std::size_t, Number>, crypto::PublicKey> announced_;
  std::set<HandInId> answered_;
  std::uint64_t steps_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint64_t admissions_ = 0;
};

}  // namespace rosebud::service::sim
