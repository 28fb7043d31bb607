// How what changed here is published, and what others publish is taken over.
#include <cerrno>

#include "mount/writable_file_system.h"

namespace rosebud::mount {
namespace {

/// Of what is pending: names in memory, some 500 bytes each.
constexpr std::size_t kChangesCrowded = 100'000;

/// What is stored is asked for soon: directories by the next operation, files by who goes on with
/// them.
class CachingSink final : public fs::BlockSink {
 public:
  CachingSink(BlockCache& cache, fs::BlockSink& sink) : cache_(cache), sink_(sink) {}
  Status<Explained> put(const fs::Cid& cid, Buffer block) override {
    cache_.add(cid, block);
    return sink_.put(cid, std::move(block));
  }

 private:
  BlockCache& cache_;
  fs::BlockSink& sink_;
};

}  // namespace

bool WritableFileSystem::has_changes() const {
  const Lock lock(mutex_);
  return tree_.has_changes();
}

bool WritableFileSystem::is_crowded() const {
  const Lock lock(mutex_);
  return tree_.changes_count() > kChangesCrowded ||
         staging_.held_bytes() > staging_.bytes_max() / 2 ||
         staging_.extents_count() > Staging::kExtentsMax / 2;
}

std::optional<PublicationPlan> WritableFileSystem::begin_publication(
    PublicationPlan::InWork in_work, bool is_awaited) {
  const Lock lock(mutex_);
  if (!tree_.has_changes()) return std::nullopt;
  return PublicationPlan(tree_, in_work, is_awaited);
}

Result<fs::Imported, Explained> WritableFileSystem::store(PublicationPlan& plan,
                                                          fs::BlockSink& sink) {
  PatientSource source(cache_, timeout_);
  CachingSink caching(cache_, sink);
  return plan.store(staging_, source, caching);
}

void WritableFileSystem::end_publication(PublicationPlan plan, Outcome outcome) {
  const Lock lock(mutex_);
  if (outcome == Outcome::kPublished) plan.carry_over(tree_);
  plan.release();
}

void WritableFileSystem::refuse_changes() {
  const Lock lock(mutex_);
  is_refusing_ = true;
}

std::vector<std::string> WritableFileSystem::pending_paths(std::size_t count_max) const {
  const Lock lock(mutex_);
  return tree_.changed_paths(count_max);
}

Result<bool, Explained> WritableFileSystem::follow(const fs::Cid& root, const Forewarn& forewarn) {
  struct Becoming {
    InodeId id = 0;
    fs::Cid cid;
    std::uint64_t tsize = 0;
    fs::Attributes attributes;
    std::vector<InodeId> gone;  // children that are something else now
  };
  OperationSource source(cache_, timeout_);
  {
    const Lock lock(mutex_);
    if (tree_.has_changes()) return false;
    if (tree_.root().base == root) return true;
    is_following_ = true;
  }
  // Whoever waits to add a node goes on in any case.
  const auto done = [&](Result<bool, Explained> result) {
    {
      const Lock lock(mutex_);
      is_following_ = false;
    }
    followed_.notify_all();
    return result;
  };
  std::vector<Becoming> all;
  std::vector<Becoming> todo{{.id = kRootInode, .cid = root}};
  while (!todo.empty()) {
    Becoming one = std::move(todo.back());
    todo.pop_back();
    const auto directory = directories_.get(one.cid, source);
    if (!directory) return done(fail(directory.error()));
    if (!*directory) return done(fail(fs::unsound(one.cid, "it is no directory")));
    one.attributes = (*directory)->attributes;
    struct Known {
      InodeId id = 0;
      std::string name;
      std::optional<fs::Cid> base;
      bool is_directory = false;
    };
    std::vector<Known> known;
    {
      const Lock lock(mutex_);
      if (const PendingNode* const node = tree_.find(one.id)) {
        for (const auto& [name, id] : node->children) {
          const PendingNode& child = *tree_.find(id);
          known.push_back({id, name, child.base, child.is_directory()});
        }
      }
    }
    for (const Known& child : known) {
      const auto link = directories_.find(*directory, one.cid, child.name, source);
      if (!link) return done(fail(link.error()));
      if (*link && (*link)->cid == child.base) continue;
      bool is_directory = false;
      if (*link && child.is_directory) {
        const auto below = directories_.get((*link)->cid, source);
        if (!below) return done(fail(below.error()));
        is_directory = *below != nullptr;
      }
      if (is_directory) {
        todo.push_back({.id = child.id, .cid = (*link)->cid, .tsize = (*link)->tsize});
      } else {
        one.gone.push_back(child.id);
      }
    }
    all.push_back(std::move(one));
  }

  Changes changes;
  {
    const Lock lock(mutex_);
    // What was changed here meanwhile is not overtaken by what others did.
    if (tree_.has_changes()) {
      is_following_ = false;
      followed_.notify_all();
      return false;
    }
    for (const Becoming& one : all) {
      PendingNode* const node = tree_.find(one.id);
      if (!node || node->is_removed()) continue;
      changes.directories.push_back(one.id);
      tree_.rebase(*node, {.cid = one.cid, .tsize = one.tsize}, 0);
      node->attributes = one.attributes;
      node->touched.reset();
      for (const InodeId id : one.gone) {
        PendingNode* const gone = tree_.find(id);
        if (!gone || gone->parent != one.id) continue;
        changes.names.push_back({.parent = one.id, .name = gone->name});
        tree_.displace(*gone);
        tree_.forget_unneeded(id);
      }
    }
  }
  const auto result = done(true);
  forewarn(changes);
  return result;
}

}  // namespace rosebud::mount
