#include "routing/accusers.h"

#include "routing/planted_bugs.h"
#include "routing/slices.h"

namespace rosebud::routing {
namespace {

PeerIndex drawn(const Table& table, const Change& accused, std::uint32_t number,
                std::uint32_t attempt) {
  const std::uint64_t life =
      mix((std::uint64_t{accused.peer.value} << 32) | accused.state.incarnation(), number);
  return PeerIndex(static_cast<std::uint32_t>(mix(life, attempt) % table.size()));
}

}  // namespace

std::optional<PeerIndex> witness(const Table& table, const Change& accused, std::uint32_t number,
                                 std::uint32_t skipped) {
  for (std::uint32_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const PeerIndex one = drawn(table, accused, number, attempt);
    if (one == accused.peer || !table.is_alive(one)) continue;
    if (skipped == 0) return one;
    --skipped;
  }
  const auto next = table.next_alive(drawn(table, accused, number, kAttemptsMax - 1));
  return next && *next != accused.peer ? next : std::nullopt;
}

bool may_accuse(const Table& table, PeerIndex accuser, const Change& accused) {
  if (accuser == accused.peer) return true;
  PeerIndex behind = accused.peer;
  for (std::uint32_t i = 0; i < kAccusersBehind; ++i) {
    const auto next = table.next_alive(behind);
    if (!next) break;
    behind = *next;
    if (behind == accuser) return true;
  }
  for (std::uint32_t number = 0; number < kWitnesses; ++number) {
    std::uint32_t alive = 0;
    for (std::uint32_t attempt = 0; attempt < kAttemptsMax && alive < kWitnessSlack; ++attempt) {
      const PeerIndex one = drawn(table, accused, number, attempt);
      if (one == accuser) return true;
      if (one != accused.peer && table.is_alive(one)) ++alive;
    }
    const auto last = witness(table, accused, number);
    if (last && *last == accuser) return true;
  }
  return false;
}

std::uint32_t accusers_needed(const Table& table) {
  if (is_planted(Bug::kDeathBelievedFromOne)) return 1;
  return table.alive_count() <= 3 ? 1 : kAccusersNeeded;
}

}  // namespace rosebud::routing
