// The nodes of a configuration in their order, and what finds them: by key, and by whatever no two
// may have alike. Successors share what did not change, so that an epoch of 100,000 nodes that
// differ in ten from those before costs these ten.
//
// Duplicates are allowed here, so that they can be found: problem_of_node().
#pragma once

#include <map>
#include <optional>

#include "base/result.h"
#include "base/shared_vector.h"
#include "base/sorted_buckets.h"
#include "membership/parts.h"

namespace rosebud::membership {

/// Other nodes for some places of a list.
struct PlacedNodes {
  /// Of every place from the old number of nodes on; all below `count`.
  std::map<std::size_t, Node> at;
  std::size_t count = 0;  // how many nodes there are then
};

class Members {
 public:
  Members() = default;
  explicit Members(std::vector<Node> nodes);

  /// Requires: `change` is as it says.
  Members with(const PlacedNodes& change) const;

  const SharedVector<Node>& nodes() const { return nodes_; }
  std::optional<std::uint32_t> index_of(const wire::NodeKey& key) const;
  /// How many each organisation has, by its index; as far as the last that has one.
  const std::vector<std::uint32_t>& nodes_of() const { return nodes_of_; }

  /// What is wrong with the node at this place, by itself or beside any other, for a person. Of
  /// duplicates the later is named. `organisation_count`: how many there are.
  std::optional<Explained> problem_of_node(std::uint32_t place,
                                           std::size_t organisation_count) const;

 private:
  /// Something that a node has alone, by its hash, and whose it is.
  struct Trait {
    std::uint64_t hash = 0;
    std::uint32_t node = 0;
    std::uint32_t kind = 0;  // a node may have two with one hash, if somebody took the trouble
    std::uint64_t leading_bits() const { return hash; }
    friend auto operator<=>(const Trait&, const Trait&) = default;
  };
  using Traits = SortedBuckets<Trait>;

  static Trait key_of(const Node& node, std::uint32_t place);
  static void add_traits(std::vector<Trait>& out, const Node& node, std::uint32_t place);
  void count(const Node& node, std::uint32_t by);
  template <typename IsSame>
  std::optional<std::uint32_t> find(const Traits& in, std::uint64_t hash, const IsSame&) const;

  SharedVector<Node> nodes_;
  Traits keys_;    // leading bits of keys: nobody can choose many keys alike
  Traits traits_;  // hashes of names, addresses and directory ids
  std::vector<std::uint32_t> nodes_of_;
};

}  // namespace rosebud::membership
