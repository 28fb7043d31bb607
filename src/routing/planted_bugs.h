// Planted bugs (base/planted.h) of the overlay.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/planted.h"

namespace rosebud::routing {

enum class Bug : std::uint8_t {
  kForwardedTwice,
  kLogLostWithLeader,
  kIncarnationIgnored,
  kDeathBelievedFromOne,
  kDeathNotRefuted,
  kMissedBatchNotPulled,
  kAnybodyIsOwner,
  kSilentOwnerWaitedFor,
  kRefusedTakesPlace,
  kAccuserCountedTwice,
  kHearsayBelieved,
  kPartLeftToSilentPeer,
  kTablesNotCompared,
};

struct PlantedBug {
  Bug bug;
  std::string_view name;
  std::string_view scenario;  // of rosebud-sim routing: where the rule is strained
  std::string_view breaks;    // the rule and what becomes of it
};

/// All of them, in the order of the enum.
inline constexpr PlantedBug kPlantedBugs[] = {
    {Bug::kForwardedTwice, "forwarded-twice", "mixed",
     "a batch goes to two peers of each part of the slice (design 11)"},
    {Bug::kLogLostWithLeader, "log-lost-with-leader", "leaders",
     "an event is forgotten when a leader has it, before the leader has spread it (papers 1.7)"},
    {Bug::kIncarnationIgnored, "incarnation-ignored", "mixed",
     "the last word about a peer counts, not the newest (design 11)"},
    {Bug::kDeathBelievedFromOne, "death-believed-from-one", "accusers",
     "one accuser makes a peer dead (design 11)"},
    {Bug::kDeathNotRefuted, "death-not-refuted", "cuts",
     "a peer that hears of its own death says nothing (design 11)"},
    {Bug::kMissedBatchNotPulled, "missed-batch-not-pulled", "lossy",
     "what a neighbour has and oneself missed is not asked for (design 11)"},
    {Bug::kAnybodyIsOwner, "anybody-is-owner", "mixed",
     "whoever is asked says that the key is its own (design 11)"},
    {Bug::kSilentOwnerWaitedFor, "silent-owner-waited-for", "mixed",
     "a lookup waits for who does not answer, and asks nobody else (design 11)"},
    {Bug::kRefusedTakesPlace, "refused-takes-place", "flood",
     "a leader keeps a place for a period before it asks who may say what (design 11)"},
    {Bug::kAccuserCountedTwice, "accuser-counted-twice", "accusers",
     "who accuses twice counts as two accusers (design 11)"},
    {Bug::kHearsayBelieved, "hearsay-believed", "accusers",
     "what one peer tells of another's death is taken as it is (design 11)"},
    {Bug::kPartLeftToSilentPeer, "part-left-to-silent-peer", "mixed",
     "nobody else gets a part of the slice whose receiver says nothing (papers 1.7)"},
    {Bug::kTablesNotCompared, "tables-not-compared", "cuts",
     "neighbours whose digests differ leave it at that (design 11)"},
};

}  // namespace rosebud::routing
