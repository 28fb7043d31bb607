#include "pbft/checkpoint.h"

#include <algorithm>

namespace rosebud::pbft {

crypto::Digest chunk_digest(const InstanceId& instance, ByteView chunk) {
  return crypto::Hasher("rosebud pbft chunk 1").update(instance.view()).update(chunk).finish();
}

namespace {

void write_list(wire::Writer& out, const std::vector<crypto::Digest>& list) {
  out.u32(static_cast<std::uint32_t>(list.size()));
  for (const crypto::Digest& one : list) out.raw(one.view());
}

std::vector<crypto::Digest> read_list(wire::Reader& in) {
  const std::size_t count = in.u32();
  if (count > kChunksMax) in.fail();
  std::vector<crypto::Digest> out;
  for (std::size_t i = 0; i < count && in.ok(); ++i) out.push_back(in.fixed<crypto::Digest>());
  return out;
}

}  // namespace

Bytes Manifest::encode() const {
  wire::Writer out;
  out.u64(number.value).u64(time.value).u8(is_stopped ? 1 : 0);
  write_list(out, client_table);
  write_list(out, service);
  return out.take();
}

std::optional<Manifest> Manifest::decode(ByteView bytes) {
  wire::Reader in(bytes);
  Manifest out;
  out.number = SequenceNumber(in.u64());
  out.time = AgreedTime(in.u64());
  const std::uint8_t stopped = in.u8();
  if (stopped > 1) in.fail();
  out.is_stopped = stopped == 1;
  out.client_table = read_list(in);
  out.service = read_list(in);
  if (!in.done()) return std::nullopt;
  return out;
}

crypto::Digest Manifest::digest(const InstanceId& instance, ByteView encoded) {
  return crypto::Hasher("rosebud pbft checkpoint 1")
      .update(instance.view())
      .update(encoded)
      .finish();
}

Checkpoint Checkpoint::make(const InstanceId& instance, SequenceNumber number, AgreedTime time,
                            bool is_stopped, ByteView client_table,
                            const std::vector<Buffer>& service) {
  Checkpoint out;
  out.manifest = {.number = number, .time = time, .is_stopped = is_stopped};
  const auto add = [&](std::vector<crypto::Digest>& list, Buffer piece) {
    const crypto::Digest digest = chunk_digest(instance, piece.view());
    list.push_back(digest);
    out.chunks.emplace(digest, std::move(piece));
  };
  for (std::size_t at = 0; at < client_table.size(); at += kChunkSizeMax) {
    const std::size_t size = std::min(kChunkSizeMax, client_table.size() - at);
    add(out.manifest.client_table, Buffer::copy_of(client_table.subspan(at, size)));
  }
  for (const Buffer& piece : service) {
    CHECK(piece.size() <= kChunkSizeMax);
    add(out.manifest.service, piece);
  }
  CHECK(out.manifest.service.size() <= kChunksMax);
  out.encoded = Buffer(out.manifest.encode());
  out.digest = Manifest::digest(instance, out.encoded.view());
  return out;
}

Bytes Checkpoint::client_table() const {
  Bytes out;
  for (const crypto::Digest& one : manifest.client_table) {
    const ByteView piece = chunks.at(one).view();
    out.insert(out.end(), piece.begin(), piece.end());
  }
  return out;
}

std::vector<Buffer> Checkpoint::service() const {
  std::vector<Buffer> out;
  for (const crypto::Digest& one : manifest.service) out.push_back(chunks.at(one));
  return out;
}

void CheckpointStore::add(Checkpoint checkpoint) {
  const SequenceNumber number = checkpoint.manifest.number;
  checkpoints_.insert_or_assign(number, std::move(checkpoint));
}

const Checkpoint* CheckpointStore::find(SequenceNumber number) const {
  const auto at = checkpoints_.find(number);
  return at == checkpoints_.end() ? nullptr : &at->second;
}

const Checkpoint* CheckpointStore::newest() const {
  return checkpoints_.empty() ? nullptr : &checkpoints_.rbegin()->second;
}

const Buffer* CheckpointStore::find_manifest(const crypto::Digest& digest) const {
  for (const auto& [number, one] : checkpoints_) {
    if (one.digest == digest) return &one.encoded;
  }
  return nullptr;
}

const Buffer* CheckpointStore::find_chunk(const crypto::Digest& digest) const {
  for (const auto& [number, one] : checkpoints_) {
    if (const auto at = one.chunks.find(digest); at != one.chunks.end()) return &at->second;
  }
  return nullptr;
}

CheckpointStore::Forgotten CheckpointStore::advance(SequenceNumber stable) {
  Forgotten out;
  while (checkpoints_.size() > 2 && std::next(checkpoints_.begin())->first < stable) {
    const Forgotten one = remove(checkpoints_.begin()->first);
    out.numbers.insert(out.numbers.end(), one.numbers.begin(), one.numbers.end());
    out.chunks.insert(out.chunks.end(), one.chunks.begin(), one.chunks.end());
  }
  return out;
}

CheckpointStore::Forgotten CheckpointStore::remove(SequenceNumber number) {
  Forgotten out{.numbers = {number}};
  const auto node = checkpoints_.extract(number);
  if (node.empty()) return {};
  for (const auto& [digest, chunk] : node.mapped().chunks) {
    if (!find_chunk(digest)) out.chunks.push_back(digest);
  }
  return out;
}

}  // namespace rosebud::pbft
