// What a peer asks its driver to do, in order.
#pragma once

#include <vector>

#include "routing/datagram.h"

namespace rosebud::routing {

using LookupId = Strong<struct LookupIdTag, std::uint64_t>;

struct LookupDone {
  LookupId id;
  bool is_found = false;
  PeerIndex owner;
  std::uint32_t hops = 0;   // peers that were asked
  std::uint32_t waits = 0;  // of them that did not answer in time
};

/// Datagrams lie behind each other in one piece of memory; an Effects that is cleared and used
/// again allocates nothing.
class Effects {
 public:
  struct Send {
    PeerIndex to;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  void send(PeerIndex to, const Datagram& datagram) {
    const auto begin = static_cast<std::uint32_t>(bytes_.size());
    encode(datagram, bytes_);
    sends_.push_back({to, begin, static_cast<std::uint32_t>(bytes_.size())});
  }
  void send_batch(PeerIndex to, BatchId id, IndexRange range, ByteView coded) {
    const auto begin = static_cast<std::uint32_t>(bytes_.size());
    encode_batch(id, range, coded, bytes_);
    sends_.push_back({to, begin, static_cast<std::uint32_t>(bytes_.size())});
  }
  void clear() {
    bytes_.clear();
    sends_.clear();
    lookups.clear();
    learned.clear();
    has_joined = false;
  }

  const std::vector<Send>& sends() const { return sends_; }
  ByteView bytes(const Send& one) const {
    return ByteView(bytes_).subspan(one.begin, one.end - one.begin);
  }

  std::vector<LookupDone> lookups;
  /// What became known, if is_watching: for who looks on.
  bool is_watching = false;
  std::vector<Change> learned;
  /// A joining peer has the table and has announced itself.
  bool has_joined = false;

 private:
  Bytes bytes_;
  std::vector<Send> sends_;
};

}  // namespace rosebud::routing
