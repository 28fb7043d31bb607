// What this process has cost so far.
#pragma once

namespace rosebud {

/// User and system time of all threads, in seconds.
double processor_seconds();

}  // namespace rosebud
