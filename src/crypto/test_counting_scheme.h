// For tests: the model scheme, with a count of what it is asked for.
#pragma once

#include "crypto/signature.h"

namespace rosebud::crypto {

class CountingScheme final : public SignatureScheme {
 public:
  Signature sign(const SecretKey& key, std::string_view tag, ByteView message) const override {
    return model_scheme().sign(key, tag, message);
  }
  bool verify(const PublicKey& key, std::string_view tag, ByteView message,
              const Signature& signature) const noexcept override {
    ++verified;
    return model_scheme().verify(key, tag, message, signature);
  }
  std::optional<SharedSecret> agree(const SecretKey& own,
                                    const PublicKey& other) const noexcept override {
    ++agreements;
    return model_scheme().agree(own, other);
  }

  mutable std::size_t verified = 0;
  mutable std::size_t agreements = 0;
};

}  // namespace rosebud::crypto
