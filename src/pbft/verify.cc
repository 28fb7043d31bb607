#include "pbft/verify.h"

#include <algorithm>

#include "pbft/new_view_choice.h"

namespace rosebud::pbft {

std::string_view name_of(RejectReason reason) {
  switch (reason) {
    case RejectReason::kBadSignature:
      return "bad-signature";
    case RejectReason::kBadRequest:
      return "bad-request";
    case RejectReason::kBadDigest:
      return "bad-digest";
    case RejectReason::kWrongSender:
      return "wrong-sender";
    case RejectReason::kBadCertificate:
      return "bad-certificate";
    case RejectReason::kOutsideWindow:
      return "outside-window";
    case RejectReason::kUnjustified:
      return "unjustified";
  }
  return "unknown";
}

Verifier::Verifier(std::shared_ptr<const Group> group, GroupSettings settings,
                   const crypto::SignatureScheme& scheme)
    : group_(std::move(group)),
      settings_(settings),
      scheme_(&scheme),
      null_batch_(SealedBatch::null(group_->instance())) {}

Result<Verified<Message>, RejectReason> Verifier::message(Message message) const {
  MessageCheck check(*this, std::move(message));
  while (!check.step(kBatchRequestsMax)) {
  }
  return std::move(check).take();
}

Result<Verified<Request>, RejectReason> Verifier::request(Request request) const {
  if (const Verdict verdict = check(request); !verdict) return fail(verdict.error());
  return Verified<Request>(std::move(request));
}

Verifier::Verdict Verifier::check_signed(const Vote& vote) const {
  if (!is_valid(vote, *group_, *scheme_)) return fail(RejectReason::kBadSignature);
  return {};
}

Verifier::Verdict Verifier::check(const Request& request) const {
  if (request.operation.size() > kOperationSizeMax) return fail(RejectReason::kBadRequest);
  if (settings_.request_authentication == RequestAuthentication::kSessionKeys) {
    if (request.macs.size() != group_->seat_count()) return fail(RejectReason::kBadRequest);
    return {};
  }
  if (!request.macs.empty()) return fail(RejectReason::kBadRequest);
  if (is_planted(Bug::kRequestSignatureNotChecked)) return {};
  if (!is_valid(request, group_->instance(), *scheme_)) return fail(RejectReason::kBadRequest);
  return {};
}

Verifier::Verdict Verifier::check(const PrePrepare& message) const {
  const Vote& vote = message.vote;
  if (vote.kind != VoteKind::kPrePrepare || vote.replica != group_->primary_of(vote.view)) {
    return fail(RejectReason::kWrongSender);
  }
  if (vote.number == SequenceNumber{}) return fail(RejectReason::kOutsideWindow);
  if (message.batch->digest() != vote.digest) return fail(RejectReason::kBadDigest);
  return check_signed(vote);
}

Verifier::Verdict Verifier::check(const Ballot& message) const {
  const Vote& vote = message.vote;
  switch (vote.kind) {
    case VoteKind::kPrepare:
      // The pre-prepare is the primary's say [CL99 §4.2].
      if (vote.replica == group_->primary_of(vote.view)) return fail(RejectReason::kWrongSender);
      break;
    case VoteKind::kCommit:
      break;
    case VoteKind::kCheckpoint:
      if (vote.view != View{}) return fail(RejectReason::kWrongSender);
      break;
    case VoteKind::kPrePrepare:
    case VoteKind::kViewChange:
    case VoteKind::kNewView:
      return fail(RejectReason::kWrongSender);
  }
  return check_signed(vote);
}

Verifier::Verdict Verifier::check_stable(const std::optional<Certificate>& certificate) const {
  if (!certificate) return {};
  if (certificate->kind != VoteKind::kCheckpoint || certificate->view != View{} ||
      certificate->number == SequenceNumber{} || !is_valid(*certificate, *group_, *scheme_)) {
    return fail(RejectReason::kBadCertificate);
  }
  return {};
}

Verifier::Verdict Verifier::check(const ViewChange& message) const {
  const Vote& vote = message.vote;
  if (vote.kind != VoteKind::kViewChange || vote.view == View{}) {
    return fail(RejectReason::kWrongSender);
  }
  if (const Verdict verdict = check_signed(vote); !verdict) return verdict;
  if (vote.digest != message.digest(group_->instance())) return fail(RejectReason::kBadDigest);
  const SequenceNumber stable = message.stable ? message.stable->number : SequenceNumber{};
  if (vote.number != stable) return fail(RejectReason::kBadCertificate);
  if (const Verdict verdict = check_stable(message.stable); !verdict) return verdict;
  SequenceNumber previous = stable;
  for (const Certificate& one : message.prepared) {
    if (one.kind != VoteKind::kPrepare || one.view >= vote.view) {
      return fail(RejectReason::kBadCertificate);
    }
    if (one.number <= previous || one.number.value > stable.value + settings_.window) {
      return fail(RejectReason::kOutsideWindow);
    }
    if (!is_valid(one, *group_, *scheme_)) return fail(RejectReason::kBadCertificate);
    previous = one.number;
  }
  return {};
}

Verifier::Verdict Verifier::check(const NewView& message) const {
  const Vote& vote = message.vote;
  if (vote.kind != VoteKind::kNewView || vote.view == View{} ||
      vote.replica != group_->primary_of(vote.view)) {
    return fail(RejectReason::kWrongSender);
  }
  if (const Verdict verdict = check_signed(vote); !verdict) return verdict;
  if (vote.digest != message.digest(group_->instance())) return fail(RejectReason::kBadDigest);
  if (message.proofs.size() != group_->quorum()) return fail(RejectReason::kBadCertificate);
  for (std::size_t i = 0; i < message.proofs.size(); ++i) {
    const ViewChange& proof = message.proofs[i];
    if (proof.vote.view != vote.view) return fail(RejectReason::kUnjustified);
    if (i > 0 && !(message.proofs[i - 1].vote.replica < proof.vote.replica)) {
      return fail(RejectReason::kUnjustified);
    }
    if (const Verdict verdict = check(proof); !verdict) return verdict;
  }
  return check_pre_prepares(message);
}

/// Backups make the choice again and compare [CL99 §4.4].
Verifier::Verdict Verifier::check_pre_prepares(const NewView& message) const {
  const NewViewChoice choice = choose_new_view(message.proofs, null_batch_->digest());
  const bool is_checked = !is_planted(Bug::kNewViewNotChecked);
  if (is_checked && choice.digests.size() != message.pre_prepares.size()) {
    return fail(RejectReason::kUnjustified);
  }
  SequenceNumber number = choice.first();
  for (std::size_t i = 0; i < message.pre_prepares.size(); ++i, number = number.next()) {
    const Vote& one = message.pre_prepares[i];
    if (one.kind != VoteKind::kPrePrepare || one.view != message.vote.view ||
        one.replica != message.vote.replica || one.number != number) {
      return fail(RejectReason::kUnjustified);
    }
    if (is_checked && one.digest != choice.digests[i]) return fail(RejectReason::kUnjustified);
    if (const Verdict verdict = check_signed(one); !verdict) return verdict;
  }
  return {};
}

Verifier::Verdict Verifier::check(const Committed& message) const {
  const Certificate& certificate = message.certificate;
  if (certificate.kind != VoteKind::kCommit || certificate.number == SequenceNumber{}) {
    return fail(RejectReason::kBadCertificate);
  }
  if (certificate.digest != message.batch->digest()) return fail(RejectReason::kBadDigest);
  if (!is_valid(certificate, *group_, *scheme_)) return fail(RejectReason::kBadCertificate);
  return {};
}

Verifier::Verdict Verifier::check(const StableCheckpoint& message) const {
  return check_stable(message.certificate);
}

Verifier::Verdict Verifier::check(const RecoveryAnswer& message) const {
  if (message.latest) {
    if (const Verdict verdict = check_signed(*message.latest); !verdict) return verdict;
  }
  for (std::size_t i = 0; i < message.view_changes.size(); ++i) {
    const Vote& one = message.view_changes[i];
    if (one.kind != VoteKind::kViewChange) return fail(RejectReason::kBadCertificate);
    if (i > 0 && !(message.view_changes[i - 1].replica < one.replica)) {
      return fail(RejectReason::kBadCertificate);
    }
    if (const Verdict verdict = check_signed(one); !verdict) return verdict;
  }
  return check_stable(message.stable);
}

bool MessageCheck::step(std::size_t requests) {
  if (!std::exchange(is_begun_, true)) {
    verdict_ = std::visit([this](const auto& body) { return verifier_->check(body); }, message_);
  }
  if (const auto* proposal = std::get_if<PrePrepare>(&message_)) {
    const std::vector<Request>& all = proposal->batch->batch().requests;
    const std::size_t end = requests_checked_ + std::min(requests, all.size() - requests_checked_);
    while (verdict_ && requests_checked_ < end)
      verdict_ = verifier_->check(all[requests_checked_++]);
    is_done_ = !verdict_ || end == all.size();
  } else {
    is_done_ = true;
  }
  return is_done_;
}

Result<Verified<Message>, RejectReason> MessageCheck::take() && {
  CHECK(is_done_);
  if (!verdict_) return fail(verdict_.error());
  return Verified<Message>(std::move(message_));
}

}  // namespace rosebud::pbft
