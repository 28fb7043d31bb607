#include "crypto/hash.h"

#include <openssl/evp.h>

#include <utility>
#include <vector>

#include "base/check.h"

namespace rosebud::crypto {
namespace {

// Fetched once: an implicit fetch per hash takes a lock and a third of the time of a small hash.
const EVP_MD* sha256_method() {
  static EVP_MD* method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(method != nullptr);
  return method;
}

/// Contexts that are not in use, of one thread: making one costs as much as hashing a statement.
class SpareContexts {
 public:
  static constexpr std::size_t kMax = 64;

  ~SpareContexts() {
    for (EVP_MD_CTX* evp : spare_) EVP_MD_CTX_free(evp);
  }
  EVP_MD_CTX* take() {
    if (spare_.empty()) {
      EVP_MD_CTX* evp = EVP_MD_CTX_new();
      CHECK(evp != nullptr);
      return evp;
    }
    EVP_MD_CTX* evp = spare_.back();
    spare_.pop_back();
    return evp;
  }
  void give_back(EVP_MD_CTX* evp) {
    if (spare_.size() < kMax) {
      spare_.push_back(evp);
    } else {
      EVP_MD_CTX_free(evp);
    }
  }

 private:
  std::vector<EVP_MD_CTX*> spare_;
};

SpareContexts& spare_contexts() {
  thread_local SpareContexts spare;
  return spare;
}

}  // namespace

Digest sha256(ByteView bytes) { return Hasher().update(bytes).finish(); }

Hasher::Hasher() : context_(spare_contexts().take()) {
  CHECK(EVP_DigestInit_ex2(context_, sha256_method(), nullptr) == 1);
}

Hasher::Hasher(std::string_view tag) : Hasher() {
  CHECK(tag.size() < 256);
  const auto length = static_cast<std::uint8_t>(tag.size());
  update({&length, 1});
  update(as_bytes(tag));
}

Hasher::Hasher(std::string_view tag, const ClusterId& cluster) : Hasher(tag) {
  update(cluster.view());
}

Hasher::~Hasher() {
  if (context_) spare_contexts().give_back(context_);
}

Hasher::Hasher(Hasher&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

Hasher& Hasher::operator=(Hasher&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Hasher& Hasher::update(ByteView bytes) {
  CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  return *this;
}

Hasher& Hasher::update_u64(std::uint64_t value) {
  std::uint8_t bytes[8];
  for (int i = 7; i >= 0; --i, value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
  return update(bytes);
}

Digest Hasher::finish() {
  Digest out;
  unsigned length = 0;
  CHECK(EVP_DigestFinal_ex(context_, out.bytes.data(), &length) == 1);
  CHECK(length == Digest::kSize);
  return out;
}

Digest tagged_hash(std::string_view tag, ByteView bytes) {
  return Hasher(tag).update(bytes).finish();
}

}  // namespace rosebud::crypto
