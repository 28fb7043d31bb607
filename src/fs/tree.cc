#include "fs/tree.h"

#include <algorithm>
#include <iterator>

#include "fs/reached.h"

namespace rosebud::fs {
namespace {

/// Nodes that are kept beside, bytes. Beyond it all are forgotten: they can be read again.
constexpr std::size_t kReadMax = 32U << 20;

Explained not_there(const TreePath& path) {
  return {.what = "there is no " + text_of(path),
          .cause = "the path is wrong",
          .next = {},
          .trouble = Trouble::kNotFound};
}

Explained no_directory(const TreePath& path) {
  return {.what = text_of(path) + " is not a directory"};
}

TreePath first_of(const TreePath& path, std::size_t count) {
  return {path.begin(), path.begin() + static_cast<std::ptrdiff_t>(count)};
}

Status<Explained> check_not_root(const TreePath& path) {
  if (!path.empty()) return {};
  return fail(Explained{.what = "the root itself is not replaced, moved or removed",
                        .next = "name something below it"});
}

}  // namespace

Status<Explained> check_name(std::string_view name) {
  const auto refuse = [](std::string what, std::string next = {}) {
    return fail(Explained{.what = std::move(what), .next = std::move(next)});
  };
  if (name.empty()) return refuse("a name is empty", "name what is meant");
  if (name == "." || name == "..") {
    return refuse("'" + std::string(name) + "' has no meaning in a path of a volume",
                  "write the path from the root on");
  }
  if (!is_entry_name(name)) return refuse("a name has a '/' or a NUL byte inside");
  if (name.size() <= kNameMax) return {};
  return refuse("a name has " + std::to_string(name.size()) + " bytes, " +
                std::to_string(kNameMax) + " is the most");
}

Result<TreePath, Explained> parse_tree_path(std::string_view text) {
  TreePath out;
  while (!text.empty()) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    const std::string_view name = text.substr(0, slash);
    text.remove_prefix(std::min(slash + 1, text.size()));
    if (name.empty()) continue;
    if (auto checked = check_name(name); !checked) return fail(checked.error());
    if (out.size() == kDepthMax) {
      return fail(
          Explained{.what = "the path has more than " + std::to_string(kDepthMax) + " names"});
    }
    out.emplace_back(name);
  }
  return out;
}

std::string text_of(const TreePath& path) {
  std::string out;
  for (const std::string& name : path) out += "/" + name;
  return out.empty() ? "/" : out;
}

Status<Explained> check_entries(const DagNode& node, const Cid& at) {
  for (std::size_t i = 0; i < node.links.size(); ++i) {
    if (!is_entry_name(node.links[i].name))
      return fail(unsound(at, "it holds a name that is none"));
    if (i > 0 && node.links[i - 1].name >= node.links[i].name)
      return fail(unsound(at, "its entries are out of order or twice"));
  }
  return {};
}

Result<std::optional<Link>, Explained> find_entry(const DagNode& node, const Cid& at,
                                                  const std::string& name, BlockSource& source) {
  if (node.type == NodeType::kShard) return find_sharded(node, at, name, source);
  const auto found = std::ranges::lower_bound(node.links, name, {}, &Link::name);
  if (found == node.links.end() || found->name != name) return std::nullopt;
  return *found;
}

// ---- Nodes ----

Result<Buffer, Explained> Tree::Nodes::get(const Cid& cid) {
  if (const auto at = made_.find(cid); at != made_.end()) return at->second;
  if (const auto at = read_.find(cid); at != read_.end()) return at->second;
  auto block = source_->get(cid);
  if (!block || cid.codec == Codec::kRaw) return block;
  if (read_bytes_ + block->size() > kReadMax) {
    read_.clear();
    read_bytes_ = 0;
  }
  read_bytes_ += block->size();
  read_.emplace(cid, *block);
  return block;
}

/// What is here is not asked for: nobody would take it.
void Tree::Nodes::prefetch(std::span<const Cid> cids) {
  std::vector<Cid> missing;
  std::ranges::copy_if(cids, std::back_inserter(missing), [&](const Cid& cid) {
    return !made_.contains(cid) && !read_.contains(cid);
  });
  source_->prefetch(missing);
}

Status<Explained> Tree::Nodes::put(const Cid& cid, Buffer block) {
  if (made_.contains(cid)) return {};
  if (made_bytes_ + block.size() > made_max_) {
    return fail(Explained{.what = "these changes make more than " +
                                  std::to_string(made_max_ >> 20) + " MiB of new directories",
                          .cause = "very many large directories are changed at once",
                          .next = "do it in several commands"});
  }
  made_bytes_ += block.size();
  made_.emplace(cid, std::move(block));
  return {};
}

void Tree::Nodes::keep(std::span<const Cid> cids) {
  std::map<Cid, Buffer> kept;
  made_bytes_ = 0;
  for (const Cid& cid : cids) {
    auto node = made_.extract(cid);
    made_bytes_ += node.mapped().size();
    kept.insert(std::move(node));
  }
  made_ = std::move(kept);
  // Not before half of what is free now is used up: who asked after every change would spend all of
  // the time with asking.
  crowded_at_ = made_bytes_ + (made_max_ - made_bytes_) / 2;
}

// ---- Looking ----

Result<Tree, Explained> Tree::empty(BlockSource& source, const Attributes& attributes,
                                    std::size_t made_max) {
  Tree out({}, source, made_max);
  auto root = import_directory({}, out.nodes_, attributes);
  if (!root) return fail(root.error());
  out.root_ = *root;
  return out;
}

Status<Explained> Tree::check_root() {
  const auto is_one = is_directory(root());
  if (!is_one) return fail(is_one.error());
  if (!*is_one) return fail(unsound(root(), "the root is no directory"));
  return {};
}

Result<bool, Explained> Tree::is_directory(const Cid& cid) {
  if (cid.codec == Codec::kRaw) return false;
  const auto node = get_node(cid, nodes_);
  if (!node) return fail(node.error());
  return node->type == NodeType::kDirectory || node->type == NodeType::kShard;
}

Result<std::optional<Tree::Directory>, Explained> Tree::directory(const Cid& cid) {
  if (cid.codec == Codec::kRaw) return std::nullopt;
  auto node = get_node(cid, nodes_);
  if (!node) return fail(node.error());
  if (node->type == NodeType::kDirectory) {
    if (auto sound = check_entries(*node, cid); !sound) return fail(sound.error());
  } else if (node->type != NodeType::kShard) {
    return std::nullopt;
  }
  return Directory{.cid = cid, .node = std::move(*node)};
}

Result<Tree::Directory, Explained> Tree::directory_on(const TreePath& path, std::size_t depth,
                                                      const Cid& cid) {
  auto found = directory(cid);
  if (!found) return fail(found.error());
  if (*found) return std::move(**found);
  if (depth == 0) return fail(unsound(cid, "the root is no directory"));
  return fail(no_directory(first_of(path, depth)));
}

/// What nobody says of a root that was published: the size of all below.
Result<Link, Explained> Tree::root_link() {
  if (root_.tsize == 0) {
    const auto block = nodes_.get(root());
    if (!block) return fail(block.error());
    const auto node = get_node(root(), nodes_);
    if (!node) return fail(node.error());
    root_.tsize = block->size();
    for (const Link& link : node->links) root_.tsize += link.tsize;
  }
  return Link{.name = {}, .cid = root_.cid, .tsize = root_.tsize};
}

Result<std::optional<Link>, Explained> Tree::find(const TreePath& path) {
  if (path.empty()) return root_link();
  Link at{.name = {}, .cid = root_.cid};
  for (std::size_t depth = 0; depth < path.size(); ++depth) {
    const auto above = directory_on(path, depth, at.cid);
    if (!above) return fail(above.error());
    auto found = find_entry(above->node, above->cid, path[depth], nodes_);
    if (!found || !*found) return found;
    at = std::move(**found);
  }
  return at;
}

Result<Link, Explained> Tree::get(const TreePath& path) {
  auto found = find(path);
  if (!found) return fail(found.error());
  if (!*found) return fail(not_there(path));
  return std::move(**found);
}

// ---- Changing ----

Result<Imported, Explained> Tree::change(Directory directory, const EntryChange& change,
                                         const std::optional<ModificationTime>& now) {
  DagNode& node = directory.node;
  if (now) node.attributes.modified = *now;
  if (node.type == NodeType::kShard) {
    auto edited = edit_sharded(node, directory.cid, change, nodes_, nodes_);
    if (!edited) return fail(edited.error());
    // Small again: as soon as no other shard is left, which is seen without reading any.
    const bool has_shards = std::ranges::any_of(
        edited->links, [](const Link& link) { return link.name.size() == kSlotDigits; });
    if (has_shards) return put_node(*edited, nodes_);
    for (Link& link : edited->links) link.name.erase(0, kSlotDigits);
    return import_directory(std::move(edited->links), nodes_, edited->attributes);
  }
  const auto at = std::ranges::lower_bound(node.links, change.name, {}, &Link::name);
  const bool is_there = at != node.links.end() && at->name == change.name;
  if (!is_there && !change.becomes) return fail(not_there({change.name}));
  if (!change.becomes) {
    node.links.erase(at);
  } else {
    Link link{.name = change.name, .cid = change.becomes->cid, .tsize = change.becomes->tsize};
    if (is_there) {
      *at = std::move(link);
    } else {
      node.links.insert(at, std::move(link));
    }
  }
  return import_directory(std::move(node.links), nodes_, node.attributes);
}

Result<std::vector<Tree::Directory>, Explained> Tree::way_to(const TreePath& path) {
  if (auto below = check_not_root(path); !below) return fail(below.error());
  if (path.size() > kDepthMax) return fail(Explained{.what = "directories nest deeper than 256"});
  for (const std::string& name : path) {
    if (auto checked = check_name(name); !checked) return fail(checked.error());
  }
  std::vector<Directory> way;
  Cid next = root();
  while (true) {
    auto one = directory_on(path, way.size(), next);
    if (!one) return fail(one.error());
    way.push_back(std::move(*one));
    if (way.size() == path.size()) return way;
    const auto found = find_entry(way.back().node, way.back().cid, path[way.size() - 1], nodes_);
    if (!found) return fail(found.error());
    if (!*found) return fail(not_there(first_of(path, way.size())));
    next = (*found)->cid;
  }
}

Status<Explained> Tree::change_along(std::vector<Directory> way, const TreePath& path,
                                     std::optional<Imported> becomes, const ModificationTime& now) {
  std::optional<ModificationTime> touched = now;  // of the directory itself, not of those above
  for (std::size_t i = path.size(); i-- > 0; touched.reset()) {
    auto made = change(std::move(way[i]), {.name = path[i], .becomes = becomes}, touched);
    if (!made) return fail(made.error());
    becomes = *made;
  }
  root_ = *becomes;
  return {};
}

Status<Explained> Tree::change_at(const TreePath& path, std::optional<Imported> becomes,
                                  const ModificationTime& now) {
  auto way = way_to(path);
  if (!way) return fail(way.error());
  return change_along(std::move(*way), path, std::move(becomes), now);
}

Status<Explained> Tree::check_put(const TreePath& path) {
  const auto way = way_to(path);
  if (!way) return fail(way.error());
  return {};
}

Status<Explained> Tree::put(const TreePath& path, const Imported& what,
                            const ModificationTime& now) {
  forget_superseded();
  return change_at(path, what, now);
}

Status<Explained> Tree::make_directory(const TreePath& path, const Attributes& attributes,
                                       const ModificationTime& now) {
  forget_superseded();
  auto way = way_to(path);
  if (!way) return fail(way.error());
  const auto there = find_entry(way->back().node, way->back().cid, path.back(), nodes_);
  if (!there) return fail(there.error());
  if (*there) return fail(Explained{.what = text_of(path) + " is there already"});
  const auto made = import_directory({}, nodes_, attributes);
  if (!made) return fail(made.error());
  return change_along(std::move(*way), path, *made, now);
}

Status<Explained> Tree::remove(const TreePath& path, Below below, const ModificationTime& now) {
  forget_superseded();
  auto way = way_to(path);
  if (!way) return fail(way.error());
  const auto there = find_entry(way->back().node, way->back().cid, path.back(), nodes_);
  if (!there) return fail(there.error());
  if (!*there) return fail(not_there(path));
  if (below == Below::kMustBeEmpty) {
    const auto one = directory((*there)->cid);
    if (!one) return fail(one.error());
    if (*one && !(*one)->node.links.empty())
      return fail(Explained{.what = text_of(path) + " is a directory that is not empty"});
  }
  return change_along(std::move(*way), path, std::nullopt, now);
}

/// Whether one may take the place of the other.
Status<Explained> Tree::check_place(const Link& source, const Link& target) {
  const auto from = is_directory(source.cid);
  if (!from) return fail(from.error());
  const auto to = directory(target.cid);
  if (!to) return fail(to.error());
  if (*from != to->has_value()) {
    return fail(Explained{.what = "'" + target.name + "' is there already, and is " +
                                  (*to ? "a directory" : "no directory")});
  }
  if (!*to || (*to)->node.links.empty()) return {};
  return fail(Explained{.what = "'" + target.name + "' is a directory that is not empty"});
}

Status<Explained> Tree::rename(const TreePath& from, const TreePath& to,
                               const ModificationTime& now) {
  forget_superseded();
  for (const TreePath& path : {from, to}) {
    if (auto checked = check_not_root(path); !checked) return checked;
  }
  const auto source = get(from);
  if (!source) return fail(source.error());
  if (from == to) return {};
  if (to.size() > from.size() && std::equal(from.begin(), from.end(), to.begin())) {
    return fail(Explained{.what = text_of(from) + " cannot go into itself"});
  }
  const auto target = find(to);
  if (!target) return fail(target.error());
  if (*target) {
    if (auto free = check_place(*source, **target); !free) return free;
  }
  const Imported before = root_;
  auto done = change_at(from, std::nullopt, now);
  if (done) done = change_at(to, Imported{.cid = source->cid, .tsize = source->tsize}, now);
  if (!done) root_ = before;
  return done;
}

// ---- Which nodes are of use ----

void Tree::forget_superseded() {
  if (nodes_.is_crowded()) nodes_.keep(reached_among(nodes_.made(), root()));
}

Status<Explained> Tree::store(BlockSink& sink) {
  for (const Cid& cid : reached_among(nodes_.made(), root())) {
    if (auto put = sink.put(cid, nodes_.made().at(cid)); !put) return put;
  }
  return {};
}

}  // namespace rosebud::fs
