// Work on all processors at once, for drivers: a command that verifies much, a benchmark.
#pragma once

#include <cstddef>
#include <functional>

namespace rosebud {

/// Calls work(0) to work(count - 1), each once, on as many threads as there are processors, the
/// caller's among them, in no order; returns when all have returned. What they wrote is visible to
/// the caller then. `work` must not throw. The threads are started anew each time, which costs some
/// tens of microseconds: hand over milliseconds of work.
void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace rosebud
