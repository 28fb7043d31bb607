// For every key, the newest epoch for which something is known of it: what a replica is complete
// for, what it serves, and what it has deleted (design 10). Piecewise constant over the ring, so it
// stays as small as the changes of membership made it.
#pragma once

#include <map>
#include <optional>

#include "wire/ids.h"
#include "wire/object.h"

namespace rosebud::objects {

class IntervalEpochs {
 public:
  IntervalEpochs();

  /// From now on at least `epoch` in the whole interval. Never lowers.
  void raise(const wire::KeyRange& range, wire::Epoch epoch);
  /// From now on at most `epoch` everywhere: what is said of later ones was abandoned (design 8.6).
  void cap(wire::Epoch epoch);
  /// The lowest epoch in the interval; 0: nothing is known of some key in it.
  wire::Epoch lowest(const wire::KeyRange& range) const;
  wire::Epoch highest(const wire::KeyRange& range) const;

  Bytes encode() const;
  static std::optional<IntervalEpochs> decode(ByteView bytes);
  friend bool operator==(const IntervalEpochs&, const IntervalEpochs&) = default;

 private:
  /// Makes a piece begin at `key`.
  void cut(const crypto::Digest& key);
  /// Neighbours that say the same are one piece.
  void join();

  std::map<crypto::Digest, wire::Epoch> begins_;  // first key of each piece; key 0 is always there
};

}  // namespace rosebud::objects
