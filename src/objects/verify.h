// The second gate: is what was decoded what its owner, holder or hash says it is?
//
// Pure functions of the message and the configuration, so a driver may run them on any thread. A
// core takes only Verified<...>: what is judged against a replica's state comes after.
#pragma once

#include "membership/configuration.h"
#include "objects/object_merge.h"
#include "wire/messages.h"

namespace rosebud::objects {

/// A message that passed its checks. Made by this file's functions alone.
template <typename T>
class Verified {
 public:
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  T take() && { return std::move(value_); }

 private:
  friend class Verifier;
  explicit Verified(T value) : value_(std::move(value)) {}
  T value_;
};

/// What a valid hold says, with what its holder may use.
struct CheckedHold {
  wire::HoldStatement statement;
  std::uint64_t quota_bytes = 0;  // of the holder, from its admission
  std::uint32_t organisation = 0;
};

/// Checks against one configuration. Cheap to copy; immutable; thread-safe.
class Verifier {
 public:
  Verifier(std::shared_ptr<const membership::Configuration> configuration,
           const crypto::SignatureScheme& scheme);

  const membership::Configuration& configuration() const { return *configuration_; }
  const std::shared_ptr<const membership::Configuration>& shared() const { return configuration_; }

  /// For a request: hash of a block, signature and size of a record, validity of a hold for exactly
  /// this object, which is judged in the asker's epoch alone. What is refused goes to
  /// Replica::on_rejected.
  Result<Verified<wire::Request>, wire::RefusalReason> request(wire::Request request) const;

  /// True when `record` is signed by the owner whose record `id` is, in this cluster, and the value
  /// fits.
  bool is_record(const wire::ObjectId& id, const wire::SignedRecord& record) const;
  /// A tombstone of the statement or its order; nothing when it does not verify.
  std::optional<wire::RecordStatement> record(const wire::ObjectId& id,
                                              const wire::SignedRecord& record) const;

  /// Checks signature, admission, path and cluster of a hold of (id, content of `content_size`
  /// bytes). An expired one is valid here only if `may_be_expired`: what was accepted once is
  /// handed on until the collector takes it.
  std::optional<CheckedHold> hold(const wire::ObjectId& id, std::uint64_t content_size,
                                  const wire::Hold& hold, bool may_be_expired = false) const;

  /// Everything that one replica hands another about an object. Invalid holds make the whole
  /// invalid.
  bool is_object(const wire::ObjectId& id, const wire::StoredObject& object) const;

 private:
  std::shared_ptr<const membership::Configuration> configuration_;
  const crypto::SignatureScheme* scheme_;
};

}  // namespace rosebud::objects
