#include "apps/rosebud/sync_volume.h"

#include <ranges>
#include <set>

namespace rosebud::apps {
namespace {

SyncKind kind_of(fs::Kind kind) {
  switch (kind) {
    case fs::Kind::kFile:
      return SyncKind::kFile;
    case fs::Kind::kDirectory:
      return SyncKind::kDirectory;
    case fs::Kind::kSymlink:
      return SyncKind::kSymlink;
  }
  return SyncKind::kSpecial;
}

class VolumeChange {
 public:
  VolumeChange(const Listing& source, Listing target, fs::BlockSource& blocks, fs::BlockSink& sink,
               const PutFile& put_file)
      : source_(source),
        tree_(std::move(target)),
        blocks_(blocks),
        sink_(sink),
        put_file_(put_file) {}

  Status<Explained> apply(const SyncAction& action) {
    const std::string& path = action.path;
    if (action.step == SyncStep::kRemove) {
      tree_.erase(path);
      changed_.insert(std::string(folder_of(path)));
      return {};
    }
    const SyncEntry& wanted = source_.at(path);
    switch (action.step) {
      case SyncStep::kMakeDirectory:
        tree_.insert_or_assign(path, wanted);
        changed_.insert(path);
        return {};
      case SyncStep::kPutFile:
        return put(path, put_file_(path));
      case SyncStep::kPutSymlink:
        return put(path, fs::import_symlink(wanted.target, sink_, wanted.attributes));
      case SyncStep::kSetAttributes:
        if (wanted.kind == SyncKind::kDirectory) {
          tree_.at(path).attributes = wanted.attributes;
          changed_.insert(path);
          return {};
        }
        return put(path, with_attributes(path, wanted.attributes));
      case SyncStep::kRemove:
        break;
    }
    return {};
  }

  /// From the bottom to the top: a directory that changes needs what its entries have become.
  Result<fs::Imported, Explained> finish() {
    std::map<std::string, std::vector<fs::Link>, PathOrder> entries;  // of directories to be met
    for (auto& [path, entry] : std::views::reverse(tree_)) {
      auto links = entries.extract(path);
      if (entry.kind == SyncKind::kDirectory && changed_.contains(path)) {
        auto made = fs::import_directory(
            links ? std::move(links.mapped()) : std::vector<fs::Link>(), sink_, entry.attributes);
        if (!made) return made;
        entry.cid = made->cid;
        entry.tsize = made->tsize;
      }
      if (path.empty()) break;
      const std::string above(folder_of(path));
      if (changed_.contains(path)) changed_.insert(above);
      const auto slash = path.rfind('/');
      entries[above].push_back({.name = slash == std::string::npos ? path : path.substr(slash + 1),
                                .cid = entry.cid,
                                .tsize = entry.tsize});
    }
    const SyncEntry& root = tree_.at({});
    return fs::Imported{.cid = root.cid, .tsize = root.tsize};
  }

 private:
  Status<Explained> put(const std::string& path, const Result<fs::Imported, Explained>& imported) {
    if (!imported) return fail(imported.error());
    SyncEntry entry = source_.at(path);
    entry.cid = imported->cid;
    entry.tsize = imported->tsize;
    tree_.insert_or_assign(path, std::move(entry));
    changed_.insert(path);
    return {};
  }

  /// Of a file or a symlink they stand in its uppermost node, so the content is not moved.
  Result<fs::Imported, Explained> with_attributes(const std::string& path,
                                                  const fs::Attributes& attributes) {
    const SyncEntry& present = tree_.at(path);
    // A raw block has no place for them.
    if (present.cid.codec == fs::Codec::kRaw) return put_file_(path);
    auto node = fs::get_node(present.cid, blocks_);
    if (!node) return fail(node.error());
    node->attributes = attributes;
    return fs::put_node(*node, sink_);
  }

  const Listing& source_;
  Listing tree_;
  fs::BlockSource& blocks_;
  fs::BlockSink& sink_;
  const PutFile& put_file_;
  std::set<std::string> changed_;  // what is another object now; directories until finish() as well
};

}  // namespace

Result<Listing, Explained> list_volume(const fs::Link& directory, fs::BlockSource& blocks,
                                       std::uint32_t mode_bits, std::size_t depth_max,
                                       fs::HeadMemory* heads) {
  ListingBuilder out;
  const auto add = [&](const fs::WalkedEntry& walked) {
    SyncEntry entry{.kind = kind_of(walked.described.kind),
                    .target = walked.described.target,
                    .attributes = walked.described.attributes,
                    .cid = walked.cid,
                    .tsize = walked.tsize};
    if (entry.kind == SyncKind::kFile) entry.bytes = walked.described.bytes;
    if (entry.kind == SyncKind::kSymlink) entry.attributes.mode.reset();
    if (entry.attributes.mode) entry.attributes.mode = *entry.attributes.mode & mode_bits;
    return out.add(walked.path, std::move(entry));
  };
  auto walked = fs::walk_tree(directory.cid, directory.tsize, blocks, add,
                              {.depth_max = depth_max, .on_damage = {}, .heads = heads});
  if (!walked) return fail(walked.error());
  return out.take();
}

Result<fs::Imported, Explained> carry_out_in_volume(const SyncPlan& plan, const Listing& source,
                                                    Listing target, fs::BlockSource& blocks,
                                                    fs::BlockSink& sink, const PutFile& put_file) {
  VolumeChange change(source, std::move(target), blocks, sink, put_file);
  for (const SyncAction& action : plan.actions) {
    if (auto applied = change.apply(action); !applied) return fail(applied.error());
  }
  return change.finish();
}

}  // namespace rosebud::apps
