#include "mount/pending_tree.h"

#include "base/check.h"

namespace rosebud::mount {

PendingTree::PendingTree() {
  PendingNode& root = nodes_[kRootInode];
  root.id = kRootInode;
  root.number = kRootInode;
  root.kind = fs::Kind::kDirectory;
  root.lookups = 1;
  numbers_.insert(root.number);
}

const PendingNode* PendingTree::find(InodeId id) const {
  const auto at = nodes_.find(id);
  return at == nodes_.end() ? nullptr : &at->second;
}

PendingNode* PendingTree::find(InodeId id) {
  return const_cast<PendingNode*>(std::as_const(*this).find(id));
}

std::size_t PendingTree::depth_of(const PendingNode& node) const {
  std::size_t out = 0;
  for (const PendingNode* at = &node; at && at->parent != 0; at = find(at->parent)) ++out;
  return out;
}

std::string PendingTree::path_of(const PendingNode& node) const {
  std::string out;
  for (const PendingNode* at = &node; at && at->parent != 0; at = find(at->parent))
    out.insert(0, "/" + at->name);
  return out.empty() ? "/" : out;
}

bool PendingTree::is_below(const PendingNode& node, InodeId directory) const {
  for (const PendingNode* at = &node; at; at = at->parent == 0 ? nullptr : find(at->parent)) {
    if (at->id == directory) return true;
  }
  return false;
}

std::uint64_t PendingTree::number_for(const PendingNode& parent, const std::string& name) {
  std::uint64_t number = inode_number(parent.number, name);
  // What was here before goes by it elsewhere.
  while (!numbers_.insert(number).second) number = inode_number(number, name);
  return number;
}

PendingNode& PendingTree::add(PendingNode& parent, const std::string& name, fs::Kind kind) {
  PendingNode& node = nodes_[next_];
  node.id = next_++;
  node.number = number_for(parent, name);
  node.kind = kind;
  node.parent = parent.id;
  node.name = name;
  const bool is_free = parent.children.emplace(name, node.id).second;
  CHECK(is_free);
  return node;
}

PendingNode& PendingTree::add_published(PendingNode& parent, const fs::Link& link,
                                        const fs::Described& described) {
  PendingNode& node = add(parent, link.name, described.kind);
  node.attributes = described.attributes;
  node.base = link.cid;
  node.tsize = link.tsize;
  node.published = fs::Imported{.cid = link.cid, .tsize = link.tsize};
  if (described.kind == fs::Kind::kFile) node.base_bytes = described.bytes;
  node.target = described.target;
  return node;
}

PendingNode& PendingTree::add_new(PendingNode& parent, const std::string& name, fs::Kind kind,
                                  const fs::Attributes& attributes) {
  ++edits_;
  PendingNode& node = add(parent, name, kind);
  node.attributes = attributes;
  node.touched = attributes.modified;
  node.is_added = true;
  mark_changed(node);
  return node;
}

void PendingTree::mark_changed(PendingNode& node) {
  if (node.is_removed()) return;  // nobody will publish it
  for (PendingNode* at = &node; at; at = at->parent == 0 ? nullptr : find(at->parent)) {
    if (at->is_changed && at->changed_in == generation_) return;
    if (!at->is_changed) ++changes_count_;
    at->is_changed = true;
    at->changed_in = generation_;
  }
}

void PendingTree::mark_published(PendingNode& node) {
  if (node.is_changed) --changes_count_;
  node.is_changed = false;
  node.has_new_attributes = false;
  node.is_wanted = false;
}

void PendingTree::detach(PendingNode& node, bool is_displaced) {
  ++edits_;
  nodes_.at(node.parent).children.erase(node.name);
  std::vector<InodeId> todo{node.id};
  while (!todo.empty()) {
    PendingNode& one = nodes_.at(todo.back());
    todo.pop_back();
    for (const auto& [name, id] : one.children) todo.push_back(id);
    one.parent = 0;
    one.children.clear();
    one.is_added = false;
    one.is_displaced = is_displaced;
    if (one.is_changed) --changes_count_;
    one.is_changed = false;
    if (!one.is_directory()) continue;
    one.base.reset();
    one.hidden.clear();
  }
}

void PendingTree::remove(PendingNode& node) {
  PendingNode& parent = nodes_.at(node.parent);
  // A publication that is under way may have it, so it is hidden even when it was added here.
  parent.hidden.insert_or_assign(node.name, generation_);
  mark_changed(parent);
  detach(node, false);
}

void PendingTree::move(PendingNode& node, PendingNode& parent, const std::string& name) {
  ++edits_;
  PendingNode& before = nodes_.at(node.parent);
  before.hidden.insert_or_assign(node.name, generation_);
  mark_changed(before);
  before.children.erase(node.name);
  node.parent = parent.id;
  node.name = name;
  node.is_added = true;
  const bool is_free = parent.children.emplace(name, node.id).second;
  CHECK(is_free);
  mark_changed(parent);
  mark_changed(node);
}

std::vector<std::string> PendingTree::changed_paths(std::size_t count_max) const {
  std::vector<std::string> out;
  std::vector<InodeId> todo{kRootInode};
  while (!todo.empty() && out.size() < count_max) {
    const PendingNode& node = nodes_.at(todo.back());
    todo.pop_back();
    if (!node.is_changed) continue;
    bool is_above = false;  // of something that changed, which tells enough
    for (const auto& [name, id] : node.children) {
      is_above = is_above || nodes_.at(id).is_changed;
      todo.push_back(id);
    }
    for (const auto& [name, since] : node.hidden) {
      if (node.children.contains(name) || out.size() >= count_max) continue;
      is_above = true;
      out.push_back((node.parent == 0 ? "" : path_of(node)) + "/" + name + " (removed)");
    }
    if (!is_above && out.size() < count_max) out.push_back(path_of(node));
  }
  return out;
}

void PendingTree::forget_unneeded(InodeId id) {
  while (id != kRootInode && id != 0) {
    const auto at = nodes_.find(id);
    if (at == nodes_.end()) return;
    const PendingNode& node = at->second;
    if (node.lookups > 0 || node.opens > 0 || !node.children.empty()) return;
    if (!node.is_removed() && node.is_changed) return;
    const InodeId above = node.parent;
    if (above != 0) nodes_.at(above).children.erase(node.name);
    numbers_.erase(node.number);
    nodes_.erase(at);
    id = above;
  }
}

void PendingTree::rebase(PendingNode& directory, const fs::Imported& published,
                         Generation generation) {
  ++edits_;
  directory.base = published.cid;
  directory.tsize = published.tsize;
  directory.absent.clear();
  std::erase_if(directory.hidden, [&](const auto& one) { return one.second <= generation; });
}

}  // namespace rosebud::mount
