#include "pbft/request.h"

namespace rosebud::pbft {

Bytes Request::statement(const InstanceId& instance) const {
  wire::Writer out;
  out.raw(instance.view()).raw(client.view()).u64(number.value).bytes32(operation.view());
  return out.take();
}

crypto::Digest Request::digest(const InstanceId& instance) const {
  return crypto::tagged_hash(kTag, statement(instance));
}

crypto::Digest operation_digest(ByteView operation) {
  return crypto::tagged_hash("rosebud pbft operation 1", operation);
}

Request sign_request(const InstanceId& instance, const crypto::SignatureScheme& scheme,
                     const crypto::SecretKey& key, RequestNumber number, Buffer operation) {
  Request out{.client = key.public_key(), .number = number, .operation = std::move(operation)};
  out.signature = scheme.sign(key, Request::kTag, out.statement(instance));
  return out;
}

bool is_valid(const Request& request, const InstanceId& instance,
              const crypto::SignatureScheme& scheme) {
  return scheme.verify(request.client, Request::kTag, request.statement(instance),
                       request.signature);
}

void write(wire::Writer& out, const Request& request) {
  out.raw(request.client.view())
      .u64(request.number.value)
      .bytes32(request.operation.view())
      .u16(static_cast<std::uint16_t>(request.macs.size()));
  if (request.macs.empty()) out.raw(request.signature.view());
  for (const crypto::Mac& mac : request.macs) out.raw(mac.view());
}

std::size_t encoded_size(const Request& request) {
  const std::size_t proof =
      request.macs.empty() ? crypto::Signature::kSize : request.macs.size() * crypto::Mac::kSize;
  return ClientId::kSize + 8 + 4 + request.operation.size() + 2 + proof;
}

Request read_request(wire::Reader& in) {
  Request out;
  out.client = in.fixed<ClientId>();
  out.number = RequestNumber(in.u64());
  out.operation = Buffer::copy_of(in.bytes32(kOperationSizeMax));
  const std::size_t macs = in.u16();
  if (macs > kSeatsMax) in.fail();
  if (macs == 0) out.signature = in.fixed<crypto::Signature>();
  for (std::size_t i = 0; i < macs && in.ok(); ++i) out.macs.push_back(in.fixed<crypto::Mac>());
  return out;
}

namespace {

Bytes encode(const Batch& batch) {
  wire::Writer out;
  out.u64(batch.time.value).u32(static_cast<std::uint32_t>(batch.requests.size()));
  for (const Request& request : batch.requests) write(out, request);
  return out.take();
}

}  // namespace

SealedBatch::SealedBatch(const InstanceId& instance, Batch batch, Buffer encoded)
    : batch_(std::move(batch)),
      encoded_(std::move(encoded)),
      digest_(crypto::Hasher("rosebud pbft batch 1")
                  .update(instance.view())
                  .update(encoded_.view())
                  .finish()) {}

BatchPointer SealedBatch::seal(const InstanceId& instance, Batch batch) {
  Buffer encoded(encode(batch));
  return BatchPointer(new SealedBatch(instance, std::move(batch), std::move(encoded)));
}

BatchPointer SealedBatch::open(const InstanceId& instance, ByteView encoded) {
  wire::Reader in(encoded);
  Batch batch;
  batch.time = AgreedTime(in.u64());
  const std::size_t count = in.u32();
  if (count > kBatchRequestsMax) return nullptr;
  for (std::size_t i = 0; i < count && in.ok(); ++i) batch.requests.push_back(read_request(in));
  if (!in.done() || encoded.size() > kBatchSizeMax) return nullptr;
  return BatchPointer(new SealedBatch(instance, std::move(batch), Buffer::copy_of(encoded)));
}

}  // namespace rosebud::pbft
