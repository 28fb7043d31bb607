// What a peer keeps for the classic timing (classic.cc).
#pragma once

#include "routing/peer.h"

namespace rosebud::routing {

struct Peer::Classic {
  /// Events on their way to one neighbour of the same unit. What was sent is kept until the
  /// neighbour says that it has it; otherwise it goes with the next keep-alive.
  struct Lane {
    std::vector<Told> waiting;
    std::vector<Told> sent;
    Token token;
  };
  Lane to_successor;
  Lane to_predecessor;

  // As the leader of a slice.
  struct Report {
    Told event;
    std::vector<PeerIndex> reporters;
    Instant forget_at;
  };
  std::vector<Report> reports;     // of deaths that one has seen
  std::vector<Told> for_exchange;  // of the own slice, for other leaders
  std::vector<Told> for_units;     // of all slices, for the own units
  Instant exchange_at = Instant::max();
  Instant units_at = Instant::max();

  /// To a leader, until it says that it has it.
  struct Sent {
    Token token;
    PeerIndex to;
    Stage stage = Stage::kReport;
    std::uint32_t place = 0;  // slice or unit whose leader is meant
    std::vector<Told> events;
    std::uint32_t tries = 0;
    Instant at;
  };
  std::vector<Sent> sent;

  void begin(Now now, const Settings& settings) {
    exchange_at = now.time + settings.exchange;
    units_at = now.time + settings.to_units;
  }
};

}  // namespace rosebud::routing
