#include "objects/forgetting.h"

#include <algorithm>

#include "objects/planted_bugs.h"
#include "objects/write_quorum.h"
#include "routing/ring.h"

namespace rosebud::objects {

namespace {

/// The keys between these arcs, which ascend.
std::vector<wire::KeyRange> all_but(const std::vector<routing::Arc>& arcs) {
  std::vector<wire::KeyRange> out;
  const wire::KeyRange line = wire::whole_key_range();
  crypto::Digest first = line.first;  // of the keys that no arc before has
  for (const routing::Arc& arc : arcs) {
    if (first < arc.range.first) out.push_back({first, routing::key_before(arc.range.first)});
    if (arc.range.last == line.last) return out;
    first = routing::key_after(arc.range.last);
  }
  out.push_back({first, line.last});
  return out;
}

}  // namespace

// ---- Whose keys ----

void Forgetting::begin_epoch(Instant now,
                             std::shared_ptr<const membership::Configuration> configuration) {
  configuration_ = std::move(configuration);
  retry_ = settings_.retry;
  answer_timeout_ = settings_.answer_timeout;
  foreign_.clear();
  const auto self = configuration_->node_index(self_);
  // Who is no member may ask nobody; its organisation disposes of what it holds.
  if (!self) return rest(Instant::max());
  foreign_ = all_but(configuration_->arcs_of(*self));
  rest(foreign_.empty() ? Instant::max() : now + settings_.delay);
}

void Forgetting::rest(Instant until) {
  stage_ = Stage::kResting;
  wakes_at_ = until;
  ++scan_number_;
  asked_.clear();
  deleting_ = 0;
}

void Forgetting::scan(const wire::KeyRange& range, const std::optional<wire::ObjectId>& after,
                      std::size_t limit, ForgettingEffects& out) {
  wakes_at_ = Instant::max();
  out.scan = {.tag = {++scan_number_}, .range = range, .after = after, .limit = limit};
}

/// Is there anything at or behind the cursor?
void Forgetting::look(Instant now, ForgettingEffects& out) {
  if (foreign_index_ == foreign_.size()) {
    // Nothing comes to a replica that is not its own, so nothing is to be done in this epoch.
    if (!is_left_over_) return rest(Instant::max());
    rest(now + retry_);
    retry_ = std::min(retry_ * 2, settings_.waits_max);
    return;
  }
  stage_ = Stage::kLooking;
  scan({cursor_, foreign_[foreign_index_].last}, std::nullopt, 1, out);
}

/// Later. What stands behind it need not wait for it.
void Forgetting::pass_over(Instant now, const crypto::Digest& key, ForgettingEffects& out) {
  is_left_over_ = true;
  go_on_behind(now, key, out);
}

void Forgetting::go_on_behind(Instant now, const crypto::Digest& key, ForgettingEffects& out) {
  if (key < foreign_[foreign_index_].last) {
    cursor_ = routing::key_after(key);
  } else if (++foreign_index_ < foreign_.size()) {
    cursor_ = foreign_[foreign_index_].first;
  }
  look(now, out);
}

void Forgetting::on_scanned(Instant now, const ForgettingScan& tag, const wire::Scanned* scanned,
                            ForgettingEffects& out) {
  if (tag.number != scan_number_) return;
  if (stage_ != Stage::kLooking && stage_ != Stage::kListing) return;
  if (!scanned) {
    const crypto::Digest last = foreign_[foreign_index_].last;
    return pass_over(now, stage_ == Stage::kLooking ? last : interval_.last, out);
  }
  if (stage_ == Stage::kLooking) {
    if (scanned->entries.empty()) {
      return go_on_behind(now, foreign_[foreign_index_].last, out);
    }
    const auto arc = configuration_->ring().arc(scanned->entries.front().id.placement);
    interval_ = {std::max(arc->range.first, cursor_),
                 std::min(arc->range.last, foreign_[foreign_index_].last)};
    return ask(now, out);
  }
  if (scanned->entries.empty()) return go_on_behind(now, interval_.last, out);
  stage_ = Stage::kDeleting;
  listed_ = scanned->entries.back().id;
  for (const wire::IndexEntry& entry : scanned->entries) out.objects.push_back(entry.id);
  deleting_ = out.objects.size();
}

// ---- Who is complete ----

void Forgetting::ask(Instant now, ForgettingEffects& out) {
  stage_ = Stage::kAsking;
  wakes_at_ = now + answer_timeout_;
  asked_.clear();
  answered_.clear();
  for (const std::uint32_t member : configuration_->group(interval_.first)) {
    const wire::NodeKey& key = configuration_->nodes()[member].key;
    const wire::Nonce nonce(random_.next());
    asked_.emplace(nonce, key);
    out.requests.push_back({.to = key, .nonce = nonce, .body = wire::GetCompleteness{interval_}});
  }
}

bool Forgetting::is_complete(const wire::NodeKey& from, const wire::SignedBytes& bytes) const {
  const auto statement = wire::CompletenessStatement::decode(bytes.statement);
  const auto node = configuration_->node_index(from);
  return statement && node && statement->cluster == configuration_->cluster() &&
         statement->configuration == configuration_->number() && statement->node == from &&
         statement->directory == configuration_->nodes()[*node].directory &&
         statement->first == interval_.first && statement->last == interval_.last &&
         wire::is_signed_by<wire::CompletenessStatement>(*scheme_, from, bytes);
}

bool Forgetting::on_answer(Instant now, const wire::NodeKey& from, const wire::Answer& answer,
                           ForgettingEffects& out) {
  const auto at = asked_.find(answer.context.nonce);
  if (at == asked_.end() || at->second != from) return false;
  asked_.erase(at);
  if (stage_ != Stage::kAsking) return true;
  const auto* completeness = std::get_if<wire::Completeness>(&answer.body);
  answered_[from] = completeness && is_complete(from, completeness->statement);
  const auto is_enough = [&](bool is_it, std::size_t count) {
    return std::cmp_greater_equal(
        std::ranges::count_if(answered_, [&](const auto& one) { return one.second == is_it; }),
        count);
  };
  const std::size_t quorum =
      is_planted(Bug::kDeletedAtFirstStatement) ? 1 : quorum_of(configuration_->f());
  if (is_enough(true, quorum)) {
    stage_ = Stage::kNoting;
    wakes_at_ = Instant::max();
    out.given_up = interval_;
  } else if (is_enough(false, configuration_->f() + 1)) {
    pass_over(now, interval_.last, out);  // a quorum will not come together now
  }
  return true;
}

// ---- Deleting ----

void Forgetting::on_given_up(ForgettingEffects& out) {
  if (stage_ != Stage::kNoting) return;
  listed_.reset();
  list(out);
}

void Forgetting::list(ForgettingEffects& out) {
  stage_ = Stage::kListing;
  scan(interval_, listed_, settings_.objects_at_once, out);
}

void Forgetting::on_forgotten(Instant now, bool is_deleted) {
  if (stage_ != Stage::kDeleting || deleting_ == 0) return;
  is_left_over_ |= !is_deleted;  // the disk refuses
  if (--deleting_ > 0) return;
  stage_ = Stage::kListing;
  wakes_at_ = now + settings_.pause;
}

// ---- Time ----

void Forgetting::on_time(Instant now, bool is_idle, ForgettingEffects& out) {
  if (now < wakes_at_) return;
  switch (stage_) {
    case Stage::kResting:
      if (!is_idle) return rest(now + settings_.retry);  // its own first
      is_left_over_ = false;
      foreign_index_ = 0;
      cursor_ = foreign_.front().first;
      return look(now, out);
    case Stage::kAsking:
      answer_timeout_ = std::min(answer_timeout_ * 2, settings_.waits_max);
      return pass_over(now, interval_.last, out);
    case Stage::kListing:
      return list(out);
    case Stage::kLooking:
    case Stage::kNoting:
    case Stage::kDeleting:
      return;
  }
}

Instant Forgetting::next_deadline() const { return wakes_at_; }

}  // namespace rosebud::objects
