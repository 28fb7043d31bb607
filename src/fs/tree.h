// Editing an immutable tree of directories: every change makes the nodes on the path anew, up to
// another root, and shares all the rest with the tree before.
//
// 1. Nodes that are made stand in memory until store(): only those that the last root reaches are
//    ever written.
// 2. A directory that is edited was checked first: whoever made it may have been careless or
//    hostile, and nothing is built on what makes no sense.
// 3. A change that fails leaves the tree as it was.
//
// It knows no files: what stands under a name has been imported before (fs/importer.h).
#pragma once

#include <map>

#include "fs/shard.h"

namespace rosebud::fs {

/// Longest name of an entry, bytes: what file systems take.
inline constexpr std::size_t kNameMax = 255;

/// The names from the root on; empty for the root.
using TreePath = std::vector<std::string>;

/// "a/b", "/a/b/" and "/" (or nothing: the root). Refuses ".", "..", NUL, names of more than
/// kNameMax bytes and paths of more than kDepthMax names.
Result<TreePath, Explained> parse_tree_path(std::string_view text);
/// "/a/b".
std::string text_of(const TreePath& path);

class Tree {
 public:
  /// `source` outlives it.
  Tree(const Cid& root, BlockSource& source) : root_{.cid = root}, nodes_(source) {}

  /// A new, empty directory as the root. `source` is asked for nothing then.
  static Result<Tree, Explained> empty(BlockSource& source, const Attributes& attributes);

  const Cid& root() const { return root_.cid; }
  /// The nodes that were made here, and everything else from the source.
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
    explicit Nodes(BlockSource& source) : source_(&source) {}
    Result<Buffer, Explained> get(const Cid& cid) override;
    void prefetch(std::span<const Cid> cids) override { source_->prefetch(cids); }
    Status<Explained> put(const Cid& cid, Buffer block) override;
    const std::map<Cid, Buffer>& made() const { return made_; }

   private:
    BlockSource* source_;
    std::map<Cid, Buffer> made_;
    std::size_t made_bytes_ = 0;
    std::map<Cid, Buffer> read_;
    std::size_t read_bytes_ = 0;
  };

  /// The node of a plain directory or of the uppermost shard.
  Result<DagNode, Explained> get_directory(const Cid& cid);
  Result<std::optional<Link>, Explained> find_in(const Cid& directory, const std::string& name);
  Result<Imported, Explained> change(const Cid& directory, const EntryChange& change,
                                     const std::optional<ModificationTime>& now);
  Status<Explained> change_at(const TreePath& path, std::optional<Imported> becomes,
                              const ModificationTime& now);
  Status<Explained> check_place(const Link& source, const Link& target);
  Result<bool, Explained> is_empty(const Cid& directory);

  Imported root_;
  Nodes nodes_;
};

}  // namespace rosebud::fs
