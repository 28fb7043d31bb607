// Joining: the table in bulk, or what has changed since, then the own new life for all [design 11].
//
// The table comes in pieces that fit into one datagram, some asked for at a time; each question is
// answered by one datagram, so a lost one is asked for again, of somebody else after a while. Who
// serves copies the batches of the next seconds: what spread while the pieces were on their way
// reaches the joining peer before the trees know it.
#include "routing/joining.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace rosebud::routing {

void Peer::join(Now now, PeerIndex contact, std::optional<Address> moved, Effects& out) noexcept {
  CHECK(!is_taking_part_);
  CHECK(contact != self_);
  has_errands_ = true;
  joining_ = std::make_unique<Joining>();
  joining_->ask_of(contact);
  if (moved) own_address_ = moved;
  joining_->states.reserve(table_.size());
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    joining_->states.push_back(table_.state(PeerIndex(i)));
    joining_->has_digests |= joining_->states.back() != PeerState::unseen();
  }
  fetch_more(now, out);
}

void Peer::fetch_more(Now now, Effects& out) {
  Joining& own = *joining_;
  const std::uint32_t buckets = bucket_count(table_.size());
  while (own.next < buckets && own.asked.size() < settings().fetches_in_flight) {
    // With digests most buckets are the same, so more of them fit.
    const std::uint32_t count = std::min(settings().fetch_buckets, buckets - own.next);
    own.asked.push_back({new_token(), own.next, count, 0, now.time});
    own.next += count;
  }
  fetch_timeout(now, out);
}

void Peer::fetch_timeout(Now now, Effects& out) {
  if (!joining_) return;
  Joining& own = *joining_;
  for (Joining::Asked& one : own.asked) {
    if (now.time < one.at) continue;
    one.at = now.time + settings().retry;
    if (++one.tries % 3 == 0) {
      // Of another one: by the older table, or by what has come so far.
      for (std::uint64_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
        const PeerIndex other(
            static_cast<std::uint32_t>(mix(lot_ + next_token_, attempt) % table_.size()));
        if (other == self_ || !own.states[other.value].is_alive()) continue;
        own.ask_of(other);
        break;
      }
    }
    Fetch fetch{.token = one.token, .first = one.first, .count = one.count, .digests = {}};
    for (std::uint32_t i = 0; own.has_digests && i < one.count; ++i) {
      fetch.digests.push_back(static_cast<std::uint16_t>(table_.bucket_digest(one.first + i)));
    }
    out.send(own.contacts.back(), fetch);
  }
}

void Peer::on(Now now, PeerIndex from, const Fetch& m, Effects& out) {
  std::vector<std::uint32_t> differ;
  for (std::uint32_t i = 0; i < m.count; ++i) {
    const bool is_same =
        !m.digests.empty() &&
        static_cast<std::uint16_t>(table_.bucket_digest(m.first + i)) == m.digests[i];
    if (!is_same) differ.push_back(m.first + i);
  }
  States answer = states_of(differ, States::Purpose::kFetched);
  answer.token = m.token;
  // Where it stopped; all the same behind the last one that differs.
  if (answer.buckets.size() == differ.size()) answer.next = m.first + m.count;
  out.send(from, answer);
  const auto known = std::ranges::find(sponsored_, from, &Sponsored::peer);
  const Instant until = now.time + settings().sponsored;
  if (known != sponsored_.end()) {
    known->until = until;
  } else if (sponsored_.size() < kSponsoredMax) {
    sponsored_.push_back({from, until});
  }
}

void Peer::on(Now now, PeerIndex from, const States& m, Effects& out) {
  if (m.purpose != States::Purpose::kFetched) {
    if (is_taking_part_) take_compared(now, from, m, out);
  } else if (joining_) {
    take_fetched(now, from, m, out);
  }
}

void Peer::take_fetched(Now now, PeerIndex from, const States& m, Effects& out) {
  Joining& own = *joining_;
  const auto asked = std::ranges::find(own.asked, m.token, &Joining::Asked::token);
  if (asked == own.asked.end() || !own.was_asked(from)) return;
  if (m.next <= asked->first || m.next > asked->first + asked->count) return reject();
  std::size_t place = 0;
  for (const std::uint32_t bucket : m.buckets) {
    const IndexRange peers = peers_of_bucket(bucket, table_.size());
    const bool was_asked = bucket >= asked->first && bucket < m.next;
    for (std::uint32_t i = peers.first; i < peers.end; ++i) {
      const PeerState said = m.states[place++];
      if (was_asked) own.states[i] = std::max(own.states[i], said);
    }
  }
  own.moved.insert(own.moved.end(), m.moved.begin(), m.moved.end());
  if (m.next < asked->first + asked->count) {
    asked->count -= m.next - asked->first;
    asked->first = m.next;
    asked->token = new_token();
    asked->tries = 0;
    asked->at = now.time;
  } else {
    own.asked.erase(asked);
  }
  fetch_more(now, out);
  if (own.asked.empty() && own.next == bucket_count(table_.size())) finish_joining(now, out);
}

void Peer::keep_copied(PeerIndex from, ByteView bytes) {
  if (!joining_->was_asked(from) || joining_->copied.size() == kBatchesKept) return;
  joining_->copied.push_back({from, to_bytes(bytes)});
}

void Peer::finish_joining(Now now, Effects& out) {
  const auto fetched = std::exchange(joining_, nullptr);
  own_ = std::max(fetched->states[self_.value], own_).returned();
  fetched->states[self_.value] = own_;
  std::vector<Change> changes;
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Change one{PeerIndex(i), fetched->states[i]};
    if (table_.state(one.peer) != one.state) changes.push_back(one);
  }
  table_.merge(changes);
  for (const Moved& one : fetched->moved) {
    if (one.peer != self_) table_.move(one);
  }
  take_part(now, out);
  for (const Joining::Copied& one : fetched->copied) on_datagram(now, one.from, one.bytes, out);
  out.has_joined = true;
  spread_news(now, {{self_, own_}, own_address_}, rules_->period_at(now.wall), out);
  // Its successor hears of it at once.
  keep_alive_at_ = std::min(keep_alive_at_, now.time);
  keep_alive_timeout(now, out);
}

}  // namespace rosebud::routing
