#include "history/operation.h"

#include <array>
#include <utility>

namespace rosebud::history {
namespace {

constexpr std::array<std::pair<Action, std::string_view>, 2> kActions = {
    {{Action::kWrite, "write"}, {Action::kRead, "read"}}};
constexpr std::array<std::pair<Outcome, std::string_view>, 8> kOutcomes = {
    {{Outcome::kPending, "pending"},
     {Outcome::kOk, "ok"},
     {Outcome::kNotFound, "not-found"},
     {Outcome::kConflict, "conflict"},
     {Outcome::kNoQuorum, "no-quorum"},
     {Outcome::kUnknown, "unknown"},
     {Outcome::kDenied, "denied"},
     {Outcome::kWrong, "wrong"}}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) {
  for (const auto& [one, name] : table) {
    if (one == value) return name;
  }
  return "?";
}

template <typename Value, typename Table>
std::optional<Value> value_in(const Table& table, std::string_view name) {
  for (const auto& [value, one] : table) {
    if (one == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Action action) { return name_in(kActions, action); }
std::string_view name_of(Outcome outcome) { return name_in(kOutcomes, outcome); }
std::optional<Action> action_of(std::string_view name) { return value_in<Action>(kActions, name); }
std::optional<Outcome> outcome_of(std::string_view name) {
  return value_in<Outcome>(kOutcomes, name);
}

}  // namespace rosebud::history
