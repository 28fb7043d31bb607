#include "fs/diff.h"

#include <algorithm>
#include <ranges>

#include "fs/shard.h"
#include "fs/tree.h"

namespace rosebud::fs {
namespace {

using What = TreeDifference::What;

/// As many as a source has under way: nothing else is asked for.
constexpr std::size_t kEntriesAhead = 32;

/// One path that is to be looked at; never the same in both.
struct Waiting {
  std::string path;
  std::size_t depth = 0;
  std::optional<Link> before;
  std::optional<Link> after;
};

/// What one side has there.
struct Side {
  Described described;
  DagNode node;
};

/// What a raw block is its directory says; it has no head.
bool has_head(const std::optional<Link>& link) { return link && link->cid.codec != Codec::kRaw; }

Result<std::optional<Side>, Explained> side_of(const std::optional<Link>& link,
                                               BlockSource& source) {
  if (!link) return std::nullopt;
  if (!has_head(link)) return Side{.described = {.bytes = link->tsize}, .node = {}};
  auto node = get_node(link->cid, source);
  if (!node) return fail(node.error());
  return Side{.described = describe_node(*node), .node = std::move(*node)};
}

/// Apart from what may be carried beside the content. A raw block is other content than a node that
/// has the same bytes: it is found out without reading them.
bool has_same_content(const Link& before, const Link& after, Side a, Side b) {
  if (before.cid.codec != after.cid.codec || before.cid.codec == Codec::kRaw) return false;
  a.node.attributes = {};
  b.node.attributes = {};
  return a.node.encode() == b.node.encode();
}

class Diff {
 public:
  Diff(BlockSource& source, const std::function<Status<Explained>(const TreeDifference&)>& visit,
       const DiffOptions& options)
      : source_(source), visit_(visit), options_(options) {}

  Status<Explained> run(Waiting top) {
    waiting_.push_back(std::move(top));
    while (!waiting_.empty()) {
      prefetch_heads();
      const Waiting at = std::move(waiting_.back());
      waiting_.pop_back();
      if (++entries_ > options_.entries_max) {
        return fail(
            unsound((at.after ? at.after : at.before)->cid, "what differs has too many entries"));
      }
      if (auto looked = look_at(at); !looked) return looked;
    }
    return {};
  }

 private:
  void prefetch_heads() {
    std::vector<Cid> soon;
    for (const Waiting& next : std::views::reverse(waiting_)) {
      for (const auto* link : {&next.before, &next.after}) {
        if (soon.size() < kEntriesAhead && has_head(*link)) soon.push_back((*link)->cid);
      }
      if (soon.size() == kEntriesAhead) break;
    }
    source_.prefetch(soon);
  }

  Status<Explained> look_at(const Waiting& at) {
    const auto before = side_of(at.before, source_);
    if (!before) return fail(before.error());
    const auto after = side_of(at.after, source_);
    if (!after) return fail(after.error());
    if (!*before || !*after) return look_at_one(at, *before ? **before : **after);
    const Kind kind = (*before)->described.kind;
    if (kind != (*after)->described.kind) {
      waiting_.push_back({.path = at.path, .depth = at.depth, .before = {}, .after = at.after});
      waiting_.push_back({.path = at.path, .depth = at.depth, .before = at.before, .after = {}});
      return {};
    }
    if (kind == Kind::kDirectory) return look_at_directories(at, **before, **after);
    const bool is_same = has_same_content(*at.before, *at.after, **before, **after);
    return tell(at.path, is_same ? What::kAttributes : What::kChanged, (*before)->described,
                (*after)->described);
  }

  Status<Explained> look_at_one(const Waiting& at, const Side& side) {
    const bool is_added = at.after.has_value();
    auto told = is_added ? tell(at.path, What::kAdded, {}, side.described)
                         : tell(at.path, What::kRemoved, side.described, {});
    if (!told || side.described.kind != Kind::kDirectory) return told;
    const Cid cid = (is_added ? at.after : at.before)->cid;
    auto entries = list_directory(cid, source_);
    if (!entries) return fail(entries.error());
    std::vector<Link> links;
    for (DirectoryEntry& entry : *entries)
      links.push_back({.name = std::move(entry.name), .cid = entry.cid, .tsize = entry.tsize});
    return wait_for(at, cid,
                    is_added ? Differing{.before = {}, .after = std::move(links)}
                             : Differing{.before = std::move(links), .after = {}});
  }

  Status<Explained> look_at_directories(const Waiting& at, const Side& before, const Side& after) {
    if (before.described.attributes.mode != after.described.attributes.mode) {
      if (auto told = tell(at.path, What::kAttributes, before.described, after.described); !told)
        return told;
    }
    auto differing = differing_entries(*at.before, before.node, *at.after, after.node);
    if (!differing) return fail(differing.error());
    return wait_for(at, at.after->cid, std::move(*differing));
  }

  Result<Differing, Explained> differing_entries(const Link& before, const DagNode& before_node,
                                                 const Link& after, const DagNode& after_node) {
    if (before_node.type == NodeType::kShard && after_node.type == NodeType::kShard)
      return differing_sharded(before_node, before.cid, after_node, after.cid, options_.entries_max,
                               source_);
    Differing out;
    for (auto [link, into] : {std::pair(&before, &out.before), std::pair(&after, &out.after)}) {
      auto entries = list_directory(link->cid, source_);
      if (!entries) return fail(entries.error());
      for (DirectoryEntry& entry : *entries)
        into->push_back({.name = std::move(entry.name), .cid = entry.cid, .tsize = entry.tsize});
    }
    return out;
  }

  /// What is the same on both sides is left out here.
  Status<Explained> wait_for(const Waiting& directory, const Cid& cid, Differing entries) {
    std::ranges::sort(entries.before, {}, &Link::name);
    std::ranges::sort(entries.after, {}, &Link::name);
    std::vector<Waiting> found;
    auto before = entries.before.begin();
    auto after = entries.after.begin();
    while (before != entries.before.end() || after != entries.after.end()) {
      const bool is_before = after == entries.after.end() ||
                             (before != entries.before.end() && before->name <= after->name);
      const bool is_after = before == entries.before.end() ||
                            (after != entries.after.end() && after->name <= before->name);
      Waiting next{.depth = directory.depth + 1};
      const std::string& name = is_before ? before->name : after->name;
      next.path = directory.path.empty() ? name : directory.path + "/" + name;
      if (is_before) next.before = *before++;
      if (is_after) next.after = *after++;
      if (!is_before || !is_after || next.before->cid != next.after->cid)
        found.push_back(std::move(next));
    }
    if (!found.empty() && directory.depth >= options_.depth_max)
      return fail(unsound(cid, "directories above it nest too deeply for more below it"));
    std::ranges::move(std::views::reverse(found), std::back_inserter(waiting_));
    return {};
  }

  Status<Explained> tell(const std::string& path, What what, std::optional<Described> before,
                         std::optional<Described> after) {
    return visit_(
        {.path = path, .what = what, .before = std::move(before), .after = std::move(after)});
  }

  BlockSource& source_;
  const std::function<Status<Explained>(const TreeDifference&)>& visit_;
  const DiffOptions& options_;
  std::vector<Waiting> waiting_;
  std::size_t entries_ = 0;
};

}  // namespace

Status<Explained> diff_trees(const std::optional<Link>& before, const std::optional<Link>& after,
                             BlockSource& source,
                             const std::function<Status<Explained>(const TreeDifference&)>& visit,
                             const DiffOptions& options) {
  if (!before && !after) return {};
  if (before && after && before->cid == after->cid) return {};
  return Diff(source, visit, options)
      .run({.path = {}, .depth = 0, .before = before, .after = after});
}

}  // namespace rosebud::fs
