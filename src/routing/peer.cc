#include "routing/peer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "routing/classic.h"
#include "routing/joining.h"
#include "routing/planted_bugs.h"

namespace rosebud::routing {

Peer::Peer(std::shared_ptr<const Rules> rules, PeerIndex self, Table table, std::uint64_t lot)
    : rules_(std::move(rules)),
      self_(self),
      own_(table.state(self)),
      table_(std::move(table)),
      lot_(lot) {
  CHECK(self.value < table_.size());
  if (is_classic()) classic_ = std::make_unique<Classic>();
  has_errands_ = has_any_errand();
}

Peer::~Peer() = default;
Peer::Peer(Peer&&) noexcept = default;

void Peer::start(Now now, Effects& out) noexcept {
  CHECK(own_.is_alive());
  take_part(now, out);
}

void Peer::take_part(Now now, Effects&) {
  is_taking_part_ = true;
  refresh_neighbours(now);
  const auto beat = static_cast<std::uint64_t>(settings().keep_alive.count());
  const Duration offset(static_cast<Duration::rep>(mix(lot_) % beat));
  keep_alive_at_ = now.time + offset;
  // Different from the neighbours', so that a region is not compared by all in the same second.
  beats_ = static_cast<std::uint32_t>(mix(lot_, 1) % (kRegions * settings().beats_of_digest));
  heard_ = now.time;
  // A neighbour that does not know of this one yet speaks to another.
  left_alone_ = now.time + settings().exonerated;
  compare_at_ = now.time;
  if (classic_) classic_->begin(now, settings());
}

void Peer::leave(Now now, Effects& out) noexcept {
  if (!is_taking_part_) return;
  const PeerState over = own_.died();
  const Told event{{self_, over}, std::nullopt};
  if (successor_ && *successor_ != self_) out.send(*successor_, Tell{{event}});
  is_taking_part_ = false;  // it leads nothing any more
  spread_news(now, event, rules_->period_at(now.wall), out);
}

void Peer::on_datagram(Now now, PeerIndex from, ByteView bytes, Effects& out) noexcept {
  if (from.value >= table_.size() || from == self_) return reject();
  const auto datagram = decode(bytes, table_.size());
  if (!datagram) return reject();
  // Before it takes part it has nothing to say, and hears only what it asked for.
  if (!is_taking_part_ && !std::holds_alternative<States>(*datagram)) {
    if (joining_ && std::holds_alternative<Batch>(*datagram)) keep_copied(from, bytes);
    return;
  }
  std::visit([&](const auto& message) { on(now, from, message, out); }, *datagram);
}

void Peer::on_time(Now now, Effects& out) noexcept {
  if (has_errands_) errands_timeout(now, out);
  if (!is_taking_part_) return;
  suspicion_timeout(now, out);
  silence_timeout(now, out);
  keep_alive_timeout(now, out);
}

void Peer::errands_timeout(Now now, Effects& out) {
  lookup_timeout(now, out);
  fetch_timeout(now, out);
  if (is_taking_part_) {
    child_timeout(now, out);
    duty_timeout(now, out);
    announcement_timeout(now, out);
    classic_timeout(now, out);
    probe_timeout(now, out);
  }
  has_errands_ = has_any_errand();
}

bool Peer::has_any_errand() const {
  return !lookups_.empty() || joining_ || !children_.empty() || !duties_.empty() ||
         !announcements_.empty() || classic_ || !probes_.empty();
}

Instant Peer::next_deadline() const {
  Instant next = std::min(keep_alive_at_, silence_deadline());
  if (suspicion_) next = std::min(next, suspicion_->at);
  if (!has_errands_) return next;
  for (const auto& one : probes_) next = std::min(next, one.at);
  for (const auto& one : children_) next = std::min(next, one.at);
  for (const auto& one : duties_) {
    next = std::min(next, one.close_at ? *one.close_at : one.forget_at);
  }
  for (const auto& one : announcements_) {
    for (const auto& target : one.targets) next = std::min(next, target.at);
  }
  for (const auto& one : lookups_) next = std::min(next, one.at);
  if (classic_) next = std::min(next, classic_deadline());
  if (joining_) next = std::min(next, joining_->deadline());
  return next;
}

// ---- News ----

std::vector<Change> Peer::resolve(const CodedEvents& events) const {
  std::vector<Change> out;
  out.reserve(events.events.size());
  Table::Walk known(table_);
  for (const CodedEvent& one : events.events) {
    out.push_back({one.peer, nearest(known.state(one.peer), one.low_bits)});
  }
  return out;
}

bool Peer::is_plausible(const Change& change) const {
  const PeerState known = table_.state(change.peer);
  return change.state.rank < known.rank + (1U << (kLowBits - 1));
}

void Peer::learn(Now now, std::span<const Change> changes, std::span<const Moved> moved,
                 Effects& out) {
  std::vector<Change> news;
  std::optional<PeerState> own;
  const auto self = std::ranges::lower_bound(changes, self_, {}, &Change::peer);
  if (self != changes.end() && self->peer == self_) {
    own = self->state;
    table_.merge(changes.first(static_cast<std::size_t>(self - changes.begin())), &news);
    table_.merge(changes.subspan(static_cast<std::size_t>(self - changes.begin()) + 1), &news);
  } else {
    table_.merge(changes, &news);
  }
  for (const Moved& one : moved) {
    const auto of = std::ranges::lower_bound(news, one.peer, {}, &Change::peer);
    if (of != news.end() && of->peer == one.peer) table_.move(one);
  }
  if (out.is_watching) out.learned.insert(out.learned.end(), news.begin(), news.end());
  if (std::ranges::any_of(news, [&](const Change& one) { return is_near(one.peer); })) {
    predecessor_bits_.reset();
    refresh_neighbours(now);
  }
  if (own) on_own_state(now, *own, out);
}

void Peer::learn_one(Now now, const Told& told, Effects& out) {
  std::vector<Moved> moved;
  if (told.moved) moved.push_back({told.change.peer, *told.moved});
  learn(now, {&told.change, 1}, moved, out);
}

/// Somebody says this of this peer.
void Peer::on_own_state(Now now, PeerState heard, Effects& out) {
  if (!is_taking_part_ || heard <= own_ || is_planted(Bug::kDeathNotRefuted)) return;
  if (heard.rank + 2 >= kRankMax) return;
  own_ = heard.returned();
  table_.merge({self_, own_});
  spread_news(now, {{self_, own_}, own_address_}, rules_->period_at(now.wall), out);
}

/// Between the neighbours, or one of them.
bool Peer::is_near(PeerIndex peer) const {
  if (!successor_ || !predecessor_) return true;
  const std::uint32_t size = table_.size();
  const auto from_predecessor = [&](PeerIndex to) {
    return (to.value + size - predecessor_->value) % size;
  };
  const std::uint32_t width = from_predecessor(*successor_);
  return width == 0 || from_predecessor(peer) <= width;
}

void Peer::refresh_neighbours(Now now) {
  successor_ = table_.next_alive(self_);
  const auto before = table_.previous_alive(self_);
  if (before == predecessor_) return;
  predecessor_ = before;
  predecessor_bits_.reset();
  doubted_.reset();
  heard_ = now.time;
  if (suspicion_ && (!predecessor_ || suspicion_->accused.peer != *predecessor_)) {
    suspicion_.reset();
  }
}

Told Peer::told(PeerIndex peer) const {
  return {{peer, table_.state(peer)}, table_.moved_to(peer)};
}

void Peer::spread_news(Now now, const Told& event, Period period, Effects& out) {
  if (is_classic()) {
    report(now, event, out);
  } else {
    announce(now, event, period, out);
  }
}

bool Peer::is_slice_leader() const {
  return is_classic() && slices().leader(table_, own_slice()) == self_;
}

bool Peer::is_unit_leader() const {
  return is_classic() && slices().leader(table_, slices().unit_of(self_)) == self_;
}

std::size_t Peer::memory_bytes() const {
  std::size_t out = sizeof(Peer) + table_.memory_bytes() + known_.capacity() * sizeof(BatchId);
  for (const KeptBatch& one : kept_) out += sizeof one + one.coded.capacity();
  return out;
}

void Peer::check_invariants() const {
  table_.check_invariants();
  CHECK(has_errands_ || !has_any_errand());
  CHECK(known_.size() <= kBatchesKnown);
  CHECK(kept_.size() <= kBatchesKept);
  CHECK(duties_.size() <= kDutiesMax);
  CHECK(probes_.size() <= kProbesMax);
  CHECK(sponsored_.size() <= kSponsoredMax);
  CHECK(lookups_.size() <= kLookupsMax);
  CHECK(announcements_.size() <= kAnnouncementsMax);
  if (!is_taking_part_) return;
  CHECK(own_.is_alive());
  CHECK(table_.state(self_) == own_);
  CHECK(successor_ == table_.next_alive(self_));
  CHECK(predecessor_ == table_.previous_alive(self_));
}

}  // namespace rosebud::routing
