#include "client/known_heads.h"

#include "base/files.h"
#include "wire/cursor.h"

namespace rosebud::client {
namespace {

constexpr std::string_view kMagic = "rosebud heads 1\n";
constexpr std::size_t kTargetSizeMax = 4096;  // longest path that a link may lead to here
constexpr std::size_t kFileSizeMax = 256U << 20;
constexpr std::uint8_t kHasMode = 1;
constexpr std::uint8_t kHasTime = 2;
constexpr std::uint8_t kIsLink = 4;

void write(wire::Writer& out, const crypto::Digest& digest, const fs::Described& head) {
  const auto& [mode, modified] = head.attributes;
  out.raw(digest.view())
      .u8(static_cast<std::uint8_t>((mode ? kHasMode : 0) | (modified ? kHasTime : 0) |
                                    (head.kind == fs::Kind::kSymlink ? kIsLink : 0)))
      .u64(head.bytes);
  if (mode) out.u32(*mode);
  if (modified) out.u64(static_cast<std::uint64_t>(modified->seconds)).u32(modified->nanoseconds);
  if (head.kind == fs::Kind::kSymlink) out.text(head.target);
}

std::pair<crypto::Digest, fs::Described> read_head(wire::Reader& in) {
  const auto digest = in.fixed<crypto::Digest>();
  const std::uint8_t flags = in.u8();
  if ((flags & ~(kHasMode | kHasTime | kIsLink)) != 0) in.fail();
  fs::Described head{.bytes = in.u64()};
  if ((flags & kHasMode) != 0) head.attributes.mode = in.u32();
  if ((flags & kHasTime) != 0) {
    fs::ModificationTime time{.seconds = static_cast<std::int64_t>(in.u64())};
    time.nanoseconds = in.u32();
    if (time.nanoseconds >= 1'000'000'000) in.fail();
    head.attributes.modified = time;
  }
  if ((flags & kIsLink) != 0) {
    head.kind = fs::Kind::kSymlink;
    head.target = in.text(kTargetSizeMax);
  }
  return {digest, std::move(head)};
}

}  // namespace

KnownHeads KnownHeads::load(const std::filesystem::path& path) {
  const auto bytes = read_text_file(path, kFileSizeMax);
  if (!bytes || !bytes->starts_with(kMagic)) return {};
  if (bytes->size() < kMagic.size() + crypto::Digest::kSize) return {};
  const std::string_view all = *bytes;
  const std::string_view body = all.substr(0, all.size() - crypto::Digest::kSize);
  const std::string_view sum = all.substr(body.size());
  if (as_text(crypto::sha256(as_bytes(body)).view()) != sum) return {};
  KnownHeads out;
  wire::Reader in(as_bytes(body.substr(kMagic.size())));
  while (in.ok() && in.left() > 0) {
    auto [digest, head] = read_head(in);
    // In order: each goes behind the last.
    out.heads_.emplace_hint(out.heads_.end(), digest, Head{.described = std::move(head)});
  }
  if (!in.done()) return {};
  return out;
}

std::optional<fs::Described> KnownHeads::find(const fs::Cid& cid) {
  if (cid.codec != fs::Codec::kDagPb) return std::nullopt;
  const auto at = heads_.find(cid.digest);
  if (at == heads_.end()) return std::nullopt;
  at->second.is_used = true;
  return at->second.described;
}

void KnownHeads::add(const fs::Cid& cid, const fs::Described& described) {
  if (cid.codec != fs::Codec::kDagPb || described.kind == fs::Kind::kDirectory) return;
  if (described.target.size() > kTargetSizeMax) return;
  const auto [at, is_new] = heads_.try_emplace(cid.digest, Head{.described = described});
  at->second.is_used = true;
  has_new_ = has_new_ || is_new;
}

std::string KnownHeads::encode() const {
  wire::Writer out;
  out.raw(as_bytes(kMagic));
  for (const auto& [digest, head] : heads_) write(out, digest, head.described);
  const crypto::Digest sum = crypto::sha256(out.bytes());
  out.raw(sum.view());
  return std::string(as_text(out.bytes()));
}

Status<Explained> KnownHeads::save(const std::filesystem::path& path, std::size_t entries_max) {
  if (!has_new_) return {};
  if (heads_.size() > entries_max)
    std::erase_if(heads_, [](const auto& one) { return !one.second.is_used; });
  while (heads_.size() > entries_max) heads_.erase(std::prev(heads_.end()));
  if (auto made = make_folder(path.parent_path()); !made) return made;
  if (auto written = replace_file(path, encode(), 0600); !written) return written;
  has_new_ = false;
  return {};
}

}  // namespace rosebud::client
