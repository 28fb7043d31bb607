#include "base/bytes.h"

#include <gtest/gtest.h>

namespace rosebud {
namespace {

TEST(Hex, RoundTripAndRefusals) {
  const Bytes bytes{0x00, 0x7f, 0xff, 0x10};
  EXPECT_EQ(to_hex(bytes), "007fff10");
  EXPECT_EQ(from_hex("007FfF10"), bytes);
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_EQ(from_hex(""), Bytes{});
}

// RFC 4648 section 10, in lower case and without padding.
TEST(Base32, VectorsOfTheRfc) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "my"},
                                                                   {"fo", "mzxq"},
                                                                   {"foo", "mzxw6"},
                                                                   {"foob", "mzxw6yq"},
                                                                   {"fooba", "mzxw6ytb"},
                                                                   {"foobar", "mzxw6ytboi"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base32(as_bytes(plain)), text);
    EXPECT_EQ(from_base32(text), to_bytes(as_bytes(plain)));
  }
}

TEST(Base32, RefusesForeignCharactersAndLeftOverBits) {
  EXPECT_FALSE(from_base32("MY"));
  EXPECT_FALSE(from_base32("m1"));
  EXPECT_FALSE(from_base32("mz"));  // the low bits of 'z' would be lost
}

TEST(Buffer, SliceKeepsTheBytesAlive) {
  Buffer part;
  {
    const Buffer whole = Buffer::copy_of(as_bytes("hello world"));
    part = whole.slice(6, 5);
  }
  EXPECT_EQ(as_text(part.view()), "world");
}

TEST(FixedBytes, WrongLengthIsRefused) {
  using Four = FixedBytes<4, struct FourTag>;
  EXPECT_FALSE(Four::from(as_bytes("abc")));
  EXPECT_TRUE(Four::from(as_bytes("abcd")));
  EXPECT_LT(*Four::from(as_bytes("abcd")), *Four::from(as_bytes("abce")));
}

}  // namespace
}  // namespace rosebud
