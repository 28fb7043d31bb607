// The tree of a mount that writes, as far as the kernel knows it or it differs from what is
// published: which names lead to what, and what has changed since which publication.
//
// 1. A node is one file, directory or link from its making (or its first lookup) until nobody knows
//    it: renaming moves it, another one in its place is another node.
// 2. Of a directory there is its published content, `base`; what differs from it are the names in
//    `hidden` and the children that are added. Everything else is as published.
// 3. Whatever has changed, all directories above it have changed: the root tells whether anything
//    is pending. What changed in the current generation, all above it did too.
// 4. begin_generation() is the moment of a publication. What changed later is in a later one.
// 5. A node that has not changed, and that the kernel does not know, is forgotten; one that has
//    changed never, and neither are those above it.
//
// It asks for no blocks and knows no time. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fs/reader.h"
#include "mount/file_reader.h"
#include "mount/inodes.h"
#include "mount/staged_file.h"

namespace rosebud::mount {

/// Counts publications that were begun.
using Generation = std::uint64_t;

struct PendingNode {
  InodeId id = 0;
  std::uint64_t number = 0;  // what people see
  fs::Kind kind = fs::Kind::kFile;
  InodeId parent = 0;  // of the root, and of what was removed: none
  std::string name;
  fs::Attributes attributes;
  std::optional<fs::ModificationTime> touched;  // when it or its entry changed here
  /// What is published of it; nothing: nothing is. `tsize`: what a link to that says.
  std::optional<fs::Cid> base;
  std::uint64_t tsize = 0;
  bool has_new_attributes = false;  // others than those of `base`
  /// Of a file or link: what leads to it in the published tree, which `base` may be ahead of.
  std::optional<fs::Imported> published;

  // A file.
  std::uint64_t base_bytes = 0;
  std::shared_ptr<FileReader> reader;  // of `base`, as soon as it was opened
  std::shared_ptr<StagedFile> staged;  // as soon as it was written
  std::uint64_t writers = 0;           // that have it open
  bool is_half_written = false;        // since then, and nobody said that this much counts
  bool is_wanted = false;   // somebody waits for what stands in it, whoever writes on meanwhile
  bool is_flushed = false;  // one that wrote has closed it, and nobody has written since
  // A symbolic link.
  std::string target;
  // A directory.
  std::map<std::string, InodeId> children;   // those that are known
  std::map<std::string, Generation> hidden;  // what `base` has there is gone, and since when
  std::set<std::string> absent;              // known not to be in `base`

  bool is_displaced = false;  // others have published something else in its place
  bool is_added = false;      // not what the parent's `base` has under that name
  bool is_changed = false;    // or something below
  Generation changed_in = 0;
  std::uint64_t lookups = 0;  // by the kernel
  std::uint64_t opens = 0;

  bool is_directory() const { return kind == fs::Kind::kDirectory; }
  /// What stands in it is somebody's work that is not done.
  bool is_in_work() const { return writers > 0 && is_half_written && !is_wanted; }
  /// It is at no place any more.
  bool is_removed() const { return parent == 0 && id != kRootInode; }
  std::uint64_t bytes() const { return staged ? staged->size() : base_bytes; }
};

class PendingTree {
 public:
  /// Absent names of one directory that are remembered.
  static constexpr std::size_t kAbsentMax = 1'000;

  PendingTree();

  PendingNode& root() { return nodes_.at(kRootInode); }
  /// Nothing: it is not known. Pointers are good until the node is forgotten.
  PendingNode* find(InodeId id);
  const PendingNode* find(InodeId id) const;
  /// How many names lead to it from the root; of the root 0.
  std::size_t depth_of(const PendingNode& node) const;
  /// "/a/b".
  std::string path_of(const PendingNode& node) const;
  bool is_below(const PendingNode& node, InodeId directory) const;
  std::size_t size() const { return nodes_.size(); }
  /// Grows with whatever changes where names lead.
  std::uint64_t edits() const { return edits_; }

  /// A node for what the published directory has under that name. Requires: no child has it.
  PendingNode& add_published(PendingNode& parent, const fs::Link& link,
                             const fs::Described& described);
  /// A new one. Requires: nothing is there.
  PendingNode& add_new(PendingNode& parent, const std::string& name, fs::Kind kind,
                       const fs::Attributes& attributes);
  /// It, or something in it, is another than before.
  void mark_changed(PendingNode& node);
  /// It is at no place any more, and the name leads to nothing.
  void remove(PendingNode& node);
  /// It, and all below, is at no place any more, since others have published so: no change from
  /// here.
  void displace(PendingNode& node) { detach(node, true); }
  /// Requires: nothing is at the new place.
  void move(PendingNode& node, PendingNode& parent, const std::string& name);
  /// Forgets it if nobody needs it, and then those above.
  void forget_unneeded(InodeId id);

  bool has_changes() const { return nodes_.at(kRootInode).is_changed; }
  /// Of what has changed itself, at most so many, in no order.
  std::vector<std::string> changed_paths(std::size_t count_max) const;
  /// Of nodes, about.
  std::size_t changes_count() const { return changes_count_; }
  /// What changes from now on is later than that. Returns the generation that ends.
  Generation begin_generation() { return generation_++; }
  bool has_changed_after(const PendingNode& node, Generation generation) const {
    return node.changed_in > generation;
  }
  /// It stands in the published tree as it is.
  void mark_published(PendingNode& node);
  /// What a directory is in the published tree, up to what changed after the generation.
  void rebase(PendingNode& directory, const fs::Imported& published, Generation generation);

 private:
  void detach(PendingNode& node, bool is_displaced);
  /// What people see as its number: that of the path, unless another one has it.
  std::uint64_t number_for(const PendingNode& parent, const std::string& name);
  PendingNode& add(PendingNode& parent, const std::string& name, fs::Kind kind);

  std::map<InodeId, PendingNode> nodes_;
  std::set<std::uint64_t> numbers_;  // of all nodes
  InodeId next_ = kRootInode + 1;
  Generation generation_ = 1;
  std::size_t changes_count_ = 0;
  std::uint64_t edits_ = 0;
};

}  // namespace rosebud::mount
