// Strong numbers: an epoch is not a version is not an index; mixing two is a compile error.
#pragma once

#include <compare>
#include <cstdint>

namespace rosebud {

/// A number with a type of its own. Comparable with its like only; arithmetic is asked for by name.
template <typename Tag, typename Representation = std::uint64_t>
struct Strong {
  Representation value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Representation v) : value(v) {}

  friend constexpr auto operator<=>(Strong, Strong) = default;

  constexpr Strong next() const { return Strong(static_cast<Representation>(value + 1)); }
};

}  // namespace rosebud
