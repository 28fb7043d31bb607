#include "apps/rosebud/ring_drawing.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rosebud::apps {
namespace {

struct Place {
  int row;
  int column;
};

/// A character is about twice as high as it is wide.
Place place_of(double turn, int rows) {
  const double angle = 2 * std::numbers::pi * turn;
  const double radius = (rows - 1) / 2.0;
  return {static_cast<int>(std::lround(radius - radius * std::cos(angle))),
          static_cast<int>(std::lround(2 * radius + 2 * radius * std::sin(angle)))};
}

int weight(char shown) { return shown == '@' ? 3 : shown == 'x' ? 2 : shown == '.' ? 0 : 1; }

}  // namespace

std::string draw_ring(const std::vector<RingMark>& marks, int rows) {
  std::vector<std::string> lines(static_cast<std::size_t>(rows),
                                 std::string(static_cast<std::size_t>(2 * rows - 1), ' '));
  const auto put = [&](double turn, char shown) {
    const Place at = place_of(turn, rows);
    char& there = lines[static_cast<std::size_t>(at.row)][static_cast<std::size_t>(at.column)];
    if (there == ' ' || weight(shown) > weight(there)) there = shown;
  };
  const int steps = 8 * rows;
  for (int i = 0; i < steps; ++i) put(static_cast<double>(i) / steps, '.');
  for (const RingMark& one : marks) {
    put(std::ldexp(static_cast<double>(one.at), -64), one.is_self    ? '@'
                                                      : one.is_alive ? one.letter
                                                                     : 'x');
  }
  std::string out;
  for (std::string& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    out += "  " + line + "\n";
  }
  return out;
}

}  // namespace rosebud::apps
