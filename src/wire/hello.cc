#include "wire/hello.h"

namespace rosebud::wire {
namespace {

constexpr std::uint32_t kHelloMagic = 0x52424831;   // "RBH1"
constexpr std::uint32_t kAnswerMagic = 0x52424131;  // "RBA1"

}  // namespace

Bytes Hello::encode() const {
  Writer out;
  out.u32(kHelloMagic).u16(version_min).u16(version).raw(cluster.view());
  write(out, configuration);
  out.u8(static_cast<std::uint8_t>(role));
  wire::write(out, admission);
  return out.take();
}

std::optional<Hello> Hello::decode(ByteView bytes) {
  Reader in(bytes);
  Hello out;
  if (in.u32() != kHelloMagic) return std::nullopt;
  out.version_min = in.u16();
  out.version = in.u16();
  out.cluster = in.fixed<crypto::ClusterId>();
  out.configuration = read_number(in);
  const std::uint8_t role = in.u8();
  if (role != 1 && role != 2) in.fail();
  out.role = static_cast<Role>(role);
  out.admission = read_signed_bytes(in, kStatementSizeMax);
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes HelloAnswer::encode() const {
  Writer out;
  out.u32(kAnswerMagic).u8(static_cast<std::uint8_t>(verdict)).u16(version).raw(cluster.view());
  write(out, configuration);
  return out.take();
}

std::optional<HelloAnswer> HelloAnswer::decode(ByteView bytes) {
  Reader in(bytes);
  HelloAnswer out;
  if (in.u32() != kAnswerMagic) return std::nullopt;
  const std::uint8_t verdict = in.u8();
  if (verdict > static_cast<std::uint8_t>(HelloVerdict::kAdmissionRevokedOrganisation)) in.fail();
  out.verdict = static_cast<HelloVerdict>(verdict);
  out.version = in.u16();
  out.cluster = in.fixed<crypto::ClusterId>();
  out.configuration = read_number(in);
  if (!in.done()) return std::nullopt;
  return out;
}

std::string_view text_of(HelloVerdict verdict) {
  switch (verdict) {
    case HelloVerdict::kWelcome:
      return "welcome";
    case HelloVerdict::kOtherCluster:
      return "it belongs to another cluster";
    case HelloVerdict::kOtherVersion:
      return "it speaks another version of the protocol";
    case HelloVerdict::kUnknownNode:
      return "no node of its configuration has this key";
    case HelloVerdict::kAdmissionMalformed:
      return "the admission statement is malformed";
    case HelloVerdict::kAdmissionOtherCluster:
      return "the admission statement is for another cluster";
    case HelloVerdict::kAdmissionUnknownOrganisation:
      return "no organisation of this cluster signed the admission";
    case HelloVerdict::kAdmissionBadSignature:
      return "the signature of the admission statement is wrong";
    case HelloVerdict::kAdmissionOtherKey:
      return "the admission statement is for another key";
    case HelloVerdict::kAdmissionOtherRole:
      return "the admission statement is for another role";
    case HelloVerdict::kAdmissionNotYetValid:
      return "the admission statement is not valid yet";
    case HelloVerdict::kAdmissionExpired:
      return "the admission statement has expired";
    case HelloVerdict::kAdmissionRevokedOrganisation:
      return "the organisation that signed the admission was revoked";
  }
  return "unknown";
}

}  // namespace rosebud::wire
