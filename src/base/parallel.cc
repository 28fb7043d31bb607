#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace rosebud {

void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  const std::size_t wanted =
      std::min<std::size_t>(std::max(std::thread::hardware_concurrency(), 1U), count);
  std::vector<std::jthread> others;
  try {
    for (std::size_t i = 1; i < wanted; ++i) others.emplace_back(take);
  } catch (const std::system_error&) {
    // Where no more threads are to be had, those that are there do all of it.
  }
  take();
}

}  // namespace rosebud
