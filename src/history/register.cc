#include "history/register.h"

namespace rosebud::history {

std::string Flaw::text() const {
  switch (kind) {
    case Kind::kNeverWritten:
      return "shows what nobody had begun to write";
    case Kind::kOlderThanSettled:
      return "is older than what was settled before it began";
    case Kind::kWrittenTooLate:
      return "returns a write that began after something newer was settled";
    case Kind::kConflictWithOlder:
      return "is superseded by something that is not newer";
  }
  return "?";
}

void Register::write_begins(const Point& point, Witness by) {
  // Sent again after an unknown outcome it is the same write; it counts from the first time.
  begun_.try_emplace(point, Begun{.by = by, .settled = settled_});
}

std::optional<Flaw> Register::write_ends(const Settled& at_begin, const Point& point, Witness by) {
  if (point < at_begin.point) {
    return Flaw{.kind = Flaw::Kind::kOlderThanSettled, .settled_by = at_begin.by, .written_by = {}};
  }
  settle(point, by);
  return std::nullopt;
}

std::optional<Flaw> Register::conflict_ends(const Point& point, const Point& newer) const {
  if (newer <= point) return Flaw{Flaw::Kind::kConflictWithOlder, {}, {}};
  if (!begun_.contains(newer)) return Flaw{Flaw::Kind::kNeverWritten, {}, {}};
  return std::nullopt;
}

std::optional<Flaw> Register::read_ends(const Settled& at_begin, const Point& point, Witness by) {
  std::optional<Witness> written_by;
  const auto begun = begun_.find(point);
  if (begun != begun_.end()) written_by = begun->second.by;
  if (!point.is_nothing() && begun == begun_.end())
    return Flaw{Flaw::Kind::kNeverWritten, at_begin.by, {}};
  if (point < at_begin.point) return Flaw{Flaw::Kind::kOlderThanSettled, at_begin.by, written_by};
  if (begun != begun_.end() && point < begun->second.settled.point)
    return Flaw{Flaw::Kind::kWrittenTooLate, begun->second.settled.by, written_by};
  if (reads_settle_ == ReadsSettle::kYes) settle(point, by);
  return std::nullopt;
}

void Register::settle(const Point& point, Witness by) {
  if (settled_.by && point <= settled_.point) return;
  settled_ = {.point = point, .by = by};
}

}  // namespace rosebud::history
