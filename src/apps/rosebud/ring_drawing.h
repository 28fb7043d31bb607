// The ring of the overlay as a picture of characters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rosebud::apps {

struct RingMark {
  std::uint64_t at = 0;  // the first eight bytes of its position
  char letter = '?';     // of its organisation
  bool is_alive = true;
  bool is_self = false;
};

/// A circle with the beginning of the line at its top, clockwise. The letter of each peer stands
/// where it is, '.' where nobody is, 'x' for who is dead and '@' for who looks. Where several share
/// a place the one that looks is shown, else a dead one, else the first. `rows`: odd, at least 5.
std::string draw_ring(const std::vector<RingMark>& marks, int rows = 15);

}  // namespace rosebud::apps
