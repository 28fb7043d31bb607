// The general search for a linearization, after Wing and Gong with Lowe's memory of what was tried:
// takes exponential time, knows nothing of ordered versions beyond what one operation does to a
// register, and so checks register.h. For histories of one object, at most 64 operations.
#pragma once

#include "history/operation.h"

namespace rosebud::history {

inline constexpr std::size_t kSearchedMax = 64;

/// Whether the operations can be put in one order, each at a moment between its beginning and its
/// end, so that: a write that was acknowledged finds nothing newer than itself and leaves itself; a
/// read finds what it returned; a write that was not acknowledged takes effect after its beginning
/// at any time or never, and does nothing where something newer stands; and every conflict names a
/// newer write that began before the conflict was told.
/// Requires: all are of one record; at most kSearchedMax.
bool is_linearizable(const History& history);

}  // namespace rosebud::history
