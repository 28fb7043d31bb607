// Planted bugs (base/planted.h) of the replication.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/planted.h"

namespace rosebud::pbft {

enum class Bug : std::uint8_t {
  // Counting
  kPrepareQuorumOf2f,
  kCommitQuorumOf2f,
  kCheckpointAtFPlusOne,
  kDigestsNotCompared,
  kOldViewVoteCounts,
  kOneReplyIsEnough,
  // Verifying
  kRequestSignatureNotChecked,
  kVoteSignatureNotChecked,
  kNewViewNotChecked,
  kTransferWithoutDigest,
  // View change
  kNewViewDropsPrepared,
  kNewViewTakesLowestView,
  kPrePreparedIsPrepared,
  kAcceptsTwoProposals,
  kTimeoutsDoNotGrow,
  kOneStartsViewChange,
  kCensoredWaitForever,
  // Durability
  kVoteBeforeDurable,
  kExecutesBeforeDurable,
  kPreparedForgotten,
  kUnpreparedForgotten,
  kViewForgotten,
  kRolledBackVotes,
  kRolledBackViews,
  kNobodyUrges,
  kNumbersNotUrged,
  // Execution
  kDuplicateExecuted,
  kClientTableNotTransferred,
  kExecutesAfterStop,
  kTimeNotChecked,
  kTimeGoesBack,
  kClocksSetBackStop,
  // Session keys
  kOneVouchIsEnough,
  kUnvouchedPrepared,
  kVouchesNotAwaited,
  kMissingNotAskedFor,
  kMissingLosesPlace,
  kPlaceInQueueLost,
  // Bounds
  kWaterMarksIgnored,
};

struct PlantedBug {
  Bug bug;
  std::string_view name;
  std::string_view scenario;  // of rosebud-sim pbft: where the rule is strained
  std::string_view breaks;    // the rule and what becomes of it
};

/// All of them, in the order of the enum.
inline constexpr PlantedBug kPlantedBugs[] = {
    {Bug::kPrepareQuorumOf2f, "prepare-quorum-2f", "byzantine",
     "2F votes, the pre-prepare among them, make a request prepared [CL99 4.2]"},
    {Bug::kCommitQuorumOf2f, "commit-quorum-2f", "byzantine", "2F commits commit [CL99 4.2]"},
    {Bug::kCheckpointAtFPlusOne, "checkpoint-at-f+1", "mixed",
     "F+1 replicas make a checkpoint stable [CL99 4.3]"},
    {Bug::kDigestsNotCompared, "digests-not-compared", "byzantine",
     "votes for other requests count too [CL99 4.2]"},
    {Bug::kOldViewVoteCounts, "old-view-vote-counts", "byzantine",
     "votes of earlier views count too [CL99 4.2]"},
    {Bug::kOneReplyIsEnough, "one-reply-is-enough", "byzantine",
     "a client believes the first reply [CL99 4.1]"},
    {Bug::kRequestSignatureNotChecked, "request-signature-not-checked", "byzantine",
     "a primary orders what no client signed [CL99 4.2]"},
    {Bug::kVoteSignatureNotChecked, "vote-signature-not-checked", "byzantine",
     "votes in certificates are believed unsigned [CL99 4.4]"},
    {Bug::kNewViewNotChecked, "new-view-not-checked", "byzantine",
     "backups believe the choice of the new primary [CL99 4.4]"},
    {Bug::kTransferWithoutDigest, "transfer-without-digest", "byzantine",
     "state is taken from one replica unchecked [CL99 4.3]"},
    {Bug::kNewViewDropsPrepared, "new-view-drops-prepared", "mixed",
     "the new view has null where something was prepared [CL99 4.4]"},
    {Bug::kNewViewTakesLowestView, "new-view-takes-lowest-view", "primaries",
     "of two certificates for one number the older view counts [CL99 4.4]"},
    {Bug::kPrePreparedIsPrepared, "pre-prepared-is-prepared", "byzantine",
     "what was only pre-prepared stands in a view change as prepared: P and Q confused [CL99 4.4]"},
    {Bug::kAcceptsTwoProposals, "accepts-two-proposals", "byzantine",
     "a backup prepares a second proposal for one number and view [CL99 4.2]"},
    {Bug::kTimeoutsDoNotGrow, "time-outs-do-not-grow", "slow-network",
     "every view gets the same time [CL99 4.5.2]"},
    {Bug::kOneStartsViewChange, "one-starts-view-change", "byzantine",
     "one view change of another moves a replica [CL99 4.5.2]"},
    {Bug::kCensoredWaitForever, "censored-wait-forever", "byzantine",
     "any execution restarts the time of all that wait (design 8)"},
    {Bug::kVoteBeforeDurable, "vote-before-durable", "crashes",
     "a vote leaves before it is durable (design 7)"},
    {Bug::kExecutesBeforeDurable, "executes-before-durable", "cut-short",
     "a commit counts where it was signed before it is durable (design 7)"},
    {Bug::kPreparedForgotten, "prepared-forgotten", "crashes",
     "certificates do not survive a restart (design 7)"},
    {Bug::kUnpreparedForgotten, "unprepared-forgotten", "primaries",
     "a batch that was voted for is not to be had when another one was proposed [CL99 4.3]"},
    {Bug::kViewForgotten, "view-forgotten", "crashes",
     "the view does not survive a restart (design 7)"},
    {Bug::kRolledBackVotes, "rolled-back-votes", "rollback",
     "a replica restored from an old copy votes at once (design 7)"},
    {Bug::kRolledBackViews, "rolled-back-views", "rollback",
     "a replica restored from an old copy votes in views that it has left (design 7)"},
    {Bug::kNobodyUrges, "nobody-urges", "rollback",
     "a primary that heeds no wish of a replica which lost its disk keeps its view"},
    {Bug::kNumbersNotUrged, "numbers-not-urged", "rollback",
     "a primary that fills no numbers for such a replica keeps its view, while nobody asks"},
    {Bug::kDuplicateExecuted, "duplicate-executed", "mixed",
     "a request that was ordered twice is executed twice [CL99 4.1]"},
    {Bug::kClientTableNotTransferred, "client-table-not-transferred", "crashes",
     "transferred state does not say what was executed [CL99 4.3]"},
    {Bug::kExecutesAfterStop, "executes-after-stop", "stop",
     "what was ordered behind the stop is executed (design 8.5)"},
    {Bug::kTimeNotChecked, "time-not-checked", "byzantine",
     "backups accept any time of the primary (design 8.1)"},
    {Bug::kTimeGoesBack, "time-goes-back", "byzantine", "agreed time goes back (design 8.1)"},
    {Bug::kClocksSetBackStop, "clocks-set-back-stop", "crashes",
     "backups refuse the agreed time when their clocks were set back (design 8.1)"},
    {Bug::kOneVouchIsEnough, "one-vouch-is-enough", "session-keys",
     "what one replica vouches for is taken for its client's [Bracha87]"},
    {Bug::kUnvouchedPrepared, "unvouched-prepared", "session-keys",
     "a backup prepares what it neither verified nor heard F+1 vouch for [Aardvark09 3]"},
    {Bug::kVouchesNotAwaited, "vouches-not-awaited", "session-keys",
     "what one replica verified is proposed and waited for at once [Aardvark09 3]"},
    {Bug::kMissingNotAskedFor, "missing-not-asked-for", "session-keys",
     "a primary gets what it lacks when half of the time-out is over"},
    {Bug::kMissingLosesPlace, "missing-loses-place", "session-keys",
     "what a primary lacked when it was ready goes to the end of the queue when it comes"},
    {Bug::kPlaceInQueueLost, "place-in-queue-lost", "session-keys",
     "a newer request of a client goes to the end of the queue"},
    {Bug::kWaterMarksIgnored, "water-marks-ignored", "byzantine",
     "numbers over the high water mark are kept [CL99 4.2]"},
};

}  // namespace rosebud::pbft
