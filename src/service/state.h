// What the configuration service has agreed on (design 8): what one epoch hands to the next, and
// how far the present one is on its way to its end.
//
//   running ──prepare-epoch──▶ announcing ──every seat has its announcement──▶ revealing ──every
//   commitment is open──▶ sealed: the next description is fixed, and the group ends
//
// Where a share was withheld, it is announcing once more before it is sealed: others take the
// seats.
#pragma once

#include "membership/description.h"
#include "service/complaints.h"
#include "service/draw.h"
#include "service/next_members.h"
#include "service/operations.h"

namespace rosebud::service {

/// Handed to the next epoch; its digest stands in the header, so that who begins there can fetch it
/// from anybody.
struct Carried {
  Wishes wishes;
  std::map<wire::NodeKey, std::uint64_t> seated_since_ms;
  /// Agreed times of ends before their time, of the last hour.
  std::vector<std::uint64_t> early_ends_ms;
  /// New keys that an organisation got in the day (days since 1970) that is named.
  struct Admitted {
    std::uint64_t day = 0;
    std::uint64_t count = 0;
    friend bool operator==(const Admitted&, const Admitted&) = default;
  };
  std::map<crypto::PublicKey, Admitted> admitted;
  /// Of nodes that are in by a statement: since when that is valid. An older one does not bring
  /// back the directory or the address that they had.
  std::map<wire::NodeKey, std::uint64_t> stated_s;
  /// Decrees that were carried out, by decree_hash(), and until when (seconds) they would be valid.
  std::map<crypto::Digest, std::uint64_t> enacted_s;
  /// When an organisation last had an epoch ended, within the last hour.
  std::map<crypto::PublicKey, std::uint64_t> end_requested_ms;
  Complaints complaints;

  Bytes encode() const;
  static std::optional<Carried> decode(ByteView bytes);
  static crypto::Digest digest(ByteView encoded);
};

enum class Phase : std::uint8_t { kRunning = 0, kAnnouncing = 1, kRevealing = 2, kSealed = 3 };

/// Of whom 2F+1 members say something.
using Said = std::map<wire::NodeKey, std::set<wire::NodeKey>>;  // about whom -> who says it
bool has_said(const Said& said, const wire::NodeKey& about, const wire::NodeKey& by);
/// Then `by` says it no more, if it did.
void take_back(Said& said, const wire::NodeKey& about, const wire::NodeKey& by);

struct State {
  Carried carried;
  Phase phase = Phase::kRunning;

  // ---- While it runs ----
  Said unreachable;
  Said reachable;
  Said withheld;     // blocks that complaints are about were not shown
  Said shown_false;  // nor rightly; these say the above too
  Said shown;
  bool is_end_requested = false;

  // ---- On the way to the end ----
  std::uint64_t prepared_ms = 0;     // agreed time of prepare-epoch
  membership::DescriptionBody next;  // new nodes in it have no admission randomness yet
  /// Candidates, in the order of their seats, and what they announced.
  struct Candidate {
    wire::NodeKey node;
    std::optional<Announcement> announcement;
  };
  std::vector<Candidate> candidates;
  std::set<wire::NodeKey> passed_over;  // did not announce, or withheld their shares
  /// Candidates that lost their seats to others because they withheld their shares, once in an
  /// epoch. They take them back when nobody else is there.
  std::vector<Candidate> set_aside;
  bool is_withholding_settled = false;
  Said unannounced;
  std::map<wire::NodeKey, crypto::Digest> shares;
  std::set<wire::NodeKey> withholders;
  Said unrevealed;

  Bytes encode() const;
  static std::optional<State> decode(ByteView bytes);
};

inline constexpr std::size_t kAdmissionsMax = 1024;
/// Of one organisation: at most so many admissions wait, so many keys are revoked by itself.
inline constexpr std::size_t kAdmissionsOfOneMax = 128;
inline constexpr std::size_t kRevokedOfOneMax = 1024;
/// Retired keys of one organisation, and decrees that are remembered.
inline constexpr std::size_t kRetiredOfOneMax = 1024;
inline constexpr std::size_t kEnactedMax = 256;

}  // namespace rosebud::service
