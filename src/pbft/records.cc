#include "pbft/records.h"

#include <algorithm>
#include <functional>

namespace rosebud::pbft::records {
namespace {

// One byte names the kind; keys of numbers are big-endian, so they are in order.
enum class Kind : std::uint8_t {
  kCounter = 1,
  kView,
  kViewChange,
  kNewView,
  kSilence,
  kStable,
  kProposal,
  kPrepared,
  kBatch,
  kCheckpoint,
  kChunk,
  kEvidence,
  kReached,
  kLatest,
};

wire::Writer key_of(Kind kind) {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(kind));
  return out;
}
Bytes key(Kind kind) { return key_of(kind).take(); }
Bytes key(Kind kind, SequenceNumber number) { return key_of(kind).u64(number.value).take(); }
Bytes key(Kind kind, const crypto::Digest& digest) {
  return key_of(kind).raw(digest.view()).take();
}
Bytes key(Kind kind, SequenceNumber number, const crypto::Digest& digest) {
  return key_of(kind).u64(number.value).raw(digest.view()).take();
}

Write put(Bytes key, wire::Writer& value) { return {std::move(key), Buffer(value.take())}; }

void write_optional(wire::Writer& out, const std::optional<Vote>& vote) {
  out.u8(vote ? 1 : 0);
  if (vote) write(out, *vote);
}
std::optional<Vote> read_optional(wire::Reader& in) {
  if (in.u8() == 0) return std::nullopt;
  return read_vote(in);
}

}  // namespace

Write counter(VoteCounter value) {
  wire::Writer out;
  return put(key(Kind::kCounter), out.u64(value.value));
}
Write view(View value, bool is_changing) {
  wire::Writer out;
  return put(key(Kind::kView), out.u64(value.value).u8(is_changing ? 1 : 0));
}
Write view_change(const ViewChange& message) {
  return {key(Kind::kViewChange), Buffer(encode(Message(message)))};
}
Write new_view(const NewView& message) {
  return {key(Kind::kNewView), Buffer(encode(Message(message)))};
}
Write silence(SequenceNumber until, View below) {
  wire::Writer out;
  return put(key(Kind::kSilence), out.u64(until.value).u64(below.value));
}
Write reached(const std::vector<Vote>& view_changes) {
  wire::Writer out;
  out.u16(static_cast<std::uint16_t>(view_changes.size()));
  for (const Vote& one : view_changes) write(out, one);
  return put(key(Kind::kReached), out);
}
Write latest(const Vote& of_another) {
  wire::Writer out;
  write(out, of_another);
  return put(key_of(Kind::kLatest).u16(of_another.replica.value).take(), out);
}
Write stable(const Certificate& certificate) {
  wire::Writer out;
  write(out, certificate);
  return put(key(Kind::kStable), out);
}
Write proposal(SequenceNumber number, const Vote& accepted, const std::optional<Vote>& own) {
  wire::Writer out;
  write(out, accepted);
  write_optional(out, own);
  return put(key(Kind::kProposal, number), out);
}
Write prepared(SequenceNumber number, const Certificate& certificate, const Vote& own) {
  wire::Writer out;
  write(out, certificate);
  write(out, own);
  return put(key(Kind::kPrepared, number), out);
}
Write batch(SequenceNumber number, const SealedBatch& batch) {
  return {key(Kind::kBatch, number, batch.digest()), batch.encoded()};
}
Write checkpoint(SequenceNumber number, const Buffer& manifest, const std::optional<Vote>& own) {
  wire::Writer out;
  out.bytes32(manifest.view());
  write_optional(out, own);
  return put(key(Kind::kCheckpoint, number), out);
}
Write chunk(const crypto::Digest& digest, const Buffer& chunk) {
  return {key(Kind::kChunk, digest), chunk};
}
Write evidence(const Evidence& evidence) {
  return {key_of(Kind::kEvidence).u16(evidence.first.replica.value).take(),
          Buffer(evidence.encode())};
}

Write erase_proposal(SequenceNumber number) { return {key(Kind::kProposal, number), {}}; }
Write erase_prepared(SequenceNumber number) { return {key(Kind::kPrepared, number), {}}; }
Write erase_batch(SequenceNumber number, const crypto::Digest& digest) {
  return {key(Kind::kBatch, number, digest), {}};
}
Write erase_checkpoint(SequenceNumber number) { return {key(Kind::kCheckpoint, number), {}}; }
Write erase_chunk(const crypto::Digest& digest) { return {key(Kind::kChunk, digest), {}}; }

namespace {

template <typename T>
std::optional<T> read_message(const InstanceId& instance, ByteView value) {
  auto message = decode(instance, value);
  if (!message || !std::holds_alternative<T>(*message)) return std::nullopt;
  return std::get<T>(std::move(*message));
}

/// False: the record makes no sense.
bool read_record(const InstanceId& instance, ByteView key, ByteView value, Recovered& out) {
  wire::Reader name(key);
  wire::Reader in(value);
  switch (static_cast<Kind>(name.u8())) {
    case Kind::kCounter:
      out.counter = VoteCounter(in.u64());
      break;
    case Kind::kView:
      out.view = View(in.u64());
      out.is_changing_view = in.u8() == 1;
      break;
    case Kind::kViewChange:
      out.view_change = read_message<ViewChange>(instance, value);
      return name.done() && out.view_change;
    case Kind::kNewView:
      out.new_view = read_message<NewView>(instance, value);
      return name.done() && out.new_view;
    case Kind::kSilence:
      out.silent_until = SequenceNumber(in.u64());
      out.votes_from = View(in.u64());
      break;
    case Kind::kReached: {
      const std::size_t count = in.u16();
      for (std::size_t i = 0; i < count && in.ok(); ++i) out.reached.push_back(read_vote(in));
      break;
    }
    case Kind::kLatest:
      out.latest.push_back(read_vote(in));
      if (name.u16() != out.latest.back().replica.value) return false;
      break;
    case Kind::kStable:
      out.stable = read_certificate(in);
      break;
    case Kind::kProposal: {
      Recovered::Proposal one{.accepted = read_vote(in), .own = read_optional(in)};
      out.proposals.emplace(SequenceNumber(name.u64()), std::move(one));
      break;
    }
    case Kind::kPrepared: {
      Recovered::Prepared one{.certificate = read_certificate(in), .own = read_vote(in)};
      out.prepared.emplace(SequenceNumber(name.u64()), std::move(one));
      break;
    }
    case Kind::kBatch: {
      const SequenceNumber number(name.u64());
      BatchPointer batch = SealedBatch::open(instance, value);
      if (!batch || batch->digest() != name.fixed<crypto::Digest>()) return false;
      out.batches[{number, batch->digest()}] = batch;
      return name.done();
    }
    case Kind::kCheckpoint: {
      Recovered::OwnCheckpoint one;
      one.manifest = Buffer::copy_of(in.bytes32(value.size()));
      one.own = read_optional(in);
      out.checkpoints.emplace(SequenceNumber(name.u64()), std::move(one));
      break;
    }
    case Kind::kChunk:
      if (chunk_digest(instance, value) != name.fixed<crypto::Digest>()) return false;
      out.chunks[chunk_digest(instance, value)] = Buffer::copy_of(value);
      return name.done();
    case Kind::kEvidence: {
      const auto one = Evidence::decode(value);
      if (!one) return false;
      out.evidence[ReplicaId(name.u16())] = *one;
      return name.done();
    }
    default:
      return false;
  }
  return name.done() && in.done();
}

/// Lists by seat are indexed with what stands in the records.
bool is_of_group(const Recovered& found, const Group& group) {
  const auto is_known = [&](const Vote& vote) { return group.is_member(vote.replica); };
  const auto are_known = [&](const Certificate& certificate) {
    return std::ranges::all_of(certificate.endorsements, [&](const Endorsement& one) {
      return group.is_member(one.replica);
    });
  };
  const auto is_view_change_known = [&](const ViewChange& one) { return is_known(one.vote); };
  return std::ranges::all_of(found.reached, is_known) &&
         std::ranges::all_of(found.latest, is_known) &&
         (!found.view_change || is_view_change_known(*found.view_change)) &&
         (!found.new_view || std::ranges::all_of(found.new_view->proofs, is_view_change_known)) &&
         (!found.stable || are_known(*found.stable)) &&
         std::ranges::all_of(found.proposals,
                             [&](const auto& one) { return is_known(one.second.accepted); }) &&
         std::ranges::all_of(found.prepared,
                             [&](const auto& one) { return are_known(one.second.certificate); });
}

}  // namespace

std::optional<Recovered> read(const Group& group, const PersistentState& state) {
  Recovered out;
  for (const auto& [key, value] : state.records) {
    if (!read_record(group.instance(), key, value, out)) return std::nullopt;
  }
  return is_of_group(out, group) ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace rosebud::pbft::records
