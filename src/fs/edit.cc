#include "fs/edit.h"

#include <algorithm>

#include "fs/reached.h"
#include "fs/tree.h"

namespace rosebud::fs {
namespace {

/// Shards that a series of edits makes: most of them are superseded by the next edit.
class MadeShards final : public BlockSource, public BlockSink {
 public:
  explicit MadeShards(BlockSource& source) : source_(source) {}

  Result<Buffer, Explained> get(const Cid& cid) override {
    const auto at = made_.find(cid);
    return at == made_.end() ? source_.get(cid) : at->second;
  }
  void prefetch(std::span<const Cid> cids) override { source_.prefetch(cids); }
  Status<Explained> put(const Cid& cid, Buffer block) override {
    bytes_ += block.size();
    if (!made_.emplace(cid, block).second) bytes_ -= block.size();
    return {};
  }
  /// Forgets what `root` does not reach, when that may be most of it.
  void forget_superseded(const Cid& root) {
    if (bytes_ <= crowded_at_) return;
    std::map<Cid, Buffer> kept;
    bytes_ = 0;
    for (const Cid& cid : reached_among(made_, root)) {
      const auto at = made_.find(cid);
      bytes_ += at->second.size();
      kept.insert(made_.extract(at));
    }
    made_ = std::move(kept);
    crowded_at_ = std::max(kCrowded, 2 * bytes_);
  }
  /// Those that `root` reaches, children first.
  Status<Explained> store(const Cid& root, BlockSink& sink) const {
    for (const Cid& cid : reached_among(made_, root)) {
      if (auto put = sink.put(cid, made_.at(cid)); !put) return put;
    }
    return {};
  }

 private:
  static constexpr std::size_t kCrowded = 32U << 20;

  BlockSource& source_;
  std::map<Cid, Buffer> made_;
  std::size_t bytes_ = 0;
  std::size_t crowded_at_ = kCrowded;
};

Result<Imported, Explained> as_it_is(const Cid& cid, const DagNode& node, BlockSource& source) {
  const auto block = source.get(cid);
  if (!block) return fail(block.error());
  Imported out{.cid = cid, .tsize = block->size()};
  for (const Link& link : node.links) out.tsize += link.tsize;
  return out;
}

Result<Imported, Explained> edit_plain(DagNode node, std::span<const EntryChange> changes,
                                       BlockSink& sink) {
  std::map<std::string, Link> entries;
  for (Link& link : node.links) {
    std::string name = link.name;
    entries.insert_or_assign(std::move(name), std::move(link));
  }
  for (const EntryChange& change : changes) {
    if (change.becomes) {
      entries.insert_or_assign(
          change.name,
          Link{.name = change.name, .cid = change.becomes->cid, .tsize = change.becomes->tsize});
    } else {
      entries.erase(change.name);
    }
  }
  std::vector<Link> links;
  links.reserve(entries.size());
  for (auto& [name, link] : entries) links.push_back(std::move(link));
  return import_directory(std::move(links), sink, node.attributes);
}

Result<Imported, Explained> edit_shards(DagNode top, const Cid& at,
                                        std::span<const EntryChange> changes, BlockSource& source,
                                        BlockSink& sink) {
  MadeShards made(source);
  Cid cid = at;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!changes[i].becomes) {
      const auto there = find_sharded(top, cid, changes[i].name, made);
      if (!there) return fail(there.error());
      if (!*there) continue;
    }
    auto edited = edit_sharded(top, cid, changes[i], made, made);
    if (!edited) return fail(edited.error());
    // Small again: as soon as no other shard is left, which is seen without reading any.
    const bool has_shards = std::ranges::any_of(
        edited->links, [](const Link& link) { return link.name.size() == kSlotDigits; });
    if (!has_shards) {
      for (Link& link : edited->links) link.name.erase(0, kSlotDigits);
      edited->type = NodeType::kDirectory;
      return edit_plain(std::move(*edited), changes.subspan(i + 1), sink);
    }
    const auto put = put_node(*edited, made);
    if (!put) return put;
    top = std::move(*edited);
    cid = put->cid;
    made.forget_superseded(cid);
  }
  const auto put = put_node(top, made);
  if (!put) return put;
  if (auto stored = made.store(put->cid, sink); !stored) return fail(stored.error());
  return put;
}

}  // namespace

Result<Imported, Explained> edit_directory(const std::optional<Cid>& at,
                                           std::span<const EntryChange> changes,
                                           const Attributes& attributes, BlockSource& source,
                                           BlockSink& sink) {
  if (!at) {
    DagNode node;
    node.type = NodeType::kDirectory;
    node.attributes = attributes;
    return edit_plain(std::move(node), changes, sink);
  }
  if (at->codec == Codec::kRaw) return fail(unsound(*at, "it is no directory"));
  auto node = get_node(*at, source);
  if (!node) return fail(node.error());
  if (changes.empty() && node->attributes == attributes) return as_it_is(*at, *node, source);
  node->attributes = attributes;
  if (node->type == NodeType::kShard)
    return edit_shards(std::move(*node), *at, changes, source, sink);
  if (node->type != NodeType::kDirectory) return fail(unsound(*at, "it is no directory"));
  if (auto sound = check_entries(*node, *at); !sound) return fail(sound.error());
  return edit_plain(std::move(*node), changes, sink);
}

}  // namespace rosebud::fs
