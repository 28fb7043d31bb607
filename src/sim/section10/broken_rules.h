// Rules of design section 10 that the model can break, one at a time, to show that it would see it.
#pragma once

#include <cstdint>
#include <string_view>

namespace rosebud::sim::section10 {

enum class Broken : std::uint8_t {
  kNothing,
  // 10.1
  kAcknowledgedAfterEntering,
  kEnteredNotDurable,
  // 10.2
  kServedWhileTransferring,
  kGainerIsKept,
  kOldTenureIsKept,
  // 10.3
  kCompleteFromNobody,
  kCompleteFrom2f,
  kCompleteFromFew,
  kNotEnteredTells,
  kNoFallingBack,
  kOlderCompletenessCounts,
  kClaimReadLast,
  kOwingStated,
  kAskedInAnyOrder,
  kGroupsBetweenAtOnce,
  kOwnGroupNotAsked,
  kOwnGroupAtOnce,
  kOwnGroupAheadTells,
  // 10.4
  kNotFromOwnGroup,
  // 10.5
  kDeletedAtFirstStatement,
  kDeletedForOwnEpoch,
  kStatementsMixed,
  kGoneIsEmpty,
};

struct BrokenRule {
  Broken rule;
  std::string_view name;
  std::string_view breaks;
};

/// All of them, in the order of the rules.
inline constexpr BrokenRule kBrokenRules[] = {
    {Broken::kAcknowledgedAfterEntering, "acknowledged-after-entering",
     "10.1: a write under way is acknowledged although its epoch was left"},
    {Broken::kEnteredNotDurable, "entered-not-durable",
     "10.1: what was answered in the next epoch does not bind after a crash"},
    {Broken::kServedWhileTransferring, "served-while-transferring",
     "10.2: a gainer serves before it is complete"},
    {Broken::kGainerIsKept, "gainer-is-kept",
     "10.2: a member that did not serve before is a keeper in the next epoch"},
    {Broken::kOldTenureIsKept, "old-tenure-is-kept",
     "10.2: who comes back goes on serving with the data of its earlier tenure"},
    {Broken::kCompleteFromNobody, "complete-from-nobody",
     "10.3: a gainer is complete without asking anybody"},
    {Broken::kCompleteFrom2f, "complete-from-2f", "10.3: 2f members who tell are enough"},
    {Broken::kCompleteFromFew, "complete-from-few",
     "10.3, 10.4: f members who say that they are complete are enough"},
    {Broken::kNotEnteredTells, "not-entered-tells",
     "10.3: answers of members count that may still acknowledge in the epoch before"},
    {Broken::kNoFallingBack, "no-falling-back",
     "10.3: nobody asks whether those who tell were complete themselves"},
    {Broken::kOlderCompletenessCounts, "older-completeness-counts",
     "10.3, 10.4: complete for an earlier epoch counts as complete"},
    {Broken::kClaimReadLast, "claim-read-last",
     "10.3: an answer lists what was there before its sender was complete, and says that it is"},
    {Broken::kOwingStated, "owing-stated",
     "10.3, 10.5: completeness is stated to former holders while a listed object is owed"},
    {Broken::kAskedInAnyOrder, "asked-in-any-order",
     "10.3: the groups before are asked at once, and one's own is not"},
    {Broken::kGroupsBetweenAtOnce, "groups-between-at-once",
     "10.3: what a group told before the one before it had told counts"},
    {Broken::kOwnGroupNotAsked, "own-group-not-asked", "10.3: one's own group is not asked"},
    {Broken::kOwnGroupAtOnce, "own-group-at-once",
     "10.3: what one's own group told before the groups before had told counts"},
    {Broken::kOwnGroupAheadTells, "own-group-ahead-tells",
     "10.3: members of one's own group tell who are in a later epoch"},
    {Broken::kNotFromOwnGroup, "not-from-own-group",
     "10.4 is left out: after deletions nobody is left to complete from"},
    {Broken::kDeletedAtFirstStatement, "deleted-at-first-statement",
     "10.5: one statement of completeness is enough to delete"},
    {Broken::kDeletedForOwnEpoch, "deleted-for-own-epoch",
     "10.5: statements for the last epoch of one's own tenure are enough to delete"},
    {Broken::kStatementsMixed, "statements-mixed",
     "10.5: statements of several later epochs are added up"},
    {Broken::kGoneIsEmpty, "gone-is-empty", "10.5: who deleted answers \"empty\", and it counts"},
};

}  // namespace rosebud::sim::section10
