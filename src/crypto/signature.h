// Signatures: Ed25519 by libsodium, the only verifier of signatures that replicas must agree on
// (design 3.5), behind an interface that the simulator may fill with a cheap model scheme.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/hash.h"

namespace rosebud::crypto {

using PublicKey = FixedBytes<32, struct PublicKeyTag>;
using Signature = FixedBytes<64, struct SignatureTag>;
/// What two key holders know and nobody else. Hash it with what it is for before it becomes a key.
using SharedSecret = FixedBytes<32, struct SharedSecretTag>;

/// The 32-byte seed from which the key pair is derived. Wiped on destruction; never logged or
/// compared.
class SecretKey {
 public:
  SecretKey() = default;
  /// From a good random source.
  static SecretKey generate();
  /// The key with exactly this seed (RFC 8032 private key). For key files and reproducible tests.
  static SecretKey from_seed(const FixedBytes<32, struct SeedTag>& seed);
  ~SecretKey();
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;

  const PublicKey& public_key() const { return public_; }
  const FixedBytes<32, struct SeedTag>& seed() const { return seed_; }

 private:
  FixedBytes<32, struct SeedTag> seed_;
  PublicKey public_;
};

/// Signs, verifies and agrees. What is signed is always `tag ‖ message` with the tag's length in
/// front, so that a signature made for one kind of statement is worthless for another.
/// Implementations are stateless and thread-safe.
class SignatureScheme {
 public:
  virtual ~SignatureScheme() = default;
  virtual Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const = 0;
  /// False for anything that is not a signature of exactly these bytes under this key. Never
  /// throws, for any input.
  virtual bool verify(const PublicKey& key, std::string_view tag, ByteView message,
                      const Signature& signature) const noexcept = 0;
  /// The secret of two keys: agree(a, public B) is agree(b, public A). Nothing for what is no key,
  /// and from a scheme that only signs.
  virtual std::optional<SharedSecret> agree(const SecretKey&, const PublicKey&) const noexcept {
    return std::nullopt;
  }
};

/// Ed25519 (RFC 8032) by libsodium, which refuses non-canonical and small-order keys and
/// signatures. Agrees by X25519 (RFC 7748) on the same curve in its other form.
const SignatureScheme& ed25519();

/// For the simulator: a keyed hash that anyone could forge, but that no simulated adversary is
/// given the means to. Costs one SHA-256 instead of a curve operation. Never used by a node.
const SignatureScheme& model_scheme();

/// Cryptographically random bytes of the operating system.
void fill_random(std::span<std::uint8_t> out);

}  // namespace rosebud::crypto
