#include "wire/codec.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace rosebud::wire {
namespace {

crypto::Digest digest_of(int i) {
  return crypto::sha256(Writer().u32(static_cast<std::uint32_t>(i)).bytes());
}

Hold some_hold() {
  Hold hold{.size = 5, .index = 1, .path = {digest_of(1)}};
  hold.statement = {.statement = Buffer(HoldStatement{.serial = 1, .count = 2}.encode())};
  hold.admission = {.statement = Buffer(Bytes{1, 2, 3})};
  return hold;
}

/// Two halves of the key space.
CompareRanges two_ranges() {
  KeyRange low = whole_key_range();
  KeyRange high = low;
  low.last.bytes[0] = 0x7f;
  high.first.bytes[0] = 0x80;
  return {{{low, digest_of(4)}, {high, digest_of(5)}}};
}

std::vector<Message> one_of_each() {
  const MessageContext context{.configuration = {Generation(1), Epoch(2)}, .nonce = Nonce(3)};
  const ObjectId block = ObjectId::block(digest_of(2));
  const ObjectId record = ObjectId::record(digest_of(3));
  const SignedRecord signed_record{
      .statement = {.statement = Buffer(RecordStatement{.version = Version{1}}.encode())},
      .value = Buffer::copy_of(as_bytes("value"))};
  const KeyRange range = whole_key_range();
  StoredObject stored{
      .id = block, .holds = {some_hold()}, .content = Buffer::copy_of(as_bytes("bytes"))};
  std::vector<Message> out;
  for (RequestBody body : std::initializer_list<RequestBody>{
           PutBlock{block, some_hold(), Buffer::copy_of(as_bytes("block"))},
           OfferBlock{block, some_hold()}, GetBlock{block},
           PutRecord{record, signed_record, some_hold()}, GetRecord{record},
           CompareRange{range, digest_of(4)}, two_ranges(), FetchObject{record},
           AuditBlock{block, digest_of(6)}, GetDescriptions{{Generation(0), Epoch(9)}},
           GetCompleteness{range}, Notice{Buffer::copy_of(as_bytes("notice"))},
           HandIn{{1, 2, 3}}}) {
    out.push_back(Request{context, body});
  }
  for (AnswerBody body : std::initializer_list<AnswerBody>{
           Refused{RefusalReason::kWrongEpoch, 250, {Buffer::copy_of(as_bytes("description"))}},
           Stored{}, Missing{}, BlockFound{Buffer::copy_of(as_bytes("block"))}, BlockFound{},
           Absent{}, RecordHeld{signed_record, some_hold()}, RangeEqual{{true, Epoch(3)}},
           RangeSplit{{true, Epoch(0)}, {{range, digest_of(1), 7}, {range, digest_of(2), 8}}},
           RangeEntries{{false, Epoch(0)}, {{block, digest_of(5), true}}}, RangeEntries{},
           RangesCompared{{{{true, Epoch(3), Epoch(2)}, true}, {{true, Epoch(1)}, false}}},
           ObjectFound{stored, Epoch(7)}, ObjectAbsent{Epoch(7)}, BlockProof{digest_of(7)},
           Descriptions{{Buffer::copy_of(as_bytes("one"))}, {}},
           Descriptions{{}, Buffer::copy_of(as_bytes("lease"))}, Completeness{}, HandedIn{2}}) {
    out.push_back(Answer{context, body});
  }
  return out;
}

TEST(Codec, EveryMessageSurvivesTheWay) {
  for (const Message& message : one_of_each()) {
    const EncodedMessage first = encode(message);
    const auto decoded = decode(first.header, first.bulk);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->index(), message.index());
    const EncodedMessage second = encode(*decoded);
    EXPECT_EQ(first.header, second.header);
    EXPECT_EQ(first.bulk, second.bulk);
  }
}

TEST(Codec, DamagedHeaders_NeverCrash) {
  Random random(5);
  for (const Message& message : one_of_each()) {
    const EncodedMessage encoded = encode(message);
    for (int i = 0; i < 500; ++i) {
      Bytes header = encoded.header;
      const auto changes = 1 + random.below(4);
      for (std::uint64_t c = 0; c < changes && !header.empty(); ++c) {
        header[random.below(header.size())] = static_cast<std::uint8_t>(random.next());
      }
      if (random.chance(1, 4)) header.resize(random.below(header.size() + 1));
      (void)decode(header, encoded.bulk);
    }
  }
}

TEST(Codec, RecordIdInAnAudit_IsRefused) {
  const EncodedMessage encoded =
      encode(Request{.body = AuditBlock{ObjectId::record(digest_of(1)), digest_of(2)}});
  EXPECT_EQ(decode(encoded.header, {}).error(), DecodeError::kOutOfRange);
}

TEST(Codec, RecordIdInABlockRequest_IsRefused) {
  const EncodedMessage encoded = encode(Request{.body = GetBlock{ObjectId::record(digest_of(1))}});
  EXPECT_EQ(decode(encoded.header, {}).error(), DecodeError::kOutOfRange);
}

TEST(Codec, BulkWhereNoneBelongs_IsRefused) {
  const EncodedMessage encoded = encode(Answer{.body = Absent{}});
  EXPECT_EQ(decode(encoded.header, Buffer::copy_of(as_bytes("x"))).error(),
            DecodeError::kBulkMismatch);
}

TEST(Codec, MoreEntriesThanTheLimit_IsRefused) {
  RangeEntries many;
  many.entries.resize(kRangeEntriesMax + 1, {.id = ObjectId::block(digest_of(1))});
  const EncodedMessage encoded = encode(Answer{.body = many});
  EXPECT_EQ(decode(encoded.header, {}).error(), DecodeError::kOutOfRange);
}

TEST(Codec, ManyRanges_AreAscendingWithoutOverlapsAndNotTooMany) {
  const auto error_of = [](const RequestBody& body) {
    const auto decoded = decode(encode(Request{.body = body}).header, {});
    return decoded ? std::nullopt : std::optional(decoded.error());
  };
  const CompareRanges good = two_ranges();
  EXPECT_FALSE(error_of(good));
  EXPECT_EQ(error_of(CompareRanges{}), DecodeError::kOutOfRange);
  EXPECT_EQ(error_of(CompareRanges{{good.ranges[1], good.ranges[0]}}), DecodeError::kOutOfRange);
  EXPECT_EQ(error_of(CompareRanges{{good.ranges[0], good.ranges[0]}}), DecodeError::kOutOfRange);
  CompareRanges many;
  for (std::size_t i = 0; i <= kComparedRangesMax; ++i) {
    KeyRange one = whole_key_range();
    one.first.bytes[0] = one.last.bytes[0] = static_cast<std::uint8_t>(i);
    many.ranges.push_back({one, digest_of(1)});
  }
  EXPECT_EQ(error_of(many), DecodeError::kOutOfRange);
  many.ranges.pop_back();
  EXPECT_FALSE(error_of(many));
  EXPECT_LE(encode(Request{.body = many}).header.size(), 16U << 10) << "of a request";

  RangesCompared answer;
  answer.ranges.resize(kComparedRangesMax + 1);
  EXPECT_FALSE(decode(encode(Answer{.body = answer}).header, {}));
}

// What would take a hundred bytes of memory for every two on the wire is not parsed at all.
TEST(Codec, ListsBeyondEveryLimit_AreRefusedBeforeTheyAreParsed) {
  constexpr std::uint8_t kTwoBytes[] = {(5 << 3) | 2, 0};   // an empty entry of a range answer
  constexpr std::uint8_t kRangeAnswerTag[] = {0xb2, 0x04};  // field 70, with a length
  for (const std::size_t entries : {std::size_t{200}, std::size_t{100'000}}) {
    Bytes header(std::begin(kRangeAnswerTag), std::end(kRangeAnswerTag));
    for (std::size_t size = 2 * entries; true; size >>= 7) {
      header.push_back(static_cast<std::uint8_t>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
      if (size <= 0x7f) break;
    }
    for (std::size_t i = 0; i < entries; ++i)
      header.insert(header.end(), std::begin(kTwoBytes), std::end(kTwoBytes));
    // Another body takes the place of the first, so nothing of it would be seen after parsing.
    header.insert(header.end(), {0x8a, 0x04, 0});  // field 65: stored
    const auto decoded = decode(header, {});
    EXPECT_EQ(decoded.has_value(), entries < kRangeEntriesMax);
    if (!decoded) {
      EXPECT_EQ(decoded.error(), DecodeError::kOutOfRange);
    }
  }
}

TEST(Codec, BlockOverTheLimit_IsRefused) {
  const EncodedMessage encoded =
      encode(Answer{.body = BlockFound{Buffer(Bytes(kBlockSizeMax + 1))}});
  EXPECT_EQ(decode(encoded.header, encoded.bulk).error(), DecodeError::kOutOfRange);
}

}  // namespace
}  // namespace rosebud::wire
