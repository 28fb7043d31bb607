// What a joining peer keeps until it has the table (joining.cc).
#pragma once

#include <algorithm>

#include "routing/peer.h"

namespace rosebud::routing {

struct Peer::Joining {
  struct Asked {
    Token token;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t tries = 0;
    Instant at;
  };

  PeerIndex contact;
  std::vector<PeerState> states;  // of all peers; the newest heard
  std::vector<Moved> moved;
  std::uint32_t next = 0;    // bucket that nobody was asked for yet
  bool has_digests = false;  // it knows an older table
  std::vector<Asked> asked;

  Instant deadline() const {
    Instant out = Instant::max();
    for (const Asked& one : asked) out = std::min(out, one.at);
    return out;
  }
};

}  // namespace rosebud::routing
