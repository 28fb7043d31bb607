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
  std::uint64_t below = 0;
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
    below += link.tsize;
    used.push_back(slot);
    node.links.push_back(std::move(link));
    entries = entries.subspan(count);
  }
  node.data = bit_field(node.links, used);
  Bytes block = node.encode();
  Imported out{.cid = Cid::of(Codec::kDagPb, block), .tsize = block.size() + below};
  if (auto put = sink.put(out.cid, Buffer(std::move(block))); !put) return fail(put.error());
  return out;
}

}  // namespace

std::array<std::uint8_t, kShardLevels> shard_slots(std::string_view name) {
  std::uint64_t hash = murmur3(as_bytes(name));
  std::array<std::uint8_t, kShardLevels> out{};
  for (std::size_t i = kShardLevels; i-- > 0; hash >>= 8) out[i] = static_cast<std::uint8_t>(hash);
  return out;
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
