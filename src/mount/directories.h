// Directories of immutable trees: one name, or the entries page by page, in an order that stays.
//
// Decoded directories (of sharded ones the uppermost shard) are kept in bounded memory.
// Thread-safe.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "fs/tree.h"

namespace rosebud::mount {

/// Of a place in a directory: the entries behind it come next. 0 is the beginning.
using Cursor = std::uint64_t;

struct Entry {
  fs::Link link;
  Cursor next = 0;  // goes on behind this entry
};

class Directories {
 public:
  using Node = std::shared_ptr<const fs::DagNode>;

  explicit Directories(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// A plain directory whose entries are sound, or the uppermost shard of one; nothing: it is
  /// something else.
  Result<Node, Explained> get(const fs::Cid& cid, fs::BlockSource& source);
  /// Requires: `directory` is what get() returned for `cid`.
  Result<std::optional<fs::Link>, Explained> find(const Node& directory, const fs::Cid& cid,
                                                  const std::string& name, fs::BlockSource& source);
  /// At least one entry behind `after` and about `count` of them; none: that was all. Requires: as
  /// find().
  Result<std::vector<Entry>, Explained> page(const Node& directory, const fs::Cid& cid,
                                             Cursor after, std::size_t count,
                                             fs::BlockSource& source);

 private:
  struct Kept {
    Node node;
    std::size_t bytes = 0;  // about what it takes in memory
    std::list<fs::Cid>::iterator used;
  };

  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::map<fs::Cid, Kept> kept_;
  std::list<fs::Cid> used_;  // the latest first. Invariant: the keys of kept_.
  std::size_t bytes_ = 0;    // Invariant: bytes_ <= bytes_max_.
};

}  // namespace rosebud::mount
