// The rule by which one object's history is right or wrong, while the history goes by in the order
// of time.
//
// A record's versions are totally ordered and only grow, so that linearizability needs no search:
// a history of such a register is linearizable exactly when
//
//  1. what a read returns was begun to be written before the read ended;
//  2. no operation ends at a point below one that was settled before it began. Settled is what an
//     acknowledged write wrote or a read returned, from when that operation ended;
//  3. nobody reads a write that began when something newer was already settled: it had to take
//     effect after the newer one, and could not.
//
// Why this is enough: let every operation take effect at the greatest of the moments at which it
// and the operations at lower points began (a write that was read counts as one). By 1 to 3 that is
// before it ends, and points grow with these moments. search.h does the general search, and the
// tests compare both.
//
// A write that was not acknowledged may take effect at any later time, or never: it settles
// nothing, and may be read. A conflict must name something newer that somebody began to write.
#pragma once

#include <map>
#include <optional>

#include "history/operation.h"

namespace rosebud::history {

/// Names an operation to whoever drives the rule; the rule hands it back as a witness.
using Witness = std::size_t;

/// The highest point that an operation which has ended wrote or returned, and which operation.
struct Settled {
  Point point;
  std::optional<Witness> by;  // not set: nothing was settled yet
};

/// Why an operation's end is wrong.
struct Flaw {
  enum class Kind : std::uint8_t {
    kNeverWritten,       // a read, or a conflict, shows what nobody had begun to write
    kOlderThanSettled,   // ends below what was settled before it began
    kWrittenTooLate,     // reads a write that began after something newer was settled
    kConflictWithOlder,  // superseded by something that is not newer
  };
  Kind kind;
  std::optional<Witness> settled_by;  // the operation that it contradicts
  std::optional<Witness> written_by;  // the one that began to write what was read

  std::string text() const;
};

enum class ReadsSettle : bool { kNo, kYes };

/// Requires of all calls: they come in the order of time. Where one operation ends at the very
/// moment at which another begins, the beginning comes first: both are concurrent then.
class Register {
 public:
  explicit Register(ReadsSettle reads_settle) : reads_settle_(reads_settle) {}

  /// What is settled now: to be kept when an operation begins, for when it ends.
  const Settled& settled() const { return settled_; }

  void write_begins(const Point& point, Witness by);
  /// It was acknowledged.
  std::optional<Flaw> write_ends(const Settled& at_begin, const Point& point, Witness by);
  /// It was superseded by `newer`.
  std::optional<Flaw> conflict_ends(const Point& point, const Point& newer) const;
  /// It returned `point`, or that there is nothing.
  std::optional<Flaw> read_ends(const Settled& at_begin, const Point& point, Witness by);

 private:
  struct Begun {
    Witness by;
    Settled settled;  // when the first write of it began
  };
  void settle(const Point& point, Witness by);

  ReadsSettle reads_settle_;
  Settled settled_;
  std::map<Point, Begun> begun_;
};

}  // namespace rosebud::history
