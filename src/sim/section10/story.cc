#include "sim/section10/story.h"

namespace rosebud::sim::section10 {
namespace {

std::string number(int value) { return std::to_string(value); }

std::string held(int version) { return version == 0 ? "no record" : "version " + number(version); }

std::string entering(const Model& model, const Step& step, const Replica& after) {
  const std::string epoch = "enters epoch " + number(after.epoch);
  if (!model.scenario().is_member(step.node, after.epoch)) return epoch + ", in no group of it";
  return epoch + (after.serving == Serving::kArc ? " and serves" : " as a gainer");
}

std::string what_happens(const Model& model, const State& before, const Step& step,
                         const State& state) {
  const Replica& after = state.replicas[step.node];
  switch (step.kind) {
    case StepKind::kEnter:
      return entering(model, step, after);
    case StepKind::kWrite:
      return "takes " + held(step.version) + " and acknowledges it in epoch " + number(after.epoch);
    case StepKind::kLateWrite:
      return "takes " + held(step.version) + " and acknowledges it in epoch " +
             number(after.epoch - 1) + ", which it left";
    case StepKind::kHear:
      return "hears of " + held(step.version) + " and keeps it";
    case StepKind::kComplete:
      return "is complete for epoch " + number(after.epoch) + " with " + held(step.version) + ": " +
             model.reason(before, step);
    case StepKind::kServeObject:
      return "serves the record in epoch " + number(after.epoch) + " with " + held(step.version) +
             ": " + model.reason(before, step);
    case StepKind::kOwe:
      return "is complete for epoch " + number(after.epoch) +
             " and owes a listed record that nobody delivered";
    case StepKind::kCrash:
      return "crashes, and is back in epoch " + number(after.epoch);
    case StepKind::kReconcile:
      return "has reconciled and serves again, with " + held(step.version);
    case StepKind::kDelete:
      return "deletes what it held up to epoch " + number(after.gone);
    case StepKind::kTurnFaulty:
      return "turns faulty";
  }
  return {};
}

/// Who has heard enough of whom since this step, to complete in the end.
void tell_asked(const Model& model, const State& before, const State& after,
                std::vector<std::string>& out) {
  for (std::size_t node = 0; node < model.scenario().nodes; ++node) {
    for (std::size_t limit = 0; limit < kVersionsMax; ++limit) {
      const Asking was = before.replicas[node].asked[limit].asking;
      const Asking is = after.replicas[node].asked[limit].asking;
      if (is <= was) continue;
      const std::string shown =
          std::string(1, letter_of(node)) + " " + held(static_cast<int>(limit));
      if (is == Asking::kBetween)
        out.push_back("    the oldest group has told " + shown + " at most");
      if (is > Asking::kBetween && was < Asking::kOwn)
        out.push_back("    the groups before have told " + shown + " at most");
      if (is == Asking::kNobody)
        out.push_back("    and after that 2f others of its own group have told " + shown);
    }
  }
}

/// Writes that have a quorum since this step.
void tell_established(const State& before, const State& after, std::vector<std::string>& out) {
  for (std::size_t e = 1; e <= kEpochs; ++e) {
    if (after.ended[e] && !before.ended[e]) {
      out.push_back("    epoch " + number(static_cast<int>(e)) +
                    " is over: its group was handed over, and no client is left in it");
    }
    const bool is_news = after.established[e] > before.established[e] &&
                         after.established[e] > after.established[e - 1];
    if (is_news) {
      out.push_back("    version " + number(after.established[e]) +
                    " is acknowledged by 2f+1 of the group of epoch " +
                    number(static_cast<int>(e)));
    }
  }
}

}  // namespace

std::vector<std::string> tell(const Model& model, const Way& way) {
  std::vector<std::string> out;
  const State* before = &way.first;
  for (const auto& [step, after] : way.steps) {
    out.push_back("  " + std::string(1, letter_of(step.node)) + " " +
                  what_happens(model, *before, step, after));
    tell_asked(model, *before, after, out);
    tell_established(*before, after, out);
    before = &after;
  }
  return out;
}

}  // namespace rosebud::sim::section10
