#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "membership/admission.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

class MembershipTest : public testing::Test, protected TestCluster {
 protected:
  MembershipTest() : TestCluster(crypto::ed25519()) {}
};

TEST_F(MembershipTest, SignedGenesisMakesTheFirstConfiguration) {
  const SignedGenesis file = sign();
  const auto decoded = SignedGenesis::decode(file.encode());
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(Genesis::decode(decoded->genesis), genesis);
  const auto made = verify_genesis(*decoded, file.cluster(), crypto::ed25519());
  ASSERT_TRUE(made.has_value()) << made.error().text();
  EXPECT_EQ((*made)->cluster(), file.cluster());
  EXPECT_EQ((*made)->number(), (wire::ConfigurationNumber{wire::Generation(0), wire::Epoch(1)}));
  EXPECT_EQ((*made)->group({}).size(), 4U);
}

TEST_F(MembershipTest, ChangedOrPartlySignedGenesis_IsRefused) {
  SignedGenesis file = sign();
  auto other = file;
  other.signatures[2].bytes[5] ^= 1;
  EXPECT_NE(verify_genesis(other, std::nullopt, crypto::ed25519()).error().what.find("org2"),
            std::string::npos);
  other = file;
  other.signatures.pop_back();
  EXPECT_FALSE(verify_genesis(other, std::nullopt, crypto::ed25519()));
  other = file;
  other.genesis[20] ^= 1;
  EXPECT_FALSE(verify_genesis(other, std::nullopt, crypto::ed25519()));
  EXPECT_FALSE(verify_genesis(other, file.cluster(), crypto::ed25519()));
}

TEST_F(MembershipTest, ContradictoryMembers_AreRefused) {
  const auto refused = [&] {
    return !verify_genesis(sign(), std::nullopt, crypto::ed25519()).has_value();
  };
  const Genesis good = genesis;
  genesis.nodes[1].name = genesis.nodes[0].name;
  EXPECT_TRUE(refused());
  genesis = good;
  genesis.nodes[1].key = genesis.nodes[0].key;
  EXPECT_TRUE(refused());
  genesis = good;
  genesis.nodes[1].address = genesis.nodes[0].address;
  EXPECT_TRUE(refused());
  genesis = good;
  genesis.nodes[1].directory = genesis.nodes[0].directory;
  EXPECT_TRUE(refused());
  genesis = good;
  genesis.settings.cap = 2;
  EXPECT_TRUE(refused());
}

TEST_F(MembershipTest, CommitmentThatTheRevealDoesNotOpen_IsRefused) {
  genesis.reveals[3].bytes[0] ^= 1;
  const auto refusal = verify_genesis(sign(), std::nullopt, crypto::ed25519());
  ASSERT_FALSE(refusal.has_value());
  EXPECT_NE(refusal.error().what.find("org3"), std::string::npos) << refusal.error().text();
  // Another organisation's commitment and value, passed on as one's own.
  genesis.reveals[3] = genesis.reveals[0];
  genesis.commitments[3] = genesis.commitments[0];
  EXPECT_FALSE(verify_genesis(sign(), std::nullopt, crypto::ed25519()));
}

TEST_F(MembershipTest, ServiceThatCouldNotAgree_IsRefused) {
  const auto problem = [&] {
    const auto made = verify_genesis(sign(), std::nullopt, crypto::ed25519());
    return made ? std::string() : made.error().what;
  };
  using testing::HasSubstr;
  const Genesis good = genesis;
  genesis.service.pop_back();  // one vacant seat of four is allowed
  EXPECT_EQ(problem(), "");
  genesis.service.pop_back();
  EXPECT_THAT(problem(), HasSubstr("has 2 members"));
  genesis.service.clear();
  EXPECT_THAT(problem(), HasSubstr("no configuration service"));
  genesis = good;
  genesis.service[1].node = genesis.service[0].node;
  EXPECT_THAT(problem(), HasSubstr("two seats"));
  genesis = good;
  genesis.service[1].epoch_key = genesis.service[0].epoch_key;
  EXPECT_THAT(problem(), HasSubstr("used elsewhere"));
  genesis = good;
  genesis.service[1].epoch_key = genesis.nodes[5].key;
  EXPECT_THAT(problem(), HasSubstr("used elsewhere"));
  genesis = good;
  genesis.service[1].node = genesis.service[0].node + 1;
  EXPECT_THAT(problem(), HasSubstr("more than F seats"));
}

TEST_F(MembershipTest, GroupsThatTheCapCannotFill_AreRefusedInTheGenesis) {
  for (Node& node : genesis.nodes) node.organisation = std::min(node.organisation, 2U);
  genesis.service.pop_back();
  const auto refusal = verify_genesis(sign(), std::nullopt, crypto::ed25519());
  ASSERT_FALSE(refusal.has_value());
  EXPECT_THAT(refusal.error().what, testing::HasSubstr("3 of the 4 seats"));
}

TEST_F(MembershipTest, Shares_AddUpToWholeGroups) {
  const auto at = first();
  std::uint64_t shares = 0;
  for (std::uint32_t i = 0; i < at->nodes().size(); ++i) shares += at->own_share(i);
  EXPECT_EQ(shares, std::uint64_t{4} << 32);
}

TEST_F(MembershipTest, DamagedGenesis_NeverCrashes) {
  const Bytes bytes = sign().encode();
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    Bytes changed = bytes;
    changed[random.below(changed.size())] = static_cast<std::uint8_t>(random.next());
    if (random.chance(1, 3)) changed.resize(random.below(changed.size()));
    if (const auto decoded = SignedGenesis::decode(changed)) {
      if (const auto inner = Genesis::decode(decoded->genesis)) {
        EXPECT_EQ(inner->encode(), decoded->genesis);
      }
    }
  }
}

TEST_F(MembershipTest, EveryReasonForRefusingAClient) {
  const auto at = first();
  const auto key = crypto::SecretKey::generate();
  wire::AdmissionStatement statement{.cluster = at->cluster(),
                                     .organisation = authorities[0].public_key(),
                                     .subject = key.public_key(),
                                     .capacity_bytes = 10,
                                     .not_before = Timestamp(100),
                                     .not_after = Timestamp(200),
                                     .name = "alice"};
  const auto check = [&](const wire::AdmissionStatement& of, std::uint64_t now = 150) {
    const auto bytes = wire::sign(crypto::ed25519(), authorities[0], of);
    const auto result = check_admission(*at, bytes, key.public_key(), wire::Role::kClient,
                                        Timestamp(now), crypto::ed25519());
    return result ? std::nullopt : std::optional(result.error());
  };
  EXPECT_EQ(check(statement), std::nullopt);
  EXPECT_EQ(check(statement, 99), AdmissionError::kNotYetValid);
  EXPECT_EQ(check(statement, 200), AdmissionError::kExpired);
  auto other = statement;
  other.cluster = {};
  EXPECT_EQ(check(other), AdmissionError::kOtherCluster);
  other = statement;
  other.organisation = key.public_key();
  EXPECT_EQ(check(other), AdmissionError::kUnknownOrganisation);
  other = statement;
  other.organisation = authorities[1].public_key();
  EXPECT_EQ(check(other), AdmissionError::kBadSignature);
  other = statement;
  other.subject = authorities[1].public_key();
  EXPECT_EQ(check(other), AdmissionError::kOtherKey);
  other = statement;
  other.role = wire::Role::kNode;
  EXPECT_EQ(check(other), AdmissionError::kOtherRole);
  auto bytes = wire::sign(scheme, authorities[0], statement);
  bytes.statement = bytes.statement.slice(0, bytes.statement.size() - 1);
  EXPECT_EQ(
      check_admission(*at, bytes, key.public_key(), wire::Role::kClient, Timestamp(150), scheme)
          .error(),
      AdmissionError::kMalformed);
}

TEST_F(MembershipTest, ChangedAdmission_IsNeverAccepted) {
  const auto at = first();
  const auto key = crypto::SecretKey::generate();
  const auto good = wire::sign(scheme, authorities[0],
                               wire::AdmissionStatement{.cluster = at->cluster(),
                                                        .organisation = authorities[0].public_key(),
                                                        .subject = key.public_key(),
                                                        .not_after = Timestamp(200),
                                                        .name = "alice"});
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    Bytes bytes = to_bytes(good.statement);
    auto& byte = bytes[random.below(bytes.size())];
    byte = static_cast<std::uint8_t>(byte ^ random.between(1, 255));
    const wire::SignedBytes changed{.statement = Buffer(std::move(bytes)),
                                    .signature = good.signature};
    EXPECT_FALSE(check_admission(*at, changed, key.public_key(), wire::Role::kClient,
                                 Timestamp(150), scheme));
  }
}

// A person who is refused must be able to tell the reasons apart.
TEST(AdmissionTexts, AreThereAndDiffer) {
  std::set<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(AdmissionError::kExpired); ++i) {
    const auto text = text_of(static_cast<AdmissionError>(i));
    EXPECT_NE(text, "unknown");
    EXPECT_TRUE(texts.insert(text).second) << text;
  }
}

TEST(DescriptionTexts, AreThereAndDiffer) {
  std::set<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(DescriptionError::kImpossible); ++i) {
    const auto text = text_of(static_cast<DescriptionError>(i));
    EXPECT_NE(text, "unknown");
    EXPECT_TRUE(texts.insert(text).second) << text;
  }
}

TEST(Positions, GrowWithCapacityWithinBounds) {
  constexpr std::uint64_t kGiga = 1ULL << 30;
  EXPECT_EQ(position_count_for(kGiga, kGiga), kPositionsUsual);
  EXPECT_EQ(position_count_for(2 * kGiga, kGiga), 2 * kPositionsUsual);
  EXPECT_EQ(position_count_for(1000 * kGiga, kGiga), kPositionsMax);
  EXPECT_EQ(position_count_for(0, kGiga), 1U);
  EXPECT_EQ(position_count_for(~0ULL, 0), kPositionsMax);
}

}  // namespace
}  // namespace rosebud::membership
