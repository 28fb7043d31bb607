// Starts operations and measures them: a fixed number in flight (closed loop), or at a fixed rate.
//
// At a fixed rate an operation's latency counts from the moment at which it was due, not from the
// moment at which the load generator came to start it: a server that stalls is charged for all that
// would have been asked meanwhile (no coordinated omission).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "load/histogram.h"

namespace rosebud::load {

struct Plan {
  /// Lanes: each has at most one operation under way. At a fixed rate the most that wait together.
  std::size_t in_flight = 1;
  std::optional<double> per_second;  // nothing: closed loop
  Duration warm_up = std::chrono::seconds(1);
  Duration measured = std::chrono::seconds(10);
};

/// How an operation ended: nothing when it was done, else a short stable name ("no_quorum").
using Ended = std::function<void(std::string_view failure)>;
/// Starts the next operation of a lane and returns at once; `ended` is called once, from any
/// thread.
using Start = std::function<void(std::size_t lane, Ended ended)>;

struct Measured {
  Histogram latency;  // of operations that were done, whose time began after the warm-up
  std::map<std::string, std::uint64_t> failures;
  Duration elapsed{};  // the measured time until the last operation counted ended

  double per_second() const {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    return seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
  }
};

/// Runs the plan and waits until everything has ended. `on_measuring` is called when the warm-up is
/// over, `on_measured` when the measured time is: to read other counters at the same moments.
/// Requires: in_flight > 0.
Measured run(const Plan& plan, const Start& start, const std::function<void()>& on_measuring = {},
             const std::function<void()>& on_measured = {});

/// Starts an operation for each number below `count`, at most `in_flight` at once, and waits until
/// all have ended: to make what a run reads. After the first failure no more begin; its name is
/// returned, else nothing. Requires: in_flight > 0.
std::string run_each(std::size_t count, std::size_t in_flight, const Start& start);

/// What is written: nothing that compresses or that was stored before.
Bytes random_bytes(std::size_t size, Random& random);

}  // namespace rosebud::load
