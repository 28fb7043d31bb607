#include "fs/cid.h"

namespace rosebud::fs {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSha256 = 0x12;
constexpr std::uint8_t kDigestSize = 32;

}  // namespace

Bytes Cid::binary() const {
  Bytes out{kVersion, static_cast<std::uint8_t>(codec), kSha256, kDigestSize};
  out.insert(out.end(), digest.bytes.begin(), digest.bytes.end());
  return out;
}

std::string Cid::text() const { return "b" + to_base32(binary()); }

std::optional<Cid> Cid::from_binary(ByteView bytes) {
  if (bytes.size() != 36 || bytes[0] != kVersion || bytes[2] != kSha256 ||
      bytes[3] != kDigestSize) {
    return std::nullopt;
  }
  if (bytes[1] != static_cast<std::uint8_t>(Codec::kRaw) &&
      bytes[1] != static_cast<std::uint8_t>(Codec::kDagPb)) {
    return std::nullopt;
  }
  return Cid{static_cast<Codec>(bytes[1]), *crypto::Digest::from(bytes.subspan(4))};
}

Result<Cid, Explained> Cid::parse(std::string_view text) {
  const std::string_view given = text;
  if (text.starts_with("ipfs://")) text.remove_prefix(7);
  if (text.starts_with("/ipfs/")) text.remove_prefix(6);
  const auto refuse = [&](std::string cause) {
    return fail(Explained{
        .what = "'" + std::string(given.substr(0, 80)) + "' is no id of a file or directory",
        .cause = std::move(cause),
        .next = "give an id as `rosebud add` prints it: bafy... or bafk..."});
  };
  if (text.starts_with("Qm"))
    return refuse("it is a CID of version 0, only version 1 is used here");
  if (text.empty() || text.front() != 'b') return refuse("ids start with 'b' (base32)");
  const auto bytes = from_base32(text.substr(1));
  if (!bytes) return refuse("it has a character that base32 does not have, or was cut off");
  const auto cid = from_binary(*bytes);
  if (!cid)
    return refuse("only CIDv1 with sha2-256 and raw or dag-pb is used here, or it was cut off");
  return *cid;
}

}  // namespace rosebud::fs
