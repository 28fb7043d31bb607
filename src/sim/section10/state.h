// One interval, one record, a few nodes, three epochs: what there is to know at one moment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rosebud::sim::section10 {

inline constexpr int kFaults = 1;  // f
inline constexpr int kReplicas = 3 * kFaults + 1;
inline constexpr int kQuorum = 2 * kFaults + 1;
inline constexpr int kEpochs = 3;       // numbered from 1
inline constexpr int kVersionsMax = 2;  // of the record, numbered from 1; 0: no record
inline constexpr std::size_t kNodesMax = 8;

/// One entry per epoch; entry 0 is never used.
template <typename T>
using PerEpoch = std::array<T, kEpochs + 1>;
template <typename T>
using PerVersion = std::array<T, kVersionsMax + 1>;

/// How a node answers clients in the epoch that it entered last.
enum class Serving : std::uint8_t {
  kNot,        // no member, or a gainer that is not complete
  kRestarted,  // it served before a crash and has not reconciled since (design 6)
  kObject,     // a gainer; the rule was run for the object alone (10.2)
  kArc,        // a keeper, or complete
};

/// An answer to a collection (10.3): the epoch that its sender had entered and the one for which it
/// was complete.
struct Told {
  std::uint8_t entered = 0;  // 0: there is no such answer
  std::uint8_t complete = 0;
  friend bool operator==(const Told&, const Told&) = default;
};

/// What a node ever answered to collections, so that every answer may arrive at any later moment.
///
/// For each version the latest answer that showed it. The earlier ones are left out: what they let
/// an asker do, the latest lets it do too, since it shows the same record and epoch and
/// completeness only grow.
using Answers = PerVersion<Told>;

/// Whom a member asks to complete for its epoch: each group after the one before it has told, and
/// its own last (10.3).
enum class Asking : std::uint8_t {
  kOldest,   // what its members ever answered stands with them (Answers)
  kBetween,  // the group of epoch 2, for epoch 3; that of epoch 1 has told
  kOwn,      // the groups before have told
  kNobody,   // all have told
};

/// How far a member has come with that, where nobody whom it counts shows it more than a certain
/// version.
struct Asked {
  Asking asking = Asking::kOldest;
  /// Bit i: member i of the group that is being asked has told since the group before has. Faulty
  /// ones are not noted: they tell whenever it helps.
  std::uint8_t told = 0;
  friend bool operator==(const Asked&, const Asked&) = default;
};

/// A node that is not faulty. Everything but `serving` is durable.
struct Replica {
  bool is_faulty = false;     // then nothing else is set: it says and does anything
  std::uint8_t epoch = 1;     // entered last
  std::uint8_t version = 0;   // of the record that it holds
  std::uint8_t complete = 0;  // for this epoch; 0 for none
  Serving serving = Serving::kNot;
  std::uint8_t gone = 0;  // the last epoch of the tenure whose data it deleted
  bool is_owing = false;  // complete, but for the record that nobody delivered
  Answers answers{};
  Answers answers_before_gone{};
  /// By epoch, the greatest version that it acknowledged there: to a write, to a write-back, or by
  /// showing it to a reader.
  PerEpoch<std::uint8_t> acknowledged{};
  /// By epoch, bit v: it answered a reader with less than v when v had been acknowledged by a
  /// quorum.
  PerEpoch<std::uint8_t> stale{};
  /// By the version that it is shown at most. The newest version is left out: who holds that may
  /// complete without any order here, which the rules do not allow and which is no easier to bear.
  std::array<Asked, kVersionsMax> asked{};

  std::uint64_t pack() const;
  static Replica unpack(std::uint64_t bits);
  friend bool operator==(const Replica&, const Replica&) = default;
};

struct State {
  std::array<Replica, kNodesMax> replicas{};
  /// By epoch, the greatest version that a quorum of its group acknowledged.
  PerEpoch<std::uint8_t> established{};
  /// The group may have more than f faulty members from now on, and no client is left in the epoch
  /// (design 2, first row).
  PerEpoch<bool> ended{};
  std::uint8_t crashes_left = 0;

  std::uint16_t pack_rest() const;
  void unpack_rest(std::uint16_t bits);
};

/// Who is in which group, and who is faulty from the beginning. Nodes with the same memberships
/// stand side by side.
struct Scenario {
  std::size_t nodes = 0;
  PerEpoch<std::array<bool, kNodesMax>> member{};
  std::array<bool, kNodesMax> is_faulty{};
  int versions = 1;
  int crashes = 0;
  /// More nodes turn faulty when the promise of design 2 for an earlier group ends.
  bool do_faults_move = false;
  /// As design 2 has it, the promise for a group ends with the handing over. What is promised
  /// (ADR 11) ends when besides its correct members are complete for it or in a later epoch.
  bool does_promise_end_early = false;
  /// Steps that only help a replica too; what they are is in rules.h.
  bool has_helping_steps = false;

  bool is_member(std::size_t node, int epoch) const {
    return member[static_cast<std::size_t>(epoch)][node];
  }
  bool are_alike(std::size_t a, std::size_t b) const;
  /// "ABCD BCDE CDEF, B faulty": the groups of the epochs, one letter for each node.
  std::string describe() const;
};

inline char letter_of(std::size_t node) { return static_cast<char>('A' + node); }

}  // namespace rosebud::sim::section10
