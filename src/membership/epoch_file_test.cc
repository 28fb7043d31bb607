#include "membership/epoch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/parallel.h"
#include "base/random.h"
#include "membership/placing.h"
#include "membership/test_chain.h"

namespace rosebud::membership {
namespace {

using enum EpochFileError;

/// Epochs 1 to 7, with bodies up to 5.
class EpochFileTest : public testing::Test {
 protected:
  static constexpr std::size_t kEpochs = 7;

  EpochFileTest() {
    genesis = chain.cluster.sign();
    for (std::size_t epoch = 2; epoch <= kEpochs; ++epoch) {
      const SignedDescription made = chain.next();
      bodies.push_back(made.body);
      epochs.push_back(with_body(made));
      if (epoch > 5) epochs.back().body.reset();
    }
    file = written(epochs);
  }

  Bytes written(const std::vector<FileEpoch>& given) const {
    EpochFileWriter writer;
    Bytes out = writer.start(genesis);
    const auto add = [&](const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
    for (const FileEpoch& epoch : given) add(writer.entry(epoch));
    add(writer.end());
    return out;
  }

  std::vector<FileEpoch> with_all_bodies() const {
    auto out = epochs;
    for (std::size_t i = 0; i < out.size(); ++i) out[i].body = bodies[i];
    return out;
  }

  Result<EpochsVerified, EpochFileProblem> verify(
      ByteView bytes, std::size_t piece_bytes = 1U << 20,
      const std::function<Onward(const VerifiedEpoch&)>& on_epoch = [](const VerifiedEpoch&) {
        return Onward::kGoOn;
      }) const {
    EpochFileReader reader(reading(bytes, piece_bytes));
    return verify_epochs(reader, cluster(), chain.cluster.scheme, for_each, on_epoch);
  }
  crypto::ClusterId cluster() const { return genesis.cluster(); }

  void expect_refused(const std::string& what, ByteView bytes, EpochFileError error,
                      std::uint64_t epoch,
                      std::optional<DescriptionError> description = std::nullopt) const {
    SCOPED_TRACE(what);
    std::uint64_t told_count = 0;
    const auto result = verify(bytes, 1U << 20, [&](const VerifiedEpoch& one) {
      EXPECT_EQ(one.header.number.epoch, wire::Epoch(++told_count));
      return Onward::kGoOn;
    });
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().error, error) << result.error().explained.text();
    EXPECT_EQ(result.error().epoch, wire::Epoch(epoch));
    if (description) {
      EXPECT_EQ(text_of(result.error().description), text_of(*description));
    }
    EXPECT_FALSE(result.error().explained.what.empty());
    // What comes before the problem is verified, and nothing after it is shown.
    EXPECT_EQ(told_count, epoch - 1);
  }

  TestChain chain;
  SignedGenesis genesis;
  std::vector<FileEpoch> epochs;  // epochs[i] is epoch i + 2
  std::vector<Bytes> bodies;
  Bytes file;
  ForEach for_each = for_each_in_order;
};

TEST_F(EpochFileTest, WholeFile_IsVerifiedFromTheClusterIdAlone) {
  std::vector<VerifiedEpoch> seen;
  const auto result = verify(file, 1U << 20, [&](const VerifiedEpoch& one) {
    seen.push_back(one);
    return Onward::kGoOn;
  });
  ASSERT_TRUE(result.has_value()) << result.error().explained.text();
  EXPECT_TRUE(result->is_whole);
  EXPECT_EQ(result->epochs_count, kEpochs);
  EXPECT_EQ(result->bodies_count, 4U);
  EXPECT_EQ(result->start, Timestamp(1000));
  EXPECT_EQ(result->last.hash, chain.tip()->header_hash());
  EXPECT_EQ(result->last.configuration, nullptr);
  ASSERT_EQ(seen.size(), kEpochs);
  for (std::size_t i = 0; i < kEpochs; ++i) {
    EXPECT_EQ(seen[i].header.number.epoch, wire::Epoch(i + 1));
    EXPECT_EQ(seen[i].header.seats.size(), 4U);
    EXPECT_EQ(seen[i].configuration != nullptr, i == 0 || epochs[i - 1].body.has_value());
    if (seen[i].configuration) {
      EXPECT_EQ(seen[i].configuration->header_hash(), seen[i].hash);
    }
    if (i > 0) {
      EXPECT_EQ(seen[i].header.previous, seen[i - 1].hash);
    }
  }
  EXPECT_TRUE(equal(seen[0].hash.view(), cluster().view()));
}

TEST_F(EpochFileTest, AllBodies_MakeTheConfigurationsThatTheyMade) {
  const auto result = verify(written(with_all_bodies()));
  ASSERT_TRUE(result.has_value()) << result.error().explained.text();
  EXPECT_EQ(result->bodies_count, kEpochs - 1);
  EXPECT_EQ(result->last.configuration->signed_description(), chain.tip()->signed_description());
}

// It says what changes, and nobody knows what it changes.
TEST_F(EpochFileTest, ABodyAfterOneThatWasLeftOut_IsRefused) {
  auto given = with_all_bodies();
  given[1].body.reset();
  expect_refused("after epoch 3", written(given), kRefused, 4, DescriptionError::kNoPredecessor);
  given[2].body.reset();
  expect_refused("after epoch 4", written(given), kRefused, 5, DescriptionError::kNoPredecessor);
}

TEST_F(EpochFileTest, SizeOfThePieces_MakesNoDifference) {
  for (const std::size_t piece : {1U, 7U, 4096U}) {
    const auto result = verify(file, piece);
    ASSERT_TRUE(result.has_value()) << result.error().explained.text();
    EXPECT_EQ(result->last.hash, chain.tip()->header_hash());
  }
}

TEST_F(EpochFileTest, GenesisAlone_IsAChainOfOne) {
  const auto result = verify(written({}));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->epochs_count, 1U);
  EXPECT_TRUE(equal(result->last.hash.view(), cluster().view()));
}

TEST_F(EpochFileTest, CallerStops_NothingAfterIsShown) {
  const auto result = verify(file, 1U << 20, [](const VerifiedEpoch& one) {
    return one.header.number.epoch == wire::Epoch(4) ? Onward::kStop : Onward::kGoOn;
  });
  ASSERT_TRUE(result.has_value());
  EXPECT_FALSE(result->is_whole);
  EXPECT_EQ(result->last.header.number.epoch, wire::Epoch(4));
  EXPECT_EQ(result->last.hash, DescriptionHeader::hash_of(epochs[2].header.header));
}

TEST_F(EpochFileTest, MoreThanABatch_WithAndWithoutBodies) {
  std::vector<FileEpoch> given = with_all_bodies();
  while (given.size() < 2 * kEpochBatch + 10) {
    given.push_back(with_body(chain.next()));
    if (given.size() > kEpochBatch + 100) given.back().body.reset();
  }
  for_each = for_each_in_parallel;
  const auto result = verify(written(given));
  ASSERT_TRUE(result.has_value()) << result.error().explained.text();
  EXPECT_EQ(result->epochs_count, given.size() + 1);
  given[kEpochBatch + 3].header.signatures.clear();
  expect_refused("in the second batch", written(given), kRefused, kEpochBatch + 5,
                 DescriptionError::kTooFewSignatures);
}

TEST_F(EpochFileTest, WithoutAClusterId_TheGenesisIsBelieved) {
  EpochFileReader reader(reading(file));
  const auto result = verify_epochs(reader, std::nullopt, chain.cluster.scheme, for_each_in_order,
                                    [](const VerifiedEpoch&) { return Onward::kGoOn; });
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->last.header.cluster, cluster());
}

TEST_F(EpochFileTest, EveryTruncation_IsRefused) {
  for (std::size_t size = 0; size < file.size(); ++size) {
    EpochFileReader reader(reading(ByteView(file).first(size)));
    std::optional<EpochFileError> error;
    if (const auto first = reader.genesis(); !first) error = first.error().error;
    while (!error) {
      const auto next = reader.next();
      ASSERT_TRUE(!next || next->has_value()) << "it ends well after " << size << " bytes";
      if (!next) error = next.error().error;
    }
    EXPECT_EQ(*error, size < 17 ? kOtherFile : kTruncated) << size;
  }
  // What came whole is verified and shown all the same.
  const std::size_t all_but_last = written({epochs.begin(), epochs.end() - 1}).size() - 9;
  expect_refused("before the last epoch", ByteView(file).first(all_but_last), kTruncated, kEpochs);
  expect_refused("in the last epoch", ByteView(file).first(all_but_last + 100), kTruncated,
                 kEpochs);
  expect_refused("before the end mark", ByteView(file).first(file.size() - 9), kTruncated,
                 kEpochs + 1);
}

TEST_F(EpochFileTest, OtherFilesAndVersions) {
  Bytes changed = file;
  changed[0] ^= 1;
  expect_refused("another file", changed, kOtherFile, 1);
  changed = file;
  for (const char version : {'1', '3'}) {
    changed[15] = static_cast<std::uint8_t>(version);
    expect_refused("another version", changed, kOtherVersion, 1);
  }
  changed = file;
  changed.push_back(0);
  expect_refused("a byte more", changed, kTrailing, kEpochs + 1);
  changed = file;
  changed.insert(changed.end(), file.begin(), file.end());
  expect_refused("twice", changed, kTrailing, kEpochs + 1);
}

TEST_F(EpochFileTest, LengthsThatLie_CostNothing) {
  const std::size_t first = EpochFileWriter().start(genesis).size();
  Bytes changed = file;
  changed[17] = 0xff;  // of the genesis
  expect_refused("genesis", changed, kTooLong, 1);
  changed = file;
  changed[first + 1] = 0xff;  // of epoch 2
  expect_refused("description", changed, kTooLong, 2);
  changed = file;
  changed[first] = 1;
  changed[first + 1] = 0xff;
  expect_refused("header", changed, kTooLong, 2);
  changed = file;
  changed[first] = 3;
  expect_refused("kind", changed, kUnknownEntry, 2);
  changed = file;
  changed[first] = 1;  // a description as a header
  expect_refused("a description for a header", changed, kMalformed, 2);
  changed = file;
  changed[first + 4] ^= 1;  // the length
  EXPECT_FALSE(verify(changed).has_value());
}

TEST_F(EpochFileTest, GenesisOfOthers) {
  TestCluster other;
  other.genesis.start = Timestamp(1001);
  const SignedGenesis ours = genesis;
  genesis = other.sign();
  EpochFileReader reader(reading(file));
  const auto result = verify_epochs(reader, cluster(), chain.cluster.scheme, for_each_in_order,
                                    [](const VerifiedEpoch&) { return Onward::kGoOn; });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().error, kGenesis);
  const Bytes foreign = written(epochs);
  expect_refused("their genesis, our epochs", foreign, kRefused, 2,
                 DescriptionError::kOtherCluster);
  genesis = ours;
  expect_refused("the same with our cluster id", foreign, kGenesis, 1);
  genesis.signatures[1].bytes[3] ^= 1;
  expect_refused("not signed by all", written(epochs), kGenesis, 1);
  genesis.signatures.pop_back();
  expect_refused("not signed by one", written(epochs), kGenesis, 1);
}

TEST_F(EpochFileTest, EpochsLeftOutRepeatedOrExchanged) {
  using enum DescriptionError;
  auto given = epochs;
  given.erase(given.begin() + 1);
  expect_refused("left out", written(given), kRefused, 3, kGap);
  given = epochs;
  given.insert(given.begin() + 1, given[1]);
  expect_refused("repeated", written(given), kRefused, 4, kNotNewer);
  given = epochs;
  std::swap(given[1], given[2]);
  expect_refused("exchanged", written(given), kRefused, 3, kGap);
  // The end is cut off and the end mark put back: the count gives it away.
  EpochFileWriter writer;
  for (const FileEpoch& epoch : epochs) (void)writer.entry(epoch);
  const Bytes end = writer.end();
  given = epochs;
  given.pop_back();
  Bytes changed = written(given);
  std::ranges::copy(end, changed.end() - static_cast<std::ptrdiff_t>(end.size()));
  expect_refused("the last left out", changed, kWrongCount, kEpochs);
}

TEST_F(EpochFileTest, BodiesOfOthers) {
  using enum DescriptionError;
  auto given = epochs;
  const auto first = *DescriptionBody::decode(bodies[0]);
  auto other = first;
  other.settings.hedge_ms += 1;
  given[2].body = other.encode();
  expect_refused("changed", written(given), kRefused, 4, kBodyMismatch);
  given[2].body = Bytes();
  expect_refused("empty", written(given), kRefused, 4, kBodyMismatch);
  given[2].body = Bytes(100, 7);
  expect_refused("garbage", written(given), kRefused, 4, kBodyMismatch);
}

/// The last epoch anew, signed as it has to be, with another body.
TEST_F(EpochFileTest, SignedBodiesThatBreakARule) {
  const SignedHeader last = epochs.back().header;
  auto header = *DescriptionHeader::decode(last.header);
  auto body = *DescriptionBody::decode(bodies.back());
  TestChain again;
  for (std::size_t i = 0; i + 1 < epochs.size(); ++i) (void)again.next();
  const auto signed_with = [&] {
    auto given = with_all_bodies();
    header.body = DescriptionBody::hash_of(body.encode());
    header.members_root =
        again.tip()->root_after({.settings = body.settings, .organisations = body.organisations},
                                *in_their_places(*again.tip(), body.nodes));
    given.back().body = body.encode();
    given.back().header.header = header.encode();
    for (std::size_t i = 0; i < 4; ++i) {
      given.back().header.signatures[i].signature = chain.cluster.scheme.sign(
          again.keys()[i].key, DescriptionHeader::kTag, given.back().header.header);
    }
    return written(given);
  };
  EXPECT_TRUE(verify(signed_with()).has_value());
  Node moved = again.tip()->nodes()[3];
  moved.admission_randomness.bytes[0] ^= 1;
  body.nodes.put(*again.tip(), moved);
  expect_refused("a node moves", signed_with(), kRefused, kEpochs, DescriptionError::kImpossible);
  body.nodes = {};
  body.settings.service_faults = 0;
  expect_refused("another F than the header", signed_with(), kRefused, kEpochs,
                 DescriptionError::kImpossible);
  body.settings.service_faults = 1;
  for (std::size_t i = 2; i < 8; ++i) body.nodes.removed.insert(again.tip()->nodes()[i].key);
  expect_refused("seats that are no nodes", signed_with(), kRefused, kEpochs,
                 DescriptionError::kImpossible);
}

TEST_F(EpochFileTest, OneByteChangedAnywhere_IsRefusedOrASignatureTooMany) {
  Random random(1);
  std::size_t borne_count = 0;
  for (std::size_t at = 0; at < file.size(); at += 1 + random.below(20)) {
    Bytes changed = file;
    changed[at] ^= static_cast<std::uint8_t>(1 + random.below(255));
    const auto result = verify(changed, 4096);
    if (!result) continue;
    // Nothing but the signature of one seat of four may be damaged without harm.
    ++borne_count;
    EXPECT_EQ(result->last.hash, chain.tip()->header_hash()) << at;
    EpochFileReader reader(reading(changed));
    ASSERT_TRUE(reader.genesis().has_value());
    for (const FileEpoch& epoch : epochs) {
      const auto next = reader.next();
      ASSERT_TRUE(next.has_value() && next->has_value());
      EXPECT_EQ((*next)->header.header, epoch.header.header);
      EXPECT_EQ((*next)->body, epoch.body);
    }
  }
  EXPECT_GT(borne_count, 0U);
}

TEST_F(EpochFileTest, ReaderThatFails_IsNoDamage) {
  EpochFileReader reader([](std::span<std::uint8_t>) -> Result<std::size_t, Explained> {
    return fail(Explained{.what = "the disk is gone"});
  });
  const auto result = reader.genesis();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().error, kUnreadable);
  EXPECT_EQ(result.error().explained.what, "the disk is gone");
}

TEST_F(EpochFileTest, WhatIsRead_IsWrittenAsItWas) {
  EpochFileReader reader(reading(file, 100));
  EpochFileWriter writer;
  auto genesis_read = reader.genesis();
  ASSERT_TRUE(genesis_read.has_value());
  Bytes again = writer.start(*genesis_read);
  const auto add = [&](const Bytes& bytes) {
    again.insert(again.end(), bytes.begin(), bytes.end());
  };
  while (true) {
    const auto next = reader.next();
    ASSERT_TRUE(next.has_value());
    if (!*next) break;
    add(writer.entry(**next));
  }
  add(writer.end());
  EXPECT_EQ(again, file);
  EXPECT_EQ(reader.offset(), file.size());
}

}  // namespace
}  // namespace rosebud::membership
