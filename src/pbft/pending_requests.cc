#include "pbft/pending_requests.h"

#include "pbft/planted_bugs.h"

namespace rosebud::pbft {

PendingRequests::Entry* PendingRequests::of(const ClientId& client) {
  return const_cast<Entry*>(std::as_const(*this).of(client));
}

const PendingRequests::Entry* PendingRequests::of(const ClientId& client) const {
  const std::uint64_t* arrival = by_client_.find(client);
  return arrival ? &by_arrival_.at(*arrival) : nullptr;
}

bool PendingRequests::add(const Request& request, Instant now, const crypto::Digest& digest,
                          std::optional<std::uint64_t> place) {
  if (const Entry* earlier = of(request.client)) {
    if (earlier->request.number >= request.number) return false;
    if (!earlier->is_proposed && !is_planted(Bug::kPlaceInQueueLost)) {
      place = std::min(place.value_or(earlier->place), earlier->place);
    }
    remove(request.client, request.number);
  }
  if (size() >= count_max_ || bytes_ + request.operation.size() > bytes_max_) return false;
  bytes_ += request.operation.size();
  by_client_[request.client] = ++arrivals_;
  if (digest != crypto::Digest{}) by_digest_[digest] = arrivals_;
  Entry entry{
      .request = request, .since = now, .digest = digest, .place = place.value_or(arrivals_)};
  queue_[entry.place] = arrivals_;
  by_arrival_.emplace_hint(by_arrival_.end(), arrivals_, std::move(entry));
  return true;
}

std::optional<Instant> PendingRequests::remove(const ClientId& client, RequestNumber up_to) {
  const std::uint64_t* arrival = by_client_.find(client);
  if (!arrival) return std::nullopt;
  const auto entry = by_arrival_.find(*arrival);
  if (entry->second.request.number > up_to) return std::nullopt;
  const Instant since = entry->second.since;
  bytes_ -= entry->second.request.operation.size();
  if (!entry->second.is_proposed) queue_.erase(entry->second.place);
  by_digest_.erase(entry->second.digest);
  by_client_.erase(client);
  by_arrival_.erase(entry);
  return since;
}

void PendingRequests::remove_if(const std::function<bool(const Request&)>& is_done) {
  std::vector<std::pair<ClientId, RequestNumber>> done;
  for (const auto& [arrival, entry] : by_arrival_) {
    if (is_done(entry.request)) done.emplace_back(entry.request.client, entry.request.number);
  }
  for (const auto& [client, number] : done) remove(client, number);
}

void PendingRequests::clear() {
  by_arrival_.clear();
  by_client_.clear();
  by_digest_.clear();
  queue_.clear();
  bytes_ = 0;
}

void PendingRequests::restart(Instant now) {
  for (auto& [arrival, entry] : by_arrival_) {
    entry.since = now;
    entry.is_proposed = false;
    queue_[entry.place] = arrival;
  }
  told_ = 0;
}

void PendingRequests::mark_proposed(const ClientId& client, RequestNumber number) {
  Entry* entry = of(client);
  if (!entry || entry->request.number != number || entry->is_proposed) return;
  entry->is_proposed = true;
  queue_.erase(entry->place);
}

std::vector<Request> PendingRequests::first_unproposed(std::size_t count_max,
                                                       std::size_t bytes_max) const {
  std::vector<Request> out;
  std::size_t bytes = 0;
  for (const auto& [place, arrival] : queue_) {
    const Request& request = by_arrival_.at(arrival).request;
    bytes += encoded_size(request);
    if (out.size() == count_max || (!out.empty() && bytes > bytes_max)) break;
    out.push_back(request);
  }
  return out;
}

std::vector<Request> PendingRequests::take_batch(std::size_t count_max, std::size_t bytes_max) {
  std::vector<Request> out = first_unproposed(count_max, bytes_max);
  for (const Request& request : out) mark_proposed(request.client, request.number);
  return out;
}

bool PendingRequests::holds(const Request& request) const {
  const Entry* entry = of(request.client);
  return entry && entry->request == request;
}

const Request* PendingRequests::find(const crypto::Digest& digest) const {
  const std::uint64_t* arrival = by_digest_.find(digest);
  return arrival ? &by_arrival_.at(*arrival).request : nullptr;
}

std::optional<Instant> PendingRequests::first_untold_since() const {
  const auto at = by_arrival_.upper_bound(told_);
  return at == by_arrival_.end() ? std::nullopt : std::optional(at->second.since);
}

std::vector<Request> PendingRequests::tell(Instant since) {
  std::vector<Request> out;
  for (auto at = by_arrival_.upper_bound(told_);
       at != by_arrival_.end() && at->second.since <= since; ++at) {
    out.push_back(at->second.request);
    told_ = at->first;
  }
  return out;
}

std::vector<Request> PendingRequests::waiting_since(Instant since, std::size_t count_max) const {
  std::vector<Request> out;
  for (const auto& [arrival, entry] : by_arrival_) {
    if (entry.since > since || out.size() == count_max) break;
    out.push_back(entry.request);
  }
  return out;
}

void PendingRequests::wait_anew(Instant now) {
  for (auto& [arrival, entry] : by_arrival_) entry.since = now;
}

}  // namespace rosebud::pbft
