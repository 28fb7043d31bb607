// Planted bugs (base/planted.h) of the object core.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/planted.h"

namespace rosebud::objects {

enum class Bug : std::uint8_t {
  // Counting, at the client
  kQuorumOf2f,
  kAbsentFromFew,
  kReadFromFew,
  kDeniedByOne,
  kOneAlreadyThere,
  kNoWriteBack,
  kFirstIsNewest,
  kOlderSupersedes,
  kSupersededIsDone,
  kNonceIgnored,
  kTallyKept,
  kLeaseIgnored,
  // Verifying
  kReadBytesNotHashed,
  kPutBytesNotHashed,
  kFetchedBytesNotHashed,
  kRecordSignatureNotChecked,
  kRecordIdNotChecked,
  kHoldNotSigned,
  kHoldPathNotChecked,
  kAdmissionNotSigned,
  kExpiredHoldRevived,
  // Ordering and merging
  kOlderOverwrites,
  kEqualVersionsNotOrdered,
  kLowerSerialWins,
  kOneHoldPerObject,
  // Durability, at the replica
  kAcknowledgedBeforeSync,
  kReadBeforeSync,
  kDamagedIsAbsent,
  kServedBeforeReconciled,
  // Epochs
  kEpochIgnored,
  kAcknowledgedAfterEpoch,
  kEnteredNotDurable,
  kCompleteFromNobody,
  kCompleteFromFew,
  kCompleteFrom2f,
  kCompleteBeforeMerged,
  kAskedInAnyOrder,
  kOwnGroupNotAsked,
  kLostMemberTells,
  // Deleting
  kDeletedAtFirstStatement,
  // Reconciling
  kFingerprintOfCount,
  kBusyIsTold,
  kLeafKeptOverWrite,
  kNoTurns,
  // Quota
  kQuotaNotChecked,
  kMergedNotCounted,
};

struct PlantedBug {
  Bug bug;
  std::string_view name;
  std::string_view breaks;  // the rule and what becomes of it
};

/// All of them, in the order of the enum.
inline constexpr PlantedBug kPlantedBugs[] = {
    {Bug::kQuorumOf2f, "quorum-of-2f", "2f answers are a quorum (design 6)"},
    {Bug::kAbsentFromFew, "absent-from-few", "f+1 say that a block is not there (design 6)"},
    {Bug::kReadFromFew, "read-from-few",
     "f+1 equal answers end the reading of a record (design 6)"},
    {Bug::kDeniedByOne, "denied-by-one", "one refusal denies an operation (design 6)"},
    {Bug::kOneAlreadyThere, "one-already-there",
     "one replica that has a block is enough to skip it (design 6)"},
    {Bug::kNoWriteBack, "no-write-back",
     "a record is returned from mixed answers without writing it back (design 6)"},
    {Bug::kFirstIsNewest, "first-is-newest",
     "the first of mixed answers is returned, not the newest (design 6)"},
    {Bug::kOlderSupersedes, "older-supersedes",
     "an older record in answer to a write counts as a newer one (design 6)"},
    {Bug::kSupersededIsDone, "superseded-is-done",
     "a write that met a newer record is reported as done (design 6)"},
    {Bug::kNonceIgnored, "nonce-ignored",
     "an answer counts for whatever its sender was asked last (design 6)"},
    {Bug::kTallyKept, "tally-kept",
     "answers counted in an earlier epoch go on counting in the next one (design 6)"},
    {Bug::kLeaseIgnored, "lease-ignored",
     "a client relies on a configuration for ever (design 9.4)"},
    {Bug::kReadBytesNotHashed, "read-bytes-not-hashed",
     "a hedged read returns bytes that do not hash to the id (design 2)"},
    {Bug::kPutBytesNotHashed, "put-bytes-not-hashed",
     "a replica stores bytes of a client that do not hash to the id (design 6)"},
    {Bug::kFetchedBytesNotHashed, "fetched-bytes-not-hashed",
     "a replica takes bytes of another that do not hash to the id (design 6)"},
    {Bug::kRecordSignatureNotChecked, "record-signature-not-checked",
     "a record is believed without its owner's signature (design 2)"},
    {Bug::kRecordIdNotChecked, "record-id-not-checked",
     "another record of the same or another owner stands for the one asked for (design 5)"},
    {Bug::kHoldNotSigned, "hold-not-signed", "a hold is valid without its signature (design 5)"},
    {Bug::kHoldPathNotChecked, "hold-path-not-checked",
     "a hold of one object holds every other one too (design 5)"},
    {Bug::kAdmissionNotSigned, "admission-not-signed",
     "who admits himself may hold objects (design 3)"},
    {Bug::kExpiredHoldRevived, "expired-hold-revived",
     "a hold that expired before the asker's epoch is taken (design 5)"},
    {Bug::kOlderOverwrites, "older-overwrites",
     "an older version overwrites a newer one (design 6)"},
    {Bug::kEqualVersionsNotOrdered, "equal-versions-not-ordered",
     "two values at one version are not ordered by their hash (design 5)"},
    {Bug::kLowerSerialWins, "lower-serial-wins",
     "of two holds of one holder the one with the lower serial wins (design 5)"},
    {Bug::kOneHoldPerObject, "one-hold-per-object",
     "the hold of one holder takes the place of another's (design 5)"},
    {Bug::kAcknowledgedBeforeSync, "acknowledged-before-sync",
     "a write is acknowledged before it is durable (design 6)"},
    {Bug::kReadBeforeSync, "read-before-sync",
     "a read shows a record that is not durable yet (design 6)"},
    {Bug::kDamagedIsAbsent, "damaged-is-absent",
     "an object whose bytes were bad is \"not there\" (design 6)"},
    {Bug::kServedBeforeReconciled, "served-before-reconciled",
     "clients are answered after a start before reconciling (design 6)"},
    {Bug::kEpochIgnored, "epoch-ignored", "a request is served whatever its epoch (design 6)"},
    {Bug::kAcknowledgedAfterEpoch, "acknowledged-after-epoch",
     "a write under way is acknowledged although its epoch was left (design 10.1)"},
    {Bug::kEnteredNotDurable, "entered-not-durable",
     "a replica answers in an epoch before having entered it is durable (design 10.1)"},
    {Bug::kCompleteFromNobody, "complete-from-nobody",
     "a gainer is complete without asking anybody (design 10.3)"},
    {Bug::kCompleteFromFew, "complete-from-few",
     "f members who say that they are complete are enough (design 10.3, 10.4)"},
    {Bug::kCompleteFrom2f, "complete-from-2f",
     "2f members of the group before are enough to complete (design 10.3)"},
    {Bug::kCompleteBeforeMerged, "complete-before-merged",
     "an interval is complete before what was fetched is durable (design 10.2)"},
    {Bug::kAskedInAnyOrder, "asked-in-any-order",
     "what a group told before it was asked in its turn counts (design 10.3, ADR 11)"},
    {Bug::kOwnGroupNotAsked, "own-group-not-asked",
     "who has heard the oldest group is complete without asking the later ones (ADR 11)"},
    {Bug::kLostMemberTells, "lost-member-tells",
     "a node that lost its directory tells for the member that it was (design 10.3)"},
    {Bug::kDeletedAtFirstStatement, "deleted-at-first-statement",
     "one member that says it is complete is enough to delete an interval (design 10.5)"},
    {Bug::kFingerprintOfCount, "fingerprint-of-count",
     "ranges with equally many objects are equal (design 6)"},
    {Bug::kBusyIsTold, "busy-is-told",
     "who says \"busy\" counts as having told all that it holds (design 10.3)"},
    {Bug::kLeafKeptOverWrite, "leaf-kept-over-write",
     "what was read of an interval counts although it was written to since (design 6)"},
    {Bug::kNoTurns, "no-turns", "comparisons that never end keep all others waiting (design 6)"},
    {Bug::kQuotaNotChecked, "quota-not-checked", "a client gets whatever it asks for (design 5)"},
    {Bug::kMergedNotCounted, "merged-not-counted",
     "what comes from other replicas is not counted against its holder (design 5)"},
};

}  // namespace rosebud::objects
