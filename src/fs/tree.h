// Editing an immutable tree of directories: every change makes the nodes on the path anew, up to
// another root, and shares all the rest with the tree before.
//
// 1. Nodes that are made stand in memory until store(): only those that the last root reaches are
//    ever written, and what no root reaches any more is forgotten when memory becomes scarce.
// 2. A directory that is edited was checked first: whoever made it may have been careless or
//    hostile, and nothing is built on what makes no sense.
// 3. A change that fails leaves the tree as it was.
// 4. Putting, making and removing ask for each block on the way once. The directories on it stand
//    in memory meanwhile.
//
// It knows no files: what stands under a name has been imported before (fs/importer.h).
#pragma once

#include <map>

#include "fs/shard.h"

namespace rosebud::fs {

/// Longest name of an entry, bytes: what file systems take.
inline constexpr std::size_t kNameMax = 255;
/// Nodes of one series of changes, bytes. A change makes at most half of it: 256 directories on its
/// way of 256 KiB each, twice when it renames.
inline constexpr std::size_t kMadeMax = 256U << 20;

/// That something may be called so: not empty, "." or "..", neither '/' nor NUL inside, at most
/// kNameMax bytes. They need not be UTF-8: names on disks are bytes.
Status<Explained> check_name(std::string_view name);

/// Of a plain directory that others may have made: its names are names, in order and each once.
Status<Explained> check_entries(const DagNode& node, const Cid& at);
/// The entry of that name in the directory `at`. Requires: a plain one that check_entries() found
/// sound, or the uppermost shard of one.
Result<std::optional<Link>, Explained> find_entry(const DagNode& node, const Cid& at,
                                                  const std::string& name, BlockSource& source);

/// The names from the root on; empty for the root.
using TreePath = std::vector<std::string>;

/// "a/b", "/a/b/" and "/" (or nothing: the root). Refuses what check_name() does and paths of more
/// than kDepthMax names.
Result<TreePath, Explained> parse_tree_path(std::string_view text);
/// "/a/b".
std::string text_of(const TreePath& path);

class Tree {
 public:
  /// `source` outlives it. `made_max`: how many bytes of nodes may stand in memory until store().
  Tree(const Cid& root, BlockSource& source, std::size_t made_max = kMadeMax)
      : root_{.cid = root}, nodes_(source, made_max) {}

  /// A new, empty directory as the root. `source` is asked for nothing then.
  static Result<Tree, Explained> empty(BlockSource& source, const Attributes& attributes,
                                       std::size_t made_max = kMadeMax);

  const Cid& root() const { return root_.cid; }
  /// The nodes that were made here and that the root reaches, and everything else from the source;
  /// nodes that were read before are not asked for again.
  BlockSource& blocks() { return nodes_; }

  /// That the root is a directory; an error of kIntegrity when it is something else.
  Status<Explained> check_root();
  /// What stands there; nothing when nothing does, or its directory is not there either. An error
  /// when a name on the way is no directory.
  Result<std::optional<Link>, Explained> find(const TreePath& path);
  /// As find(), but an error of kNotFound.
  Result<Link, Explained> get(const TreePath& path);
  Result<bool, Explained> is_directory(const Cid& cid);

  // Changes. `now` becomes the modification time of the directory whose entry changes. Its own
  // directory must be there. None changes the root itself.

  /// That something may be put there, as put() would say: to be asked before it is made.
  Status<Explained> check_put(const TreePath& path);
  /// Whatever stood there is replaced.
  Status<Explained> put(const TreePath& path, const Imported& what, const ModificationTime& now);
  /// An error when something stands there.
  Status<Explained> make_directory(const TreePath& path, const Attributes& attributes,
                                   const ModificationTime& now);
  enum class Below : bool { kMustBeEmpty, kGoesToo };
  Status<Explained> remove(const TreePath& path, Below below, const ModificationTime& now);
  /// A file may take the place of a file, a directory that of an empty directory; a directory never
  /// goes into itself.
  Status<Explained> rename(const TreePath& from, const TreePath& to, const ModificationTime& now);

  /// Hands over the nodes that were made and that the root reaches, children first.
  Status<Explained> store(BlockSink& sink);

 private:
  /// What was made, and some of what was read: an edit reads the same directories several times.
  class Nodes final : public BlockSource, public BlockSink {
   public:
    Nodes(BlockSource& source, std::size_t made_max)
        : source_(&source), made_max_(made_max), crowded_at_(made_max / 2) {}
    Result<Buffer, Explained> get(const Cid& cid) override;
    void prefetch(std::span<const Cid> cids) override;
    Status<Explained> put(const Cid& cid, Buffer block) override;
    const std::map<Cid, Buffer>& made() const { return made_; }
    /// Whether it is time to ask which of them are still of use.
    bool is_crowded() const { return made_bytes_ > crowded_at_; }
    /// Of those that were made, these stay. Requires: they were.
    void keep(std::span<const Cid> cids);

   private:
    BlockSource* source_;
    std::size_t made_max_;
    std::size_t crowded_at_;  // bytes
    std::map<Cid, Buffer> made_;
    std::size_t made_bytes_ = 0;  // Invariant: made_bytes_ <= made_max_.
    std::map<Cid, Buffer> read_;
    std::size_t read_bytes_ = 0;
  };

  /// A plain directory, or the uppermost shard of one.
  struct Directory {
    Cid cid;
    DagNode node;
  };
  /// Nothing: it is something else.
  Result<std::optional<Directory>, Explained> directory(const Cid& cid);
  /// The one that the first `depth` names of the path have led to.
  Result<Directory, Explained> directory_on(const TreePath& path, std::size_t depth,
                                            const Cid& cid);
  /// From the root to the one whose entry the last name is.
  Result<std::vector<Directory>, Explained> way_to(const TreePath& path);
  Result<Link, Explained> root_link();
  Result<Imported, Explained> change(Directory directory, const EntryChange& change,
                                     const std::optional<ModificationTime>& now);
  /// Requires: what way_to() found.
  Status<Explained> change_along(std::vector<Directory> way, const TreePath& path,
                                 std::optional<Imported> becomes, const ModificationTime& now);
  Status<Explained> change_at(const TreePath& path, std::optional<Imported> becomes,
                              const ModificationTime& now);
  Status<Explained> check_place(const Link& source, const Link& target);
  /// Before a change, when no node that it makes waits to be reached.
  void forget_superseded();

  Imported root_;
  Nodes nodes_;
};

}  // namespace rosebud::fs
