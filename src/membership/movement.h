// What a change of members moves: whose keys come to whom, and how safe the data is meanwhile and
// afterwards. For people who plan a change, and for whoever compares what was moved with what had
// to be.
#pragma once

#include "membership/configuration.h"

namespace rosebud::membership {

/// Parts of the ring in units of 2^-32, as Configuration::own_share: of 1 TB stored, 2^32 is 1 TB.
struct NodeMovement {
  wire::NodeKey key;
  std::string name;
  wire::DirectoryId directory;      // before, if it was in
  bool has_lost_directory = false;  // it is in with another one afterwards
  std::uint64_t before = 0;         // in whose groups it is
  std::uint64_t after = 0;
  std::uint64_t gained = 0;  // fetched from others
  std::uint64_t lost = 0;    // deleted when others have it
};

struct Movement {
  std::vector<NodeMovement> nodes;   // of `before` in their order, then those that come
  std::uint64_t gained = 0;          // of all together: the least that any system moves
  std::uint64_t exposed_before = 0;  // part of the ring whose groups have fewer than 3f+1 members
  std::uint64_t exposed_after = 0;
  /// Most members of one group that are not in the group that follows it, or have lost their
  /// directory. Beyond f, those who go must stay switched on until their data has moved.
  std::size_t replaced_max = 0;
};

/// Exact to a unit for each arc. Costs a few steps for each arc of both.
Movement movement(const Configuration& before, const Configuration& after);

}  // namespace rosebud::membership
