#include "sim/section10/bounds.h"

#include <algorithm>

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

/// All of at most `nodes_max` nodes in which at most `replaced_max` members change from one epoch
/// to the next.
std::vector<GroupSequence> sequences(int nodes_max, int replaced_max) {
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
          const bool is_possible =
              std::ranges::all_of(counts, [](int count) { return count >= 0; }) &&
              nodes_of(counts) <= nodes_max &&
              replaced_in(counts, kFirst, kSecond) <= replaced_max &&
              replaced_in(counts, kSecond, kThird) <= replaced_max;
          if (is_possible) out.push_back(counts);
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

/// Adds the scenarios that have a faulty node of each of `faulty` (bits in kMemberships) to `out`.
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

struct Bound {
  int nodes_max;
  int replaced_max;
};

void add(const Bound& bound, const Scenario& like, std::vector<Scenario>& out) {
  for (const GroupSequence& counts : sequences(bound.nodes_max, bound.replaced_max)) {
    for (unsigned types = 1; types < 1U << counts.size(); ++types) {
      const Faulty faulty(counts, types);
      const bool is_covered = !like.do_faults_move && faulty.addable() > 1;
      if (!faulty.is_possible() || is_covered) continue;
      Scenario scenario = faulty.scenario();
      scenario.versions = like.versions;
      scenario.crashes = like.crashes;
      scenario.has_helping_steps = like.has_helping_steps;
      scenario.do_faults_move = like.do_faults_move;
      out.push_back(scenario);
    }
  }
}

}  // namespace

std::vector<Scenario> scenarios(Reach reach) {
  std::vector<Scenario> out;
  if (reach == Reach::kSmall) {
    add({.nodes_max = 6, .replaced_max = 1}, {}, out);
    add({.nodes_max = 5, .replaced_max = 1}, {.crashes = 1}, out);
    return out;
  }
  const bool is_deep = reach == Reach::kDeep;
  add({.nodes_max = is_deep ? 8 : 7, .replaced_max = is_deep ? 4 : 2}, {}, out);
  add({.nodes_max = is_deep ? 6 : 5, .replaced_max = 1}, {.crashes = is_deep ? 2 : 1}, out);
  add({.nodes_max = is_deep ? 6 : 5, .replaced_max = 1}, {.versions = 2}, out);
  add({.nodes_max = is_deep ? 6 : 5, .replaced_max = 1}, {.has_helping_steps = true}, out);
  return out;
}

std::vector<Scenario> moving_scenarios() {
  std::vector<Scenario> out;
  add({.nodes_max = 6, .replaced_max = 1}, {.do_faults_move = true}, out);
  return out;
}

}  // namespace rosebud::sim::section10
