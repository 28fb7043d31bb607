// fs du, fs check: whole trees of volumes are counted, and read to the last block.
#include <fmt/format.h>

#include "apps/rosebud/open_volume.h"
#include "apps/rosebud/volume_commands.h"
#include "fs/walk.h"

namespace rosebud::apps {
namespace {

struct Counts {
  std::uint64_t bytes = 0;  // of files
  std::uint64_t files = 0;
  std::uint64_t directories = 0;  // the uppermost is one of them
  std::uint64_t symlinks = 0;

  void add(const fs::Described& described) {
    switch (described.kind) {
      case fs::Kind::kFile:
        ++files;
        bytes += described.bytes;
        return;
      case fs::Kind::kDirectory:
        ++directories;
        return;
      case fs::Kind::kSymlink:
        ++symlinks;
        return;
    }
  }
  nlohmann::json json() const {
    return {
        {"bytes", bytes}, {"files", files}, {"directories", directories}, {"symlinks", symlinks}};
  }
  std::string text() const {
    return fmt::format("{} ({} bytes) in {} files, {} directories, {} symbolic links",
                       human_bytes(static_cast<double>(bytes)), bytes, files, directories,
                       symlinks);
  }
};

void du(const Globals& globals, const std::string& text) {
  OpenSession session(globals);
  const VolumePath at = need_volume_path(text);
  Volume volume(globals, session, at.volume, Volume::For::kReading);
  const fs::Link found = volume.get(at);
  Counts counts;
  const auto count = [&](const fs::WalkedEntry& entry) -> Status<Explained> {
    counts.add(entry.described);
    return {};
  };
  const auto walked = fs::walk_tree(found.cid, found.tsize, volume.blocks(), count);
  if (!walked) stop_reading(volume.store(), walked.error());
  auto json = counts.json();
  put_text(json, "path", fs::text_of(at.path));
  volume.print_done(json, fmt::format("{}  {}", counts.text(), visible(at.text())),
                    std::to_string(counts.bytes));
}

// ---- Checking ----

/// A store whose failures do not stay: what was asked for ahead, and is not taken after one, would
/// keep its place among what is under way.
class RenewedSource final : public fs::BlockSource {
 public:
  /// `held`: takes what was read, to hold it anew; may be none.
  RenewedSource(client::Session& session, Duration timeout, client::StoreSink* held)
      : session_(session),
        timeout_(timeout),
        held_(held),
        store_(std::in_place, session, timeout) {}

  Result<Buffer, Explained> get(const fs::Cid& cid) override {
    auto block = store_->get(cid);
    if (block) {
      fetched_bytes_ += block->size();
      ++fetched_count_;
      if (held_) {
        if (auto put = held_->put(cid, *block); !put) {
          failure_ = held_->failure();
          return fail(put.error());
        }
      }
      return block;
    }
    failure_ = store_->failure();
    store_.emplace(session_, timeout_);
    return block;
  }
  void prefetch(std::span<const fs::Cid> cids) override { store_->prefetch(cids); }

  /// The one since it was asked last.
  std::optional<Failure> take_failure() { return std::exchange(failure_, std::nullopt); }
  std::uint64_t fetched_bytes() const { return fetched_bytes_; }
  std::uint64_t fetched_count() const { return fetched_count_; }

 private:
  client::Session& session_;
  Duration timeout_;
  client::StoreSink* held_;
  std::optional<client::StoreSource> store_;
  std::optional<Failure> failure_;
  std::uint64_t fetched_bytes_ = 0;
  std::uint64_t fetched_count_ = 0;
};

/// Whether it says something of the volume, and not of the cluster or the way to it.
bool is_damage(const std::optional<Failure>& failure) {
  return !failure || failure->code == ExitCode::kNotFound || failure->code == ExitCode::kIntegrity;
}

class Check {
 public:
  enum class Holding : bool { kNo, kYes };
  Check(const Globals& globals, client::Session& session, const VolumePath& at, Holding holding)
      : globals_(globals),
        session_(session),
        at_(at),
        is_holding_(holding == Holding::kYes),
        held_(session, globals.timeout()),
        source_(session, globals.timeout(), is_holding_ ? &held_ : nullptr),
        shown_(read_state(session, at.volume, globals.timeout()).shown),
        tree_(shown_.root, source_),
        progress_(globals, "checking", 0) {}

  void run() {
    if (is_holding_) hold_names();
    if (const auto found = find_top()) {
      const auto walked =
          fs::walk_tree(found->cid, found->tsize, tree_.blocks(),
                        [&](const fs::WalkedEntry& entry) { return read(entry); },
                        {.on_damage = [&](const std::string& path, const Explained& why) {
                          return tell(path, why);
                        }});
      if (!walked) stop_with(walked.error());
    }
    if (const auto failure = held_.finish()) throw Stop{*failure};
    print_done();
  }

 private:
  /// By what the tree is found: the record, and the list that has its snapshots.
  void hold_names() {
    const client::VolumeId id = id_of(at_.volume, session_);
    const auto held = or_stop(client::hold_volume(session_, id, globals_.timeout()));
    const auto list =
        client::read_snapshots(session_, held.state, at_.volume.volume_text, globals_.timeout());
    if (list) {
      or_stop(client::store_snapshots(session_, *list, globals_.timeout()));
    } else if (list.error().code == ExitCode::kIntegrity) {
      warn(globals_, list.error().explained);
    } else {
      throw Stop{list.error()};
    }
  }

  /// Nothing: it is damaged, and that was told.
  std::optional<fs::Link> find_top() {
    if (at_.path.empty()) {
      const auto sound = tree_.check_root();
      if (sound) return fs::Link{.name = {}, .cid = shown_.root};
      if (auto told = tell({}, sound.error()); !told) stop_with(told.error());
      return std::nullopt;
    }
    auto found = tree_.get(at_.path);
    if (!found) stop_with(found.error());
    return *found;
  }

  Status<Explained> read(const fs::WalkedEntry& entry) {
    counts_.add(entry.described);
    const auto checked =
        fs::check_entry(entry, tree_.blocks(), [&](std::uint64_t n) { progress_.add(n); });
    return checked ? checked : tell(entry.path, checked.error());
  }

  Status<Explained> tell(const std::string& path, const Explained& why) {
    const auto failure = source_.take_failure();
    if (!is_damage(failure)) {
      failure_ = failure;
      return fail(why);
    }
    const bool is_missing = failure && failure->code == ExitCode::kNotFound;
    ++(is_missing ? missing_ : wrong_);
    const std::string full = fs::text_of(at_.path) + (at_.path.empty() ? "" : "/") + path;
    nlohmann::json json = {{"damage", is_missing ? "missing" : "wrong"}, {"why", why.what}};
    put_text(json, "path", full);
    print(globals_, json,
          globals_.is_quiet ? visible(full)
                            : fmt::format("{}  {}: {}", is_missing ? "missing" : "wrong  ",
                                          visible(full), why.what));
    return {};
  }

  [[noreturn]] void stop_with(const Explained& why) {
    if (!failure_) failure_ = source_.take_failure();
    if (failure_) throw Stop{*failure_};
    stop(client::code_of(why), why);
  }

  void print_done() {
    auto json = counts_.json();
    json["blocks"] = source_.fetched_count();
    json["fetched"] = source_.fetched_bytes();
    json["held"] = held_.stored_bytes();
    json["missing"] = missing_;
    json["wrong"] = wrong_;
    json["volume"] = at_.volume.volume_text;
    if (at_.volume.snapshot) json["snapshot"] = *at_.volume.snapshot;
    json["number"] = shown_.number;
    json["root"] = shown_.root.text();
    put_text(json, "path", fs::text_of(at_.path));
    const std::uint64_t damaged = missing_ + wrong_;
    print(globals_, json,
          globals_.is_quiet
              ? ""
              : fmt::format("{}; {} blocks were read{}; {}", counts_.text(),
                            source_.fetched_count(), is_holding_ ? " and are held" : "",
                            damaged == 0 ? "all is there and right"
                                         : fmt::format("{} missing, {} wrong", missing_, wrong_)));
    if (damaged == 0) return;
    flush_output();
    stop(ExitCode::kIntegrity,
         {.what = fmt::format("{} entries of {} are damaged", damaged, at_.text()),
          .cause = missing_ > 0
                       ? "blocks were lost with more than f replicas of a group, or whoever "
                         "made the volume never stored them"
                       : "whoever made the volume put it together wrongly",
          .next = "put what is damaged there again: rosebud fs cp, or rosebud fs sync --checksum"});
  }

  const Globals& globals_;
  client::Session& session_;
  VolumePath at_;
  const bool is_holding_;
  client::StoreSink held_;
  RenewedSource source_;
  client::Snapshot shown_;
  fs::Tree tree_;
  Progress progress_;
  Counts counts_;
  std::uint64_t missing_ = 0;  // entries
  std::uint64_t wrong_ = 0;    // entries
  std::optional<Failure> failure_;
};

}  // namespace

void add_counting_commands(CLI::App& fs_command, Globals& globals) {
  auto path = std::make_shared<std::string>();
  auto* du_command = fs_command.add_subcommand(
      "du", "Bytes, files and directories there and below; asks for the head of every entry");
  du_command->add_option("path", *path, kReadPathHelp)->required();
  du_command->callback([&globals, path] { du(globals, *path); });

  auto* check_command = fs_command.add_subcommand(
      "check", "Read and verify every block there and below; say what is missing or wrong");
  check_command->add_option("path", *path, kReadPathHelp)->required();
  auto is_holding = std::make_shared<bool>(false);
  check_command->add_flag("--hold", *is_holding,
                          "And hold what was read, and the names that lead to it, for as long as "
                          "this client is admitted; also another owner's");
  check_command->callback([&globals, path, is_holding] {
    OpenSession session(globals);
    const VolumePath at = need_volume_path(*path);
    Check(globals, *session, at, *is_holding ? Check::Holding::kYes : Check::Holding::kNo).run();
  });
}

}  // namespace rosebud::apps
