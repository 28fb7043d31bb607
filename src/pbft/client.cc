#include "pbft/client.h"

#include <algorithm>

namespace rosebud::pbft {

Client::Client(crypto::SecretKey key, std::shared_ptr<const Group> group,
               const crypto::SignatureScheme& scheme, Random random, ClientSettings settings)
    : key_(std::move(key)),
      group_(std::move(group)),
      scheme_(&scheme),
      random_(random),
      settings_(settings),
      is_link_down_(group_->seat_count()) {
  if (settings_.request_authentication == RequestAuthentication::kSessionKeys) {
    sessions_.emplace(*group_, key_, scheme);
  }
}

SubmissionId Client::submit(Instant now, Buffer operation, ClientEffects& out) noexcept {
  CHECK(operation.size() <= kOperationSizeMax);
  last_id_ = last_id_.next();
  waiting_.push_back({last_id_, std::move(operation)});
  if (!current_) begin_next(now, out);
  return last_id_;
}

void Client::begin_next(Instant now, ClientEffects& out) {
  current_.reset();
  if (waiting_.empty()) return;
  current_ = Current{.what = std::move(waiting_.front()),
                     .request = {},
                     .operation = {},
                     .replies = {},
                     .deadline = {}};
  waiting_.pop_front();
  if (reading_ && now - reading_->at > settings_.reading_age_max) reading_.reset();
  if (!reading_) return ask_for_numbers(now, out);
  send_current(now, out);
}

void Client::send_current(Instant now, ClientEffects& out) {
  const auto steady = std::chrono::duration_cast<std::chrono::microseconds>(now - reading_->at);
  const RequestNumber by_time(reading_->number.value + static_cast<std::uint64_t>(steady.count()));
  last_number_ = std::max(last_number_.next(), by_time);
  set_request(now, last_number_, std::move(current_->what.operation));
  if (sessions_ || is_link_down_[believed_primary().value]) return send_to_all(out);
  out.push_back(SendRequest{believed_primary(), current_->request});
}

/// Each question is another one, so that answers to an earlier one say nothing.
void Client::ask_for_numbers(Instant now, ClientEffects& out) {
  set_request(now, kNumbersQuestion, Buffer(wire::Writer().u64(random_.next()).take()));
  send_to_all(out);
}

void Client::set_request(Instant now, RequestNumber number, Buffer operation) {
  current_->operation = operation_digest(operation.view());
  current_->request = authenticate(number, std::move(operation));
  current_->replies.assign(group_->seat_count(), std::nullopt);
  current_->doublings = 0;
  current_->deadline = now + settings_.reply_timeout;
}

/// Medians of 2F+1, so that each lies between what two correct replicas say. Two lives of one key
/// that ask in one millisecond shall not take the same number.
void Client::take_numbers(Instant now, ClientEffects& out) {
  std::vector<RequestNumber> floors;
  std::vector<AgreedTime> times;
  for (const auto& one : current_->replies) {
    if (!one || one->status != Reply::Status::kNumberForgotten) continue;
    floors.push_back(one->floor);
    times.push_back(one->time);
  }
  if (floors.size() < group_->quorum()) return;
  std::ranges::sort(floors);
  std::ranges::sort(times);
  const std::uint64_t part_of_ms = random_.below(1000);
  const RequestNumber floor(floors[floors.size() / 2].value + part_of_ms);
  last_number_ = std::max(last_number_, floor);
  reading_ = Reading{now, RequestNumber(times[times.size() / 2].value * 1000 + part_of_ms)};
  learn_view(current_->replies);
  send_current(now, out);
}

Request Client::authenticate(RequestNumber number, Buffer operation) const {
  if (sessions_) return sessions_->authenticate(number, std::move(operation));
  return sign_request(group_->instance(), *scheme_, key_, number, std::move(operation));
}

void Client::send_to_all(ClientEffects& out) const {
  for (const ReplicaId member : group_->members()) {
    out.push_back(SendRequest{member, current_->request});
  }
}

void Client::on_reply(Instant now, ReplicaId from, const Reply& reply,
                      ClientEffects& out) noexcept {
  if (!group_->is_member(from)) return;
  if (!current_ || reply.number != current_->request.number) return;
  if (reply.operation != current_->operation) return;
  current_->replies[from.value] = reply;
  if (is_asking() && reply.status == Reply::Status::kNumberForgotten) return take_numbers(now, out);
  const auto is_equal = [&](const std::optional<Reply>& other) {
    return other && other->status == reply.status && other->result == reply.result;
  };
  const std::size_t enough = is_planted(Bug::kOneReplyIsEnough) ? 1 : group_->weak_quorum();
  if (std::ranges::count_if(current_->replies, is_equal) < static_cast<std::ptrdiff_t>(enough)) {
    return;
  }
  learn_view(current_->replies);
  if (reply.status != Reply::Status::kExecuted) reading_.reset();
  // Suppose all clocks were set back before anything was executed: numbers above the one that was
  // too far ahead would be so too, until the clocks have caught up (seed 1300113 of `crashes`).
  if (reply.status == Reply::Status::kNumberAhead) last_number_ = {};
  out.push_back(Finish{current_->what.id, reply.status, reply.result});
  begin_next(now, out);
}

/// The greatest view that F+1 replicas have reached: one of them is correct.
void Client::learn_view(const std::vector<std::optional<Reply>>& replies) {
  std::vector<View> views;
  for (const auto& one : replies) {
    if (one) views.push_back(one->view);
  }
  std::ranges::sort(views, std::greater());
  if (views.size() >= group_->weak_quorum()) {
    view_ = std::max(view_, views[group_->weak_quorum() - 1]);
  }
}

void Client::on_link(Instant now, ReplicaId peer, bool is_up, ClientEffects& out) noexcept {
  if (!group_->is_member(peer)) return;
  is_link_down_[peer.value] = !is_up;
  if (!current_) return;
  if (is_up && is_asking()) out.push_back(SendRequest{peer, current_->request});
  if (is_up || peer != believed_primary()) return;
  current_->deadline = now + settings_.reply_timeout;
  send_to_all(out);
}

void Client::give_up(Instant now, ClientEffects& out) noexcept { begin_next(now, out); }

void Client::on_time(Instant now, ClientEffects& out) noexcept {
  if (!current_ || now < current_->deadline) return;
  // A question waits for 2F+1 and is answered at once: who did not was not there yet.
  if (!is_asking()) {
    current_->doublings = std::min(current_->doublings + 1, settings_.doublings_max);
  }
  current_->deadline = now + settings_.reply_timeout * (std::int64_t{1} << current_->doublings);
  send_to_all(out);
}

Instant Client::next_deadline() const { return current_ ? current_->deadline : Instant::max(); }

}  // namespace rosebud::pbft
