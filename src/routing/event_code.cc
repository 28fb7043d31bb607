#include "routing/event_code.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::routing {
namespace {

constexpr std::uint32_t kCountBits = 9;
constexpr std::uint32_t kParameterBits = 5;
static_assert(kEventsMax < 1U << kCountBits);

bool is_alive(const CodedEvent& event) { return (event.low_bits & 1) == 0; }

/// For gaps of which the mean is this; the same for whoever decoded them.
std::uint32_t parameter_of(std::uint32_t last_peer, std::size_t count) {
  const std::uint64_t mean = (std::uint64_t{last_peer} + 1 - count) / count;
  return static_cast<std::uint32_t>(std::bit_width(mean * 45 / 64));  // the mean times ln 2
}

}  // namespace

void encode(const Address& address, BitWriter& out) {
  out.flag(!address.is_v4());
  for (std::size_t i = address.is_v4() ? 12 : 0; i < 16; ++i) out.bits(address.ip[i], 8);
  out.bits(address.port, 16);
}

Address decode_address(BitReader& in) {
  Address out;
  const bool is_v6 = in.flag();
  if (!is_v6) out.ip[10] = out.ip[11] = 0xff;
  for (std::size_t i = is_v6 ? 0 : 12; i < 16; ++i) {
    out.ip[i] = static_cast<std::uint8_t>(in.bits(8));
  }
  out.port = static_cast<std::uint16_t>(in.bits(16));
  if (is_v6 && out.is_v4()) in.fail();  // it has a shorter encoding
  return out;
}

CodedEvents coded(std::span<const Change> changes, std::span<const Moved> moved) {
  CodedEvents out;
  out.events.reserve(changes.size());
  for (const Change& one : changes) {
    out.events.push_back({one.peer, one.state.rank & kLowMask});
  }
  out.moved.assign(moved.begin(), moved.end());
  return out;
}

void encode(const CodedEvents& events, BitWriter& out) {
  const auto& list = events.events;
  CHECK(list.size() <= kEventsMax);
  out.bits(static_cast<std::uint32_t>(list.size()), kCountBits);
  if (list.empty()) return out.align();
  const std::uint32_t parameter = parameter_of(list.back().peer.value, list.size());
  out.bits(parameter, kParameterBits);
  std::uint32_t next = 0;
  auto moved = events.moved.begin();
  for (const CodedEvent& one : list) {
    CHECK(one.peer.value >= next);
    out.rice(one.peer.value - next, parameter);
    next = one.peer.value + 1;
    out.bits(one.low_bits, kLowBits);
    if (!is_alive(one)) continue;
    const bool has_moved = moved != events.moved.end() && moved->peer == one.peer;
    out.flag(has_moved);
    if (has_moved) encode(moved++->address, out);
  }
  CHECK(moved == events.moved.end());
  out.align();
}

CodedEvents decode_events(BitReader& in, std::uint32_t peer_count) {
  CodedEvents out;
  const std::uint32_t count = in.bits(kCountBits);
  if (count > 0) {
    const std::uint32_t parameter = in.bits(kParameterBits);
    out.events.reserve(count);
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
      if (next >= peer_count) in.fail();
      const std::uint32_t gap = in.rice(parameter, peer_count - 1 - next);
      CodedEvent one{PeerIndex(next + gap), in.bits(kLowBits)};
      next = one.peer.value + 1;
      if (is_alive(one) && in.flag()) out.moved.push_back({one.peer, decode_address(in)});
      out.events.push_back(one);
    }
    if (in.ok() && parameter != parameter_of(out.events.back().peer.value, count)) in.fail();
  }
  in.align();
  if (!in.ok()) out = {};
  return out;
}

std::size_t fitting(std::span<const Change> changes, std::span<const Moved> moved,
                    std::size_t bytes_max) {
  const auto size_of = [&](std::size_t count) {
    const auto end = count == 0 ? PeerIndex(0) : changes[count - 1].peer.next();
    const auto moved_end = std::ranges::lower_bound(moved, end, {}, &Moved::peer);
    Bytes out;
    BitWriter writer(out);
    encode(coded(changes.first(count), {moved.begin(), moved_end}), writer);
    return out.size();
  };
  // The parameter changes with the count, so the size does not quite grow with it: from the most
  // that may fit downwards, by a tenth.
  std::size_t count = std::min<std::size_t>(changes.size(), kEventsMax);
  while (count > 1 && size_of(count) > bytes_max) count -= std::max<std::size_t>(count / 10, 1);
  return count;
}

}  // namespace rosebud::routing
