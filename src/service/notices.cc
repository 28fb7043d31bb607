#include "service/notices.h"

#include "service/operations.h"

namespace rosebud::service {
namespace {

void write(wire::Writer& out, const Order& one) { out.raw(one.message.view()); }
void write(wire::Writer& out, const Ask& one) { out.raw(one.request.view()); }
void write(wire::Writer& out, const Reply& one) { out.raw(one.reply.view()); }
void write(wire::Writer& out, const Probe& one) { out.u64(one.number); }
void write(wire::Writer& out, const Probed& one) { out.u64(one.number); }
void write(wire::Writer&, const GetAnnouncement&) {}
void write(wire::Writer& out, const Announced& one) { wire::write(out, one.announcement); }
void write(wire::Writer& out, const GetState& one) { out.raw(one.digest.view()); }
void write(wire::Writer& out, const StateFound& one) { out.raw(one.state.view()); }
void write(wire::Writer& out, const membership::SeatSignature& one) {
  out.u16(one.seat).raw(one.signature.view());
}
void write(wire::Writer& out, const Signed& one) { write(out, one.signature); }
void write(wire::Writer& out, const LeaseShare& one) {
  out.u64(one.until.value);
  write(out, one.signature);
}
void write(wire::Writer& out, const Leased& one) { out.raw(one.lease.view()); }

membership::SeatSignature read_signature(wire::Reader& in) {
  membership::SeatSignature out;
  out.seat = in.u16();
  out.signature = in.fixed<crypto::Signature>();
  return out;
}

/// What `in` has not read yet shares the notice's bytes.
Buffer rest_of(const Buffer& bytes) { return bytes.slice(1, bytes.size() - 1); }

}  // namespace

Buffer encode(const Notice& notice) {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(notice.index() + 1));
  std::visit([&out](const auto& one) { write(out, one); }, notice);
  return Buffer(out.take());
}

std::optional<Notice> decode_notice(const Buffer& bytes) {
  if (bytes.empty() || bytes.size() > kNoticeSizeMax) return std::nullopt;
  wire::Reader in(bytes);
  const std::uint8_t kind = in.u8();
  std::optional<Notice> out;
  switch (kind) {
    case 1:
      return Order{rest_of(bytes)};
    case 2:
      return Ask{rest_of(bytes)};
    case 3:
      return Reply{rest_of(bytes)};
    case 4:
      out = Probe{in.u64()};
      break;
    case 5:
      out = Probed{in.u64()};
      break;
    case 6:
      out = GetAnnouncement{};
      break;
    case 7:
      out = Announced{wire::read_signed_bytes(in, kStatementSizeMax)};
      break;
    case 8:
      out = GetState{in.fixed<crypto::Digest>()};
      break;
    case 9:
      return StateFound{rest_of(bytes)};
    case 10:
      out = Signed{read_signature(in)};
      break;
    case 11: {
      const Timestamp until(in.u64());
      out = LeaseShare{.until = until, .signature = read_signature(in)};
      break;
    }
    case 12:
      return Leased{rest_of(bytes)};
    default:
      return std::nullopt;
  }
  if (!in.done()) return std::nullopt;
  return out;
}

std::string_view name_of(const Notice& notice) {
  constexpr std::string_view kNames[] = {
      "order",     "ask",       "reply",       "probe",  "probed",      "get_announcement",
      "announced", "get_state", "state_found", "signed", "lease_share", "leased"};
  static_assert(std::size(kNames) == std::variant_size_v<Notice>);
  return kNames[notice.index()];
}

}  // namespace rosebud::service
