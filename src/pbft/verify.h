// The second gate: did the replicas and clients whose names stand in a message sign it, and does
// its proof prove what it says?
//
// Pure functions of the message and the group, so a driver may run them on any thread. The core
// takes only Verified<...>; what is judged against a replica's state comes after (replica.h).
// Under session keys a request's MAC convinces one replica alone: here only its form is judged, and
// each core judges the rest (vouches.h).
// Votes may be handed on by others than who signed them; messages that nobody signs (status,
// fetches and their answers) are worth what the link says about their sender.
#pragma once

#include "base/result.h"
#include "pbft/messages.h"

namespace rosebud::pbft {

/// Why a message was dropped; counted per peer.
enum class RejectReason : std::uint8_t {
  kBadSignature,    // of a replica
  kBadRequest,      // of a client, alone or in a batch
  kBadDigest,       // the content is not what the vote names
  kWrongSender,     // a replica that has no say in this
  kBadCertificate,  // fewer than 2F+1, or not theirs
  kOutsideWindow,   // certificates that no correct replica can have
  kUnjustified,     // a new view that does not follow from its view changes
};
std::string_view name_of(RejectReason reason);

/// A message that passed its checks. Made here alone.
template <typename T>
class Verified {
 public:
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  T take() && { return std::move(value_); }

 private:
  friend class Verifier;
  friend class MessageCheck;
  explicit Verified(T value) : value_(std::move(value)) {}
  T value_;
};

/// Cheap to copy; immutable; thread-safe.
class Verifier {
 public:
  /// `scheme` must outlive it.
  Verifier(std::shared_ptr<const Group> group, GroupSettings settings,
           const crypto::SignatureScheme& scheme);

  Result<Verified<Message>, RejectReason> message(Message message) const;
  /// What a client sends.
  Result<Verified<Request>, RejectReason> request(Request request) const;

  const Group& group() const { return *group_; }
  const std::shared_ptr<const Group>& shared_group() const { return group_; }
  const crypto::SignatureScheme& scheme() const { return *scheme_; }
  const GroupSettings& settings() const { return settings_; }
  const BatchPointer& null_batch() const { return null_batch_; }

 private:
  friend class MessageCheck;
  using Verdict = rosebud::Status<RejectReason>;
  Verdict check(const PrePrepare& message) const;  // all but its requests
  Verdict check(const Ballot& message) const;
  Verdict check(const ViewChange& message) const;
  Verdict check(const NewView& message) const;
  Verdict check(const Committed& message) const;
  Verdict check(const StableCheckpoint& message) const;
  Verdict check(const RecoveryAnswer& message) const;
  Verdict check(const Request& message) const;
  template <typename Unsigned>
  Verdict check(const Unsigned&) const {
    return {};
  }
  Verdict check_signed(const Vote& vote) const;
  Verdict check_stable(const std::optional<Certificate>& certificate) const;
  Verdict check_pre_prepares(const NewView& message) const;

  std::shared_ptr<const Group> group_;
  GroupSettings settings_;
  const crypto::SignatureScheme* scheme_;
  BatchPointer null_batch_;
};

/// The check of one message in steps: a proposal of thousands of signed requests takes a fifth of a
/// second, in which others may want their turn. Not thread-safe.
class MessageCheck {
 public:
  /// Nothing is checked yet. `verifier` must outlive it.
  MessageCheck(const Verifier& verifier, Message message)
      : verifier_(&verifier), message_(std::move(message)) {}

  /// The first step judges all but a proposal's requests; each goes on with up to `requests` of
  /// those. True: it was the last one.
  bool step(std::size_t requests);
  /// Once. Requires: the last step was done.
  Result<Verified<Message>, RejectReason> take() &&;

 private:
  const Verifier* verifier_;
  Message message_;
  Verifier::Verdict verdict_;
  bool is_begun_ = false;
  bool is_done_ = false;
  std::size_t requests_checked_ = 0;
};

}  // namespace rosebud::pbft
