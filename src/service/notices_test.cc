// Notices between nodes: every kind survives the way, and nothing else is one.
#include "service/notices.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace rosebud::service {
namespace {

Buffer bytes_of(std::string_view text) { return Buffer::copy_of(as_bytes(text)); }

std::vector<Notice> one_of_each() {
  return {Order{bytes_of("order")},
          Ask{bytes_of("ask")},
          Reply{bytes_of("reply")},
          Probe{7},
          Probed{8},
          GetAnnouncement{},
          Announced{{.statement = bytes_of("statement"), .signature = {}}},
          GetState{crypto::sha256(as_bytes("state"))},
          StateFound{bytes_of("state")},
          Signed{{.seat = 3, .signature = {}}},
          LeaseShare{.until = Timestamp(77), .signature = {.seat = 2, .signature = {}}},
          Leased{bytes_of("lease")}};
}

TEST(Notices, EveryKindSurvivesTheWay) {
  for (const Notice& notice : one_of_each()) {
    const Buffer bytes = encode(notice);
    const auto decoded = decode_notice(bytes);
    ASSERT_TRUE(decoded) << name_of(notice);
    EXPECT_EQ(decoded->index(), notice.index());
    EXPECT_EQ(encode(*decoded), bytes);
  }
}

TEST(Notices, WhatIsCutLongerOrOfAnotherKindIsNone) {
  EXPECT_FALSE(decode_notice({}));
  EXPECT_FALSE(decode_notice(Buffer(Bytes{0})));
  EXPECT_FALSE(decode_notice(Buffer(Bytes{13})));
  EXPECT_FALSE(decode_notice(Buffer(Bytes(kNoticeSizeMax + 1, 1))));
  for (const Notice& notice : {one_of_each()[3], one_of_each()[5], one_of_each()[6],
                               one_of_each()[7], one_of_each()[9], one_of_each()[10]}) {
    const Buffer encoded = encode(notice);
    const Bytes whole = to_bytes(encoded);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      EXPECT_FALSE(decode_notice(
          Buffer(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)))))
          << name_of(notice) << " cut to " << size;
    }
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(decode_notice(Buffer(std::move(longer)))) << name_of(notice);
  }
}

TEST(Notices, GarbageIsRefusedOrDecoded_NeverMore) {
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(random.below(200));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(random.below(12));
    const Buffer buffer(std::move(bytes));
    const auto decoded = decode_notice(buffer);
    if (!decoded) continue;
    EXPECT_EQ(encode(*decoded), buffer);
  }
}

}  // namespace
}  // namespace rosebud::service
