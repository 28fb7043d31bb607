// Requests under session keys: what a MAC shows to one replica becomes known to all before it is
// ordered. The rules and why they are enough: vouches.h.
#include <algorithm>

#include "pbft/replica.h"

namespace rosebud::pbft {
namespace {

/// Of requests that wait, what is vouched for again at once.
constexpr std::size_t kVouchedAgainMax = 256;

/// So many requests may come before others although their bytes came later: less than a batch.
constexpr std::size_t kKeptPlacesMax = 64;

}  // namespace

// ---- What is authentic ----

/// Its MAC is right here, or others have said enough. Says nothing to others yet.
bool Replica::is_genuine(const Request& request, const crypto::Digest& digest,
                         std::size_t& agreements) noexcept {
  const Vouches::Standing said = vouches_.of(digest);
  return said.is_authentic || said.is_vouched_by_others ||
         sessions_->is_authentic(request, digest, agreements);
}

void Replica::vouch(Now now, const crypto::Digest& digest, Effects& out) {
  to_vouch_for_.push_back(digest);
  (void)add_vouch(now, identity_.self, digest, out);
}

/// Returns how it stands then; nothing: known.
std::optional<Vouches::Standing> Replica::add_vouch(Now now, ReplicaId from,
                                                    const crypto::Digest& digest, Effects& out) {
  const auto added = vouches_.add(from, digest);
  if (!added) return std::nullopt;
  if (!added->before.is_ready && added->now.is_ready) take_ready(now, digest, out);
  return added->now;
}

/// A request that is its client's own. One that comes again is vouched for again: what was said of
/// it may have been lost.
void Replica::take_genuine(Now now, const Request& request, const crypto::Digest& digest,
                           Effects& out) {
  vouch(now, digest, out);
  missing_.erase(digest);
  const auto place = take_kept_place(digest);
  if (!vouches_.of(digest).is_ready) {
    unready_.add(request, digest);
  } else if (pending_.add(request, now.instant, digest, place)) {
    propose(now, out);
  }
  review_doubts(now, out);
}

/// From here on it is a request like any other: proposed by a primary, waited for by a backup. Not
/// earlier: suppose a backup waited for what the primary cannot have others accept, then a faulty
/// client could end views.
void Replica::take_ready(Now now, const crypto::Digest& digest, Effects& out) {
  const auto request = unready_.take(digest);
  if (!request) return miss(now, digest);
  if (is_done(*request)) return;
  if (pending_.add(*request, now.instant, digest)) propose(now, out);
}

void Replica::on(Now now, ReplicaId from, const Vouch& message, Effects& out) {
  if (!has_session_keys() || is_stopped_) return;
  for (const crypto::Digest& digest : message.requests) {
    const auto stands = add_vouch(now, from, digest, out);
    if (stands && !stands->is_authentic && stands->is_vouched_by_others) vouch(now, digest, out);
  }
  review_doubts(now, out);
}

// ---- What a primary lacks ----

/// Suppose a client sends its request to backups alone, or with a MAC that is wrong to the primary:
/// they wait, and the primary has nothing to propose until they tell it at half of the time-out.
/// With a queue longer than the other half they would leave its view because of a client (seed
/// 1010451 of the scenario `session-keys`). The correct one that verified it has it.
void Replica::miss(Now now, const crypto::Digest& digest) {
  if (!is_normal() || !is_primary() || missing_.size() == kVouchedMax) return;
  if (is_planted(Bug::kMissingNotAskedFor)) return;
  // The client's own message may be on its way.
  if (missing_.empty()) missing_at_ = now.instant + settings_.status_interval / 2;
  missing_.insert(digest);
  kept_places_.emplace_back(digest, pending_.take_place());
  if (kept_places_.size() > kKeptPlacesMax) kept_places_.pop_front();
}

/// Suppose nobody has it when the primary asks: its client has sent something newer to those who
/// had vouched for it. Later the client sends it to backups alone, which tell the primary at half
/// of the time-out; at the end of a queue that is longer than the other half it would end a view in
/// which nobody is faulty.
std::optional<std::uint64_t> Replica::take_kept_place(const crypto::Digest& digest) {
  const auto at =
      std::ranges::find(kept_places_, digest, &std::pair<crypto::Digest, std::uint64_t>::first);
  if (at == kept_places_.end()) return std::nullopt;
  const std::uint64_t place = at->second;
  kept_places_.erase(at);
  return is_planted(Bug::kMissingLosesPlace) ? std::nullopt : std::optional(place);
}

/// Once: what is lost then is told at half of the time-out.
void Replica::ask_for_missing(Now now, Effects& out) {
  if (missing_.empty() || now.instant < missing_at_) return;
  const std::set<crypto::Digest> missing = std::exchange(missing_, {});
  if (!is_normal() || !is_primary()) return;
  out.push_back(Broadcast{FetchRequests{{missing.begin(), missing.end()}}});
}

void Replica::on(Now now, ReplicaId from, const FetchRequests& message, Effects& out) {
  for (const crypto::Digest& digest : message.requests) {
    const Request* request = pending_.find(digest);
    if (!request) request = unready_.find(digest);
    if (!request) continue;
    if (!may_give(now, from, request->operation.size())) return;
    out.push_back(Send{from, *request});
  }
}

// ---- Saying so ----

/// The first at once, what follows within the interval together.
void Replica::send_vouches(Now now, Effects& out) {
  if (to_vouch_for_.empty()) return;
  if (now.instant < vouch_at_ && to_vouch_for_.size() < kVouchedMax) return;
  vouch_at_ = now.instant + settings_.vouch_interval;
  std::ranges::sort(to_vouch_for_);
  const auto twice = std::ranges::unique(to_vouch_for_);
  to_vouch_for_.erase(twice.begin(), twice.end());
  Vouch message;
  for (const crypto::Digest& digest : to_vouch_for_) {
    message.requests.push_back(digest);
    if (message.requests.size() < kVouchedMax) continue;
    out.push_back(Broadcast{std::move(message)});
    message = {};
  }
  if (!message.requests.empty()) out.push_back(Broadcast{std::move(message)});
  to_vouch_for_.clear();
}

/// What waits here may wait because vouches were lost, or because somebody has forgotten them.
void Replica::vouch_again(Now now) {
  const Instant since = now.instant - settings_.status_interval;
  for (const Request& request : pending_.waiting_since(since, kVouchedAgainMax)) {
    to_vouch_for_.push_back(request.digest(group().instance()));
  }
  const Slot* next = std::as_const(log_).find(executed_.next());
  if (!next || !next->proposal || !next->proposal->batch) return;
  if (now.instant < next->told_at + settings_.status_interval) return;
  for (const Request& request : next->proposal->batch->batch().requests) {
    const crypto::Digest digest = request.digest(group().instance());
    if (vouches_.of(digest).is_authentic) to_vouch_for_.push_back(digest);
  }
}

// ---- Proposals ----

/// True when every request of the batch is authentic here. What a new view proposes stands on
/// certificates: F+1 correct replicas found it so.
bool Replica::is_free_of_doubts(Now now, SequenceNumber number, Slot& slot, Effects& out) {
  if (!has_session_keys() || number <= last_of_view()) return true;
  if (is_planted(Bug::kUnvouchedPrepared)) return true;
  // A correct primary proposes no further than this from what it has executed. What a faulty one
  // proposes beyond is judged when it comes near, if it ever does.
  if (number.value > executed_.value + settings_.instances_in_flight_max) {
    doubtful_.insert(number);
    return false;
  }
  const SealedBatch& batch = *slot.proposal->batch;
  if (!slot.doubts || slot.doubts->batch != batch.digest()) {
    slot.doubts = {.batch = batch.digest(), .requests = {}};
    for (const Request& request : batch.batch().requests) {
      const crypto::Digest digest = request.digest(group().instance());
      if (vouches_.of(digest).is_authentic) continue;
      if (is_genuine(request, digest, agreements_left_)) {
        vouch(now, digest, out);
      } else {
        slot.doubts->requests.push_back(digest);
      }
    }
  }
  std::erase_if(slot.doubts->requests, [this](const crypto::Digest& one) {
    const Vouches::Standing said = vouches_.of(one);
    return said.is_authentic || said.is_vouched_by_others;
  });
  if (slot.doubts->requests.empty()) return true;
  doubtful_.insert(number);
  if (agreements_left_ == 0) slot.doubts.reset();  // the rest is judged the next time
  return false;
}

/// Those that are still in doubt come back. The lowest number first: one input costs no more
/// agreements than one message may, however many numbers wait.
void Replica::review_doubts(Now now, Effects& out) {
  reviewed_at_ = executed_;
  for (const SequenceNumber number : std::exchange(doubtful_, {})) advance(now, number, out);
}

}  // namespace rosebud::pbft
