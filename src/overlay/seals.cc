#include "overlay/seals.h"

#include <algorithm>

#include "base/check.h"
#include "wire/cursor.h"

namespace rosebud::overlay {
namespace {

using routing::Address;
using routing::Now;
using routing::PeerIndex;

/// Counters are time, so that a new life goes on where the last one ended: its low 32 bits, which
/// travel, come again after 19 hours.
constexpr Duration kTick = std::chrono::microseconds(16);
constexpr std::uint64_t kFreshTicks = static_cast<std::uint64_t>(kFresh / kTick);
constexpr std::uint64_t kWindow = 64;  // counters behind the greatest that may come late

std::uint64_t ticks(Now now) { return static_cast<std::uint64_t>(now.wall / kTick); }

/// The counter with these low bits that is nearest to `about`.
std::uint64_t nearest(std::uint64_t about, std::uint32_t low) {
  const auto ahead = static_cast<std::int32_t>(low - static_cast<std::uint32_t>(about));
  return about + static_cast<std::uint64_t>(static_cast<std::int64_t>(ahead));
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

crypto::SealKey derive(const crypto::Digest& configuration, const crypto::PublicKey& sender,
                       const crypto::PublicKey& receiver, const crypto::SharedSecret& secret) {
  const crypto::Digest out = crypto::Hasher("rosebud overlay 1")
                                 .update(configuration.view())
                                 .update(sender.view())
                                 .update(receiver.view())
                                 .update(secret.view())
                                 .finish();
  return *crypto::SealKey::from(out.view());
}

/// What a seal is bound to besides its key.
Bytes bound_to(std::uint64_t counter) {
  wire::Writer out;
  out.u64(counter);
  return out.take();
}

Bytes about_proof(std::uint8_t kind, std::uint64_t challenge) {
  wire::Writer out;
  out.u8(kind).u64(challenge);
  return out.take();
}

}  // namespace

Refusals& Refusals::operator+=(const Refusals& other) {
  malformed += other.malformed;
  stale += other.stale;
  repeated += other.repeated;
  not_authentic += other.not_authentic;
  too_many += other.too_many;
  too_fast += other.too_fast;
  return *this;
}

Seals::Seals(std::shared_ptr<const routing::Roster> roster, PeerIndex self,
             const crypto::SecretKey& key, const crypto::SignatureScheme& scheme,
             const crypto::Digest& configuration, std::uint64_t seed, Now begun)
    : roster_(std::move(roster)),
      self_(self),
      key_(key),
      scheme_(&scheme),
      configuration_(configuration),
      random_(seed),
      begun_(ticks(begun)) {
  CHECK(self_.value < roster_->size());
}

// ---- Links ----

bool Seals::Budget::take(Instant now, std::uint32_t count) {
  if (now >= until) {
    until = now + std::chrono::seconds(1);
    left = count;
  }
  if (left == 0) return false;
  --left;
  return true;
}

std::optional<Seals::Link> Seals::make_link(PeerIndex peer) {
  const crypto::PublicKey& theirs = roster_->key(peer);
  const auto secret = scheme_->agree(key_, theirs);
  if (!secret) return std::nullopt;
  const crypto::PublicKey own = key_.public_key();
  Link out;
  out.to_peer = derive(configuration_, own, theirs, *secret);
  out.from_peer = derive(configuration_, theirs, own, *secret);
  out.listed = roster_->address(peer);
  move(out, out.listed);
  return out;
}

void Seals::forget_idle(Now now) {
  std::erase_if(links_,
                [&](const auto& entry) { return entry.second.used + kLinkIdleMax <= now.time; });
}

// ---- Freshness ----

bool Seals::is_repeated(const Link& link, std::uint64_t counter) const {
  if (counter > link.highest) return false;
  const std::uint64_t behind = link.highest - counter;
  return behind >= kWindow || (link.seen >> behind & 1U) != 0;
}

void Seals::note(Link& link, std::uint64_t counter) {
  if (counter > link.highest) {
    const std::uint64_t ahead = counter - link.highest;
    link.seen = ahead >= kWindow ? 1 : link.seen << ahead | 1U;
    link.highest = counter;
  } else {
    link.seen |= std::uint64_t{1} << (link.highest - counter);
  }
}

// ---- Addresses ----

void Seals::move(Link& link, const Address& to) {
  link.at = to;
  link.is_proven = false;
  link.challenge = random_.next();
  link.challenge_at = {};
  link.credit = 0;
}

bool Seals::spend(Now now, Link& link, std::size_t size, std::size_t reserve) {
  if (link.credit >= size) {
    link.credit -= size;
    return true;
  }
  if (now.time >= link.first_until) {
    link.first_until = now.time + kFirstInterval;
    link.first_bytes = kFirstBytes;
  }
  if (link.first_bytes < size + reserve) return false;
  link.first_bytes -= size;
  return true;
}

void Seals::ask_for_proof(Now now, Link& link, std::vector<Outgoing>& out) {
  if (now.time < link.challenge_at) return;
  const Bytes message = about_proof(kProofWanted, link.challenge);
  if (!spend(now, link, kSealSize + message.size(), 0)) return;
  link.challenge_at = now.time + kProofInterval;
  seal(now, link, message, out);
}

void Seals::on_proof(Now now, Link& link, ByteView message, std::vector<Outgoing>& out) {
  if (link.is_proven || !equal(message, about_proof(kProof, link.challenge))) return;
  link.is_proven = true;
  for (const Bytes& held : std::exchange(link.held, {})) seal(now, link, held, out);
}

// ---- Sending ----

void Seals::seal(Now now, Link& link, ByteView message, std::vector<Outgoing>& out) {
  link.sent = std::max(link.sent + 1, ticks(now));
  wire::Writer head;
  head.u32(self_.value).u32(static_cast<std::uint32_t>(link.sent));
  Bytes datagram = head.take();
  crypto::seal(link.to_peer, bound_to(link.sent), message, datagram);
  out.push_back({link.at, std::move(datagram)});
}

void Seals::send(Now now, PeerIndex to, const Address& address, ByteView message,
                 std::vector<Outgoing>& out) {
  CHECK(!message.empty() && message.size() <= kMessageSizeMax);
  auto found = links_.find(to.value);
  if (found == links_.end()) {
    auto made = make_link(to);
    if (!made) return;  // nobody can have that key
    found = links_.emplace(to.value, std::move(*made)).first;
  }
  Link* link = &found->second;
  link->used = now.time;
  if (link->listed != address) {
    // It has told everybody that it is there: where it was heard before counts no more.
    link->listed = address;
    if (link->at != address) move(*link, address);
  }
  if (link->is_proven || spend(now, *link, kSealSize + message.size(), kQuestionsBytes)) {
    return seal(now, *link, message, out);
  }
  if (link->held.size() == kHeldMax) link->held.erase(link->held.begin());
  link->held.push_back(to_bytes(message));
  ask_for_proof(now, *link, out);
}

// ---- Opening ----

std::optional<Opened> Seals::open(Now now, const Address& from, ByteView datagram,
                                  std::vector<Outgoing>& out) {
  wire::Reader in(datagram);
  const PeerIndex peer(in.u32());
  const std::uint32_t low = in.u32();
  if (datagram.size() <= kSealSize || datagram.size() > kDatagramSizeMax ||
      peer.value >= roster_->size() || peer == self_) {
    ++refusals_.malformed;
    return std::nullopt;
  }
  const std::uint64_t counter = nearest(ticks(now), low);
  // Before this peer began it had another life, which may have opened it.
  if (distance(counter, ticks(now)) > kFreshTicks || counter < begun_) {
    ++refusals_.stale;
    return std::nullopt;
  }
  // Only who has shown to have the key gets a link.
  const auto known = links_.find(peer.value);
  std::optional<Link> made;
  if (known == links_.end()) {
    const bool is_at_home = from == roster_->address(peer);
    if (!(is_at_home ? at_home_.take(now.time, kAgreementsAtHome)
                     : elsewhere_.take(now.time, kAgreementsElsewhere))) {
      ++refusals_.too_many;
      return std::nullopt;
    }
    made = make_link(peer);
  }
  Link* link = known != links_.end() ? &known->second : made ? &*made : nullptr;
  if (link && is_repeated(*link, counter)) {
    ++refusals_.repeated;
    return std::nullopt;
  }
  auto message =
      link ? crypto::open(link->from_peer, bound_to(counter), datagram.subspan(8)) : std::nullopt;
  if (!message) {
    ++refusals_.not_authentic;
    return std::nullopt;
  }
  if (made) link = &links_.emplace(peer.value, std::move(*made)).first->second;
  note(*link, counter);
  link->used = now.time;
  // A peer that is heard from elsewhere has moved, or somebody in between plays with what it sent:
  // either way that address has to be proven.
  if (link->at != from) move(*link, from);
  if (!link->is_proven) link->credit += datagram.size();
  if (!link->messages.take(now.time, kMessagesPerSecond)) {
    ++refusals_.too_fast;
    return std::nullopt;
  }
  const std::uint8_t kind = message->front();
  if (kind == kProofWanted && message->size() == 9) {
    (*message)[0] = kProof;
    // As long as the question.
    if (link->is_proven || spend(now, *link, datagram.size(), 0)) seal(now, *link, *message, out);
    return std::nullopt;
  }
  if (kind == kProof) {
    on_proof(now, *link, *message, out);
    return std::nullopt;
  }
  return Opened{peer, std::move(*message)};
}

}  // namespace rosebud::overlay
