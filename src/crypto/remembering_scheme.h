// A signature scheme that remembers which signatures it has verified.
//
// The same statements come again and again: a holder's admission with every write, a hold with
// every answer, a record from each of its replicas. Verifying one costs 40 µs, finding it here less
// than one. What is remembered is the hash of (key, tag, message, signature) as a whole, so nothing
// is taken for verified that was not, bit by bit; signatures that are wrong are never remembered.
//
// Bounded: a slot for each hash, taken over by whoever comes last. Somebody who floods it with
// valid signatures of his own makes others cost what they cost without it.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "crypto/signature.h"

namespace rosebud::crypto {

/// Thread-safe. `inner` must outlive it.
class RememberingScheme final : public SignatureScheme {
 public:
  /// Takes 32 bytes per slot. Requires: slots is a power of two, at least kStripes.
  explicit RememberingScheme(const SignatureScheme& inner, std::size_t slots = 1U << 16);

  /// Remembers what it signs: it comes back with the answers.
  Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const override;
  bool verify(const PublicKey& key, std::string_view tag, ByteView message,
              const Signature& signature) const noexcept override;
  std::optional<SharedSecret> agree(const SecretKey& own,
                                    const PublicKey& other) const noexcept override {
    return inner_.agree(own, other);
  }

  static constexpr std::size_t kStripes = 16;

 private:
  bool is_known(const Digest& what) const;
  void remember(const Digest& what) const;
  std::size_t slot_of(const Digest& what) const;

  const SignatureScheme& inner_;
  mutable std::vector<Digest> slots_;  // all zero: empty
  mutable std::array<std::mutex, kStripes> mutexes_;
};

}  // namespace rosebud::crypto
