#include "pbft/client.h"

#include <algorithm>

namespace rosebud::pbft {

Client::Client(crypto::SecretKey key, std::shared_ptr<const Group> group,
               const crypto::SignatureScheme& scheme, ClientSettings settings)
    : key_(std::move(key)),
      group_(std::move(group)),
      scheme_(&scheme),
      settings_(settings),
      floors_(group_->seat_count()),
      is_link_down_(group_->seat_count()) {
  if (settings_.request_authentication == RequestAuthentication::kSessionKeys) {
    sessions_.emplace(*group_, key_, scheme);
  }
}

SubmissionId Client::submit(Now now, Buffer operation, ClientEffects& out) noexcept {
  CHECK(operation.size() <= kOperationSizeMax);
  last_id_ = last_id_.next();
  waiting_.push_back({last_id_, std::move(operation)});
  if (!current_) begin_next(now, out);
  return last_id_;
}

void Client::begin_next(Now now, ClientEffects& out) {
  current_.reset();
  if (waiting_.empty()) return;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  // Greater than all before, of an earlier life too, as long as the clock does not go back.
  last_number_ =
      std::max({last_number_.next(), RequestNumber(now.wall.value * 1000), floor().next()});
  current_ = Current{.id = next.id,
                     .request = authenticate(std::move(next.operation)),
                     .replies = {},
                     .deadline = now.instant + settings_.reply_timeout};
  current_->replies.resize(group_->seat_count());
  if (sessions_ || is_link_down_[believed_primary().value]) return send_to_all(out);
  out.push_back(SendRequest{believed_primary(), current_->request});
}

Request Client::authenticate(Buffer operation) const {
  if (sessions_) return sessions_->authenticate(last_number_, std::move(operation));
  return sign_request(group_->instance(), *scheme_, key_, last_number_, std::move(operation));
}

void Client::send_to_all(ClientEffects& out) const {
  for (const ReplicaId member : group_->members()) {
    out.push_back(SendRequest{member, current_->request});
  }
}

void Client::on_reply(Now now, ReplicaId from, const Reply& reply, ClientEffects& out) noexcept {
  if (!group_->is_member(from)) return;
  if (reply.status == Reply::Status::kNumberForgotten) {
    floors_[from.value] = std::max(floors_[from.value], reply.floor);
  }
  if (!current_ || reply.number != current_->request.number) return;
  current_->replies[from.value] = reply;
  const auto is_equal = [&](const std::optional<Reply>& other) {
    return other && other->status == reply.status && other->result == reply.result;
  };
  const std::size_t enough = is_planted(Bug::kOneReplyIsEnough) ? 1 : group_->weak_quorum();
  if (std::ranges::count_if(current_->replies, is_equal) < static_cast<std::ptrdiff_t>(enough)) {
    return;
  }
  learn_view(current_->replies);
  out.push_back(Finish{current_->id, reply.status, reply.result});
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

/// The greatest that F+1 replicas have spoken of: a correct one refuses up to there, or further.
RequestNumber Client::floor() const {
  std::vector<RequestNumber> floors = floors_;
  std::ranges::sort(floors, std::greater());
  return floors[group_->weak_quorum() - 1];
}

void Client::on_link(Now now, ReplicaId peer, bool is_up, ClientEffects& out) noexcept {
  if (!group_->is_member(peer)) return;
  is_link_down_[peer.value] = !is_up;
  if (is_up || !current_ || peer != believed_primary()) return;
  current_->deadline = now.instant + settings_.reply_timeout;
  send_to_all(out);
}

void Client::give_up(Now now, ClientEffects& out) noexcept { begin_next(now, out); }

void Client::on_time(Now now, ClientEffects& out) noexcept {
  if (!current_ || now.instant < current_->deadline) return;
  current_->doublings = std::min(current_->doublings + 1, settings_.doublings_max);
  current_->deadline =
      now.instant + settings_.reply_timeout * (std::int64_t{1} << current_->doublings);
  send_to_all(out);
}

Instant Client::next_deadline() const { return current_ ? current_->deadline : Instant::max(); }

}  // namespace rosebud::pbft
