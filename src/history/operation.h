// One operation of a client on one object, as somebody saw it who stood beside the client: when it
// began and ended, by one clock for all clients of the machine, and what came of it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rosebud::history {

/// What an object holds at one moment. A record moves from lower points to higher ones only
/// (design 5: the version, then the value hash); a block or a file is at 0 or at its one value.
struct Point {
  std::uint64_t version = 0;  // 0: nothing was ever written
  std::string value;          // the value's hash as hexadecimal digits, whole or its beginning

  bool is_nothing() const { return version == 0; }
  friend auto operator<=>(const Point&, const Point&) = default;
};

enum class Action : std::uint8_t { kWrite, kRead };

enum class Outcome : std::uint8_t {
  kPending,   // never came back: the client died, or the history ends here
  kOk,        // written; or read, and `returned` is what
  kNotFound,  // of a read: 2f+1 said that there is nothing
  kConflict,  // of a write: superseded by `returned`; it may still have become visible
  kNoQuorum,  // too few answered; a write may still take effect, later too, or never
  kUnknown,   // too few confirmed; the same
  kDenied,    // refused, or no space; a write may still have reached some
  kWrong,     // of a read: bytes that are not what their id or owner says
};
std::string_view name_of(Action action);
std::string_view name_of(Outcome outcome);
std::optional<Action> action_of(std::string_view name);
std::optional<Outcome> outcome_of(std::string_view name);

/// Nanoseconds of the machine's monotonic clock.
using Nanoseconds = std::int64_t;

struct Operation {
  std::string client;
  std::string object;  // "record:ID", "block:ID", "file:ID"
  Action action = Action::kRead;
  Point written;   // of a write
  Point returned;  // of a read that is kOk; of a write that is kConflict: what superseded it
  Nanoseconds invoked{};
  std::optional<Nanoseconds> completed;  // not set: kPending
  Outcome outcome = Outcome::kPending;
};

using History = std::vector<Operation>;

/// Records are registers: what one read returned, later ones return too. Blocks and files are not:
/// one answer that proves itself is enough to read what is only half written (design 6).
inline bool is_register(std::string_view object) { return object.starts_with("record:"); }

}  // namespace rosebud::history
