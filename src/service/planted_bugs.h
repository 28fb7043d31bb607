// Planted bugs: one switch for each rule of the configuration service that must not be broken.
//
// As in objects/planted_bugs.h: a test build (CMake option ROSEBUD_PLANTED_BUGS, preset `bugs`) can
// break one of them, so that scripts/planted-bugs can measure whether the checkers find what they
// should. In every other build is_planted() is the constant false.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rosebud::service {

enum class Bug : std::uint8_t {
  // Whose word counts
  kOneAccuserIsEnough,
  kOneRevives,
  kNoAnnouncementByFPlusOne,
  kNoRevealByOne,
  kNonMembersWordCounts,
  // Who is in
  kGroupLeavesAtOnce,
  kEvictedAtOnce,
  kRevokedAdmittedAgain,
  kOlderStatementAccepted,
  kAdmissionsNotCounted,
  kForeignAdmissionAccepted,
  kWishesLost,
  kRevocationsLost,
  kPlacedByOldRandomness,
  kRetiredComesBack,
  kRetirementNotVerified,
  kRetirementsLost,
  kSilentOnesAreEnough,
  // Complaints
  kCaseByF,
  kAccusersOfAnyGroup,
  kUnconfirmedComplaintRemoves,
  kOneVerdictIsEnough,
  kWithholderGoesAtOnce,
  kComplaintsNeverExpire,
  kComplaintsNotCounted,
  // What organisations decide together
  kHalfDecides,
  kSignerCountsTwice,
  kDecreeNotVerified,
  kDecreesForgotten,
  kSettingsLost,
  kRevokedOrganisationHasSay,
  kRevokedOrganisationAdmits,
  kNodesOfRevokedStay,
  // The end of an epoch
  kPreparedBeforeItsTime,
  kEarlyEndsNotLimited,
  kEarlyEndsForgotten,
  kEndRequestNotVerified,
  kEndRequestsNotLimited,
  kEndRequestOfAnyEpoch,
  kStartIsNotAgreed,
  // Seats
  kAllTermsEndAtOnce,
  kDrawIgnoresBound,
  kReserveIgnoresBound,
  kTermsBeginAnew,
  kUnsignedAnnouncement,
  kSecondAnnouncement,
  kKeyInUseAnnounced,
  // The draw
  kShareOpenedEarly,
  kShareAcceptedEarly,
  kShareNotCompared,
  kWithheldShareCounts,
  kWithholderKeepsSeat,
  // Durability and keys
  kKeyKept,
  kKeyAnnouncedBeforeDurable,
  kKeyForgotten,
  kSignedBeforeDurable,
  kStateNotCompared,
  kSignatureNotVerified,
  kFewSignaturesMakeAnEpoch,
  // Leases
  kLeaseAfterSuccessor,
  kLeaseByFew,
};

struct PlantedBug {
  Bug bug;
  std::string_view name;
  std::string_view scenario;  // of rosebud-sim service: where the rule is strained
  std::string_view breaks;    // the rule and what becomes of it
};

/// All of them, in the order of the enum.
inline constexpr PlantedBug kPlantedBugs[] = {
    {Bug::kOneAccuserIsEnough, "one-accuser-is-enough", "byzantine",
     "a node is inactive when one member says so (design 8.2)"},
    {Bug::kOneRevives, "one-revives", "churn",
     "a node is active again when one member says so (design 8.2)"},
    {Bug::kNoAnnouncementByFPlusOne, "no-announcement-by-f+1", "mixed",
     "F+1 members pass a candidate over (design 8.3)"},
    {Bug::kNoRevealByOne, "no-reveal-by-one", "byzantine",
     "one member says that a share was withheld (design 8.3)"},
    {Bug::kNonMembersWordCounts, "non-members-word-counts", "byzantine",
     "nodes without a seat are counted as members (design 8)"},
    {Bug::kGroupLeavesAtOnce, "group-leaves-at-once", "churn",
     "more than f unreachable members of one group leave in one epoch (design 8.2)"},
    {Bug::kEvictedAtOnce, "evicted-at-once", "churn",
     "an inactive node is evicted before its time (design 8.2)"},
    {Bug::kRevokedAdmittedAgain, "revoked-admitted-again", "churn",
     "a key that was revoked comes back (design 3.4)"},
    {Bug::kOlderStatementAccepted, "older-statement-accepted", "churn",
     "an older statement brings back what a later one changed (design 3.4)"},
    {Bug::kAdmissionsNotCounted, "admissions-not-counted", "churn",
     "an organisation has as many new keys in a day as it wants (design 3.4)"},
    {Bug::kForeignAdmissionAccepted, "foreign-admission-accepted", "churn",
     "an organisation moves another's node (design 3.4)"},
    {Bug::kWishesLost, "wishes-lost", "churn",
     "admissions that wait are not handed over (design 8.5)"},
    {Bug::kRevocationsLost, "revocations-lost", "churn",
     "revocations are not handed over (design 8.5)"},
    {Bug::kPlacedByOldRandomness, "placed-by-old-randomness", "churn",
     "a new node stands where its key and the R in force put it (design 3.3)"},
    {Bug::kRetiredComesBack, "retired-comes-back", "organisations",
     "an older statement brings back a node that its organisation retired (design 3.4)"},
    {Bug::kRetirementNotVerified, "retirement-not-verified", "organisations",
     "anybody retires a node (design 3.4)"},
    {Bug::kRetirementsLost, "retirements-lost", "organisations",
     "retirements are not handed over (design 8.5)"},
    {Bug::kSilentOnesAreEnough, "silent-ones-are-enough", "organisations",
     "a node goes without whom only silent ones could fill the service (ADR 12)"},
    {Bug::kCaseByF, "case-by-f", "complaints",
     "the service checks, and believes, what f members of a group complain of (design 8.2)"},
    {Bug::kAccusersOfAnyGroup, "accusers-of-any-group", "complaints",
     "f+1 complain who are in no group together (design 8.2)"},
    {Bug::kUnconfirmedComplaintRemoves, "unconfirmed-complaint-removes", "complaints",
     "complaints of f+1 remove a member that nobody checked (design 8.2)"},
    {Bug::kOneVerdictIsEnough, "one-verdict-is-enough", "complaints",
     "one member of the service confirms complaints (design 8.2)"},
    {Bug::kWithholderGoesAtOnce, "withholder-goes-at-once", "complaints",
     "who shows nothing, and may be slow, is removed before evict_after (ADR 14)"},
    {Bug::kComplaintsNeverExpire, "complaints-never-expire", "complaints",
     "a complaint counts for ever (ADR 14)"},
    {Bug::kComplaintsNotCounted, "complaints-not-counted", "complaints",
     "one member complains of as many as it wants (ADR 14)"},
    {Bug::kHalfDecides, "half-decides", "organisations",
     "half of the organisations and one decide for all (design 3.4)"},
    {Bug::kSignerCountsTwice, "signer-counts-twice", "organisations",
     "an organisation that signs a decree twice counts twice (design 3.4)"},
    {Bug::kDecreeNotVerified, "decree-not-verified", "organisations",
     "signatures of a decree are counted and not verified (design 3.4)"},
    {Bug::kDecreesForgotten, "decrees-forgotten", "organisations",
     "a decree is carried out again in a later epoch (design 3.4)"},
    {Bug::kSettingsLost, "settings-lost", "organisations",
     "a setting that was decided is not that of the next epoch (decision 12)"},
    {Bug::kRevokedOrganisationHasSay, "revoked-organisation-has-say", "organisations",
     "the signature of a revoked organisation counts (design 3.4)"},
    {Bug::kRevokedOrganisationAdmits, "revoked-organisation-admits", "organisations",
     "a revoked organisation's waiting nodes are admitted (design 3.4)"},
    {Bug::kNodesOfRevokedStay, "nodes-of-revoked-stay", "organisations",
     "nodes of a revoked organisation stay (design 3.4)"},
    {Bug::kPreparedBeforeItsTime, "prepared-before-its-time", "byzantine",
     "prepare-epoch is executed whenever a member asks for it (design 8.3)"},
    {Bug::kEarlyEndsNotLimited, "early-ends-not-limited", "churn",
     "epochs end early as often as there is a reason (design 7)"},
    {Bug::kEarlyEndsForgotten, "early-ends-forgotten", "churn",
     "early ends are not handed over (design 7)"},
    {Bug::kEndRequestNotVerified, "end-request-not-verified", "organisations",
     "anybody ends an epoch (design 7)"},
    {Bug::kEndRequestsNotLimited, "end-requests-not-limited", "organisations",
     "one organisation ends as many epochs as all together may in an hour (design 7)"},
    {Bug::kEndRequestOfAnyEpoch, "end-request-of-any-epoch", "organisations",
     "a request ends epochs after the one that it names (design 7)"},
    {Bug::kStartIsNotAgreed, "start-is-not-agreed", "mixed",
     "an epoch starts a length after the one before, whenever it was prepared (design 8.1)"},
    {Bug::kAllTermsEndAtOnce, "all-terms-end-at-once", "mixed",
     "more than F seats change in one epoch (design 8.4)"},
    {Bug::kDrawIgnoresBound, "draw-ignores-bound", "mixed",
     "more than F seats are drawn of one organisation (design 8.4)"},
    {Bug::kReserveIgnoresBound, "reserve-ignores-bound", "byzantine",
     "who takes the seat of a silent candidate may be of any organisation (design 8.4)"},
    {Bug::kTermsBeginAnew, "terms-begin-anew", "mixed",
     "every epoch begins the term of every member (design 8.4)"},
    {Bug::kUnsignedAnnouncement, "unsigned-announcement", "byzantine",
     "an announcement counts that its candidate did not sign (design 8.3)"},
    {Bug::kSecondAnnouncement, "second-announcement", "byzantine",
     "a candidate announces again, and that counts (design 8.3)"},
    {Bug::kKeyInUseAnnounced, "key-in-use-announced", "byzantine",
     "a candidate announces a key that somebody has (design 7)"},
    {Bug::kShareOpenedEarly, "share-opened-early", "mixed",
     "a member opens its share while candidates announce (design 8.3)"},
    {Bug::kShareAcceptedEarly, "share-accepted-early", "byzantine",
     "shares count while candidates announce: who has seen R chooses (design 8.3)"},
    {Bug::kShareNotCompared, "share-not-compared", "byzantine",
     "any share opens a commitment (design 8.3)"},
    {Bug::kWithheldShareCounts, "withheld-share-counts", "byzantine",
     "R is as if a withheld share were there (design 8.3)"},
    {Bug::kWithholderKeepsSeat, "withholder-keeps-seat", "byzantine",
     "a member that withheld its share keeps its seat (design 8.3)"},
    {Bug::kKeyKept, "key-kept", "mixed", "the key of an epoch outlives its successor (design 7)"},
    {Bug::kKeyAnnouncedBeforeDurable, "key-announced-before-durable", "mixed",
     "a key is announced before it is on disk (design 7)"},
    {Bug::kKeyForgotten, "key-forgotten", "crashes",
     "after a restart a candidate announces another key (design 8.3)"},
    {Bug::kSignedBeforeDurable, "signed-before-durable", "mixed",
     "a description is signed before what it hands over is on disk (design 8.5)"},
    {Bug::kStateNotCompared, "state-not-compared", "byzantine",
     "a member begins with any state that it is given (design 8.5)"},
    {Bug::kSignatureNotVerified, "signature-not-verified", "byzantine",
     "a member takes any signature for another's (design 7)"},
    {Bug::kFewSignaturesMakeAnEpoch, "few-signatures-make-an-epoch", "byzantine",
     "F signatures make a description (membership/planted_bugs.h; design 7)"},
    {Bug::kLeaseAfterSuccessor, "lease-after-successor", "mixed",
     "who has signed what follows an epoch prolongs it (design 9.4)"},
    {Bug::kLeaseByFew, "lease-by-few", "mixed", "F+1 signatures make a lease (design 9.4)"},
};

#ifdef ROSEBUD_PLANTED_BUGS
/// Set once, before any core runs.
inline std::optional<Bug> planted_bug;
inline bool is_planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool is_planted(Bug) { return false; }
#endif

}  // namespace rosebud::service
