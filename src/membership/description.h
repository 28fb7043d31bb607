// Epoch descriptions: how one configuration makes the next (design 7).
//
// A description is a header, a body, and signatures over the header by members of the *previous*
// configuration service with their epoch keys. The header alone links to its predecessor, so a
// chain of headers can be verified without bodies (header_chain.h). The body says settings and
// organisations in full, and of the nodes what changes (changes.h). The header has the root of a
// Merkle tree over settings, organisations and all nodes, so that who comes to a header without
// the configuration before can take all of them from anybody (full_members.h). Layout:
// docs/format/statements.md.
//
// Invariants of what apply() returns:
// 1. 2F+1 members of the current service signed its header, F being that of the current settings,
//    which the current header repeats.
// 2. It is the next one: same generation, next epoch, current header as predecessor.
// 3. What the body makes of the current one has the root that the header names.
// 4. Whoever was a node stays at its positions: it keeps the randomness of its admission.
//
// A description of a higher generation (design 8.6) is signed by organisations of its parent
// instead, under a tag of its own: then `seat` of a signature is an index into the parent's
// organisations, and what else it has to show is in recovery.h.
//
// Not here: whether the changes are allowed (the service decides that before it signs).
#pragma once

#include <algorithm>

#include "membership/changes.h"
#include "wire/messages.h"

namespace rosebud::membership {

/// A seat as the header names it: without the body, an index into the nodes would mean nothing.
struct Seat {
  wire::NodeKey node;
  crypto::PublicKey epoch_key;
  crypto::Digest commitment;

  friend bool operator==(const Seat&, const Seat&) = default;
};

struct DescriptionHeader {
  static constexpr std::string_view kTag = "rosebud epoch header 1";

  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;
  Timestamp start;
  Timestamp end;                // 0: none
  crypto::Digest previous;      // hash_of the header before; of epoch 2: the cluster id
  crypto::Digest members_root;  // Configuration::root
  crypto::Digest state;         // digest of the service's state; it is handed over with the epoch
  crypto::Digest body;          // DescriptionBody::hash of the encoded body
  crypto::Digest randomness;    // R
  std::uint32_t service_faults = 0;  // F of the body's settings: how many must sign the next header
  std::vector<Seat> seats;           // of this epoch's service; 2F+1 to 3F+1

  Bytes encode() const;
  static std::optional<DescriptionHeader> decode(ByteView bytes);
  /// What the next header names as `previous`.
  static crypto::Digest hash_of(ByteView encoded);
  friend bool operator==(const DescriptionHeader&, const DescriptionHeader&) = default;
};

/// Names the members of a group: eight bytes, for people to copy.
using GroupId = FixedBytes<8, struct GroupIdTag>;

/// What the first description of a generation shows (recovery.h).
struct Recovery {
  std::vector<wire::SignedBytes> statements;  // by members of the parent, ascending by their key
  /// Groups of the parent of which fewer than 2f+1 members stated anything: what was acknowledged
  /// there may be lost, and the organisations accepted it. Ascending.
  std::vector<GroupId> losses;
  Bytes state;  // what the header's state is the digest of; empty: the service begins with nothing
  friend bool operator==(const Recovery&, const Recovery&) = default;
};

struct DescriptionBody {
  Settings settings;
  std::vector<Organisation> organisations;
  NodeChanges nodes;
  std::optional<Recovery> recovery{};  // of the first description of a generation alone

  /// Requires: nodes.fits().
  Bytes encode() const;
  /// Nothing: it is not what encode() makes of anything. Whether it fits the configuration before
  /// is for apply() to say.
  static std::optional<DescriptionBody> decode(ByteView bytes);
  static crypto::Digest hash_of(ByteView encoded);
  friend bool operator==(const DescriptionBody&, const DescriptionBody&) = default;
};

/// A signature by the member in seat `seat` of the previous service; of a recovery by the
/// organisation with this index in the parent.
struct SeatSignature {
  std::uint16_t seat = 0;
  crypto::Signature signature;
  friend bool operator==(const SeatSignature&, const SeatSignature&) = default;
};

/// A header without its body: enough to follow the chain.
struct SignedHeader {
  Bytes header;
  std::vector<SeatSignature> signatures;  // ascending by seat, each seat at most once

  Bytes encode() const;
  static std::optional<SignedHeader> decode(ByteView bytes);
  friend bool operator==(const SignedHeader&, const SignedHeader&) = default;
};

/// As it travels and is kept.
struct SignedDescription {
  Bytes header;
  Bytes body;
  std::vector<SeatSignature> signatures;  // ascending by seat, each seat at most once

  Bytes encode() const;
  static std::optional<SignedDescription> decode(ByteView bytes);
  friend bool operator==(const SignedDescription&, const SignedDescription&) = default;
};

/// The header that a signed description begins with; of its signatures and body only the form is
/// looked at. Nothing: it is no description of a known layout.
std::optional<DescriptionHeader> header_in(ByteView signed_description);

inline constexpr std::size_t kSeatsMax = 3 * std::size_t{kFaultsMax} + 1;
/// Signatures of one description: by seats, or by organisations.
inline constexpr std::size_t kSignaturesMax = std::max(kSeatsMax, kOrganisationsMax);
/// Statements, losses and state of a recovery; kDescriptionBodySizeMax may allow fewer.
inline constexpr std::size_t kRecoveryStatementsMax = 4096;
inline constexpr std::size_t kLossesMax = std::size_t{kPositionsMax} * kRecoveryStatementsMax;
inline constexpr std::size_t kRecoveredStateSizeMax = 512U << 10;
/// Longest encoded header: its fixed part and all seats.
inline constexpr std::size_t kDescriptionHeaderSizeMax =
    1 + 6 * 32 + 12 + 16 + 4 + 2 + kSeatsMax * 96;
/// Longest encoded SignedHeader and SignedDescription.
inline constexpr std::size_t kSignedHeaderSizeMax =
    2 + kDescriptionHeaderSizeMax + 2 + kSignaturesMax * (2 + 64);
/// The latter is what one message carries.
inline constexpr std::size_t kSignedDescriptionSizeMax = wire::kDescriptionSizeMax;
inline constexpr std::size_t kDescriptionBodySizeMax =
    kSignedDescriptionSizeMax - kSignedHeaderSizeMax - 4;

enum class DescriptionError : std::uint8_t {
  kMalformed,         // not a description of a known layout
  kOtherCluster,      // it describes another cluster
  kOtherGeneration,   // a recovery, which needs the organisations of the epoch before: its body
  kNotNewer,          // this epoch is already known; nothing to do
  kGap,               // descriptions between are missing: fetch them first
  kOtherHistory,      // it follows another configuration than ours of the same number: evidence
  kTooFewSignatures,  // fewer than 2F+1 valid ones of the current service
  kBodyMismatch,      // the body is not the one that was signed: fetch it elsewhere
  kNoPredecessor,     // its body says what changes, and what it changes is not known
  kImpossible,        // signed, but it contradicts itself or its predecessor
  kNotAsStated,       // of a recovery: a statement is not good, or names a later configuration
  kLossNotAccepted,   // of a recovery: a group lacks statements, and is not named as lost
  kStartsTooLate,     // of a proposed recovery: after what this clock and its bound allow
};
/// For a person.
std::string_view text_of(DescriptionError error);

/// Checks a description against its predecessor and makes the configuration. Constant work before
/// signatures were checked, besides decoding. A recovery may follow any configuration of a lower
/// generation, not only the newest: its epoch is the next after its parent's. A description whose
/// predecessor has no service is refused with kTooFewSignatures.
Result<std::shared_ptr<const Configuration>, DescriptionError> apply(
    const Configuration& current, ByteView signed_description,
    const crypto::SignatureScheme& scheme);

/// The configuration that a verified header and its body make of the one before: kBodyMismatch when
/// the header names another body, kImpossible when the three contradict each other. Requires:
/// `header` is that of `description`, follows `before` and was verified (HeaderChain); signatures
/// are not looked at again.
Result<std::shared_ptr<const Configuration>, DescriptionError> configuration_of(
    const DescriptionHeader& header, const SignedDescription& description,
    const Configuration& before);

/// Whether every node of both is at the same positions in both. One that moved on the ring would
/// take data with it that nobody planned to move, and could choose its place by leaving and
/// returning (design 3.3).
bool keeps_positions(const Configuration& before, const Configuration& after);

/// What two neighbouring configurations must not have between them: nodes that moved, and of a
/// recovery all that recovery.h asks for.
std::optional<DescriptionError> problem_of_succession(const Configuration& before,
                                                      const Configuration& after,
                                                      const crypto::SignatureScheme& scheme);

/// What the epoch after `current` shall be.
struct NextEpoch {
  Timestamp start;
  Timestamp end;  // 0: none
  crypto::Digest randomness;
  crypto::Digest state;
  DescriptionBody body;
  std::vector<Seat> service;
};

/// The seats of a configuration's service, as a header names them.
std::vector<Seat> seats_of(const Configuration& configuration);

/// Everything of `current` carried over: members, settings, the service with its keys.
NextEpoch same_again(const Configuration& current);

/// An epoch key of the member in seat `seat` of a service.
struct SeatKey {
  std::uint16_t seat = 0;
  crypto::SecretKey key;
};

/// The description without signatures. Nothing is checked but the changes. Requires: these are
/// changes of `current` (placing.h), and fit a description.
SignedDescription draft_description(const Configuration& current, const NextEpoch& next);
/// The same in another generation.
SignedDescription draft_description(const Configuration& current, const NextEpoch& next,
                                    wire::Generation generation);

/// Builds and signs a description as the service does, for the simulator and for tests, which also
/// make bad ones with it. Requires: as draft_description().
Bytes make_description(const Configuration& current, const NextEpoch& next,
                       std::span<const SeatKey> keys, const crypto::SignatureScheme& scheme);

}  // namespace rosebud::membership
