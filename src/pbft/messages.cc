#include "pbft/messages.h"

namespace rosebud::pbft {
namespace {

void write(wire::Writer& out, const std::optional<Certificate>& certificate) {
  out.u8(certificate ? 1 : 0);
  if (certificate) write(out, *certificate);
}

bool read_bool(wire::Reader& in) {
  const std::uint8_t value = in.u8();
  if (value > 1) in.fail();
  return value == 1;
}

std::optional<Certificate> read_optional_certificate(wire::Reader& in) {
  if (!read_bool(in)) return std::nullopt;
  return read_certificate(in);
}

// ---- Bodies: one pair of functions for each message ----

void write(wire::Writer& out, const BatchPointer& batch) { out.bytes32(batch->encoded().view()); }

BatchPointer read_batch(const InstanceId& instance, wire::Reader& in) {
  const ByteView encoded = in.bytes32(kBatchSizeMax);
  BatchPointer out = in.ok() ? SealedBatch::open(instance, encoded) : nullptr;
  if (!out) in.fail();
  return out;
}

void write_content(wire::Writer& out, const ViewChange& change) {
  write(out, change.stable);
  out.u16(static_cast<std::uint16_t>(change.prepared.size()));
  for (const Certificate& one : change.prepared) write(out, one);
}

void write_body(wire::Writer& out, const PrePrepare& message) {
  write(out, message.vote);
  write(out, message.batch);
}
void write_body(wire::Writer& out, const Ballot& message) { write(out, message.vote); }
void write_body(wire::Writer& out, const ViewChange& message) {
  write(out, message.vote);
  write_content(out, message);
}
void write_body(wire::Writer& out, const NewView& message) {
  write(out, message.vote);
  out.u16(static_cast<std::uint16_t>(message.proofs.size()));
  for (const ViewChange& one : message.proofs) write_body(out, one);
  out.u16(static_cast<std::uint16_t>(message.pre_prepares.size()));
  for (const Vote& one : message.pre_prepares) write(out, one);
}
void write_body(wire::Writer& out, const Status& message) {
  out.u64(message.view.value)
      .u8(message.is_changing_view ? 1 : 0)
      .u64(message.stable.value)
      .u64(message.executed.value)
      .u32(message.proposals)
      .u64(message.silent_until.value)
      .u64(message.votes_from.value)
      .u8(message.is_urging ? 1 : 0)
      .u16(static_cast<std::uint16_t>(message.view_changes.size()));
  for (const View view : message.view_changes) out.u64(view.value);
}
void write_body(wire::Writer& out, const FetchBatch& message) { out.raw(message.digest.view()); }
void write_body(wire::Writer& out, const BatchFound& message) { write(out, message.batch); }
void write_body(wire::Writer& out, const Committed& message) {
  write(out, message.certificate);
  write(out, message.batch);
}
void write_body(wire::Writer& out, const StableCheckpoint& message) {
  write(out, message.certificate);
}
void write_body(wire::Writer& out, const FetchManifest& message) {
  out.raw(message.checkpoint.view());
}
void write_body(wire::Writer& out, const ManifestFound& message) {
  out.bytes32(message.manifest.view());
}
void write_body(wire::Writer& out, const FetchChunk& message) { out.raw(message.chunk.view()); }
void write_body(wire::Writer& out, const ChunkFound& message) { out.bytes32(message.chunk.view()); }
void write_body(wire::Writer& out, const RecoveryQuery& message) { out.u64(message.nonce); }
void write_body(wire::Writer& out, const RecoveryAnswer& message) {
  out.u64(message.nonce).u8(message.latest ? 1 : 0);
  if (message.latest) write(out, *message.latest);
  write(out, message.stable);
  out.u16(static_cast<std::uint16_t>(message.view_changes.size()));
  for (const Vote& one : message.view_changes) write(out, one);
}
void write_body(wire::Writer& out, const Request& message) { write(out, message); }
void write_digests(wire::Writer& out, const std::vector<crypto::Digest>& digests) {
  out.u16(static_cast<std::uint16_t>(digests.size()));
  for (const crypto::Digest& one : digests) out.raw(one.view());
}
void write_body(wire::Writer& out, const Vouch& message) { write_digests(out, message.requests); }
void write_body(wire::Writer& out, const FetchRequests& message) {
  write_digests(out, message.requests);
}

ViewChange read_view_change(wire::Reader& in) {
  ViewChange out;
  out.vote = read_vote(in);
  out.stable = read_optional_certificate(in);
  const std::size_t count = in.u16();
  if (count > kWindowMax) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) out.prepared.push_back(read_certificate(in));
  return out;
}

NewView read_new_view(wire::Reader& in) {
  NewView out;
  out.vote = read_vote(in);
  const std::size_t proofs = in.u16();
  if (proofs > kSeatsMax) in.fail();
  for (std::size_t i = 0; i < proofs && in.ok(); ++i) out.proofs.push_back(read_view_change(in));
  const std::size_t votes = in.u16();
  if (votes > kWindowMax) in.fail();
  for (std::size_t i = 0; i < votes && in.ok(); ++i) out.pre_prepares.push_back(read_vote(in));
  return out;
}

Status read_status(wire::Reader& in) {
  Status out;
  out.view = View(in.u64());
  out.is_changing_view = read_bool(in);
  out.stable = SequenceNumber(in.u64());
  out.executed = SequenceNumber(in.u64());
  out.proposals = in.u32();
  out.silent_until = SequenceNumber(in.u64());
  out.votes_from = View(in.u64());
  out.is_urging = read_bool(in);
  for (const SequenceNumber n : {out.stable, out.executed, out.silent_until}) {
    if (n.value > kNumberMax) in.fail();
  }
  if (out.view.value > kNumberMax || out.votes_from.value > kNumberMax) in.fail();
  const std::size_t seats = in.u16();
  if (seats > kSeatsMax) in.fail();
  for (std::size_t i = 0; i < seats && in.ok(); ++i) out.view_changes.push_back(View(in.u64()));
  return out;
}

RecoveryAnswer read_recovery_answer(wire::Reader& in) {
  RecoveryAnswer out;
  out.nonce = in.u64();
  if (read_bool(in)) out.latest = read_vote(in);
  out.stable = read_optional_certificate(in);
  const std::size_t count = in.u16();
  if (count > kSeatsMax) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) out.view_changes.push_back(read_vote(in));
  return out;
}

std::vector<crypto::Digest> read_digests(wire::Reader& in) {
  std::vector<crypto::Digest> out;
  const std::size_t count = in.u16();
  if (count > kVouchedMax) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) out.push_back(in.fixed<crypto::Digest>());
  return out;
}

/// Nothing: no such type. Numbers are those of Message's alternatives, from 1.
std::optional<Message> read_body(std::uint8_t type, const InstanceId& instance, wire::Reader& in) {
  switch (type) {
    case 1: {
      PrePrepare out{.vote = read_vote(in)};
      out.batch = read_batch(instance, in);
      return out;
    }
    case 2:
      return Ballot{read_vote(in)};
    case 3:
      return read_view_change(in);
    case 4:
      return read_new_view(in);
    case 5:
      return read_status(in);
    case 6:
      return FetchBatch{in.fixed<crypto::Digest>()};
    case 7:
      return BatchFound{read_batch(instance, in)};
    case 8: {
      Committed out{.certificate = read_certificate(in)};
      out.batch = read_batch(instance, in);
      return out;
    }
    case 9:
      return StableCheckpoint{read_certificate(in)};
    case 10:
      return FetchManifest{in.fixed<crypto::Digest>()};
    case 11:
      return ManifestFound{Buffer::copy_of(in.bytes32(kChunkSizeMax + 32 * kChunksMax))};
    case 12:
      return FetchChunk{in.fixed<crypto::Digest>()};
    case 13:
      return ChunkFound{Buffer::copy_of(in.bytes32(kChunkSizeMax))};
    case 14:
      return RecoveryQuery{in.u64()};
    case 15:
      return read_recovery_answer(in);
    case 16:
      return read_request(in);
    case 17:
      return Vouch{read_digests(in)};
    case 18:
      return FetchRequests{read_digests(in)};
    default:
      return std::nullopt;
  }
}

}  // namespace

crypto::Digest ViewChange::digest(const InstanceId& instance) const {
  wire::Writer out;
  write_content(out, *this);
  return crypto::Hasher("rosebud pbft view-change 1")
      .update(instance.view())
      .update(out.bytes())
      .finish();
}

crypto::Digest NewView::digest(const InstanceId& instance) const {
  wire::Writer out;
  for (const ViewChange& one : proofs) write(out, one.vote);
  out.u16(static_cast<std::uint16_t>(proofs.size()));
  for (const Vote& one : pre_prepares) write(out, one);
  return crypto::Hasher("rosebud pbft new-view 1")
      .update(instance.view())
      .update(out.bytes())
      .finish();
}

Bytes encode(const Message& message) {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(message.index() + 1));
  std::visit([&](const auto& body) { write_body(out, body); }, message);
  return out.take();
}

std::optional<Message> decode(const InstanceId& instance, ByteView bytes) {
  wire::Reader in(bytes);
  const std::uint8_t type = in.u8();
  std::optional<Message> out = read_body(type, instance, in);
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes encode(const Reply& reply) {
  wire::Writer out;
  out.u64(reply.view.value)
      .u64(reply.number.value)
      .raw(reply.operation.view())
      .u8(static_cast<std::uint8_t>(reply.status))
      .u64(reply.floor.value)
      .u64(reply.time.value)
      .bytes32(reply.result.view());
  return out.take();
}

std::optional<Reply> decode_reply(ByteView bytes) {
  wire::Reader in(bytes);
  Reply out;
  out.view = View(in.u64());
  out.number = RequestNumber(in.u64());
  out.operation = in.fixed<crypto::Digest>();
  const std::uint8_t status = in.u8();
  if (status > 3 || out.view.value > kNumberMax) in.fail();
  out.status = static_cast<Reply::Status>(status);
  out.floor = RequestNumber(in.u64());
  out.time = AgreedTime(in.u64());
  out.result = Buffer::copy_of(in.bytes32(kResultSizeMax));
  if (!in.done()) return std::nullopt;
  return out;
}

std::string_view name_of(const Message& message) {
  constexpr std::string_view kNames[] = {
      "pre-prepare",    "ballot",      "view-change",   "new-view",       "status",
      "fetch-batch",    "batch-found", "committed",     "stable",         "fetch-manifest",
      "manifest-found", "fetch-chunk", "chunk-found",   "recovery-query", "recovery-answer",
      "request",        "vouch",       "fetch-requests"};
  static_assert(std::size(kNames) == std::variant_size_v<Message>);
  return kNames[message.index()];
}

namespace {

std::string describe_vote(const Vote& vote) {
  return std::string(name_of(vote.kind)) + " v=" + std::to_string(vote.view.value) +
         " n=" + std::to_string(vote.number.value) +
         " d=" + to_hex(vote.digest.view().subspan(0, 3)) + " of " +
         std::to_string(vote.replica.value);
}

std::string describe_certificate(const Certificate& certificate) {
  return std::string(name_of(certificate.kind)) +
         "-certificate v=" + std::to_string(certificate.view.value) +
         " n=" + std::to_string(certificate.number.value) +
         " d=" + to_hex(certificate.digest.view().subspan(0, 3));
}

}  // namespace

std::string describe(const Message& message) {
  if (const auto* one = std::get_if<PrePrepare>(&message)) {
    return describe_vote(one->vote) + " with " +
           std::to_string(one->batch->batch().requests.size()) + " requests";
  }
  if (const auto* one = std::get_if<Ballot>(&message)) return describe_vote(one->vote);
  if (const auto* one = std::get_if<ViewChange>(&message)) {
    std::string out = describe_vote(one->vote) + " prepared";
    for (const Certificate& each : one->prepared) {
      out += " " + std::to_string(each.number.value) + ":" +
             to_hex(each.digest.view().subspan(0, 3)) + "@" + std::to_string(each.view.value);
    }
    return out;
  }
  if (const auto* one = std::get_if<NewView>(&message)) {
    std::string out = describe_vote(one->vote) + " proposes";
    for (const Vote& each : one->pre_prepares) {
      out +=
          " " + std::to_string(each.number.value) + ":" + to_hex(each.digest.view().subspan(0, 3));
    }
    return out;
  }
  if (const auto* one = std::get_if<Status>(&message)) {
    return "status v=" + std::to_string(one->view.value) +
           (one->is_changing_view ? " changing" : "") +
           " stable=" + std::to_string(one->stable.value) +
           " executed=" + std::to_string(one->executed.value) +
           " silent-until=" + std::to_string(one->silent_until.value) +
           " votes-from=" + std::to_string(one->votes_from.value) +
           (one->is_urging ? " urging" : "");
  }
  if (const auto* one = std::get_if<Committed>(&message)) {
    return "committed " + describe_certificate(one->certificate);
  }
  if (const auto* one = std::get_if<StableCheckpoint>(&message)) {
    return "stable " + describe_certificate(one->certificate);
  }
  if (const auto* one = std::get_if<Request>(&message)) {
    return "request of " + to_hex(one->client.view().subspan(0, 3)) +
           " number=" + std::to_string(one->number.value);
  }
  if (const auto* one = std::get_if<Vouch>(&message)) {
    return "vouch for " + std::to_string(one->requests.size()) + " requests";
  }
  if (const auto* one = std::get_if<FetchRequests>(&message)) {
    return "fetch " + std::to_string(one->requests.size()) + " requests";
  }
  return std::string(name_of(message));
}

}  // namespace rosebud::pbft
