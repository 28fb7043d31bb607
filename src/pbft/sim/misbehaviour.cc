#include "pbft/sim/misbehaviour.h"

namespace rosebud::pbft::sim {
namespace {

constexpr std::size_t kHeardMax = 256;
constexpr std::size_t kProposedMax = 128;
constexpr std::size_t kForgedMax = 16;

}  // namespace

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::kHonest:
      return "honest";
    case Mode::kMute:
      return "mute";
    case Mode::kEquivocate:
      return "equivocate";
    case Mode::kDoubleVote:
      return "double-vote";
    case Mode::kWrongState:
      return "wrong-state";
    case Mode::kForgeViewChange:
      return "forge-view-change";
    case Mode::kForgeNewView:
      return "forge-new-view";
    case Mode::kForgeCertificate:
      return "forge-certificate";
    case Mode::kReplay:
      return "replay";
    case Mode::kCensor:
      return "censor";
    case Mode::kSlow:
      return "slow";
    case Mode::kFlood:
      return "flood";
    case Mode::kWrongTime:
      return "wrong-time";
    case Mode::kForgeRequest:
      return "forge-request";
    case Mode::kIgnoreWishes:
      return "ignore-wishes";
    case Mode::kHoard:
      return "hoard";
    case Mode::kTwin:
      return "twin";
  }
  return "unknown";
}

crypto::Digest Misbehaviour::random_digest() {
  return crypto::Hasher("noise").update_u64(random_.next()).finish();
}

Vote Misbehaviour::signed_again(Vote vote) {
  vote.replica = self_;
  vote.signature =
      verifier_.scheme().sign(key_, Vote::kTag, vote.statement(verifier_.group().instance()));
  return vote;
}

Message Misbehaviour::proposal_with(const PrePrepare& original, Batch batch) {
  BatchPointer sealed = SealedBatch::seal(verifier_.group().instance(), std::move(batch));
  Vote vote = original.vote;
  vote.digest = sealed->digest();
  return PrePrepare{signed_again(vote), std::move(sealed)};
}

// ---- Hearing ----

void Misbehaviour::remember(const Message& message) {
  if (heard_.size() < kHeardMax) {
    heard_.push_back(message);
  } else {
    heard_[random_.below(kHeardMax)] = message;
  }
}

bool Misbehaviour::hears(const Message& message) {
  if (mode_ == Mode::kHonest) return true;
  if (random_.chance(1, 8)) remember(message);
  if (const auto* proposal = std::get_if<PrePrepare>(&message)) {
    view_ = std::max(view_, proposal->vote.view);
    number_ = proposal->vote.number;
    proposed_[{proposal->vote.view, proposal->vote.number}].insert(proposal->vote.digest);
    if (proposed_.size() > kProposedMax) proposed_.erase(proposed_.begin());
    for (const Request& request : proposal->batch->batch().requests) {
      if (mode_ != Mode::kForgeRequest || request.client != censored_) continue;
      if (forged_.size() >= kForgedMax) forged_.erase(forged_.begin());
      forged_.push_back(request.digest(verifier_.group().instance()));
    }
  }
  if (const auto* ballot = std::get_if<Ballot>(&message)) {
    view_ = std::max(view_, ballot->vote.view);
    if (ballot->vote.kind != VoteKind::kCheckpoint) {
      number_ = ballot->vote.number;
      const auto at = proposed_.find({ballot->vote.view, ballot->vote.number});
      if (at != proposed_.end()) at->second.insert(ballot->vote.digest);
    }
  }
  if (const auto* change = std::get_if<ViewChange>(&message)) {
    view_ = std::max(view_, change->vote.view);
  }
  const auto* status = std::get_if<Status>(&message);
  const bool is_wish = status && (status->votes_from > View{} || status->is_urging);
  if (is_wish && mode_ == Mode::kIgnoreWishes) return false;
  const auto* request = std::get_if<Request>(&message);
  return !request || hears_request(*request);
}

bool Misbehaviour::hears_request(const Request& request) const {
  return mode_ != Mode::kCensor || request.client != censored_;
}

/// Liars lie to clients about results in the same way, so that F of them agree.
std::optional<Reply> Misbehaviour::edit_reply(const Reply& reply) {
  if (mode_ == Mode::kHonest) return reply;
  if (mode_ == Mode::kMute) return std::nullopt;
  Reply lie{.view = View(1'000'000), .number = reply.number, .operation = reply.operation};
  if (reply.status != Reply::Status::kNumberForgotten) {
    lie.result = Buffer::copy_of(as_bytes("a lie"));
    return lie;
  }
  // A client that asks for its numbers, or whose number was refused.
  constexpr std::uint64_t kFar = 1ULL << 60;
  lie.status = Reply::Status::kNumberForgotten;
  switch (random_.below(5)) {
    case 0:
      break;
    case 1:
      lie.floor = RequestNumber(kFar);
      lie.time = AgreedTime(kFar);
      break;
    case 2:
      lie.floor = reply.floor;
      lie.time = AgreedTime(reply.time.value + 3'600'000);
      break;
    case 3:
      lie.status = Reply::Status::kNumberAhead;
      break;
    default:
      lie.status = Reply::Status::kNotAClient;
  }
  return lie;
}

// ---- Sending ----

std::vector<Misbehaviour::Sent> Misbehaviour::edit_proposal(ReplicaId to,
                                                            const PrePrepare& proposal) {
  Batch batch = proposal.batch->batch();
  ++proposals_;
  switch (mode_) {
    case Mode::kEquivocate: {
      if (to.value % 2 == 0) return {{proposal}};
      const bool is_seen_by_some = proposals_ % 8 < 4;
      if (batch.requests.size() > 1) {
        std::swap(batch.requests.front(), batch.requests.back());
      } else {
        batch.time = AgreedTime(batch.time.value + 1);
      }
      Message other = proposal_with(proposal, std::move(batch));
      const Vote& vote = std::get<PrePrepare>(other).vote;
      proposed_[{vote.view, vote.number}].insert({proposal.vote.digest, vote.digest});
      // Of some, half of the backups that got one proposal get the other one too.
      if (!is_seen_by_some || random_.chance(1, 2)) return {{std::move(other)}};
      return {{std::move(other)}, {proposal}};
    }
    case Mode::kSlow:
      return {{proposal, patience_ * 4 / 5}};
    case Mode::kWrongTime: {
      const bool is_far = number_.value % 2 == 0;
      const std::uint64_t off = is_far ? 3'600'000 : 2'000;
      batch.time = AgreedTime(proposal.vote.number.value % 3 == 0 ? batch.time.value + off
                                                                  : batch.time.value - off);
      return {{proposal_with(proposal, std::move(batch))}};
    }
    case Mode::kForgeRequest: {
      Request forged;
      forged.client = censored_;  // some client's name
      // The same for everybody, so that it can be prepared.
      forged.number = RequestNumber(batch.time.value * 1000 + 999);
      forged.operation = Buffer::copy_of(as_bytes("forged"));
      if (has_session_keys()) forged.macs.resize(verifier_.group().seat_count());
      batch.requests.push_back(forged);
      Message falsified = proposal_with(proposal, std::move(batch));
      if (!has_session_keys()) return {{std::move(falsified)}};
      return {{Vouch{{forged.digest(verifier_.group().instance())}}}, {std::move(falsified)}};
    }
    default:
      return {{proposal}};
  }
}

/// Others can prepare what it proposes only just before they leave its view; that it was prepared
/// it shows whenever a view begins, from then on in each; and what that names it gives to nobody.
std::vector<Misbehaviour::Sent> Misbehaviour::hold_back(const Message& message) {
  if (const auto* change = std::get_if<ViewChange>(&message)) {
    if (!change->prepared.empty() && (!hoard_ || random_.chance(1, 8))) hoard_ = *change;
    return {};
  }
  if (const auto* ballot = std::get_if<Ballot>(&message)) {
    if (ballot->vote.kind == VoteKind::kCheckpoint) return {{message}};
    return {};
  }
  if (std::holds_alternative<PrePrepare>(message)) return {{message, patience_ * 9 / 10}};
  const bool is_help =
      std::holds_alternative<BatchFound>(message) || std::holds_alternative<Committed>(message);
  if (is_help) return {};
  return {{message}};
}

/// Votes of the kind for everything that was proposed at this number.
std::vector<Misbehaviour::Sent> Misbehaviour::double_votes(const Vote& vote) {
  std::vector<Sent> out{{Ballot{vote}}};
  if (vote.kind == VoteKind::kCheckpoint) return out;
  std::set<crypto::Digest> digests;
  const auto at = proposed_.find({vote.view, vote.number});
  if (at != proposed_.end()) digests = at->second;
  if (random_.chance(1, 4)) digests.insert(random_digest());
  for (const crypto::Digest& digest : digests) {
    Vote other = vote;
    other.digest = digest;
    out.push_back({Ballot{signed_again(other)}});
    other.kind = VoteKind::kCommit;
    out.push_back({Ballot{signed_again(other)}});
    if (vote.replica == verifier_.group().primary_of(vote.view)) continue;
    other.kind = VoteKind::kPrepare;
    out.push_back({Ballot{signed_again(other)}});
  }
  if (random_.chance(1, 2)) std::swap(out.front(), out.back());
  return out;
}

Message Misbehaviour::edit_state(const Message& message) {
  if (const auto* ballot = std::get_if<Ballot>(&message)) {
    if (ballot->vote.kind != VoteKind::kCheckpoint) return message;
    Vote vote = ballot->vote;
    // The same for everybody who asks, so that two liars agree.
    vote.digest = crypto::Hasher("wrong").update_u64(vote.number.value).finish();
    return Ballot{signed_again(vote)};
  }
  if (const auto* found = std::get_if<ManifestFound>(&message)) {
    Bytes bytes = to_bytes(found->manifest.view());
    bytes[8 + random_.below(8)] ^= 1;  // the time, which nothing else shows to be wrong
    return ManifestFound{Buffer(std::move(bytes))};
  }
  if (const auto* found = std::get_if<ChunkFound>(&message)) {
    Bytes bytes = to_bytes(found->chunk.view());
    if (!bytes.empty()) bytes[random_.below(bytes.size())] ^= 1;
    return ChunkFound{Buffer(std::move(bytes))};
  }
  if (std::holds_alternative<BatchFound>(message)) {
    return BatchFound{SealedBatch::seal(verifier_.group().instance(), {.time = AgreedTime(1)})};
  }
  if (const auto* answer = std::get_if<RecoveryAnswer>(&message)) {
    return RecoveryAnswer{.nonce = answer->nonce};
  }
  return message;
}

ViewChange Misbehaviour::forget_prepared(ViewChange message) {
  if (random_.chance(1, 2)) {
    message.prepared.clear();
  } else if (!message.prepared.empty()) {
    message.prepared.erase(message.prepared.begin() +
                           static_cast<std::ptrdiff_t>(random_.below(message.prepared.size())));
  }
  message.vote.digest = message.digest(verifier_.group().instance());
  message.vote = signed_again(message.vote);
  return message;
}

Message Misbehaviour::forge_new_view(NewView message) {
  for (Vote& vote : message.pre_prepares) {
    if (random_.chance(1, 2)) continue;
    vote.digest = random_.chance(1, 2) ? verifier_.null_batch()->digest() : random_digest();
    vote = signed_again(vote);
  }
  if (!message.pre_prepares.empty() && random_.chance(1, 3)) message.pre_prepares.pop_back();
  message.vote.digest = message.digest(verifier_.group().instance());
  message.vote = signed_again(message.vote);
  return message;
}

/// Its own signature is good, the others' are not.
Certificate Misbehaviour::forge(VoteKind kind, View view, SequenceNumber number,
                                const crypto::Digest& digest) {
  Certificate out{.kind = kind, .view = view, .number = number, .digest = digest};
  for (const ReplicaId member : verifier_.group().members()) {
    Endorsement one{.replica = member, .counter = VoteCounter(1), .signature = {}};
    if (member == self_)
      one.signature = signed_again(out.vote_of(one, verifier_.group())).signature;
    out.endorsements.push_back(one);
    if (out.endorsements.size() == verifier_.group().quorum()) break;
  }
  return out;
}

/// To each of the others always the same lies, or a wish would never stand.
Status Misbehaviour::wish_for_views(ReplicaId to, Status status) {
  const auto [at, is_new] = wishes_.try_emplace(to, random_.next());
  Random lot(at->second);
  if (lot.chance(1, 2)) status.votes_from = View(lot.chance(1, 2) ? kNumberMax : 1000);
  status.is_urging = lot.chance(1, 2);
  return status;
}

std::vector<Misbehaviour::Sent> Misbehaviour::edit(ReplicaId to, const Message& message) {
  switch (mode_) {
    case Mode::kHonest:
    case Mode::kCensor:
    case Mode::kIgnoreWishes:
    case Mode::kTwin:
      return {{message}};
    case Mode::kFlood:
      if (const auto* status = std::get_if<Status>(&message))
        return {{wish_for_views(to, *status)}};
      return {{message}};
    case Mode::kMute:
      return {};
    case Mode::kHoard:
      return hold_back(message);
    case Mode::kReplay:
      remember(message);
      return {{message}};
    case Mode::kEquivocate:
    case Mode::kDoubleVote:
      if (const auto* ballot = std::get_if<Ballot>(&message)) return double_votes(ballot->vote);
      break;
    case Mode::kWrongState:
      return {{edit_state(message)}};
    case Mode::kForgeViewChange:
      if (const auto* change = std::get_if<ViewChange>(&message))
        return {{forget_prepared(*change)}};
      break;
    case Mode::kForgeNewView:
      if (const auto* view = std::get_if<NewView>(&message)) return {{forge_new_view(*view)}};
      if (const auto* change = std::get_if<ViewChange>(&message))
        return {{forget_prepared(*change)}};
      break;
    case Mode::kForgeCertificate:
      if (const auto* change = std::get_if<ViewChange>(&message)) {
        ViewChange forged = *change;
        forged.prepared.clear();
        for (std::uint64_t i = 1; i <= 4; ++i) {
          forged.prepared.push_back(forge(VoteKind::kPrepare, View(forged.vote.view.value - 1),
                                          SequenceNumber(forged.vote.number.value + i),
                                          random_digest()));
        }
        forged.vote.digest = forged.digest(verifier_.group().instance());
        forged.vote = signed_again(forged.vote);
        return {{forged}};
      }
      break;
    case Mode::kSlow:
    case Mode::kWrongTime:
    case Mode::kForgeRequest:
      break;
  }
  if (const auto* proposal = std::get_if<PrePrepare>(&message)) return edit_proposal(to, *proposal);
  return {{message}};
}

std::vector<Message> Misbehaviour::unasked() {
  std::vector<Message> out;
  switch (mode_) {
    case Mode::kReplay:
      for (int i = 0; i < 4 && !heard_.empty(); ++i) {
        out.push_back(heard_[random_.below(heard_.size())]);
      }
      break;
    case Mode::kForgeViewChange: {
      ViewChange change;
      change.vote = {.kind = VoteKind::kViewChange, .view = view_.next(), .replica = self_};
      change.vote.counter = VoteCounter(kNumberMax);
      out.push_back(forget_prepared(std::move(change)));
      break;
    }
    case Mode::kForgeCertificate: {
      const SequenceNumber number(number_.value + random_.below(4));
      BatchPointer batch =
          SealedBatch::seal(verifier_.group().instance(), {.time = AgreedTime(random_.next())});
      out.push_back(Committed{forge(VoteKind::kCommit, view_, number, batch->digest()), batch});
      out.push_back(
          StableCheckpoint{forge(VoteKind::kCheckpoint, View{}, number, random_digest())});
      break;
    }
    case Mode::kFlood:
      for (int i = 0; i < 20; ++i) {
        Vote vote{.kind = random_.chance(1, 2) ? VoteKind::kCommit : VoteKind::kCheckpoint,
                  .number = SequenceNumber(number_.value + random_.below(2000)),
                  .digest = random_digest()};
        if (vote.kind == VoteKind::kCommit) vote.view = View(view_.value + random_.below(3));
        out.push_back(Ballot{signed_again(vote)});
      }
      if (has_session_keys()) {
        out.push_back(Vouch{std::vector(20, crypto::Digest{})});
        for (auto& one : std::get<Vouch>(out.back()).requests) one = random_digest();
      }
      out.push_back(pbft::Status{});
      out.push_back(RecoveryQuery{random_.next()});
      break;
    case Mode::kHoard:
      if (hoard_) {
        ViewChange shown = *hoard_;
        shown.vote.view = view_.next();
        shown.vote.digest = shown.digest(verifier_.group().instance());
        shown.vote = signed_again(shown.vote);
        out.push_back(std::move(shown));
      }
      break;
    case Mode::kForgeRequest:
      if (!forged_.empty()) out.push_back(Vouch{forged_});
      break;
    default:
      break;
  }
  return out;
}

}  // namespace rosebud::pbft::sim
