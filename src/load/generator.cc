#include "load/generator.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace rosebud::load {
namespace {

using Clock = std::chrono::steady_clock;

Duration between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<Duration>(to - from);
}

class Run {
 public:
  Run(const Plan& plan, const Start& start) : plan_(plan), start_(start) {
    begin_ = Clock::now();
    measure_from_ = begin_ + plan.warm_up;
    measure_to_ = measure_from_ + plan.measured;
  }

  Measured run(const std::function<void()>& on_measuring,
               const std::function<void()>& on_measured) {
    std::thread watch([&] {
      std::this_thread::sleep_until(measure_from_);
      if (on_measuring) on_measuring();
      std::this_thread::sleep_until(measure_to_);
      if (on_measured) on_measured();
    });
    if (plan_.per_second) {
      pace();
    } else {
      for (std::size_t lane = 0; lane < plan_.in_flight; ++lane)
        begin_operation(lane, Clock::now());
    }
    watch.join();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ == 0; });
    // Closed loop: what ended after the end is not counted, so the rate is that of the plan's time.
    measured_.elapsed = between(measure_from_, std::max(measure_to_, last_counted_));
    return std::move(measured_);
  }

 private:
  void begin_operation(std::size_t lane, Clock::time_point due) {
    {
      const std::lock_guard lock(mutex_);
      ++under_way_;
    }
    start_(lane,
           [this, lane, due](std::string_view failure) { end_operation(lane, due, failure); });
  }

  void end_operation(std::size_t lane, Clock::time_point due, std::string_view failure) {
    const Clock::time_point now = Clock::now();
    bool goes_on = false;
    {
      const std::lock_guard lock(mutex_);
      const bool is_counted =
          due >= measure_from_ && (plan_.per_second ? due < measure_to_ : now <= measure_to_);
      if (is_counted && failure.empty()) {
        measured_.latency.record(between(due, now));
        last_counted_ = now;
      } else if (is_counted) {
        ++measured_.failures[std::string(failure)];
      }
      goes_on = !plan_.per_second && now < measure_to_;
      if (!goes_on) {
        --under_way_;
        free_lanes_.push_back(lane);
        // Under the lock: whoever waits for the last one destroys this right after.
        changed_.notify_all();
      }
    }
    if (!goes_on) return;
    // The lane stays under way: its next operation begins where this one ended.
    start_(lane, [this, lane, now](std::string_view next) { end_operation(lane, now, next); });
  }

  /// One operation is due every 1/rate; it begins then, or as soon as a lane is free.
  void pace() {
    for (std::size_t lane = 0; lane < plan_.in_flight; ++lane) free_lanes_.push_back(lane);
    const std::chrono::duration<double> gap(1.0 / *plan_.per_second);
    for (std::uint64_t i = 0;; ++i) {
      const auto due =
          begin_ + std::chrono::duration_cast<Clock::duration>(gap * static_cast<double>(i));
      if (due >= measure_to_) return;
      std::this_thread::sleep_until(due);
      std::size_t lane = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !free_lanes_.empty(); });
        lane = free_lanes_.back();
        free_lanes_.pop_back();
      }
      begin_operation(lane, due);
    }
  }

  Plan plan_;
  const Start& start_;
  Clock::time_point begin_;
  Clock::time_point measure_from_;
  Clock::time_point measure_to_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> free_lanes_;
  std::size_t under_way_ = 0;
  Clock::time_point last_counted_;
  Measured measured_;
};

}  // namespace

Measured run(const Plan& plan, const Start& start, const std::function<void()>& on_measuring,
             const std::function<void()>& on_measured) {
  CHECK(plan.in_flight > 0);
  return Run(plan, start).run(on_measuring, on_measured);
}

std::string run_each(std::size_t count, std::size_t in_flight, const Start& start) {
  CHECK(in_flight > 0);
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  std::string first_failure;
  std::unique_lock lock(mutex);
  for (std::size_t i = 0; i < count; ++i) {
    changed.wait(lock, [&] { return under_way < in_flight; });
    if (!first_failure.empty()) break;
    ++under_way;
    lock.unlock();
    start(i, [&](std::string_view failure) {
      const std::lock_guard guard(mutex);
      --under_way;
      if (first_failure.empty()) first_failure = failure;
      changed.notify_all();
    });
    lock.lock();
  }
  changed.wait(lock, [&] { return under_way == 0; });
  return first_failure;
}

Bytes random_bytes(std::size_t size, Random& random) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(out.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return out;
}

}  // namespace rosebud::load
