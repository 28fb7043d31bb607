#include "service/decree.h"

#include <algorithm>

#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

constexpr std::uint8_t kLayout = 1;
constexpr std::size_t kDecreeSizeMax = 256;

void write(wire::Writer& out, const AdmitOrganisation& one) {
  out.text(one.name).raw(one.authority.view()).u64(one.quota_bytes);
}
void write(wire::Writer& out, const RevokeOrganisation& one) {
  out.text(one.name).raw(one.authority.view());
}
void write(wire::Writer& out, const RevokeAnyNode& one) { out.text(one.name).raw(one.node.view()); }
void write(wire::Writer& out, const ChangeSetting& one) { out.text(one.name).u64(one.value); }

/// Numbers are those of the alternatives, from 1.
std::optional<Decree::What> read_what(wire::Reader& in) {
  const std::uint8_t kind = in.u8();
  std::string name = in.text(wire::kNameSizeMax);
  if (!wire::is_name(name)) return std::nullopt;
  switch (kind) {
    case 1: {
      AdmitOrganisation out{.name = std::move(name), .authority = in.fixed<crypto::PublicKey>()};
      out.quota_bytes = in.u64();
      return out;
    }
    case 2:
      return RevokeOrganisation{.name = std::move(name),
                                .authority = in.fixed<crypto::PublicKey>()};
    case 3:
      return RevokeAnyNode{.name = std::move(name), .node = in.fixed<wire::NodeKey>()};
    case 4: {
      ChangeSetting out{.name = std::move(name)};
      out.value = in.u64();
      return out;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

Bytes Decree::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view()).u64(not_before.value).u64(not_after.value);
  out.u8(static_cast<std::uint8_t>(what.index() + 1));
  std::visit([&out](const auto& one) { write(out, one); }, what);
  return out.take();
}

std::optional<Decree> Decree::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Decree out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.not_before = Timestamp(in.u64());
  out.not_after = Timestamp(in.u64());
  auto what = read_what(in);
  if (!what || !in.done()) return std::nullopt;
  if (out.not_before >= out.not_after) return std::nullopt;
  if (out.not_after.value - out.not_before.value > kDecreeSecondsMax) return std::nullopt;
  out.what = std::move(*what);
  return out;
}

void SignedDecree::sign(const crypto::SecretKey& authority, const crypto::SignatureScheme& scheme) {
  const crypto::PublicKey key = authority.public_key();
  const auto at = std::ranges::lower_bound(signatures, key, {}, &AuthoritySignature::authority);
  if (at != signatures.end() && at->authority == key) return;
  signatures.insert(at,
                    {.authority = key, .signature = scheme.sign(authority, Decree::kTag, decree)});
}

void write(wire::Writer& out, const SignedDecree& decree) {
  out.bytes16(decree.decree).u16(static_cast<std::uint16_t>(decree.signatures.size()));
  for (const AuthoritySignature& one : decree.signatures) {
    out.raw(one.authority.view()).raw(one.signature.view());
  }
}

SignedDecree read_signed_decree(wire::Reader& in) {
  SignedDecree out{.decree = to_bytes(in.bytes16(kDecreeSizeMax))};
  const std::size_t count = in.u16();
  if (count > membership::kOrganisationsMax) in.fail();
  for (std::size_t i = 0; in.ok() && i < count; ++i) {
    AuthoritySignature one{.authority = in.fixed<crypto::PublicKey>()};
    one.signature = in.fixed<crypto::Signature>();
    if (i > 0 && one.authority <= out.signatures.back().authority &&
        !is_planted(Bug::kSignerCountsTwice)) {
      in.fail();
    }
    out.signatures.push_back(one);
  }
  return out;
}

Bytes SignedDecree::encode() const {
  wire::Writer out;
  write(out, *this);
  return out.take();
}

std::optional<SignedDecree> SignedDecree::decode(ByteView bytes) {
  wire::Reader in(bytes);
  SignedDecree out = read_signed_decree(in);
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::Digest decree_hash(ByteView decree) {
  return crypto::tagged_hash("rosebud decree hash 1", decree);
}

std::size_t signatures_needed(const membership::Configuration& configuration) {
  const auto count = static_cast<std::size_t>(
      std::ranges::count_if(configuration.organisations(), [](const membership::Organisation& one) {
        return !one.is_revoked || is_planted(Bug::kRevokedOrganisationHasSay);
      }));
  if (is_planted(Bug::kHalfDecides)) return count / 2 + 1;
  return membership::more_than_two_thirds(count);
}

std::string_view text_of(DecreeError error) {
  switch (error) {
    case DecreeError::kMalformed:
      return "it is no decree";
    case DecreeError::kOtherCluster:
      return "it is for another cluster";
    case DecreeError::kNotYetValid:
      return "it is not valid yet";
    case DecreeError::kExpired:
      return "its time is over";
    case DecreeError::kNoSay:
      return "somebody signed it who is no organisation of the cluster any more";
    case DecreeError::kTooFewSignatures:
      return "not more than two thirds of the organisations have signed it";
    case DecreeError::kBadSignature:
      return "a signature is wrong";
  }
  return "unknown";
}

Result<Decree, DecreeError> check_decree(const membership::Configuration& configuration,
                                         const SignedDecree& decree, Timestamp now,
                                         const crypto::SignatureScheme& scheme) {
  auto out = Decree::decode(decree.decree);
  if (!out) return fail(DecreeError::kMalformed);
  if (out->cluster != configuration.cluster()) return fail(DecreeError::kOtherCluster);
  if (now < out->not_before) return fail(DecreeError::kNotYetValid);
  if (now >= out->not_after) return fail(DecreeError::kExpired);
  for (const AuthoritySignature& one : decree.signatures) {
    const bool has_say =
        configuration.has_say(one.authority) || (is_planted(Bug::kRevokedOrganisationHasSay) &&
                                                 configuration.organisation_index(one.authority));
    if (!has_say) return fail(DecreeError::kNoSay);
  }
  if (decree.signatures.size() < signatures_needed(configuration)) {
    return fail(DecreeError::kTooFewSignatures);
  }
  for (const AuthoritySignature& one : decree.signatures) {
    if (!scheme.verify(one.authority, Decree::kTag, decree.decree, one.signature) &&
        !is_planted(Bug::kDecreeNotVerified)) {
      return fail(DecreeError::kBadSignature);
    }
  }
  return std::move(*out);
}

}  // namespace rosebud::service
