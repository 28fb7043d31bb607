#include "history/checker.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <ranges>
#include <utility>

namespace rosebud::history {
namespace {

constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

Nanoseconds end_of(const Operation& operation) { return operation.completed.value_or(kNever); }

/// The beginning or the end of an operation.
struct Event {
  Nanoseconds at;
  bool is_end;
  Witness operation;

  friend auto operator<=>(const Event&, const Event&) = default;
};

/// By time; at one moment beginnings first.
std::vector<Event> events_of(const History& history, const std::vector<Witness>& operations) {
  std::vector<Event> out;
  for (const Witness one : operations) {
    out.push_back({history[one].invoked, false, one});
    if (history[one].completed) out.push_back({*history[one].completed, true, one});
  }
  std::ranges::sort(out);
  return out;
}

struct Wrong {
  Witness operation;
  std::string what;
  std::vector<Witness> against;
};

/// One object: feeds its events to the rule until something is wrong.
class ObjectCheck {
 public:
  ObjectCheck(const History& history, const std::vector<Witness>& operations)
      : history_(history),
        operations_(operations),
        rule_(is_register(history[operations.front()].object) ? ReadsSettle::kYes
                                                              : ReadsSettle::kNo) {}

  std::optional<Wrong> run() {
    for (const Event& event : events_of(history_, operations_)) {
      if (!event.is_end) {
        begin(event.operation);
      } else if (auto wrong = end(event.operation)) {
        return wrong;
      }
    }
    return std::nullopt;
  }

 private:
  void begin(Witness which) {
    const Operation& operation = history_[which];
    at_begin_[which] = rule_.settled();
    if (operation.action == Action::kWrite) rule_.write_begins(operation.written, which);
  }

  std::optional<Wrong> end(Witness which) {
    const Operation& operation = history_[which];
    const auto begun = at_begin_.extract(which);
    const Settled& at_begin = begun.mapped();
    const bool is_write = operation.action == Action::kWrite;
    std::optional<Flaw> flaw;
    if (operation.outcome == Outcome::kWrong) {
      return Wrong{which, "bytes came back that are not what their id or their owner says", {}};
    }
    if (is_write && operation.outcome == Outcome::kOk) {
      flaw = rule_.write_ends(at_begin, operation.written, which);
    } else if (is_write && operation.outcome == Outcome::kConflict) {
      flaw = rule_.conflict_ends(operation.written, operation.returned);
    } else if (!is_write && operation.outcome == Outcome::kOk) {
      flaw = rule_.read_ends(at_begin, operation.returned, which);
    } else if (!is_write && operation.outcome == Outcome::kNotFound) {
      flaw = rule_.read_ends(at_begin, Point{}, which);
    }
    if (!flaw) return std::nullopt;
    Wrong out{which, std::string(is_write ? "a write that " : "a read that ") + flaw->text(), {}};
    if (operation.outcome == Outcome::kNotFound) out.what = "\"not found\" " + flaw->text();
    for (const auto& witness : {flaw->settled_by, flaw->written_by}) {
      if (witness && *witness != which) out.against.push_back(*witness);
    }
    return out;
  }

  const History& history_;
  const std::vector<Witness>& operations_;
  Register rule_;
  std::map<Witness, Settled> at_begin_;  // of what is under way
};

Violation violation_of(const History& history, const std::vector<Witness>& operations,
                       const Wrong& wrong) {
  std::vector<Witness> proof = wrong.against;
  proof.push_back(wrong.operation);
  const auto by_time = [&](Witness w) { return std::pair(history[w].invoked, w); };
  std::ranges::sort(proof, {}, by_time);
  const auto repeated = std::ranges::unique(proof);
  proof.erase(repeated.begin(), repeated.end());
  Violation out{
      .object = history[wrong.operation].object, .what = wrong.what, .proof = {}, .around = {}};
  Nanoseconds from = kNever;
  for (const Witness w : proof) {
    out.proof.push_back(history[w]);
    from = std::min(from, history[w].invoked);
  }
  const Nanoseconds to = end_of(history[wrong.operation]);
  std::vector<Witness> around;
  for (const Witness w : operations) {
    if (std::ranges::count(proof, w) > 0) continue;
    if (history[w].invoked <= to && end_of(history[w]) >= from) around.push_back(w);
  }
  std::ranges::sort(around, {}, by_time);
  // The last ones are nearest to what is wrong.
  const std::size_t skipped = around.size() - std::min(around.size(), Violation::kAroundMax);
  for (const Witness w : around | std::views::drop(skipped)) out.around.push_back(history[w]);
  return out;
}

std::string text_of(const Point& point) {
  if (point.is_nothing()) return "nothing";
  constexpr std::uint64_t kTermShift = 48;  // design 5: term (16) and counter (48)
  const std::uint64_t term = point.version >> kTermShift;
  const std::uint64_t counter = point.version & ((std::uint64_t{1} << kTermShift) - 1);
  return "version " + (term == 0 ? std::string() : std::to_string(term) + "/") +
         std::to_string(counter) + " (" + point.value.substr(0, 8) + ")";
}

std::string milliseconds(Nanoseconds time) {
  char out[32];
  std::snprintf(out, sizeof out, "%10.3f", static_cast<double>(time) / 1e6);
  return out;
}

}  // namespace

std::vector<Violation> check(const History& history) {
  std::map<std::string_view, std::vector<Witness>> by_object;
  for (Witness w = 0; w < history.size(); ++w) by_object[history[w].object].push_back(w);
  std::vector<Violation> out;
  for (const auto& [object, operations] : by_object) {
    if (const auto wrong = ObjectCheck(history, operations).run())
      out.push_back(violation_of(history, operations, *wrong));
  }
  return out;
}

std::string describe(const Operation& operation, Nanoseconds zero) {
  const bool is_write = operation.action == Action::kWrite;
  std::string out = milliseconds(operation.invoked - zero) + " to " +
                    (operation.completed ? milliseconds(*operation.completed - zero) + " ms"
                                         : std::string("          …   ")) +
                    "  " + operation.client + "  " + std::string(name_of(operation.action)) + " ";
  if (is_write) out += text_of(operation.written) + ": ";
  out += name_of(operation.outcome);
  if (!is_write && operation.outcome == Outcome::kOk) out += ": " + text_of(operation.returned);
  if (operation.outcome == Outcome::kConflict) out += " with " + text_of(operation.returned);
  return out;
}

std::string Violation::text() const {
  const Nanoseconds zero = proof.front().invoked;
  std::string out = object + ": " + what + "\n";
  for (const Operation& operation : proof) out += "  " + describe(operation, zero) + "\n";
  if (around.empty()) return out;
  out += "  meanwhile:\n";
  for (const Operation& operation : around) out += "  " + describe(operation, zero) + "\n";
  return out;
}

}  // namespace rosebud::history
