#include "apps/rosebud/sync_plan.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace rosebud::apps {
namespace {

bool has_attributes(const fs::Attributes& wanted, const fs::Attributes& present) {
  return (!wanted.mode || wanted.mode == present.mode) &&
         (!wanted.modified || wanted.modified == present.modified);
}

/// Goes through both listings at once, path by path.
class Planner {
 public:
  Planner(const Listing& source, const Listing& target, const SyncOptions& options)
      : source_(source), target_(target), options_(options) {}

  Result<SyncPlan, Explained> run() {
    auto from = source_.begin();
    auto to = target_.begin();
    const PathOrder is_before;
    while (from != source_.end() || to != target_.end()) {
      const bool has_from =
          from != source_.end() && (to == target_.end() || !is_before(to->first, from->first));
      const bool has_to =
          to != target_.end() && (from == source_.end() || !is_before(from->first, to->first));
      const std::string& path = has_from ? from->first : to->first;
      if (auto done =
              take(path, has_from ? &from->second : nullptr, has_to ? &to->second : nullptr);
          !done)
        return fail(done.error());
      if (has_from) ++from;
      if (has_to) ++to;
    }
    // They were met from above; what is below goes first.
    std::ranges::move(removals_.rbegin(), removals_.rend(), std::back_inserter(plan_.actions));
    std::ranges::move(directories_.rbegin(), directories_.rend(),
                      std::back_inserter(plan_.actions));
    return std::move(plan_);
  }

 private:
  /// At least one of the two is there.
  Status<Explained> take(const std::string& path, const SyncEntry* from, const SyncEntry* to) {
    if (left_ && is_below(path, *left_)) return {};
    if (replaced_ && is_below(path, *replaced_)) to = nullptr;  // gone already
    if (!from && !to) return {};
    if (!from) {
      take_extra(path);
      return {};
    }
    if (from->kind == SyncKind::kSpecial) {
      left_ = path;
      return {};
    }
    if (!to) {
      put(path, *from);
      return {};
    }
    if (from->kind == to->kind) return take_both(path, *from, *to);
    if (!options_.may_delete) {
      plan_.in_the_way.push_back(path);
      left_ = path;
      return {};
    }
    remove_all(path);
    replaced_ = path;
    put(path, *from);
    return {};
  }

  void take_extra(const std::string& path) {
    if (options_.may_delete) {
      removals_.push_back({SyncStep::kRemove, path});
    } else {
      ++plan_.extra_count;
    }
  }

  /// What stands there in the target and all below it.
  void remove_all(const std::string& path) {
    const auto first = target_.find(path);
    auto end = std::next(first);
    while (end != target_.end() && is_below(end->first, path)) ++end;
    while (end != first) plan_.actions.push_back({SyncStep::kRemove, (--end)->first});
  }

  void put(const std::string& path, const SyncEntry& from) {
    switch (from.kind) {
      case SyncKind::kFile:
        plan_.bytes += from.bytes;
        plan_.actions.push_back({SyncStep::kPutFile, path});
        return;
      case SyncKind::kDirectory:
        plan_.actions.push_back({SyncStep::kMakeDirectory, path});
        return;
      case SyncKind::kSymlink:
        plan_.actions.push_back({SyncStep::kPutSymlink, path});
        return;
      case SyncKind::kSpecial:
        return;
    }
  }

  /// Of one kind.
  Status<Explained> take_both(const std::string& path, const SyncEntry& from, const SyncEntry& to) {
    const auto is_same = has_same_content(path, from, to);
    if (!is_same) return fail(is_same.error());
    if (!*is_same) {
      put(path, from);
    } else if (has_attributes(from.attributes, to.attributes)) {
      ++plan_.unchanged_count;
    } else {
      auto& actions = from.kind == SyncKind::kDirectory ? directories_ : plan_.actions;
      actions.push_back({SyncStep::kSetAttributes, path});
    }
    return {};
  }

  Result<bool, Explained> has_same_content(const std::string& path, const SyncEntry& from,
                                           const SyncEntry& to) const {
    if (from.kind == SyncKind::kSymlink) return from.target == to.target;
    if (from.kind == SyncKind::kDirectory) return true;
    if (from.bytes != to.bytes) return false;
    if (options_.has_same_content) return options_.has_same_content(path, from, to);
    return from.attributes.modified && from.attributes.modified == to.attributes.modified;
  }

  const Listing& source_;
  const Listing& target_;
  const SyncOptions& options_;
  SyncPlan plan_;
  std::optional<std::string> left_;      // all below it stays as it is
  std::optional<std::string> replaced_;  // of the target, all below it is gone
  std::vector<SyncAction> removals_;
  std::vector<SyncAction> directories_;
};

}  // namespace

bool PathOrder::operator()(std::string_view a, std::string_view b) const {
  const auto rank = [](char c) { return c == '/' ? 0 : 1 + static_cast<unsigned char>(c); };
  return std::ranges::lexicographical_compare(a, b, {}, rank, rank);
}

std::string_view folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder.empty()) return !path.empty();
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

Status<Explained> ListingBuilder::add(std::string path, SyncEntry entry) {
  // What the map adds to each is about as much as one pointer in four directions.
  bytes_ += sizeof(Listing::value_type) + 4 * sizeof(void*) + path.size() + entry.target.size();
  if (bytes_ > bytes_max_) {
    return fail(Explained{.what = "the tree has too many entries to be compared at once: its list "
                                  "would take more than " +
                                  std::to_string(bytes_max_ >> 20) + " MiB",
                          .next = "do it directory by directory"});
  }
  listing_.insert_or_assign(std::move(path), std::move(entry));
  return {};
}

std::size_t SyncPlan::count(SyncStep step) const {
  return static_cast<std::size_t>(std::ranges::count(actions, step, &SyncAction::step));
}

Result<SyncPlan, Explained> plan_sync(const Listing& source, const Listing& target,
                                      const SyncOptions& options) {
  CHECK(!source.empty());
  return Planner(source, target, options).run();
}

}  // namespace rosebud::apps
