#include "replication/hello.h"

#include "wire/cursor.h"

namespace rosebud::replication {
namespace {

// "RBG" and a byte: no other protocol of ours begins so.
constexpr std::uint32_t kMagic = 0x52424701;

}  // namespace

Bytes Hello::encode() const {
  wire::Writer out;
  out.u32(kMagic).u16(version).raw(instance.view()).u8(static_cast<std::uint8_t>(role));
  return out.take();
}

std::optional<Hello> Hello::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u32() != kMagic) return std::nullopt;
  Hello out{.version = in.u16(), .instance = in.fixed<pbft::InstanceId>()};
  const std::uint8_t role = in.u8();
  if (role != 1 && role != 2) in.fail();
  out.role = static_cast<Role>(role);
  return in.done() ? std::optional(out) : std::nullopt;
}

std::string_view text_of(HelloVerdict verdict) {
  switch (verdict) {
    case HelloVerdict::kWelcome:
      return "welcome";
    case HelloVerdict::kOtherGroup:
      return "it belongs to another group, or its group file says something else";
    case HelloVerdict::kOtherVersion:
      return "it speaks another version of the protocol";
    case HelloVerdict::kNoMember:
      return "its group has no replica with this key";
  }
  return "unknown";
}

Bytes encode(HelloVerdict verdict) {
  wire::Writer out;
  out.u32(kMagic).u16(kProtocolVersion).u8(static_cast<std::uint8_t>(verdict));
  return out.take();
}

std::optional<HelloVerdict> decode_verdict(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u32() != kMagic) return std::nullopt;
  in.u16();  // of the other side: the verdict says whether it fits
  const std::uint8_t verdict = in.u8();
  if (!in.done() || verdict > static_cast<std::uint8_t>(HelloVerdict::kNoMember))
    return std::nullopt;
  return static_cast<HelloVerdict>(verdict);
}

Status<std::string> judge_verdict(ByteView bytes) {
  const auto verdict = decode_verdict(bytes);
  if (!verdict) return fail(std::string());
  if (*verdict == HelloVerdict::kWelcome) return {};
  return fail(std::string(text_of(*verdict)));
}

}  // namespace rosebud::replication
