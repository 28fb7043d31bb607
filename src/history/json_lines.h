// A history as JSON lines, one when an operation begins and one when it ends, so that a client that
// is killed leaves what it had begun.
//
//   {"at":NS,"client":"alice","call":7,"action":"write","object":"record:…","version":3,"value":"…"}
//   {"at":NS,"client":"alice","call":7,"outcome":"ok"}
//
// "at" is the machine's monotonic clock in nanoseconds. A read that is ok, and a conflict, end with
// "version" and "value" of what came back. A last line that was cut off is left out.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/result.h"
#include "history/operation.h"

namespace rosebud::history {

/// Appends to one file; each line leaves the process before the call returns. Thread-safe. A line
/// that cannot be written ends the process: a history with gaps proves nothing.
class Recorder {
 public:
  /// `client` must be another one than in every other file of the history.
  static Result<std::unique_ptr<Recorder>, Explained> open(const std::filesystem::path& file,
                                                           std::string client);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  using Call = std::uint64_t;
  /// To be called before anything is sent. `written`: of a write.
  Call begin(Action action, std::string_view object, const Point& written = {});
  /// To be called when the result is there. `returned`: of a read, or what superseded a write.
  void end(Call call, Action action, Outcome outcome, const Point& returned = {});

  /// How many ended so, since the start of this process.
  using Counts = std::map<std::pair<Action, Outcome>, std::uint64_t>;
  Counts counts() const;

 private:
  Recorder(int fd, std::string client) : fd_(fd), client_(std::move(client)) {}
  void write_line(const std::string& line) const;

  int fd_;
  std::string client_;
  std::atomic<Call> last_call_{0};
  mutable std::mutex mutex_;
  Counts counts_;
};

/// All files *.jsonl of a folder as one history, in the order in which operations began. Errors
/// name file and line.
Result<History, Explained> read_history(const std::filesystem::path& folder);

}  // namespace rosebud::history
