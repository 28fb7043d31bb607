#include "pbft/vouches.h"

namespace rosebud::pbft {

// ---- Vouches ----

Vouches::Standing Vouches::standing(const Seats& seats) const {
  Standing out{.is_authentic = seats[self_.value]};
  const std::size_t all = seats.count();
  const std::size_t others = all - (out.is_authentic ? 1 : 0);
  out.is_vouched_by_others =
      others >= (is_planted(Bug::kOneVouchIsEnough) ? 1 : group_->weak_quorum());
  out.is_ready =
      out.is_authentic && (all >= group_->quorum() || is_planted(Bug::kVouchesNotAwaited));
  return out;
}

Vouches::Standing Vouches::of(const crypto::Digest& request) const {
  const Seats* seats = by_request_.find(request);
  return seats ? standing(*seats) : Standing{};
}

std::optional<Vouches::Added> Vouches::add(ReplicaId from, const crypto::Digest& request) {
  Seats& seats = by_request_[request];
  if (seats[from.value]) return std::nullopt;
  Added out{.before = standing(seats), .now = {}};
  seats[from.value] = true;
  out.now = standing(seats);
  std::deque<crypto::Digest>& kept = by_replica_[from.value];
  kept.push_back(request);
  if (kept.size() <= kept_max_) return out;
  const crypto::Digest oldest = kept.front();
  kept.pop_front();
  Seats& others = by_request_[oldest];
  others[from.value] = false;
  if (others.none()) by_request_.erase(oldest);
  return out;
}

// ---- Requests ----

void UnreadyRequests::add(const Request& request, const crypto::Digest& digest) {
  if (const std::uint64_t* earlier = by_client_.find(request.client)) {
    if (by_arrival_.at(*earlier).request.number >= request.number) return;
    (void)take_out(*earlier);
  }
  ++arrivals_;
  bytes_ += request.operation.size();
  by_client_[request.client] = arrivals_;
  by_digest_[digest] = arrivals_;
  by_arrival_[arrivals_] = {.request = request, .digest = digest};
  while (size() > count_max_ || bytes_ > bytes_max_) (void)take_out(by_arrival_.begin()->first);
}

const Request* UnreadyRequests::find(const crypto::Digest& digest) const {
  const std::uint64_t* arrival = by_digest_.find(digest);
  return arrival ? &by_arrival_.at(*arrival).request : nullptr;
}

std::optional<Request> UnreadyRequests::take(const crypto::Digest& digest) {
  const std::uint64_t* arrival = by_digest_.find(digest);
  if (!arrival) return std::nullopt;
  return take_out(*arrival);
}

void UnreadyRequests::remove(const ClientId& client, RequestNumber up_to) {
  const std::uint64_t* arrival = by_client_.find(client);
  if (!arrival || by_arrival_.at(*arrival).request.number > up_to) return;
  (void)take_out(*arrival);
}

void UnreadyRequests::clear() {
  by_arrival_.clear();
  by_client_.clear();
  by_digest_.clear();
  bytes_ = 0;
}

Request UnreadyRequests::take_out(std::uint64_t arrival) {
  const auto at = by_arrival_.find(arrival);
  Entry entry = std::move(at->second);
  by_arrival_.erase(at);
  by_client_.erase(entry.request.client);
  by_digest_.erase(entry.digest);
  bytes_ -= entry.request.operation.size();
  return std::move(entry.request);
}

}  // namespace rosebud::pbft
