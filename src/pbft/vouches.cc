#include "pbft/vouches.h"

namespace rosebud::pbft {

// ---- Vouches ----

bool Vouches::has(ReplicaId replica, const crypto::Digest& request) const {
  const Seats* seats = by_request_.find(request);
  return seats && (*seats)[replica.value];
}

bool Vouches::add(ReplicaId from, const crypto::Digest& request) {
  Seats& seats = by_request_[request];
  if (seats[from.value]) return false;
  seats[from.value] = true;
  std::deque<crypto::Digest>& kept = by_replica_[from.value];
  kept.push_back(request);
  if (kept.size() <= kept_max_) return true;
  const crypto::Digest oldest = kept.front();
  kept.pop_front();
  Seats& others = by_request_[oldest];
  others[from.value] = false;
  if (others.none()) by_request_.erase(oldest);
  return true;
}

std::size_t Vouches::count(const crypto::Digest& request, bool is_own_counted) const {
  const Seats* seats = by_request_.find(request);
  if (!seats) return 0;
  return seats->count() - ((*seats)[self_.value] && !is_own_counted ? 1 : 0);
}

bool Vouches::is_vouched_by_others(const crypto::Digest& request) const {
  const std::size_t enough = is_planted(Bug::kOneVouchIsEnough) ? 1 : group_->weak_quorum();
  return count(request, false) >= enough;
}

bool Vouches::is_ready(const crypto::Digest& request) const {
  if (!is_authentic(request)) return false;
  return count(request, true) >= group_->quorum() || is_planted(Bug::kVouchesNotAwaited);
}

// ---- Requests ----

void UnreadyRequests::add(const Request& request, const crypto::Digest& digest) {
  if (const auto at = by_client_.find(request.client); at != by_client_.end()) {
    if (by_arrival_.at(at->second).request.number >= request.number) return;
    (void)take_out(at->second);
  }
  ++arrivals_;
  bytes_ += request.operation.size();
  by_client_[request.client] = arrivals_;
  by_digest_[digest] = arrivals_;
  by_arrival_[arrivals_] = {.request = request, .digest = digest};
  while (size() > count_max_ || bytes_ > bytes_max_) (void)take_out(by_arrival_.begin()->first);
}

const Request* UnreadyRequests::find(const crypto::Digest& digest) const {
  const auto at = by_digest_.find(digest);
  return at == by_digest_.end() ? nullptr : &by_arrival_.at(at->second).request;
}

std::optional<Request> UnreadyRequests::take(const crypto::Digest& digest) {
  const auto at = by_digest_.find(digest);
  if (at == by_digest_.end()) return std::nullopt;
  return take_out(at->second);
}

void UnreadyRequests::remove(const ClientId& client, RequestNumber up_to) {
  const auto at = by_client_.find(client);
  if (at == by_client_.end() || by_arrival_.at(at->second).request.number > up_to) return;
  (void)take_out(at->second);
}

void UnreadyRequests::clear() {
  while (!by_arrival_.empty()) (void)take_out(by_arrival_.begin()->first);
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
