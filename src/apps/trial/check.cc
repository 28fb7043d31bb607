// Judges a recorded history and says how its operations went, by outcome and by fault.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/trial/commands.h"
#include "history/checker.h"
#include "history/json_lines.h"

namespace rosebud::trial {
namespace {

namespace stdfs = std::filesystem;
using history::History;
using history::Nanoseconds;
using history::Operation;

constexpr std::size_t kToldMax = 5;

std::string kind_of(const Operation& operation) {
  return operation.object.substr(0, operation.object.find(':')) + " " +
         std::string(history::name_of(operation.action));
}

/// Operations by outcome: one row of a table.
class Row {
 public:
  void add(const Operation& operation) { ++counts_[operation.outcome]; }
  std::string text() const {
    std::uint64_t all = 0;
    std::string out;
    for (const auto& [outcome, count] : counts_) all += count;
    for (const auto& [outcome, count] : counts_)
      out += fmt::format("  {} {}", count, history::name_of(outcome));
    return fmt::format("{:>9}:{}", all, out);
  }

 private:
  std::map<history::Outcome, std::uint64_t> counts_;
};

void print_table(const std::string& title, const std::map<std::string, Row>& rows) {
  fmt::print("{}\n", title);
  for (const auto& [name, row] : rows) fmt::print("  {:<14} {}\n", name, row.text());
}

// ---- Faults ----

struct Fault {
  Nanoseconds begin = 0;
  Nanoseconds end = 0;
};
using Faults = std::map<std::string, std::vector<Fault>>;  // by kind, in order

Result<Faults, Explained> read_faults(const stdfs::path& path) {
  Faults out;
  if (path.empty()) return out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("kind") || !json.contains("begin") ||
        !json.contains("end")) {
      return fail(Explained{.what = path.string() + ": no fault: " + line});
    }
    out[json["kind"].get<std::string>()].push_back(
        {json["begin"].get<Nanoseconds>(), json["end"].get<Nanoseconds>()});
  }
  for (auto& [kind, faults] : out) std::ranges::sort(faults, {}, &Fault::begin);
  return out;
}

/// Whether some fault of these was there for a part of the operation.
bool overlaps(const std::vector<Fault>& faults, const Operation& operation) {
  const Nanoseconds end = operation.completed.value_or(operation.invoked);
  return std::ranges::any_of(faults, [&](const Fault& fault) {
    return fault.begin <= end && operation.invoked <= fault.end;
  });
}

void print_by_fault(const History& history, const Faults& faults) {
  if (faults.empty()) return;
  std::map<std::string, Row> rows;
  for (const Operation& operation : history) {
    bool is_calm = true;
    for (const auto& [kind, windows] : faults) {
      if (!overlaps(windows, operation)) continue;
      rows[kind].add(operation);
      is_calm = false;
    }
    if (is_calm) rows["(no fault)"].add(operation);
  }
  print_table("operations that met a fault (one may meet several), by fault:", rows);
}

}  // namespace

Result<bool, Explained> check_history(const CheckOptions& options) {
  const auto history = history::read_history(options.histories);
  if (!history) return fail(history.error());
  const auto faults = read_faults(options.faults);
  if (!faults) return fail(faults.error());
  std::map<std::string, Row> rows;
  for (const Operation& operation : *history) rows[kind_of(operation)].add(operation);
  print_table("operations by outcome:", rows);
  print_by_fault(*history, *faults);

  const auto violations = history::check(*history);
  for (std::size_t i = 0; i < std::min(violations.size(), kToldMax); ++i)
    fmt::print("\nVIOLATION: {}", violations[i].text());
  std::set<std::string_view> objects;
  for (const Operation& operation : *history) objects.insert(operation.object);
  fmt::print("{}history: {} operations on {} objects, {} violations\n",
             violations.empty() ? "" : "\n", history->size(), objects.size(), violations.size());
  return violations.empty();
}

}  // namespace rosebud::trial
