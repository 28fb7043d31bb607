#include "history/json_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <tuple>

#include "base/check.h"

namespace rosebud::history {
namespace {

namespace stdfs = std::filesystem;

Nanoseconds monotonic_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string point_fields(const Point& point) {
  return fmt::format(R"(,"version":{},"value":"{}")", point.version, point.value);
}

}  // namespace

// ---- Writing ----

Result<std::unique_ptr<Recorder>, Explained> Recorder::open(const stdfs::path& file,
                                                            std::string client) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return fail(Explained{
        .what = "cannot open " + file.string() + ": " + std::generic_category().message(errno),
        .next = "see that you may write there"});
  }
  return std::unique_ptr<Recorder>(new Recorder(fd, std::move(client)));
}

Recorder::~Recorder() { ::close(fd_); }

Recorder::Call Recorder::begin(Action action, std::string_view object, const Point& written) {
  const Call call = ++last_call_;
  write_line(fmt::format(R"({{"at":{},"client":"{}","call":{},"action":"{}","object":"{}"{}}})",
                         monotonic_now(), client_, call, name_of(action), object,
                         action == Action::kWrite ? point_fields(written) : ""));
  return call;
}

void Recorder::end(Call call, Action action, Outcome outcome, const Point& returned) {
  write_line(fmt::format(R"({{"at":{},"client":"{}","call":{},"outcome":"{}"{}}})", monotonic_now(),
                         client_, call, name_of(outcome),
                         returned.is_nothing() ? "" : point_fields(returned)));
  const std::lock_guard lock(mutex_);
  ++counts_[{action, outcome}];
}

Recorder::Counts Recorder::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void Recorder::write_line(const std::string& line) const {
  const std::string whole = line + "\n";
  // One call for one line: lines of several threads do not mix, a kill leaves whole ones.
  CHECK(::write(fd_, whole.data(), whole.size()) == static_cast<ssize_t>(whole.size()));
}

// ---- Reading ----

namespace {

/// One file; operations that have begun are found again by client and call.
class FileReader {
 public:
  FileReader(stdfs::path file, History& out) : file_(std::move(file)), out_(out) {}

  Status<Explained> read() {
    std::ifstream in(file_);
    std::string line;
    while (std::getline(in, line)) {
      ++line_number_;
      const bool is_cut_off = in.eof();  // no newline: who wrote it was killed
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object() || !take(json)) {
        if (is_cut_off) return {};
        return fail(Explained{.what = fmt::format("{} line {} is no operation: {}", file_.string(),
                                                  line_number_, line)});
      }
    }
    return {};
  }

 private:
  bool take(const nlohmann::json& json) try {
    const auto key = std::pair(json.at("client").get<std::string>(), json.at("call").get<Id>());
    const auto at = json.at("at").get<Nanoseconds>();
    return json.contains("outcome") ? take_end(json, key, at) : take_begin(json, key, at);
  } catch (const nlohmann::json::exception&) {
    return false;
  }

  using Id = std::uint64_t;
  using Key = std::pair<std::string, Id>;

  bool take_begin(const nlohmann::json& json, const Key& key, Nanoseconds at) {
    const auto action = action_of(json.at("action").get<std::string>());
    if (!action || !begun_.emplace(key, out_.size()).second) return false;
    out_.push_back({.client = key.first,
                    .object = json.at("object").get<std::string>(),
                    .action = *action,
                    .written = point_in(json),
                    .returned = {},
                    .invoked = at,
                    .completed = std::nullopt});
    return true;
  }

  bool take_end(const nlohmann::json& json, const Key& key, Nanoseconds at) {
    const auto outcome = outcome_of(json.at("outcome").get<std::string>());
    const auto begun = begun_.find(key);
    if (!outcome || *outcome == Outcome::kPending || begun == begun_.end()) return false;
    Operation& operation = out_[begun->second];
    if (at < operation.invoked) return false;
    operation.completed = at;
    operation.outcome = *outcome;
    operation.returned = point_in(json);
    begun_.erase(begun);
    return true;
  }

  static Point point_in(const nlohmann::json& json) {
    if (!json.contains("version")) return {};
    // Of unsigned ones alone: a negative number would be taken for a very large one.
    return {json.at("version").get_ref<const nlohmann::json::number_unsigned_t&>(),
            json.at("value").get<std::string>()};
  }

  stdfs::path file_;
  History& out_;
  std::size_t line_number_ = 0;
  std::map<Key, std::size_t> begun_;
};

}  // namespace

Result<History, Explained> read_history(const stdfs::path& folder) {
  std::error_code error;
  std::vector<stdfs::path> files;
  for (const auto& entry : stdfs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  if (error) {
    return fail(Explained{.what = "cannot read " + folder.string() + ": " + error.message(),
                          .next = "name the folder that the clients wrote their histories to"});
  }
  std::ranges::sort(files);
  History out;
  for (const auto& file : files) {
    if (auto read = FileReader(file, out).read(); !read) return fail(read.error());
  }
  std::ranges::sort(out, {}, [](const Operation& o) { return std::tie(o.invoked, o.client); });
  return out;
}

}  // namespace rosebud::history
