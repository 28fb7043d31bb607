#include "service/state.h"

#include "membership/recovery.h"

namespace rosebud::service {
namespace {

// Of what is handed over: 1 had no retirements and no decrees, 2 no settings, 3 no complaints.
constexpr std::uint8_t kLayout = 4;
// 1 had nobody set aside, 2 had layout 1 of the above, 3 layout 2, 4 layout 3; 5 listed all nodes
// of the next epoch.
constexpr std::uint8_t kStateLayout = 6;
/// Longest list that is read, of nodes; what a list may hold is decided when something is added.
constexpr std::size_t kListMax = membership::kNodesMax;

std::size_t read_count(wire::Reader& in) {
  const std::size_t count = in.u32();
  if (count > kListMax) in.fail();
  return in.ok() ? count : 0;
}
void write_count(wire::Writer& out, std::size_t count) {
  out.u32(static_cast<std::uint32_t>(count));
}

template <typename Key>
void write(wire::Writer& out, const std::set<Key>& keys) {
  write_count(out, keys.size());
  for (const Key& key : keys) out.raw(key.view());
}
template <typename Key>
std::set<Key> read_set(wire::Reader& in) {
  std::set<Key> out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) out.insert(in.fixed<Key>());
  return out;
}

void write(wire::Writer& out, const std::map<wire::NodeKey, std::uint64_t>& times) {
  write_count(out, times.size());
  for (const auto& [node, time] : times) out.raw(node.view()).u64(time);
}
std::map<wire::NodeKey, std::uint64_t> read_times(wire::Reader& in) {
  std::map<wire::NodeKey, std::uint64_t> out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto node = in.fixed<wire::NodeKey>();
    out[node] = in.u64();
  }
  return out;
}

void write(wire::Writer& out, const OwnedNode& one) {
  out.raw(one.organisation.view()).raw(one.node.view());
}
OwnedNode read_owned(wire::Reader& in) {
  OwnedNode out{.organisation = in.fixed<crypto::PublicKey>()};
  out.node = in.fixed<wire::NodeKey>();
  return out;
}

void write(wire::Writer& out, const Said& said) {
  write_count(out, said.size());
  for (const auto& [about, by] : said) {
    out.raw(about.view());
    write(out, by);
  }
}
Said read_said(wire::Reader& in) {
  Said out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto about = in.fixed<wire::NodeKey>();
    out[about] = read_set<wire::NodeKey>(in);
  }
  return out;
}

void write(wire::Writer& out, const Complaints& complaints) {
  write_count(out, complaints.size());
  for (const auto& [accused, of_it] : complaints) {
    out.raw(accused.view());
    write_count(out, of_it.size());
    for (const auto& [accuser, complaint] : of_it) {
      out.raw(accuser.view());
      wire::write(out, complaint.block);
      out.u64(complaint.since_ms);
    }
  }
}
Complaints read_complaints(wire::Reader& in) {
  Complaints out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    auto& of_it = out[in.fixed<wire::NodeKey>()];
    for (std::size_t by = read_count(in); by > 0 && in.ok(); --by) {
      Complaint& complaint = of_it[in.fixed<wire::NodeKey>()];
      complaint.block = wire::read_object_id(in);
      complaint.since_ms = in.u64();
    }
  }
  return out;
}

void write(wire::Writer& out, const Carried& carried) {
  write_count(out, carried.wishes.admissions.size());
  for (const wire::SignedBytes& one : carried.wishes.admissions) wire::write(out, one);
  write_count(out, carried.wishes.revoked.size());
  for (const OwnedNode& one : carried.wishes.revoked) write(out, one);
  write_count(out, carried.wishes.retired_s.size());
  for (const auto& [node, since] : carried.wishes.retired_s) {
    write(out, node);
    out.u64(since);
  }
  write(out, carried.wishes.inactive_since_ms);
  write(out, carried.seated_since_ms);
  write_count(out, carried.early_ends_ms.size());
  for (const std::uint64_t time : carried.early_ends_ms) out.u64(time);
  write_count(out, carried.admitted.size());
  for (const auto& [organisation, one] : carried.admitted) {
    out.raw(organisation.view()).u64(one.day).u64(one.count);
  }
  write(out, carried.stated_s);
  write_count(out, carried.wishes.organisations_admitted.size());
  for (const auto& [authority, one] : carried.wishes.organisations_admitted) {
    out.raw(authority.view()).text(one.name).u64(one.quota_bytes);
  }
  write(out, carried.wishes.organisations_revoked);
  write_count(out, carried.wishes.settings.size());
  for (const auto& [name, value] : carried.wishes.settings) out.text(name).u64(value);
  write_count(out, carried.enacted_s.size());
  for (const auto& [decree, until] : carried.enacted_s) out.raw(decree.view()).u64(until);
  write_count(out, carried.end_requested_ms.size());
  for (const auto& [authority, time] : carried.end_requested_ms)
    out.raw(authority.view()).u64(time);
  write(out, carried.complaints);
  write(out, carried.wishes.withholding_since_ms);
  write(out, carried.wishes.false_since_ms);
}
Carried read_carried(wire::Reader& in) {
  Carried out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    out.wishes.admissions.push_back(wire::read_signed_bytes(in, kStatementSizeMax));
  }
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    out.wishes.revoked.insert(read_owned(in));
  }
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const OwnedNode one = read_owned(in);
    out.wishes.retired_s[one] = in.u64();
  }
  out.wishes.inactive_since_ms = read_times(in);
  out.seated_since_ms = read_times(in);
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) out.early_ends_ms.push_back(in.u64());
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto organisation = in.fixed<crypto::PublicKey>();
    Carried::Admitted& one = out.admitted[organisation];
    one.day = in.u64();
    one.count = in.u64();
  }
  out.stated_s = read_times(in);
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto authority = in.fixed<crypto::PublicKey>();
    AdmitOrganisation& one = out.wishes.organisations_admitted[authority];
    one.authority = authority;
    one.name = in.text(wire::kNameSizeMax);
    one.quota_bytes = in.u64();
  }
  out.wishes.organisations_revoked = read_set<crypto::PublicKey>(in);
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    std::string name = in.text(wire::kNameSizeMax);
    out.wishes.settings[std::move(name)] = in.u64();
  }
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto decree = in.fixed<crypto::Digest>();
    out.enacted_s[decree] = in.u64();
  }
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto authority = in.fixed<crypto::PublicKey>();
    out.end_requested_ms[authority] = in.u64();
  }
  out.complaints = read_complaints(in);
  out.wishes.withholding_since_ms = read_times(in);
  out.wishes.false_since_ms = read_times(in);
  return out;
}

void write(wire::Writer& out, const std::vector<State::Candidate>& candidates) {
  write_count(out, candidates.size());
  for (const State::Candidate& one : candidates) {
    out.raw(one.node.view()).bytes16(one.announcement ? one.announcement->encode() : Bytes{});
  }
}
std::vector<State::Candidate> read_candidates(wire::Reader& in) {
  std::vector<State::Candidate> out;
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    State::Candidate one{.node = in.fixed<wire::NodeKey>()};
    const ByteView announcement = in.bytes16(kStatementSizeMax);
    if (!announcement.empty()) {
      one.announcement = Announcement::decode(announcement);
      if (!one.announcement) in.fail();
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

bool has_said(const Said& said, const wire::NodeKey& about, const wire::NodeKey& by) {
  const auto at = said.find(about);
  return at != said.end() && at->second.contains(by);
}

void take_back(Said& said, const wire::NodeKey& about, const wire::NodeKey& by) {
  if (const auto at = said.find(about); at != said.end()) at->second.erase(by);
}

Bytes Carried::encode() const {
  wire::Writer out;
  out.u8(kLayout);
  write(out, *this);
  return out.take();
}

std::optional<Carried> Carried::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  Carried out = read_carried(in);
  // One encoding for one state: nothing unsorted, nothing twice.
  if (!in.done() || !equal(out.encode(), bytes)) return std::nullopt;
  return out;
}

crypto::Digest Carried::digest(ByteView encoded) {
  return membership::service_state_digest(encoded);
}

Bytes State::encode() const {
  wire::Writer out;
  out.u8(kStateLayout);
  write(out, carried);
  out.u8(static_cast<std::uint8_t>(phase));
  write(out, unreachable);
  write(out, reachable);
  write(out, withheld);
  write(out, shown_false);
  write(out, shown);
  out.u8(is_end_requested ? 1 : 0).u64(prepared_ms);
  // Where it is fixed it has organisations.
  out.bytes32(next.organisations.empty() ? Bytes{} : next.encode());
  write(out, candidates);
  write(out, passed_over);
  write(out, set_aside);
  out.u8(is_withholding_settled ? 1 : 0);
  write(out, unannounced);
  write_count(out, shares.size());
  for (const auto& [node, share] : shares) out.raw(node.view()).raw(share.view());
  write(out, withholders);
  write(out, unrevealed);
  return out.take();
}

std::optional<State> State::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kStateLayout) return std::nullopt;
  State out{.carried = read_carried(in)};
  const std::uint8_t phase = in.u8();
  if (phase > static_cast<std::uint8_t>(Phase::kSealed)) return std::nullopt;
  out.phase = static_cast<Phase>(phase);
  out.unreachable = read_said(in);
  out.reachable = read_said(in);
  out.withheld = read_said(in);
  out.shown_false = read_said(in);
  out.shown = read_said(in);
  out.is_end_requested = in.u8() == 1;
  out.prepared_ms = in.u64();
  const ByteView next = in.bytes32(membership::kDescriptionBodySizeMax);
  if (!next.empty()) {
    auto body = membership::DescriptionBody::decode(next);
    if (!body) return std::nullopt;
    out.next = std::move(*body);
  }
  out.candidates = read_candidates(in);
  out.passed_over = read_set<wire::NodeKey>(in);
  out.set_aside = read_candidates(in);
  out.is_withholding_settled = in.u8() == 1;
  out.unannounced = read_said(in);
  for (std::size_t n = read_count(in); n > 0 && in.ok(); --n) {
    const auto node = in.fixed<wire::NodeKey>();
    out.shares[node] = in.fixed<crypto::Digest>();
  }
  out.withholders = read_set<wire::NodeKey>(in);
  out.unrevealed = read_said(in);
  if (!in.done() || !equal(out.encode(), bytes)) return std::nullopt;
  return out;
}

}  // namespace rosebud::service
