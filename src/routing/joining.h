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

  /// Who was asked, the last one now: an answer that comes late is as good. At most kContactsMax.
  std::vector<PeerIndex> contacts;
  std::vector<PeerState> states;  // of all peers; the newest heard
  std::vector<Moved> moved;
  std::uint32_t next = 0;    // bucket that nobody was asked for yet
  bool has_digests = false;  // it knows an older table
  std::vector<Asked> asked;
  /// Batches that contacts copied meanwhile, at most kBatchesKept: what is in them may be missing
  /// in pieces that came before. They say low bits of states, so they wait for the whole table.
  struct Copied {
    PeerIndex from;
    Bytes bytes;
  };
  std::vector<Copied> copied;

  bool was_asked(PeerIndex peer) const {
    return std::ranges::find(contacts, peer) != contacts.end();
  }
  void ask_of(PeerIndex contact) {
    if (contacts.size() == kContactsMax) contacts.erase(contacts.begin());
    contacts.push_back(contact);
  }
  Instant deadline() const {
    Instant out = Instant::max();
    for (const Asked& one : asked) out = std::min(out, one.at);
    return out;
  }
};

}  // namespace rosebud::routing
