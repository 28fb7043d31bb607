#include "sim/section10/search.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.h"
#include "sim/section10/story.h"

namespace rosebud::sim::section10 {
namespace {

/// A node's state in 64 bits, for each node.
using Packed = std::array<std::uint64_t, kNodesMax>;

/// Puts the nodes with the same memberships in one order: which of them is which does not matter.
class Order {
 public:
  explicit Order(const Scenario& scenario) {
    for (std::size_t first = 0; first < scenario.nodes;) {
      std::size_t end = first + 1;
      while (end < scenario.nodes && scenario.are_alike(first, end)) ++end;
      if (end - first > 1) alike_.emplace_back(first, end);
      first = end;
    }
    for (int e = 1; e <= kEpochs; ++e) {
      for (std::size_t node = 0; node < scenario.nodes; ++node) {
        if (scenario.is_member(node, e)) members_[static_cast<std::size_t>(e)].push_back(node);
      }
    }
  }

  Packed pack(const State& state) const {
    Packed own;  // what stands in a node's state about itself
    Places places;
    bool is_any_told = false;
    for (std::size_t node = 0; node < kNodesMax; ++node) {
      Replica replica = state.replicas[node];
      for (Asked& asked : replica.asked) is_any_told |= std::exchange(asked.told, 0) != 0;
      own[node] = replica.pack();
      places[node] = node;
    }
    for (const auto& [first, end] : alike_) {
      // By insertion: they are two to four, and mostly in order.
      for (std::size_t i = first + 1; i < end; ++i) {
        for (std::size_t j = i; j > first && own[places[j]] < own[places[j - 1]]; --j)
          std::swap(places[j], places[j - 1]);
      }
    }
    if (!is_any_told) return placed(own, places);
    Packed out = placed(state, places);
    try_equals(state, own, places, 1, out);
    return out;
  }

 private:
  using Places = std::array<std::size_t, kNodesMax>;  // which node comes there

  static Packed placed(const Packed& own, const Places& places) {
    Packed out;
    for (std::size_t place = 0; place < kNodesMax; ++place) out[place] = own[places[place]];
    return out;
  }

  /// With the names of nodes that stand in the states of others changed too.
  Packed placed(const State& state, const Places& places) const {
    Packed out;
    for (std::size_t place = 0; place < kNodesMax; ++place) {
      Replica replica = state.replicas[places[place]];
      for (Asked& asked : replica.asked) {
        if (asked.told == 0) continue;
        const int group = replica.epoch - (asked.asking == Asking::kBetween ? 1 : 0);
        asked.told = renamed(asked.told, members_[static_cast<std::size_t>(group)], places);
      }
      out[place] = replica.pack();
    }
    return out;
  }

  static std::uint8_t renamed(std::uint8_t told, const std::vector<std::size_t>& members,
                              const Places& places) {
    std::uint8_t out = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto was = std::ranges::find(members, places[members[i]]) - members.begin();
      out |= static_cast<std::uint8_t>((told >> was & 1) << i);
    }
    return out;
  }

  /// The least of all orders that differ in nodes whose own states are equal.
  void try_equals(const State& state, const Packed& own, Places& places, std::size_t place,
                  Packed& least) const {
    if (place == kNodesMax) {
      least = std::min(least, placed(state, places));
      return;
    }
    try_equals(state, own, places, place + 1, least);
    for (std::size_t other = place; other-- > 0;) {
      if (own[places[other]] != own[places[place]] || !are_alike(other, place)) break;
      std::swap(places[other], places[place]);
      try_equals(state, own, places, place + 1, least);
      std::swap(places[other], places[place]);
    }
  }

  bool are_alike(std::size_t a, std::size_t b) const {
    return std::ranges::any_of(alike_, [&](const auto& one) {
      return a >= one.first && a < one.second && b >= one.first && b < one.second;
    });
  }

  std::vector<std::pair<std::size_t, std::size_t>> alike_;  // first and end
  PerEpoch<std::vector<std::size_t>> members_;
};

struct Key {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Key&, const Key&) = default;
};

std::uint64_t mix(std::uint64_t value) {
  value *= 0xbf58476d1ce4e5b9;
  value ^= value >> 31;
  value *= 0x94d049bb133111eb;
  return value ^ (value >> 29);
}

/// Numbers for the states of single nodes: there are few.
class Dictionary {
 public:
  Dictionary() : table_(kTableSize) {}

  Key key(const Packed& replicas, std::uint16_t rest) {
    Key key{rest & 0xffU, static_cast<std::uint64_t>(rest) >> 8};
    for (std::size_t node = 0; node < kNodesMax; ++node) {
      std::uint64_t& half = node < kNodesMax / 2 ? key.low : key.high;
      half |= number_of(replicas[node]) << shift(node);
    }
    return key;
  }

  State state(const Key& key) const {
    State out;
    out.unpack_rest(static_cast<std::uint16_t>((key.low & 0xff) | (key.high & 0xff) << 8));
    for (std::size_t node = 0; node < kNodesMax; ++node) {
      const std::uint64_t half = node < kNodesMax / 2 ? key.low : key.high;
      out.replicas[node] = replicas_[half >> shift(node) & ((1U << kBits) - 1)];
    }
    return out;
  }

 private:
  static constexpr std::size_t kBits = 14;
  static constexpr std::size_t kTableSize = std::size_t{2} << kBits;

  static std::size_t shift(std::size_t node) { return 8 + node % (kNodesMax / 2) * kBits; }

  std::uint64_t number_of(std::uint64_t packed) {
    std::size_t at = mix(packed) % kTableSize;
    while (table_[at].number != 0 && table_[at].packed != packed) at = (at + 1) % kTableSize;
    if (table_[at].number == 0) {
      CHECK(replicas_.size() < 1U << kBits);
      replicas_.push_back(Replica::unpack(packed));
      table_[at] = {.packed = packed, .number = replicas_.size()};
    }
    return table_[at].number - 1;
  }

  struct Entry {
    std::uint64_t packed = 0;
    std::uint64_t number = 0;  // its place in replicas_, and one; 0 is free
  };
  std::vector<Entry> table_;
  std::vector<Replica> replicas_;
};

/// The states in the order in which they were found, and from which each was.
class Seen {
 public:
  Seen() : table_(1U << 16) {}

  std::size_t size() const { return keys_.size(); }
  const Key& key(std::size_t index) const { return keys_[index]; }
  std::uint32_t parent(std::size_t index) const { return parents_[index]; }
  std::size_t bytes() const {
    return keys_.size() * (sizeof(Key) + sizeof(std::uint32_t)) +
           table_.size() * sizeof(std::uint32_t);
  }

  /// True when it is new.
  bool add(const Key& key, std::uint32_t parent) {
    std::uint32_t& place = find(key);
    if (place != 0) return false;
    keys_.push_back(key);
    parents_.push_back(parent);
    place = static_cast<std::uint32_t>(keys_.size());
    if (keys_.size() > table_.size() / 4 * 3) grow();
    return true;
  }

 private:
  static std::uint64_t hash(const Key& key) { return mix(key.low ^ mix(key.high)); }

  /// The place of the key, or the free one where it belongs.
  std::uint32_t& find(const Key& key) {
    std::size_t at = hash(key) & (table_.size() - 1);
    while (table_[at] != 0 && !(keys_[table_[at] - 1] == key)) at = (at + 1) & (table_.size() - 1);
    return table_[at];
  }

  void grow() {
    const std::size_t size = table_.size() * 2;
    table_ = {};  // before the larger one is there: half of the memory
    table_.resize(size);
    for (std::size_t i = 0; i < keys_.size(); ++i)
      find(keys_[i]) = static_cast<std::uint32_t>(i + 1);
  }

  std::deque<Key> keys_;
  std::deque<std::uint32_t> parents_;
  std::vector<std::uint32_t> table_;  // index + 1; 0 is free
};

class Search {
 public:
  Search(const Model& model, SearchLimits limits)
      : model_(&model), limits_(limits), order_(model.scenario()) {}

  Found run() {
    look_at(model_->first(), 0);
    std::size_t level_end = seen_.size();
    for (std::size_t next = 0; next < seen_.size() && !bad_; ++next) {
      if (next == level_end) {
        ++found_.depth;
        level_end = seen_.size();
      }
      const auto from = static_cast<std::uint32_t>(next);
      model_->for_each_step(dictionary_.state(seen_.key(next)),
                            [&](const Step&, const State& state) {
                              ++found_.steps;
                              if (!bad_) look_at(state, from);
                            });
      if (seen_.size() >= limits_.states_max) {
        found_.is_whole = false;
        break;
      }
    }
    found_.states = seen_.size();
    found_.bytes = seen_.bytes();
    if (bad_) {
      const Way way = way_to(*bad_);
      // Under the names that the nodes have in the story.
      found_.violation = model_->violation(way.steps.empty() ? way.first : way.steps.back().second);
      found_.story = tell(*model_, way);
    }
    return std::move(found_);
  }

 private:
  Key key_of(const State& state) { return dictionary_.key(order_.pack(state), state.pack_rest()); }

  void look_at(const State& state, std::uint32_t parent) {
    const Key key = key_of(state);
    if (!seen_.add(key, parent)) return;
    found_.violation = model_->violation(dictionary_.state(key));
    if (!found_.violation.empty()) bad_ = seen_.size() - 1;
  }

  /// From the first state to this one with the nodes under their own names: of the steps that lead
  /// from one to something like the next, the first.
  Way way_to(std::size_t index) {
    std::vector<std::size_t> indices{index};
    while (indices.back() != 0) indices.push_back(seen_.parent(indices.back()));
    Way way{.first = model_->first(), .steps = {}};
    State now = way.first;
    for (auto at = std::next(indices.rbegin()); at != indices.rend(); ++at) {
      const Key wanted = seen_.key(*at);
      std::optional<State> next;
      model_->for_each_step(now, [&](const Step& step, const State& state) {
        if (next || !(key_of(state) == wanted)) return;
        next = state;
        way.steps.emplace_back(step, state);
      });
      CHECK(next.has_value());
      now = *next;
    }
    return way;
  }

  const Model* model_;
  SearchLimits limits_;
  Order order_;
  Dictionary dictionary_;
  Seen seen_;
  Found found_;
  std::optional<std::size_t> bad_;
};

}  // namespace

Found search(const Model& model, SearchLimits limits) { return Search(model, limits).run(); }

}  // namespace rosebud::sim::section10
