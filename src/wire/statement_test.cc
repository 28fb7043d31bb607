#include "wire/statement.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace rosebud::wire {
namespace {

template <typename Statement>
void expect_canonical(const Statement& statement) {
  const Bytes bytes = statement.encode();
  ASSERT_LE(bytes.size(), kStatementSizeMax);
  const auto decoded = Statement::decode(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, statement);
  EXPECT_EQ(decoded->encode(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Statement::decode(ByteView(bytes).first(size)));
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(Statement::decode(longer));
  // Whatever decodes after a change encodes to the changed bytes: there is one encoding per
  // statement.
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    Bytes changed = bytes;
    changed[random.below(changed.size())] = static_cast<std::uint8_t>(random.next());
    const auto other = Statement::decode(changed);
    if (other) {
      EXPECT_EQ(other->encode(), changed);
    }
  }
}

template <typename Fixed>
Fixed filled(std::uint8_t value) {
  Fixed out;
  out.bytes.fill(value);
  return out;
}

TEST(Statement, EncodingsAreCanonical) {
  expect_canonical(AdmissionStatement{.cluster = filled<crypto::ClusterId>(1),
                                      .organisation = filled<crypto::PublicKey>(2),
                                      .subject = filled<crypto::PublicKey>(3),
                                      .role = Role::kNode,
                                      .capacity_bytes = 1ULL << 40,
                                      .directory = filled<DirectoryId>(4),
                                      .not_before = Timestamp(5),
                                      .not_after = Timestamp(6),
                                      .name = "alpha-1"});
  expect_canonical(HoldStatement{.serial = 9, .expiry = Timestamp(10), .count = 2});
  expect_canonical(RecordStatement{
      .salt = to_bytes(as_bytes("notes")), .version = Version::of(1, 2), .value_size = 3});
  expect_canonical(RecordStatement{.version = Version{~0ULL}, .is_tombstone = true});
  expect_canonical(CompletenessStatement{.last = filled<crypto::Digest>(0xff)});
}

TEST(Statement, VersionZeroIsNoRecord) {
  Bytes bytes = RecordStatement{.version = Version{1}}.encode();
  bytes[1 + 32 + 32 + 2 + 7] = 0;
  EXPECT_FALSE(RecordStatement::decode(bytes));
}

TEST(Version, TermStandsAboveEveryCounter) {
  EXPECT_LT(Version::of(1, Version::kCounterMax), Version::of(2, 0));
  EXPECT_EQ(Version::of(3, 4).term(), 3);
  EXPECT_EQ(Version::of(3, 4).counter(), 4U);
}

TEST(Statement, SignatureOfOneKindIsWorthlessForAnother) {
  const auto key = crypto::SecretKey::generate();
  const HoldStatement hold{.holder = key.public_key(), .count = 1};
  const SignedBytes bytes = sign(crypto::ed25519(), key, hold);
  EXPECT_TRUE(is_signed_by<HoldStatement>(crypto::ed25519(), key.public_key(), bytes));
  EXPECT_FALSE(is_signed_by<RecordStatement>(crypto::ed25519(), key.public_key(), bytes));
}

TEST(Name, Rules) {
  for (auto good : {"a", "alpha", "node-1", "0"}) EXPECT_TRUE(is_name(good)) << good;
  for (auto bad : {"", "-a", "a-", "A", "a b", "ä", "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(is_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace rosebud::wire
