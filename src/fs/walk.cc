#include "fs/walk.h"

#include <ranges>

namespace rosebud::fs {
namespace {

/// As many as a source has under way: nothing else is asked for.
constexpr std::size_t kEntriesAhead = 32;

struct Waiting {
  std::string path;
  std::size_t depth = 0;
  Cid cid;
  std::uint64_t tsize = 0;
  std::optional<Described> described;  // already known
};

/// Without asking for anything. What a raw block is its directory says; it has no head.
std::optional<Described> known_of(const Waiting& entry, HeadMemory* heads) {
  if (entry.cid.codec == Codec::kRaw) return Described{.bytes = entry.tsize};
  return heads ? heads->find(entry.cid) : std::nullopt;
}

Result<Described, Explained> describe_waiting(const Waiting& entry, BlockSource& source,
                                              HeadMemory* heads) {
  if (entry.described) return *entry.described;
  auto out = describe(entry.cid, source);
  if (out && heads && out->kind != Kind::kDirectory) heads->add(entry.cid, *out);
  return out;
}

void prefetch_heads(const std::vector<Waiting>& waiting, BlockSource& source) {
  std::vector<Cid> soon;
  for (const Waiting& next : std::views::reverse(waiting)) {
    if (soon.size() == kEntriesAhead) break;
    if (!next.described) soon.push_back(next.cid);
  }
  source.prefetch(soon);
}

}  // namespace

Status<Explained> walk_tree(const Cid& root, std::uint64_t tsize, BlockSource& source,
                            const std::function<Status<Explained>(const WalkedEntry&)>& visit,
                            const WalkOptions& options) {
  const auto damaged = [&](const std::string& path, const Explained& why) -> Status<Explained> {
    if (options.on_damage) return options.on_damage(path, why);
    return fail(why);
  };
  std::vector<Waiting> waiting;
  const auto wait = [&](Waiting entry) {
    entry.described = known_of(entry, options.heads);
    waiting.push_back(std::move(entry));
  };
  wait({.path = {}, .depth = 0, .cid = root, .tsize = tsize});
  std::size_t entries = 0;
  while (!waiting.empty()) {
    prefetch_heads(waiting, source);
    const Waiting at = std::move(waiting.back());
    waiting.pop_back();
    if (++entries > options.entries_max) return fail(unsound(root, "it has too many entries"));
    const auto described = describe_waiting(at, source, options.heads);
    if (!described) {
      if (auto told = damaged(at.path, described.error()); !told) return told;
      continue;
    }
    if (auto seen = visit({at.path, at.cid, at.tsize, *described}); !seen) return seen;
    if (described->kind != Kind::kDirectory) continue;
    auto listed = list_directory(at.cid, source);
    if (listed && !listed->empty() && at.depth >= options.depth_max)
      listed = fail(unsound(at.cid, "directories above it nest too deeply for more below it"));
    if (!listed) {
      if (auto told = damaged(at.path, listed.error()); !told) return told;
      continue;
    }
    for (DirectoryEntry& entry : std::views::reverse(*listed)) {
      wait({.path = at.path.empty() ? std::move(entry.name) : at.path + "/" + entry.name,
            .depth = at.depth + 1,
            .cid = entry.cid,
            .tsize = entry.tsize});
    }
  }
  return {};
}

Status<Explained> check_entry(const WalkedEntry& entry, BlockSource& source,
                              const std::function<void(std::uint64_t)>& on_bytes) {
  if (entry.described.kind != Kind::kFile) return {};
  const auto read = read_file(entry.cid, source, [&](ByteView bytes) -> Status<Explained> {
    if (on_bytes) on_bytes(bytes.size());
    return {};
  });
  if (!read) return fail(read.error());
  if (*read == entry.described.bytes) return {};
  return fail(unsound(entry.cid, "it has another length than was said"));
}

}  // namespace rosebud::fs
