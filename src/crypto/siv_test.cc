// Sealed messages: the example of RFC 5297, and that nothing else opens.
#include "crypto/siv.h"

#include <gtest/gtest.h>

namespace rosebud::crypto {
namespace {

Bytes bytes_of(std::string_view hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

/// RFC 5297, A.1: deterministic authenticated encryption.
TEST(Siv, SealsAsTheStandardSays) {
  const SealKey key =
      *SealKey::from(bytes_of("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
  const Bytes bound = bytes_of("101112131415161718191a1b1c1d1e1f2021222324252627");
  const Bytes message = bytes_of("112233445566778899aabbccddee");
  Bytes sealed;
  seal(key, bound, message, sealed);
  EXPECT_EQ(sealed, bytes_of("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"));
  EXPECT_EQ(open(key, bound, sealed), message);
}

TEST(Siv, NothingThatWasChangedOpens) {
  const SealKey key{{1}};
  const Bytes bound = {7, 8};
  Bytes sealed = {9};  // what was there stays
  seal(key, bound, as_bytes("hello"), sealed);
  ASSERT_EQ(sealed.size(), 1 + kSivSize + 5);
  const ByteView whole = ByteView(sealed).subspan(1);
  EXPECT_EQ(as_text(*open(key, bound, whole)), "hello");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Bytes changed = to_bytes(whole);
    changed[i] ^= 1;
    EXPECT_FALSE(open(key, bound, changed)) << i;
    EXPECT_FALSE(open(key, bound, whole.first(i))) << i;
  }
  EXPECT_FALSE(open(key, Bytes{7, 9}, whole));
  EXPECT_FALSE(open(SealKey{{2}}, bound, whole));
}

}  // namespace
}  // namespace rosebud::crypto
