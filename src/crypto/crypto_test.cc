#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "crypto/mac.h"
#include "crypto/remembering_scheme.h"
#include "crypto/signature.h"
#include "crypto/test_counting_scheme.h"

namespace rosebud::crypto {
namespace {

// FIPS 180-4, appendix B.1.
TEST(Sha256, KnownVector) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc")).view()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, TagAndClusterSeparateDomains) {
  const ByteView message = as_bytes("x");
  const Digest plain = tagged_hash("a", message);
  EXPECT_NE(plain, tagged_hash("b", message));
  EXPECT_NE(plain, Hasher("a", ClusterId{}).update(message).finish());
  // The tag's length stands in front: a tag can not borrow a character from the message.
  EXPECT_NE(tagged_hash("ab", as_bytes("c")), tagged_hash("a", as_bytes("bc")));
}

class Schemes : public testing::TestWithParam<const SignatureScheme*> {};

TEST_P(Schemes, AcceptsOnlyExactlyWhatWasSigned) {
  const SignatureScheme& scheme = *GetParam();
  const SecretKey key = SecretKey::generate();
  const Signature signature = scheme.sign(key, "tag", as_bytes("message"));
  EXPECT_TRUE(scheme.verify(key.public_key(), "tag", as_bytes("message"), signature));
  EXPECT_FALSE(scheme.verify(key.public_key(), "gat", as_bytes("message"), signature));
  EXPECT_FALSE(scheme.verify(key.public_key(), "tag", as_bytes("massage"), signature));
  EXPECT_FALSE(
      scheme.verify(SecretKey::generate().public_key(), "tag", as_bytes("message"), signature));
  for (std::size_t i = 0; i < Signature::kSize; ++i) {
    Signature changed = signature;
    changed.bytes[i] ^= 1;
    EXPECT_FALSE(scheme.verify(key.public_key(), "tag", as_bytes("message"), changed));
  }
}

TEST_P(Schemes, TwoKeysAgreeOnASecretThatNoThirdHas) {
  const SignatureScheme& scheme = *GetParam();
  const SecretKey a = SecretKey::generate();
  const SecretKey b = SecretKey::generate();
  const SecretKey c = SecretKey::generate();
  const auto secret = scheme.agree(a, b.public_key());
  ASSERT_TRUE(secret);
  EXPECT_EQ(scheme.agree(b, a.public_key()), secret);
  EXPECT_NE(scheme.agree(c, a.public_key()), secret);
  EXPECT_NE(scheme.agree(c, b.public_key()), secret);
}

TEST(Ed25519, AgreesOnNothingWithWhatIsNoKey) {
  PublicKey small_order;  // y = 1: the neutral element
  small_order.bytes[0] = 1;
  EXPECT_FALSE(ed25519().agree(SecretKey::generate(), small_order));
  PublicKey no_point;
  no_point.bytes.fill(0xff);
  EXPECT_FALSE(ed25519().agree(SecretKey::generate(), no_point));
}

TEST(Mac, IsOfOneKeyAndOneMessage) {
  MacKey key;
  key.bytes[0] = 1;
  MacKey other = key;
  other.bytes[31] = 1;
  const Mac mac = authenticate(key, as_bytes("message"));
  EXPECT_TRUE(is_valid(mac, key, as_bytes("message")));
  EXPECT_FALSE(is_valid(mac, key, as_bytes("massage")));
  EXPECT_FALSE(is_valid(mac, other, as_bytes("message")));
  for (std::size_t i = 0; i < Mac::kSize; ++i) {
    Mac changed = mac;
    changed.bytes[i] ^= 1;
    EXPECT_FALSE(is_valid(changed, key, as_bytes("message")));
  }
}

const SignatureScheme* remembering() {
  static const RememberingScheme scheme(ed25519());
  return &scheme;
}
std::string scheme_name(const testing::TestParamInfo<const SignatureScheme*>& scheme) {
  constexpr const char* kNames[] = {"Ed25519", "Model", "Remembering"};
  return kNames[scheme.index];
}
INSTANTIATE_TEST_SUITE_P(All, Schemes, testing::Values(&ed25519(), &model_scheme(), remembering()),
                         scheme_name);

TEST(RememberingScheme, VerifiesTheSameOnce) {
  const CountingScheme inner;
  const RememberingScheme scheme(inner);
  const SecretKey key = SecretKey::generate();
  const Signature signature = inner.sign(key, "tag", as_bytes("message"));
  EXPECT_TRUE(scheme.verify(key.public_key(), "tag", as_bytes("message"), signature));
  EXPECT_TRUE(scheme.verify(key.public_key(), "tag", as_bytes("message"), signature));
  EXPECT_EQ(inner.verified, 1U);
  const Signature own = scheme.sign(key, "tag", as_bytes("another"));
  EXPECT_TRUE(scheme.verify(key.public_key(), "tag", as_bytes("another"), own));
  EXPECT_EQ(inner.verified, 1U);
}

TEST(RememberingScheme, RemembersNoMoreThanWhatWasVerified) {
  const CountingScheme inner;
  const RememberingScheme scheme(inner);
  const SecretKey key = SecretKey::generate();
  Signature signature = scheme.sign(key, "ab", as_bytes("c"));
  EXPECT_TRUE(scheme.verify(key.public_key(), "ab", as_bytes("c"), signature));
  EXPECT_FALSE(scheme.verify(key.public_key(), "a", as_bytes("bc"), signature));
  EXPECT_FALSE(scheme.verify(SecretKey::generate().public_key(), "ab", as_bytes("c"), signature));
  signature.bytes[3] ^= 1;
  EXPECT_FALSE(scheme.verify(key.public_key(), "ab", as_bytes("c"), signature));
  EXPECT_FALSE(scheme.verify(key.public_key(), "ab", as_bytes("c"), signature));
  EXPECT_EQ(inner.verified, 4U);
}

TEST(RememberingScheme, FullOfOthers_VerifiesAgain) {
  const CountingScheme inner;
  const RememberingScheme scheme(inner, RememberingScheme::kStripes);
  const SecretKey key = SecretKey::generate();
  const auto verify_number = [&](int number) {
    const std::string message = std::to_string(number);
    return scheme.verify(key.public_key(), "tag", as_bytes(message),
                         inner.sign(key, "tag", as_bytes(message)));
  };
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(verify_number(i));
  }
  // 16 slots for 1000: nearly all were taken over before they came again.
  EXPECT_GE(inner.verified, 1900U);
}

// RFC 8032 section 7.1, test 1: the public key of a known seed.
TEST(Ed25519, PublicKeyOfKnownSeed) {
  const auto seed = FixedBytes<32, struct SeedTag>::from(
      *from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  EXPECT_EQ(to_hex(SecretKey::from_seed(*seed).public_key().view()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

// A key of small order would verify one signature for many messages: replicas must agree to refuse
// it.
TEST(Ed25519, SmallOrderKeyIsRefused) {
  PublicKey identity;
  identity.bytes[0] = 1;
  EXPECT_FALSE(ed25519().verify(identity, "t", as_bytes("m"), Signature{}));
}

}  // namespace
}  // namespace rosebud::crypto
