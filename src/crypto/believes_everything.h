// A scheme under which every signature is valid: for fuzz targets, which must get behind the
// signatures, and for benchmarks of what is left without them. Never in a program that serves.
#pragma once

#include "crypto/signature.h"

namespace rosebud::crypto {

class BelievesEverything final : public SignatureScheme {
 public:
  Signature sign(const SecretKey&, std::string_view, ByteView) const override { return {}; }
  bool verify(const PublicKey&, std::string_view, ByteView,
              const Signature&) const noexcept override {
    return true;
  }
  std::optional<SharedSecret> agree(const SecretKey&, const PublicKey&) const noexcept override {
    return SharedSecret{};
  }
};

}  // namespace rosebud::crypto
