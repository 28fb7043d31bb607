#include "replication/client_frames.h"

namespace rosebud::replication {
namespace {

/// The exact bytes that a client signs.
Bytes statement(const pbft::InstanceId& instance, const crypto::PublicKey& connection) {
  wire::Writer out;
  out.raw(instance.view()).raw(connection.view());
  return out.take();
}

}  // namespace

Bytes ReplyFrame::encode() const {
  wire::Writer out;
  out.raw(client.view()).raw(pbft::encode(reply));
  return out.take();
}

std::optional<ReplyFrame> ReplyFrame::decode(ByteView bytes) {
  if (bytes.size() < pbft::ClientId::kSize) return std::nullopt;
  auto reply = pbft::decode_reply(bytes.subspan(pbft::ClientId::kSize));
  if (!reply) return std::nullopt;
  return ReplyFrame{.client = *pbft::ClientId::from(bytes.first(pbft::ClientId::kSize)),
                    .reply = std::move(*reply)};
}

void Announcement::add(const crypto::SecretKey& client, const pbft::InstanceId& instance,
                       const crypto::PublicKey& connection, const crypto::SignatureScheme& scheme) {
  CHECK(entries.size() < kClientsMax);
  entries.push_back({.client = client.public_key(),
                     .signature = scheme.sign(client, kTag, statement(instance, connection))});
}

std::optional<std::vector<pbft::ClientId>> Announcement::verified(
    const pbft::InstanceId& instance, const crypto::PublicKey& connection,
    const crypto::SignatureScheme& scheme) const {
  const Bytes said = statement(instance, connection);
  std::vector<pbft::ClientId> out;
  for (const Entry& entry : entries) {
    if (!scheme.verify(entry.client, kTag, said, entry.signature)) return std::nullopt;
    out.push_back(entry.client);
  }
  return out;
}

Bytes Announcement::encode() const {
  wire::Writer out;
  out.u16(static_cast<std::uint16_t>(entries.size()));
  for (const Entry& entry : entries) out.raw(entry.client.view()).raw(entry.signature.view());
  return out.take();
}

std::optional<Announcement> Announcement::decode(ByteView bytes) {
  wire::Reader in(bytes);
  const std::size_t count = in.u16();
  if (count > kClientsMax) return std::nullopt;
  Announcement out;
  for (std::size_t i = 0; i < count && in.ok(); ++i)
    out.entries.push_back({in.fixed<pbft::ClientId>(), in.fixed<crypto::Signature>()});
  return in.done() ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace rosebud::replication
