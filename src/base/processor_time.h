// What processes have cost so far.
#pragma once

#include <optional>
#include <vector>

namespace rosebud {

/// User and system time of all threads of this one, in seconds.
double processor_seconds();
/// Of all these other processes together, with the threads that have ended; nothing when one is
/// gone. The system counts it in hundredths of a second.
std::optional<double> processor_seconds_of(const std::vector<int>& processes);

}  // namespace rosebud
