// What clients ask for, and the batches in which the group orders it.
//
// A batch is proposed, voted on, stored and handed on as the exact bytes that its digest names.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/mac.h"
#include "pbft/settings.h"
#include "wire/cursor.h"

namespace rosebud::pbft {

/// An operation that a client signed, or authenticated to each replica.
struct Request {
  static constexpr std::string_view kTag = "rosebud pbft request 1";

  ClientId client;
  RequestNumber number;
  Buffer operation;                 // at most kOperationSizeMax
  crypto::Signature signature;      // zero beside MACs
  std::vector<crypto::Mac> macs{};  // by seat, of digest() under session keys; none: it is signed

  /// The exact bytes that are signed.
  Bytes statement(const InstanceId& instance) const;
  /// Names what is asked for, however it is authenticated: the hash of the statement.
  crypto::Digest digest(const InstanceId& instance) const;
  friend bool operator==(const Request&, const Request&) = default;
};

/// What tells requests of one client with one number apart.
crypto::Digest operation_digest(ByteView operation);

Request sign_request(const InstanceId& instance, const crypto::SignatureScheme& scheme,
                     const crypto::SecretKey& key, RequestNumber number, Buffer operation);
bool is_valid(const Request& request, const InstanceId& instance,
              const crypto::SignatureScheme& scheme);

void write(wire::Writer& out, const Request& request);
/// Bytes that write() makes of it: MACs for many seats are more than a small operation.
std::size_t encoded_size(const Request& request);
Request read_request(wire::Reader& in);

/// Requests that are executed one after the other at one agreed time.
struct Batch {
  AgreedTime time;  // as the primary proposed it; 0 in the null batch
  std::vector<Request> requests;
};

/// A batch, its encoding and its digest. Immutable and shared.
class SealedBatch {
 public:
  static std::shared_ptr<const SealedBatch> seal(const InstanceId& instance, Batch batch);
  /// Nothing when the bytes are no encoding of a batch within limits.
  static std::shared_ptr<const SealedBatch> open(const InstanceId& instance, ByteView encoded);
  /// What a new view orders where nothing was prepared: it changes nothing, not even the time
  /// [CL99 §4.4].
  static std::shared_ptr<const SealedBatch> null(const InstanceId& instance) {
    return seal(instance, {});
  }

  const Batch& batch() const { return batch_; }
  const Buffer& encoded() const { return encoded_; }
  const crypto::Digest& digest() const { return digest_; }
  bool is_null() const { return batch_.requests.empty() && batch_.time == AgreedTime{}; }

 private:
  SealedBatch(const InstanceId& instance, Batch batch, Buffer encoded);
  Batch batch_;
  Buffer encoded_;
  crypto::Digest digest_;
};
using BatchPointer = std::shared_ptr<const SealedBatch>;

}  // namespace rosebud::pbft
