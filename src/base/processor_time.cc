#include "base/processor_time.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace rosebud {

double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::optional<double> processor_seconds_of(const std::vector<int>& processes) {
  double ticks = 0;
  for (const int process : processes) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");  // proc(5)
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it.
    std::istringstream words(line.substr(line.rfind(')') + 1));
    std::string word;
    for (int i = 1; i <= 13 && words >> word; ++i)
      if (i >= 12) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace rosebud
