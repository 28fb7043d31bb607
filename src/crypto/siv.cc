#include "crypto/siv.h"

#include <openssl/evp.h>

#include <memory>

#include "base/check.h"

namespace rosebud::crypto {
namespace {

/// Fetched once: an implicit fetch takes a lock.
const EVP_CIPHER* method() {
  static EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-128-SIV", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

/// With `bound` taken in already, in either direction.
Context begin(const SealKey& key, ByteView bound, bool is_sealing, ByteView tag) {
  CHECK(!bound.empty());
  Context out(EVP_CIPHER_CTX_new());
  CHECK(out != nullptr);
  CHECK(EVP_CipherInit_ex2(out.get(), method(), key.bytes.data(), nullptr, is_sealing ? 1 : 0,
                           nullptr) == 1);
  if (!is_sealing) {
    Bytes wanted = to_bytes(tag);
    CHECK(EVP_CIPHER_CTX_ctrl(out.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(wanted.size()),
                              wanted.data()) == 1);
  }
  int length = 0;
  CHECK(EVP_CipherUpdate(out.get(), nullptr, &length, bound.data(),
                         static_cast<int>(bound.size())) == 1);
  return out;
}

}  // namespace

void seal(const SealKey& key, ByteView bound, ByteView message, Bytes& out) {
  CHECK(!message.empty());
  const Context context = begin(key, bound, true, {});
  const std::size_t at = out.size();
  out.resize(at + kSivSize + message.size());
  int length = 0;
  CHECK(EVP_CipherUpdate(context.get(), out.data() + at + kSivSize, &length, message.data(),
                         static_cast<int>(message.size())) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kSivSize),
                            out.data() + at) == 1);
}

std::optional<Bytes> open(const SealKey& key, ByteView bound, ByteView sealed) {
  if (sealed.size() <= kSivSize) return std::nullopt;
  const Context context = begin(key, bound, false, sealed.first(kSivSize));
  const ByteView body = sealed.subspan(kSivSize);
  Bytes out(body.size());
  int length = 0;
  if (EVP_CipherUpdate(context.get(), out.data(), &length, body.data(),
                       static_cast<int>(body.size())) != 1) {
    return std::nullopt;
  }
  return out;
}

}  // namespace rosebud::crypto
