#include "fs/tree.h"

#include <algorithm>
#include <set>

namespace rosebud::fs {
namespace {

/// Nodes of one series of changes, bytes: a directory has at most some tens of megabytes of them.
constexpr std::size_t kMadeMax = 256U << 20;
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

Status<Explained> check_not_root(const TreePath& path) {
  if (!path.empty()) return {};
  return fail(Explained{.what = "the root itself is not replaced, moved or removed",
                        .next = "name something below it"});
}

/// Of a plain directory that others may have made.
Status<Explained> check_entries(const DagNode& node, const Cid& at) {
  for (std::size_t i = 0; i < node.links.size(); ++i) {
    if (!is_entry_name(node.links[i].name))
      return fail(unsound(at, "it holds a name that is none"));
    if (i > 0 && node.links[i - 1].name >= node.links[i].name)
      return fail(unsound(at, "its entries are out of order or twice"));
  }
  return {};
}

}  // namespace

Result<TreePath, Explained> parse_tree_path(std::string_view text) {
  TreePath out;
  const auto refuse = [](std::string what, std::string next = {}) {
    return fail(Explained{.what = std::move(what), .next = std::move(next)});
  };
  while (!text.empty()) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    const std::string_view name = text.substr(0, slash);
    text.remove_prefix(std::min(slash + 1, text.size()));
    if (name.empty()) continue;
    if (name == "." || name == "..") {
      return refuse("'" + std::string(name) + "' has no meaning in a path of a volume",
                    "write the path from the root on");
    }
    if (!is_entry_name(name)) return refuse("a name has a NUL byte inside");
    if (name.size() > kNameMax) {
      return refuse("a name has " + std::to_string(name.size()) + " bytes, " +
                    std::to_string(kNameMax) + " is the most");
    }
    if (out.size() == kDepthMax) {
      return refuse("the path has more than " + std::to_string(kDepthMax) + " names");
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

Status<Explained> Tree::Nodes::put(const Cid& cid, Buffer block) {
  if (made_.contains(cid)) return {};
  if (made_bytes_ + block.size() > kMadeMax) {
    return fail(Explained{.what = "these changes make more than 256 MiB of new directories",
                          .cause = "very many large directories are changed at once",
                          .next = "do it in several commands"});
  }
  made_bytes_ += block.size();
  made_.emplace(cid, std::move(block));
  return {};
}

// ---- Looking ----

Result<Tree, Explained> Tree::empty(BlockSource& source, const Attributes& attributes) {
  Tree out({}, source);
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

Result<DagNode, Explained> Tree::get_directory(const Cid& cid) {
  if (cid.codec == Codec::kRaw) return fail(unsound(cid, "it is no directory"));
  auto node = get_node(cid, nodes_);
  if (!node) return node;
  if (node->type != NodeType::kDirectory && node->type != NodeType::kShard)
    return fail(unsound(cid, "it is no directory"));
  if (node->type == NodeType::kDirectory) {
    if (auto sound = check_entries(*node, cid); !sound) return fail(sound.error());
  }
  return node;
}

Result<std::optional<Link>, Explained> Tree::find_in(const Cid& directory,
                                                     const std::string& name) {
  const auto node = get_directory(directory);
  if (!node) return fail(node.error());
  if (node->type == NodeType::kShard) return find_sharded(*node, directory, name, nodes_);
  const auto at = std::ranges::lower_bound(node->links, name, {}, &Link::name);
  if (at == node->links.end() || at->name != name) return std::nullopt;
  return *at;
}

Result<std::optional<Link>, Explained> Tree::find(const TreePath& path) {
  Link at{.name = {}, .cid = root_.cid, .tsize = root_.tsize};
  TreePath walked;
  for (const std::string& name : path) {
    const auto is_one = is_directory(at.cid);
    if (!is_one) return fail(is_one.error());
    if (!*is_one && walked.empty()) return fail(unsound(at.cid, "the root is no directory"));
    if (!*is_one) return fail(no_directory(walked));
    auto found = find_in(at.cid, name);
    if (!found || !*found) return found;
    at = std::move(**found);
    walked.push_back(name);
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

Result<Imported, Explained> Tree::change(const Cid& directory, const EntryChange& change,
                                         const std::optional<ModificationTime>& now) {
  auto node = get_directory(directory);
  if (!node) return fail(node.error());
  if (now) node->attributes.modified = *now;
  if (node->type == NodeType::kShard) {
    auto edited = edit_sharded(*node, directory, change, nodes_, nodes_);
    if (!edited) return fail(edited.error());
    // Small again: as soon as no other shard is left, which is seen without reading any.
    const bool has_shards = std::ranges::any_of(
        edited->links, [](const Link& link) { return link.name.size() == kSlotDigits; });
    if (has_shards) return put_node(*edited, nodes_);
    for (Link& link : edited->links) link.name.erase(0, kSlotDigits);
    return import_directory(std::move(edited->links), nodes_, edited->attributes);
  }
  const auto at = std::ranges::lower_bound(node->links, change.name, {}, &Link::name);
  const bool is_there = at != node->links.end() && at->name == change.name;
  if (!is_there && !change.becomes) return fail(not_there({change.name}));
  if (!change.becomes) {
    node->links.erase(at);
  } else {
    Link link{.name = change.name, .cid = change.becomes->cid, .tsize = change.becomes->tsize};
    if (is_there) {
      *at = std::move(link);
    } else {
      node->links.insert(at, std::move(link));
    }
  }
  return import_directory(std::move(node->links), nodes_, node->attributes);
}

Status<Explained> Tree::change_at(const TreePath& path, std::optional<Imported> becomes,
                                  const ModificationTime& now) {
  if (auto below = check_not_root(path); !below) return below;
  if (path.size() > kDepthMax) return fail(Explained{.what = "directories nest deeper than 256"});
  std::vector<Cid> directories;
  for (TreePath at; directories.size() < path.size(); at.push_back(path[at.size()])) {
    const auto directory = get(at);
    if (!directory) return fail(directory.error());
    const auto is_one = is_directory(directory->cid);
    if (!is_one) return fail(is_one.error());
    if (!*is_one)
      return fail(at.empty() ? unsound(root(), "the root is no directory") : no_directory(at));
    directories.push_back(directory->cid);
  }
  std::optional<ModificationTime> touched = now;  // of the directory itself, not of those above
  for (std::size_t i = path.size(); i-- > 0; touched.reset()) {
    auto made = change(directories[i], {.name = path[i], .becomes = becomes}, touched);
    if (!made) return fail(made.error());
    becomes = *made;
  }
  root_ = *becomes;
  return {};
}

Status<Explained> Tree::put(const TreePath& path, const Imported& what,
                            const ModificationTime& now) {
  return change_at(path, what, now);
}

Status<Explained> Tree::make_directory(const TreePath& path, const Attributes& attributes,
                                       const ModificationTime& now) {
  if (auto below = check_not_root(path); !below) return below;
  const auto there = find(path);
  if (!there) return fail(there.error());
  if (*there) return fail(Explained{.what = text_of(path) + " is there already"});
  const auto made = import_directory({}, nodes_, attributes);
  if (!made) return fail(made.error());
  return change_at(path, *made, now);
}

Result<bool, Explained> Tree::is_empty(const Cid& directory) {
  const auto node = get_directory(directory);
  if (!node) return fail(node.error());
  return node->links.empty();
}

Status<Explained> Tree::remove(const TreePath& path, Below below, const ModificationTime& now) {
  if (auto checked = check_not_root(path); !checked) return checked;
  const auto there = get(path);
  if (!there) return fail(there.error());
  if (below == Below::kMustBeEmpty) {
    const auto is_one = is_directory(there->cid);
    if (!is_one) return fail(is_one.error());
    const auto can_go = *is_one ? is_empty(there->cid) : Result<bool, Explained>(true);
    if (!can_go) return fail(can_go.error());
    if (!*can_go)
      return fail(Explained{.what = text_of(path) + " is a directory that is not empty"});
  }
  return change_at(path, std::nullopt, now);
}

/// Whether one may take the place of the other.
Status<Explained> Tree::check_place(const Link& source, const Link& target) {
  const auto from = is_directory(source.cid);
  if (!from) return fail(from.error());
  const auto to = is_directory(target.cid);
  if (!to) return fail(to.error());
  if (*from != *to) {
    return fail(Explained{.what = "'" + target.name + "' is there already, and is " +
                                  (*to ? "a directory" : "no directory")});
  }
  if (!*to) return {};
  const auto is_free = is_empty(target.cid);
  if (!is_free) return fail(is_free.error());
  if (*is_free) return {};
  return fail(Explained{.what = "'" + target.name + "' is a directory that is not empty"});
}

Status<Explained> Tree::rename(const TreePath& from, const TreePath& to,
                               const ModificationTime& now) {
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

Status<Explained> Tree::store(BlockSink& sink) {
  struct Step {
    Cid cid;
    bool is_ready = false;  // what it links to is stored
  };
  std::set<Cid> seen;
  std::vector<Step> todo{{root_.cid}};
  while (!todo.empty()) {
    Step& step = todo.back();
    const Cid cid = step.cid;
    const auto at = nodes_.made().find(cid);
    if (at == nodes_.made().end()) {  // it stood there before
      todo.pop_back();
      continue;
    }
    if (step.is_ready) {
      todo.pop_back();
      if (auto put = sink.put(cid, at->second); !put) return put;
      continue;
    }
    if (!seen.insert(cid).second) {
      todo.pop_back();
      continue;
    }
    step.is_ready = true;
    const auto node = DagNode::decode(at->second.view());
    if (!node) continue;  // ours, so it decodes
    for (const Link& link : node->links) {
      if (link.cid.codec == Codec::kDagPb) todo.push_back({link.cid});
    }
  }
  return {};
}

}  // namespace rosebud::fs
