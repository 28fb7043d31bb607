#include "fs/shard.h"

#include <algorithm>
#include <bit>

namespace rosebud::fs {
namespace {

std::uint64_t little_endian(ByteView bytes) {
  std::uint64_t out = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) out = (out << 8) | bytes[i];
  return out;
}

std::uint64_t mix(std::uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  return k ^ (k >> 33);
}

/// MurmurHash3_x64_128 by Austin Appleby (public domain), first 64 bits, seed 0.
std::uint64_t murmur3(ByteView bytes) {
  constexpr std::uint64_t c1 = 0x87c37b91114253d5ULL;
  constexpr std::uint64_t c2 = 0x4cf5ad432745937fULL;
  std::uint64_t h1 = 0;
  std::uint64_t h2 = 0;
  ByteView rest = bytes;
  for (; rest.size() >= 16; rest = rest.subspan(16)) {
    h1 ^= std::rotl(little_endian(rest.first(8)) * c1, 31) * c2;
    h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= std::rotl(little_endian(rest.subspan(8, 8)) * c2, 33) * c1;
    h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5;
  }
  if (rest.size() > 8) h2 ^= std::rotl(little_endian(rest.subspan(8)) * c2, 33) * c1;
  h1 ^= std::rotl(little_endian(rest.first(std::min<std::size_t>(rest.size(), 8))) * c1, 31) * c2;
  h1 ^= bytes.size();
  h2 ^= bytes.size();
  h1 += h2;
  h2 += h1;
  h1 = mix(h1);
  h2 = mix(h2);
  return h1 + h2;
}

struct Entry {
  std::array<std::uint8_t, kShardLevels> slots;
  Link link;
};

std::string slot_name(std::uint8_t slot) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {kDigits[slot >> 4], kDigits[slot & 0xf]};
}

/// One bit per used slot, as a big-endian number without leading zeros.
Bytes bit_field(const std::vector<Link>& links, const std::vector<std::uint8_t>& used) {
  Bytes bits(kShardFanout / 8);
  for (std::size_t i = 0; i < links.size(); ++i) {
    bits[bits.size() - 1 - used[i] / 8] |= static_cast<std::uint8_t>(1U << (used[i] % 8));
  }
  const auto first = std::ranges::find_if(bits, [](std::uint8_t byte) { return byte != 0; });
  return {first, bits.end()};
}

/// Depth is at most kShardLevels. Requires: entries ordered by slots.
Result<Imported, Explained> write_shard(std::span<Entry> entries, std::size_t level,
                                        BlockSink& sink, const Attributes& attributes) {
  if (level == kShardLevels) {
    return fail(Explained{.what = "a directory holds names whose hashes are all equal",
                          .cause = "the names were made for that",
                          .next = "rename some of them"});
  }
  DagNode node{.type = NodeType::kShard,
               .hash_type = kShardHash,
               .fanout = kShardFanout,
               .attributes = attributes};
  std::vector<std::uint8_t> used;
  while (!entries.empty()) {
    const std::uint8_t slot = entries.front().slots[level];
    const auto end = std::ranges::find_if(
        entries, [&](const Entry& entry) { return entry.slots[level] != slot; });
    const auto count = static_cast<std::size_t>(end - entries.begin());
    Link link;
    if (count == 1) {
      link = entries.front().link;
      link.name = slot_name(slot) + link.name;
    } else {
      const auto shard = write_shard(entries.first(count), level + 1, sink, {});
      if (!shard) return shard;
      link = {.name = slot_name(slot), .cid = shard->cid, .tsize = shard->tsize};
    }
    used.push_back(slot);
    node.links.push_back(std::move(link));
    entries = entries.subspan(count);
  }
  node.data = bit_field(node.links, used);
  return put_node(node, sink);
}

// ---- Looking into shards that others may have made ----

using Slots = std::array<std::uint8_t, kShardLevels>;

/// Shards that are asked for before a list comes to them.
constexpr std::size_t kShardsAhead = 16;

Slots slots_of(std::uint64_t hash) {
  Slots out{};
  for (std::size_t i = kShardLevels; i-- > 0; hash >>= 8) out[i] = static_cast<std::uint8_t>(hash);
  return out;
}

std::optional<std::uint8_t> slot_of(std::string_view name) {
  if (name.size() < kSlotDigits) return std::nullopt;
  std::uint8_t out = 0;
  for (const char digit : name.substr(0, kSlotDigits)) {
    const bool is_letter = digit >= 'A' && digit <= 'F';
    if (!is_letter && (digit < '0' || digit > '9')) return std::nullopt;
    out = static_cast<std::uint8_t>(out << 4 | (is_letter ? digit - 'A' + 10 : digit - '0'));
  }
  return out;
}

/// What a link is called behind its slot; empty for one to a deeper shard.
std::string_view entry_name_of(const Link& link) {
  return std::string_view(link.name).substr(kSlotDigits);
}

/// A shard on the way to the name that has these slots: all of its names belong where they stand.
Status<Explained> check_shard(const DagNode& node, const Cid& at, const Slots& way,
                              std::size_t level) {
  if (node.type != NodeType::kShard || level >= kShardLevels)
    return fail(
        unsound(at, level >= kShardLevels ? "its shards nest too deeply" : "it is no shard"));
  if (node.fanout != kShardFanout || node.hash_type != kShardHash)
    return fail(unsound(at, "its shards are of a kind that nobody makes"));
  std::vector<std::uint8_t> used;
  for (const Link& link : node.links) {
    const auto slot = slot_of(link.name);
    if (!slot || (!used.empty() && *slot <= used.back()))
      return fail(unsound(at, "the slots of a shard are out of order, twice or none"));
    used.push_back(*slot);
    const std::string_view name = entry_name_of(link);
    if (name.empty()) continue;
    if (!is_entry_name(name)) return fail(unsound(at, "it holds a name that is none"));
    const Slots slots = shard_slots(name);
    if (slots[level] != *slot || !std::equal(way.begin(), way.begin() + level, slots.begin()))
      return fail(unsound(at, "a name stands in a shard where nobody looks for it"));
  }
  if (node.data != bit_field(node.links, used))
    return fail(unsound(at, "the bit field of a shard contradicts its links"));
  return {};
}

/// Index of the link of that slot, or of the place where it belongs. Requires: a checked shard.
std::ptrdiff_t place_of(const DagNode& node, std::uint8_t slot) {
  const auto slot_of_link = [](const Link& link) { return *slot_of(link.name); };
  return std::ranges::lower_bound(node.links, slot, {}, slot_of_link) - node.links.begin();
}

void renew_bit_field(DagNode& node) {
  std::vector<std::uint8_t> used;
  for (const Link& link : node.links) used.push_back(*slot_of(link.name));
  node.data = bit_field(node.links, used);
}

Explained no_entry(const std::string& name) {
  return {.what = "there is no '" + name + "'", .trouble = Trouble::kNotFound};
}

/// One change on its way down, at most kShardLevels calls deep.
class ShardEdit {
 public:
  ShardEdit(const EntryChange& change, BlockSource& source, BlockSink& sink)
      : change_(change), slots_(shard_slots(change.name)), source_(source), sink_(sink) {}

  Result<DagNode, Explained> edit(DagNode node, const Cid& at, std::size_t level) {
    if (auto sound = check_shard(node, at, slots_, level); !sound) return fail(sound.error());
    const std::uint8_t slot = slots_[level];
    const auto place = node.links.begin() + place_of(node, slot);
    const bool is_used = place != node.links.end() && slot_of(place->name) == slot;
    const bool is_it = is_used && entry_name_of(*place) == change_.name;
    if (is_used && !is_it) {
      const bool is_entry = !entry_name_of(*place).empty();
      auto below = is_entry ? divide(*place, level) : edit_below(*place, level);
      if (!below) return fail(below.error());
      if (*below) {
        *place = std::move(**below);
      } else {
        node.links.erase(place);
      }
    } else if (change_.becomes) {
      if (is_it) {
        *place = new_link(level);
      } else {
        node.links.insert(place, new_link(level));
      }
    } else {
      if (!is_it) return fail(no_entry(change_.name));
      node.links.erase(place);
    }
    renew_bit_field(node);
    return node;
  }

 private:
  Link new_link(std::size_t level) const {
    return {.name = slot_name(slots_[level]) + change_.name,
            .cid = change_.becomes->cid,
            .tsize = change_.becomes->tsize};
  }

  /// Two names that share a slot get a shard of their own.
  Result<std::optional<Link>, Explained> divide(const Link& there, std::size_t level) {
    if (!change_.becomes) return fail(no_entry(change_.name));
    const std::string name(entry_name_of(there));
    std::vector<Entry> entries{
        {.slots = shard_slots(name),
         .link = {.name = name, .cid = there.cid, .tsize = there.tsize}},
        {.slots = slots_,
         .link = {
             .name = change_.name, .cid = change_.becomes->cid, .tsize = change_.becomes->tsize}}};
    std::ranges::sort(entries, {}, &Entry::slots);
    const auto shard = write_shard(entries, level + 1, sink_, {});
    if (!shard) return fail(shard.error());
    return Link{.name = slot_name(slots_[level]), .cid = shard->cid, .tsize = shard->tsize};
  }

  /// Nothing: the shard below is empty now, and its link goes.
  Result<std::optional<Link>, Explained> edit_below(const Link& link, std::size_t level) {
    auto node = get_node(link.cid, source_);
    if (!node) return fail(node.error());
    auto edited = edit(std::move(*node), link.cid, level + 1);
    if (!edited) return fail(edited.error());
    if (edited->links.empty()) return std::nullopt;
    const Link& first = edited->links.front();
    if (edited->links.size() == 1 && !entry_name_of(first).empty()) {
      return Link{.name = slot_name(slots_[level]) + std::string(entry_name_of(first)),
                  .cid = first.cid,
                  .tsize = first.tsize};
    }
    const auto stored = put_node(*edited, sink_);
    if (!stored) return fail(stored.error());
    return Link{.name = slot_name(slots_[level]), .cid = stored->cid, .tsize = stored->tsize};
  }

  const EntryChange& change_;
  Slots slots_;
  BlockSource& source_;
  BlockSink& sink_;
};

}  // namespace

Result<std::optional<Link>, Explained> find_sharded(const DagNode& top, const Cid& top_cid,
                                                    const std::string& name, BlockSource& source) {
  const Slots slots = shard_slots(name);
  DagNode node = top;
  Cid at = top_cid;
  for (std::size_t level = 0;; ++level) {
    if (auto sound = check_shard(node, at, slots, level); !sound) return fail(sound.error());
    const auto place = node.links.begin() + place_of(node, slots[level]);
    if (place == node.links.end() || slot_of(place->name) != slots[level]) return std::nullopt;
    const std::string_view found = entry_name_of(*place);
    if (!found.empty() && found != name) return std::nullopt;
    if (!found.empty()) return Link{.name = name, .cid = place->cid, .tsize = place->tsize};
    at = place->cid;
    auto below = get_node(at, source);
    if (!below) return fail(below.error());
    node = std::move(*below);
  }
}

Result<std::vector<HashedEntry>, Explained> list_sharded(const DagNode& top, const Cid& at,
                                                         std::uint64_t from, std::size_t count,
                                                         BlockSource& source) {
  struct Level {
    DagNode node;
    std::size_t next = 0;  // of its links
  };
  const Slots first = slots_of(from);
  std::vector<HashedEntry> out;
  std::vector<Level> levels;
  Slots way{};  // the slots of the shards that are open
  const auto enter = [&](DagNode node, const Cid& cid) -> Status<Explained> {
    const std::size_t level = levels.size();
    if (auto sound = check_shard(node, cid, way, level); !sound) return sound;
    // Nobody makes one, and shards that hold nothing could be listed for ever.
    if (level > 0 && node.links.empty()) return fail(unsound(cid, "a shard holds nothing"));
    // Above, all slots are those of `from`: what is before its slot here comes before it.
    const bool is_on_edge = std::equal(way.begin(), way.begin() + level, first.begin());
    const auto next = is_on_edge ? static_cast<std::size_t>(place_of(node, first[level])) : 0;
    levels.push_back({.node = std::move(node), .next = next});
    return {};
  };
  if (auto entered = enter(top, at); !entered) return fail(entered.error());
  while (!levels.empty() && out.size() < count) {
    Level& level = levels.back();
    if (level.next == level.node.links.size()) {
      levels.pop_back();
      continue;
    }
    const Link& link = level.node.links[level.next++];
    const std::string name(entry_name_of(link));
    if (!name.empty()) {
      const std::uint64_t hash = murmur3(as_bytes(name));
      if (hash >= from)
        out.push_back({.hash = hash, .link = {.name = name, .cid = link.cid, .tsize = link.tsize}});
      continue;
    }
    std::vector<Cid> soon;
    for (std::size_t i = level.next - 1; i < level.node.links.size(); ++i) {
      if (soon.size() == kShardsAhead) break;
      if (entry_name_of(level.node.links[i]).empty()) soon.push_back(level.node.links[i].cid);
    }
    source.prefetch(soon);
    way[levels.size() - 1] = *slot_of(link.name);
    const Cid cid = link.cid;
    auto below = get_node(cid, source);
    if (!below) return fail(below.error());
    if (auto entered = enter(std::move(*below), cid); !entered) return fail(entered.error());
  }
  return out;
}

namespace {

/// Two sharded directories, compared slot by slot.
class ShardComparison {
 public:
  ShardComparison(std::size_t entries_max, BlockSource& source)
      : entries_max_(entries_max), source_(source) {}

  struct Shard {
    Cid cid;
    DagNode node;
  };
  /// Shards of one place in both; nothing: there is none on that side.
  struct Pair {
    std::optional<Shard> before;
    std::optional<Shard> after;
    Slots way{};  // the slots that led there
    std::size_t level = 0;
  };

  Result<Differing, Explained> run(Pair top) {
    todo_.push_back(std::move(top));
    while (!todo_.empty()) {
      const Pair pair = std::move(todo_.back());
      todo_.pop_back();
      for (const auto* side : {&pair.before, &pair.after}) {
        if (auto sound = check(*side, pair); !sound) return fail(sound.error());
      }
      if (auto compared = compare(pair); !compared) return fail(compared.error());
    }
    return std::move(out_);
  }

 private:
  static Status<Explained> check(const std::optional<Shard>& shard, const Pair& at) {
    if (!shard) return {};
    if (auto sound = check_shard(shard->node, shard->cid, at.way, at.level); !sound) return sound;
    // Nobody makes one, and shards that hold nothing could be compared for ever.
    if (at.level == 0 || !shard->node.links.empty()) return {};
    return fail(unsound(shard->cid, "a shard holds nothing"));
  }

  static const Link* link_at(const std::optional<Shard>& shard, std::uint8_t slot) {
    if (!shard) return nullptr;
    const auto place = static_cast<std::size_t>(place_of(shard->node, slot));
    if (place == shard->node.links.size()) return nullptr;
    const Link& link = shard->node.links[place];
    return slot_of(link.name) == slot ? &link : nullptr;
  }

  Status<Explained> compare(const Pair& pair) {
    for (std::size_t slot = 0; slot < kShardFanout; ++slot) {
      const auto at = static_cast<std::uint8_t>(slot);
      const Link* before = link_at(pair.before, at);
      const Link* after = link_at(pair.after, at);
      if (before && after && before->name == after->name && before->cid == after->cid) continue;
      Pair below{.before = {}, .after = {}, .way = pair.way, .level = pair.level + 1};
      below.way[pair.level] = at;
      if (auto took = take(before, out_.before, below.before); !took) return took;
      if (auto took = take(after, out_.after, below.after); !took) return took;
      if (below.before || below.after) todo_.push_back(std::move(below));
    }
    return {};
  }

  /// An entry is one that differs; a shard is compared later.
  Status<Explained> take(const Link* link, std::vector<Link>& entries,
                         std::optional<Shard>& shard) {
    if (!link) return {};
    const std::string name(entry_name_of(*link));
    if (name.empty()) {
      auto node = get_node(link->cid, source_);
      if (!node) return fail(node.error());
      shard = Shard{.cid = link->cid, .node = std::move(*node)};
      return {};
    }
    if (entries.size() >= entries_max_) return fail(unsound(link->cid, "it has too many entries"));
    entries.push_back({.name = name, .cid = link->cid, .tsize = link->tsize});
    return {};
  }

  std::size_t entries_max_;
  BlockSource& source_;
  std::vector<Pair> todo_;
  Differing out_;
};

}  // namespace

Result<Differing, Explained> differing_sharded(const DagNode& before, const Cid& before_cid,
                                               const DagNode& after, const Cid& after_cid,
                                               std::size_t entries_max, BlockSource& source) {
  using Shard = ShardComparison::Shard;
  return ShardComparison(entries_max, source)
      .run({.before = Shard{.cid = before_cid, .node = before},
            .after = Shard{.cid = after_cid, .node = after}});
}

Result<DagNode, Explained> edit_sharded(const DagNode& top, const Cid& at,
                                        const EntryChange& change, BlockSource& source,
                                        BlockSink& sink) {
  return ShardEdit(change, source, sink).edit(top, at, 0);
}

std::array<std::uint8_t, kShardLevels> shard_slots(std::string_view name) {
  return slots_of(murmur3(as_bytes(name)));
}

Result<Imported, Explained> import_sharded(std::vector<Link> links, BlockSink& sink,
                                           const Attributes& attributes) {
  std::vector<Entry> entries;
  for (Link& link : links) {
    const auto slots = shard_slots(link.name);
    entries.push_back({.slots = slots, .link = std::move(link)});
  }
  std::ranges::sort(entries, {}, &Entry::slots);
  return write_shard(entries, 0, sink, attributes);
}

}  // namespace rosebud::fs
