// Datagrams between the peers of one configuration: sealed, fresh, and no lever for floods.
//
// Both keys of a pair follow from the long-term keys of the two and the configuration, so the first
// datagram needs no handshake: one hop is one hop. Layout: docs/format/overlay.md.
//
//  1. What opens came from that peer, for this one, under the same configuration.
//  2. It was sealed within kFresh of now by both clocks, after this peer began, and opens once.
//  3. To an address that has not proven to be the peer's goes no more than came from there, and
//     kFirstBytes in kFirstInterval: enough to speak first. What is more waits, a little of it, and
//     the address is asked to prove itself by sending eight bytes back.
//  4. What others can make it keep or compute is bounded: a link for each peer of the roster that
//     has proven its key lately, kAgreements new ones in a second.
//
// No I/O, no clock. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "crypto/siv.h"
#include "routing/roster.h"

namespace rosebud::overlay {

/// Key (4), counter (4), tag (16).
inline constexpr std::size_t kSealSize = 8 + crypto::kSivSize;
inline constexpr std::size_t kDatagramSizeMax = 1200;
inline constexpr std::size_t kMessageSizeMax = kDatagramSizeMax - kSealSize;

/// Clocks of two peers may differ by so much, the way included. The overlay's own bound of clocks,
/// 20 periods of 3 s.
inline constexpr Duration kFresh = std::chrono::seconds(60);
/// What was sealed for a link that is not used so long opens no more, so that it can be forgotten.
inline constexpr Duration kLinkIdleMax = 2 * kFresh;
/// Per link, to addresses without proof. Messages leave enough of it for three questions after a
/// proof, or it would not be asked for when it is needed.
inline constexpr std::size_t kFirstBytes = 384;
inline constexpr std::size_t kQuestionsBytes = 3 * (kSealSize + 9);
inline constexpr Duration kFirstInterval = std::chrono::seconds(10);
inline constexpr Duration kProofInterval = std::chrono::milliseconds(500);
/// Messages of one link that wait for a proof. The core sends again what matters.
inline constexpr std::size_t kHeldMax = 4;
/// Agreements on a key that datagrams of unknown peers may cost in a second: each takes some 40 us.
/// Those from the peer's address in the roster, and those from elsewhere.
inline constexpr std::uint32_t kAgreementsAtHome = 256;
inline constexpr std::uint32_t kAgreementsElsewhere = 32;
/// Of one peer: far more than a leader or a joining peer sends.
inline constexpr std::uint32_t kMessagesPerSecond = 1000;

struct Outgoing {
  routing::Address to;
  Bytes datagram;
};

struct Opened {
  routing::PeerIndex from;
  Bytes message;
};

/// Why datagrams were not opened.
struct Refusals {
  std::uint64_t malformed = 0;      // too short, too long, of nobody in the roster
  std::uint64_t stale = 0;          // of another time; a clock may be wrong
  std::uint64_t repeated = 0;       // opened before
  std::uint64_t not_authentic = 0;  // another key: forged, or of another configuration
  std::uint64_t too_many = 0;       // new links beyond what a second may cost
  std::uint64_t too_fast = 0;       // of a peer that sends too much

  Refusals& operator+=(const Refusals& other);
};

class Seals {
 public:
  /// `configuration` names what all its peers have alike. `scheme` must outlive it. `seed` is known
  /// to no other peer.
  Seals(std::shared_ptr<const routing::Roster> roster, routing::PeerIndex self,
        const crypto::SecretKey& key, const crypto::SignatureScheme& scheme,
        const crypto::Digest& configuration, std::uint64_t seed, routing::Now begun);

  /// To where it was heard last, or else to `address`. Requires: 1 to kMessageSizeMax bytes that do
  /// not begin with kProofWanted or kProof.
  void send(routing::Now now, routing::PeerIndex to, const routing::Address& address,
            ByteView message, std::vector<Outgoing>& out);

  /// Nothing when it is refused, or was about a proof.
  std::optional<Opened> open(routing::Now now, const routing::Address& from, ByteView datagram,
                             std::vector<Outgoing>& out);

  /// Forgets links that are not used. Once in some seconds; it looks at all.
  void forget_idle(routing::Now now);

  const Refusals& refusals() const { return refusals_; }
  std::size_t link_count() const { return links_.size(); }

  // First bytes of its own messages; kinds of the routing core are below.
  static constexpr std::uint8_t kProofWanted = 0xf0;
  static constexpr std::uint8_t kProof = 0xf1;

 private:
  /// So many in a second.
  struct Budget {
    std::uint32_t left = 0;
    Instant until;
    bool take(Instant now, std::uint32_t count);
  };
  struct Link {
    crypto::SealKey to_peer;
    crypto::SealKey from_peer;
    std::uint64_t sent = 0;     // the last counter
    std::uint64_t highest = 0;  // the greatest that was opened
    std::uint64_t seen = 0;     // bit i: highest - i was opened
    routing::Address listed;    // where it is by what send() was told last
    routing::Address at;        // there, or where its last datagram came from
    bool is_proven = false;     // the challenge came back from `at`
    std::uint64_t challenge = 0;
    Instant challenge_at;    // asked again no earlier
    std::size_t credit = 0;  // bytes that came from `at` and were not answered
    std::size_t first_bytes = 0;
    Instant first_until;
    std::vector<Bytes> held;
    Instant used;
    Budget messages;
  };

  /// Costs an agreement. Nothing when the peer's key is none.
  std::optional<Link> make_link(routing::PeerIndex peer);
  void move(Link& link, const routing::Address& to);
  bool is_repeated(const Link& link, std::uint64_t counter) const;
  void note(Link& link, std::uint64_t counter);
  /// True when so many bytes may go to an address without proof, and `reserve` of the first ones
  /// are left then.
  bool spend(routing::Now now, Link& link, std::size_t size, std::size_t reserve);
  void seal(routing::Now now, Link& link, ByteView message, std::vector<Outgoing>& out);
  void ask_for_proof(routing::Now now, Link& link, std::vector<Outgoing>& out);
  void on_proof(routing::Now now, Link& link, ByteView message, std::vector<Outgoing>& out);

  std::shared_ptr<const routing::Roster> roster_;
  routing::PeerIndex self_;
  crypto::SecretKey key_;
  const crypto::SignatureScheme* scheme_;
  crypto::Digest configuration_;
  Random random_;
  std::uint64_t begun_;                            // ticks
  std::unordered_map<std::uint32_t, Link> links_;  // by peer: no order is ever looked at
  Budget at_home_;
  Budget elsewhere_;
  Refusals refusals_;
};

}  // namespace rosebud::overlay
