#include "routing/datagram.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace rosebud::routing {
namespace {

constexpr std::uint32_t kKindBits = 8;
constexpr std::uint32_t kPeriodBits = 32;  // 400 years of three seconds
constexpr std::uint32_t kRegionBits = 5;
static_assert(kRegions == 1U << kRegionBits);
constexpr std::uint32_t kDigestBits = 24;
constexpr std::uint32_t kWidthBits = 5;

/// What decoding needs to know besides the bytes.
struct In : BitReader {
  In(ByteView bytes, std::uint32_t count) : BitReader(bytes), peer_count(count) {}
  std::uint32_t peer_count;

  std::uint32_t below(std::uint32_t bound) {
    const std::uint32_t value = number();
    if (value >= bound) fail();
    return ok() ? value : 0;
  }
  PeerIndex peer() { return PeerIndex(below(peer_count)); }
  PeerState state() { return PeerState{below(kRankMax)}; }
  Token token() { return Token(static_cast<std::uint16_t>(bits(16))); }
  Period period() { return Period(bits(kPeriodBits)); }
  BatchId batch_id() { return {bits(kBatchIdBits)}; }
  std::uint32_t buckets() const { return bucket_count(peer_count); }
};

struct Out : BitWriter {
  using BitWriter::BitWriter;
  void peer(PeerIndex value) { number(value.value); }
  void state(PeerState value) { number(value.rank); }
  void token(Token value) { bits(value.value, 16); }
  void period(Period value) { bits(static_cast<std::uint32_t>(value.value), kPeriodBits); }
  void batch_id(BatchId id) { bits(id.value, kBatchIdBits); }
};

void put(Out& out, const Change& one) {
  out.peer(one.peer);
  out.state(one.state);
}
void get(In& in, Change& one) {
  one.peer = in.peer();
  one.state = in.state();
}

void put(Out& out, const Told& one) {
  put(out, one.change);
  out.flag(one.moved.has_value());
  if (one.moved) encode(*one.moved, out);
}
void get(In& in, Told& one) {
  get(in, one.change);
  if (in.flag()) one.moved = decode_address(in);
}

void put(Out& out, const std::vector<Told>& list) {
  CHECK(list.size() <= kToldMax);
  out.number(static_cast<std::uint32_t>(list.size()));
  for (const Told& one : list) put(out, one);
}
void get(In& in, std::vector<Told>& list) {
  const std::uint32_t count = in.below(kToldMax + 1);
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) get(in, list.emplace_back());
}

void put(Out& out, const std::vector<std::uint16_t>& digests) {
  CHECK(digests.size() <= kBucketsMax);
  out.number(static_cast<std::uint32_t>(digests.size()));
  for (const std::uint16_t one : digests) out.bits(one, 16);
}
void get(In& in, std::vector<std::uint16_t>& digests) {
  const std::uint32_t count = in.below(kBucketsMax + 1);
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    digests.push_back(static_cast<std::uint16_t>(in.bits(16)));
  }
}

void put(Out& out, const KeepAlive& m) {
  out.bits(m.low_bits, kLowBits);
  out.flag(m.compared.has_value());
  if (m.compared) {
    out.bits(m.compared->region, kRegionBits);
    out.bits(m.compared->digest, kDigestBits);
  }
  out.bits(m.batches.count, 2);
  for (const BatchId id : m.batches.list()) out.batch_id(id);
  out.flag(!m.events.events.empty());
  if (m.events.events.empty()) return;
  out.token(m.token);
  out.align();
  encode(m.events, out);
}
void get(In& in, KeepAlive& m) {
  m.low_bits = in.bits(kLowBits);
  if (in.flag()) {
    m.compared.emplace();
    m.compared->region = in.bits(kRegionBits);
    if (m.compared->region >= region_count(in.buckets())) return in.fail();
    m.compared->digest = in.bits(kDigestBits);
  }
  const std::uint32_t count = in.bits(2);
  if (count > kBatchesTold) return in.fail();
  for (std::uint32_t i = 0; i < count; ++i) m.batches.add(in.batch_id());
  if (!in.flag()) return;
  m.token = in.token();
  in.align();
  m.events = decode_events(in, in.peer_count);
  if (m.events.events.empty()) in.fail();
}

void put(Out& out, const Tell& m) { put(out, m.changes); }
void get(In& in, Tell& m) { get(in, m.changes); }
void put(Out& out, const Ping& m) { out.token(m.token); }
void get(In& in, Ping& m) { m.token = in.token(); }
void put(Out& out, const Pong& m) {
  out.token(m.token);
  out.bits(m.low_bits, kLowBits);
}
void get(In& in, Pong& m) {
  m.token = in.token();
  m.low_bits = in.bits(kLowBits);
}
void put(Out& out, const Suspect& m) {
  put(out, m.accused);
  out.period(m.period);
}
void get(In& in, Suspect& m) {
  get(in, m.accused);
  m.period = in.period();
  if (!m.accused.state.is_alive()) in.fail();
}
void put(Out& out, const Verdict& m) { put(out, m.seen); }
void get(In& in, Verdict& m) { get(in, m.seen); }

void put(Out& out, const Announce& m) {
  out.token(m.token);
  out.period(m.period);
  out.bits(m.attempt, 4);
  put(out, m.event);
}
void get(In& in, Announce& m) {
  m.token = in.token();
  m.period = in.period();
  m.attempt = in.bits(4);
  get(in, m.event);
}
void put(Out& out, const Announced& m) {
  out.token(m.token);
  out.flag(m.is_spread);
}
void get(In& in, Announced& m) {
  m.token = in.token();
  m.is_spread = in.flag();
}

void put(Out& out, const Batch& m) {
  out.batch_id(m.id);
  out.number(m.range.first);
  out.number(m.range.size());
  out.align();
  encode(m.events, out);
}
void get(In& in, Batch& m) {
  m.id = in.batch_id();
  m.range.first = in.below(in.peer_count);
  m.range.end = m.range.first + in.below(in.peer_count - m.range.first + 1);
  in.align();
  m.coded = in.rest();
  m.events = decode_events(in, in.peer_count);
  if (m.events.events.empty()) in.fail();
}
void put(Out& out, const BatchTaken& m) { out.batch_id(m.id); }
void get(In& in, BatchTaken& m) { m.id = in.batch_id(); }
void put(Out& out, const Pull& m) { out.batch_id(m.id); }
void get(In& in, Pull& m) { m.id = in.batch_id(); }

void put(Out& out, const Relay& m) {
  out.token(m.token);
  out.bits(static_cast<std::uint32_t>(m.stage), 2);
  out.align();
  encode(m.events, out);
}
void get(In& in, Relay& m) {
  m.token = in.token();
  const std::uint32_t stage = in.bits(2);
  if (stage > static_cast<std::uint32_t>(Stage::kUnit)) in.fail();
  m.stage = static_cast<Stage>(in.ok() ? stage : 0);
  in.align();
  m.events = decode_events(in, in.peer_count);
  if (m.events.events.empty()) in.fail();
}
void put(Out& out, const RelayTaken& m) { out.token(m.token); }
void get(In& in, RelayTaken& m) { m.token = in.token(); }

void put(Out& out, const Digests& m) {
  out.number(m.first);
  put(out, m.digests);
}
void get(In& in, Digests& m) {
  m.first = in.below(in.buckets());
  get(in, m.digests);
  if (m.digests.size() > in.buckets() - m.first) in.fail();
}
void put(Out& out, const Fetch& m) {
  out.token(m.token);
  out.number(m.first);
  out.number(m.count);
  put(out, m.digests);
}
void get(In& in, Fetch& m) {
  m.token = in.token();
  m.first = in.below(in.buckets());
  m.count = in.below(kBucketsMax + 1);
  if (m.count == 0 || m.count > in.buckets() - m.first) in.fail();
  get(in, m.digests);
  if (!m.digests.empty() && m.digests.size() != m.count) in.fail();
}

/// As many bits as the greatest of them needs.
std::uint32_t width_of(const std::vector<PeerState>& states) {
  std::uint32_t all = 1;
  for (const PeerState one : states) all |= one.rank;
  return static_cast<std::uint32_t>(std::bit_width(all));
}

void put(Out& out, const States& m) {
  out.token(m.token);
  out.bits(static_cast<std::uint32_t>(m.purpose), 2);
  out.number(m.next);
  CHECK(m.buckets.size() <= kBucketsMax);
  out.number(static_cast<std::uint32_t>(m.buckets.size()));
  std::uint32_t next = 0;
  for (const std::uint32_t bucket : m.buckets) {
    out.number(bucket - next);
    next = bucket + 1;
  }
  const std::uint32_t width = width_of(m.states);
  out.bits(width, kWidthBits);
  for (const PeerState one : m.states) out.bits(one.rank, width);
  out.number(static_cast<std::uint32_t>(m.moved.size()));
  next = 0;
  for (const Moved& one : m.moved) {
    out.number(one.peer.value - next);
    next = one.peer.value + 1;
    encode(one.address, out);
  }
}
void get(In& in, States& m) {
  m.token = in.token();
  const std::uint32_t purpose = in.bits(2);
  if (purpose > static_cast<std::uint32_t>(States::Purpose::kReturned)) in.fail();
  m.purpose = static_cast<States::Purpose>(in.ok() ? purpose : 0);
  m.next = in.below(in.buckets() + 1);
  const std::uint32_t count = in.below(kBucketsMax + 1);
  std::uint32_t next = 0;
  std::uint32_t states = 0;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    if (next >= in.buckets()) return in.fail();
    const std::uint32_t bucket = next + in.below(in.buckets() - next);
    m.buckets.push_back(bucket);
    states += peers_of_bucket(bucket, in.peer_count).size();
    next = bucket + 1;
  }
  const std::uint32_t width = in.bits(kWidthBits);
  for (std::uint32_t i = 0; i < states && in.ok(); ++i) {
    const PeerState one{in.bits(width)};
    if (one.rank >= kRankMax) in.fail();
    m.states.push_back(one);
  }
  const std::uint32_t moved = in.below(states + 1);
  next = 0;
  auto bucket = m.buckets.begin();
  for (std::uint32_t i = 0; i < moved && in.ok(); ++i) {
    if (next >= in.peer_count) return in.fail();
    const PeerIndex peer(next + in.below(in.peer_count - next));
    while (bucket != m.buckets.end() && *bucket < bucket_of(peer)) ++bucket;
    if (bucket == m.buckets.end() || *bucket != bucket_of(peer)) return in.fail();
    m.moved.push_back({peer, decode_address(in)});
    next = peer.value + 1;
  }
  if (in.ok() && width != width_of(m.states)) in.fail();
}

void put(Out& out, const Lookup& m) {
  out.token(m.token);
  out.u64(m.key);
  CHECK(m.without.size() <= kSilentMax);
  out.bits(static_cast<std::uint32_t>(m.without.size()), 3);
  for (const PeerIndex one : m.without) out.peer(one);
}
void get(In& in, Lookup& m) {
  m.token = in.token();
  m.key = in.u64();
  const std::uint32_t count = in.bits(3);
  if (count > kSilentMax) return in.fail();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) m.without.push_back(in.peer());
}
void put(Out& out, const Found& m) { out.token(m.token); }
void get(In& in, Found& m) { m.token = in.token(); }
void put(Out& out, const Redirect& m) {
  out.token(m.token);
  put(out, m.changes);
}
void get(In& in, Redirect& m) {
  m.token = in.token();
  get(in, m.changes);
  if (m.changes.empty()) in.fail();
}

/// Decodes into the alternative that `kind` names.
template <std::size_t... Kinds>
bool get_kind(In& in, std::uint32_t kind, Datagram& out, std::index_sequence<Kinds...>) {
  return ((kind == Kinds && (get(in, out.emplace<Kinds>()), true)) || ...);
}

/// The number of a kind of datagram on the wire: its place in the variant.
template <typename Message, std::size_t Kind = 0>
consteval std::uint32_t kind_of() {
  if constexpr (std::is_same_v<std::variant_alternative_t<Kind, Datagram>, Message>) {
    return Kind;
  } else {
    return kind_of<Message, Kind + 1>();
  }
}

}  // namespace

void encode(const Datagram& datagram, Bytes& out) {
  const std::size_t begin = out.size();
  Out writer(out);
  writer.bits(static_cast<std::uint32_t>(datagram.index()), kKindBits);
  std::visit([&](const auto& message) { put(writer, message); }, datagram);
  writer.align();
  CHECK(out.size() - begin <= kPayloadMax);
}

void encode_batch(BatchId id, IndexRange range, ByteView coded, Bytes& out) {
  const std::size_t begin = out.size();
  Out writer(out);
  writer.bits(kind_of<Batch>(), kKindBits);
  writer.batch_id(id);
  writer.number(range.first);
  writer.number(range.size());
  writer.align();
  out.insert(out.end(), coded.begin(), coded.end());
  CHECK(out.size() - begin <= kPayloadMax);
}

std::optional<Datagram> decode(ByteView bytes, std::uint32_t peer_count) {
  if (bytes.size() > kPayloadMax || peer_count == 0) return std::nullopt;
  In in(bytes, peer_count);
  std::optional<Datagram> out(std::in_place);
  const std::uint32_t kind = in.bits(kKindBits);
  const bool is_known =
      get_kind(in, kind, *out, std::make_index_sequence<std::variant_size_v<Datagram>>());
  if (!is_known || !in.done()) return std::nullopt;
  return out;
}

Traffic traffic_of(ByteView encoded) {
  const std::uint32_t kind = encoded.empty() ? 0 : encoded[0];
  if (kind >= kind_of<Lookup>()) return Traffic::kLookup;
  if (kind == kind_of<Fetch>()) return Traffic::kJoin;
  if (kind == kind_of<States>()) {
    BitReader in(encoded.subspan(3));  // kind and token
    const bool is_fetched = in.bits(2) == static_cast<std::uint32_t>(States::Purpose::kFetched);
    return is_fetched ? Traffic::kJoin : Traffic::kMaintenance;
  }
  return Traffic::kMaintenance;
}

}  // namespace rosebud::routing
