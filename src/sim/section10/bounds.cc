#include "sim/section10/bounds.h"

#include <algorithm>
#include <set>

namespace rosebud::sim::section10 {
namespace {

/// Memberships of a node: bit e-1 for epoch e.
using Memberships = unsigned;

constexpr unsigned kFirst = 1;
constexpr unsigned kSecond = 2;
constexpr unsigned kThird = 4;

/// In the order in which their nodes get letters.
constexpr std::array<Memberships, 7> kMemberships = {
    kFirst,  kFirst | kSecond, kFirst | kThird, kFirst | kSecond | kThird,
    kSecond, kSecond | kThird, kThird};

/// How many nodes have each of kMemberships.
using GroupSequence = std::array<int, kMemberships.size()>;

int nodes_of(const GroupSequence& counts) {
  int nodes = 0;
  for (const int count : counts) nodes += count;
  return nodes;
}

int replaced_in(const GroupSequence& counts, unsigned before, unsigned after) {
  int kept = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    kept += (kMemberships[i] & before) != 0 && (kMemberships[i] & after) != 0 ? counts[i] : 0;
  }
  return kReplicas - kept;
}

struct Bound {
  int nodes_max = kNodesMax;
  int replaced_max = kReplicas;  // members, from one epoch to the next
  int replaced_in_all_max = kReplicas * (kEpochs - 1);
};

bool is_within(const Bound& bound, const GroupSequence& counts) {
  if (!std::ranges::all_of(counts, [](int count) { return count >= 0; })) return false;
  const int first = replaced_in(counts, kFirst, kSecond);
  const int second = replaced_in(counts, kSecond, kThird);
  return nodes_of(counts) <= bound.nodes_max && std::max(first, second) <= bound.replaced_max &&
         first + second <= bound.replaced_in_all_max;
}

std::vector<GroupSequence> sequences(const Bound& bound) {
  std::vector<GroupSequence> out;
  for (int all = 0; all <= kReplicas; ++all) {
    for (int both_first = 0; all + both_first <= kReplicas; ++both_first) {
      for (int returning = 0; all + both_first + returning <= kReplicas; ++returning) {
        for (int both_last = 0; all + both_last <= kReplicas; ++both_last) {
          const GroupSequence counts{kReplicas - all - both_first - returning,
                                     both_first,
                                     returning,
                                     all,
                                     kReplicas - all - both_first - both_last,
                                     both_last,
                                     kReplicas - all - returning - both_last};
          if (is_within(bound, counts)) out.push_back(counts);
        }
      }
    }
  }
  return out;
}

Scenario with_groups(const GroupSequence& counts) {
  Scenario out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    for (int n = 0; n < counts[i]; ++n, ++out.nodes) {
      for (std::size_t e = 1; e <= kEpochs; ++e) {
        out.member[e][out.nodes] = (kMemberships[i] >> (e - 1) & 1) != 0;
      }
    }
  }
  return out;
}

/// What the rules see of a scenario: who is correct, and how many are faulty in each group. Whether
/// the faulty ones of two groups are one node or two is nothing to them.
using Seen = std::array<int, kMemberships.size() + kEpochs>;

/// Groups with a faulty node of each of `types` (bits for kMemberships).
class Faulty {
 public:
  Faulty(const GroupSequence& counts, unsigned types) : counts_(counts), types_(types) {}

  /// At least one; at most one in each group.
  bool is_possible() const {
    Memberships taken = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (!has(i)) continue;
      if (counts_[i] == 0 || (taken & kMemberships[i]) != 0) return false;
      taken |= kMemberships[i];
    }
    return taken != 0;
  }
  /// How many nodes could be faulty too.
  int addable() const {
    Memberships taken = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) taken |= has(i) ? kMemberships[i] : 0;
    int count = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      count += (taken & kMemberships[i]) == 0 ? counts_[i] : 0;
    }
    return count;
  }
  Seen seen() const {
    Seen out{};
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      out[i] = counts_[i] - (has(i) ? 1 : 0);
      for (std::size_t e = 0; e < kEpochs && has(i); ++e) {
        out[counts_.size() + e] += static_cast<int>(kMemberships[i] >> e & 1);
      }
    }
    return out;
  }
  Scenario scenario() const {
    Scenario out = with_groups(counts_);
    std::size_t node = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (has(i)) out.is_faulty[node] = true;
      node += static_cast<std::size_t>(counts_[i]);
    }
    return out;
  }

 private:
  bool has(std::size_t type) const { return (types_ >> type & 1) != 0; }

  GroupSequence counts_;
  unsigned types_;
};

void add(const Bound& bound, const Scenario& like, std::vector<Scenario>& out) {
  std::set<Seen> seen;
  for (const GroupSequence& counts : sequences(bound)) {
    for (unsigned types = 1; types < 1U << counts.size(); ++types) {
      const Faulty faulty(counts, types);
      const bool is_covered = !like.do_faults_move && faulty.addable() > 1;
      if (!faulty.is_possible() || is_covered || !seen.insert(faulty.seen()).second) continue;
      Scenario scenario = faulty.scenario();
      scenario.versions = like.versions;
      scenario.crashes = like.crashes;
      scenario.has_helping_steps = like.has_helping_steps;
      scenario.do_faults_move = like.do_faults_move;
      scenario.does_promise_end_early = like.does_promise_end_early;
      out.push_back(scenario);
    }
  }
}

}  // namespace

std::vector<Scenario> scenarios(Reach reach) {
  constexpr Bound kOneEachTime{.nodes_max = 6, .replaced_max = 1};
  constexpr Bound kOneEachTimeOfFive{.nodes_max = 5, .replaced_max = 1};
  constexpr Bound kOne{.nodes_max = 5, .replaced_max = 1, .replaced_in_all_max = 1};
  std::vector<Scenario> out;
  switch (reach) {
    case Reach::kSmall:
      add(kOneEachTime, {}, out);
      add(kOne, {.crashes = 1}, out);
      break;
    case Reach::kDefault:
      add({.nodes_max = 6, .replaced_max = 2}, {}, out);
      add(kOne, {.crashes = 1}, out);
      add(kOneEachTimeOfFive, {.has_helping_steps = true}, out);
      break;
    case Reach::kDeep:
      add({.nodes_max = 7, .replaced_max = 3}, {}, out);
      add(kOneEachTimeOfFive, {.crashes = 1}, out);
      add(kOneEachTimeOfFive, {.versions = 2}, out);
      add(kOneEachTime, {.has_helping_steps = true}, out);
      break;
  }
  return out;
}

std::vector<Scenario> moving_scenarios(Reach reach, bool does_promise_end_early) {
  constexpr Bound kOneEachTime{.nodes_max = 6, .replaced_max = 1};
  constexpr Bound kOneEachTimeOfFive{.nodes_max = 5, .replaced_max = 1};
  constexpr Bound kOne{.nodes_max = 5, .replaced_max = 1, .replaced_in_all_max = 1};
  const Scenario moving{.do_faults_move = true, .does_promise_end_early = does_promise_end_early};
  Scenario with_crash = moving;
  with_crash.crashes = 1;
  Scenario with_help = moving;
  with_help.has_helping_steps = true;
  Scenario with_versions = moving;
  with_versions.versions = 2;
  std::vector<Scenario> out;
  switch (reach) {
    case Reach::kSmall:
      add(kOneEachTime, moving, out);
      break;
    case Reach::kDefault:
      add(kOneEachTime, moving, out);
      add(kOne, with_crash, out);
      add(kOneEachTimeOfFive, with_help, out);
      break;
    case Reach::kDeep:
      add({.nodes_max = 6, .replaced_max = 2}, moving, out);
      add(kOneEachTimeOfFive, with_crash, out);
      add(kOne, with_versions, out);
      add(kOneEachTime, with_help, out);
      break;
  }
  return out;
}

std::vector<Scenario> scenarios_for(Broken rule, Reach reach) {
  switch (rule) {
    case Broken::kAskedInAnyOrder:
    case Broken::kGroupsBetweenAtOnce:
    case Broken::kOwnGroupNotAsked:
    case Broken::kOwnGroupAtOnce:
    case Broken::kOwnGroupAheadTells:
      return moving_scenarios(reach);
    default:
      break;
  }
  std::vector<Scenario> out = scenarios(reach);
  if (rule == Broken::kNothing) {
    const std::vector<Scenario> moving = moving_scenarios(reach);
    out.insert(out.end(), moving.begin(), moving.end());
  }
  return out;
}

}  // namespace rosebud::sim::section10
