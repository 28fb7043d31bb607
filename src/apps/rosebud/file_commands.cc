// add, cat, get, ls: files and directories by their ids.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "apps/rosebud/commands.h"
#include "client/files.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

struct AddOptions {
  std::vector<std::string> paths;
};

/// Standard input, whose end is not known before.
class StdinSource final : public fs::ByteSource {
 public:
  explicit StdinSource(Progress& progress) : progress_(progress) {}
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) override {
    while (true) {
      const ssize_t n = ::read(STDIN_FILENO, into.data(), into.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(Explained{.what = "reading standard input failed"});
      progress_.add(static_cast<std::uint64_t>(n));
      return static_cast<std::size_t>(n);
    }
  }

 private:
  Progress& progress_;
};

std::uint64_t size_below(const stdfs::path& path) {
  std::error_code error;
  if (stdfs::is_regular_file(path, error)) return stdfs::file_size(path, error);
  std::uint64_t total = 0;
  for (stdfs::recursive_directory_iterator
           it(path, stdfs::directory_options::skip_permission_denied, error),
       end;
       !error && it != end; it.increment(error)) {
    if (!it->is_symlink(error) && it->is_regular_file(error)) total += it->file_size(error);
  }
  return total;
}

void add_one(const Globals& globals, client::Session& session, const std::string& path) {
  client::StoreSink sink(session, globals.timeout());
  const bool is_stdin = path == "-";
  Progress progress(globals, "adding", is_stdin ? 0 : size_below(path));
  StdinSource source(progress);
  const auto imported =
      is_stdin
          ? fs::import_file(source, sink)
          : fs::import_path(path, sink, {.on_bytes = [&](std::uint64_t n) { progress.add(n); }});
  if (const auto failure = sink.finish()) throw Stop{*failure};
  if (!imported) stop(ExitCode::kUsage, imported.error());
  const std::string id = imported->cid.text();
  print(globals,
        {{"id", id}, {"path", path}, {"bytes", imported->bytes}, {"seconds", progress.seconds()}},
        globals.is_quiet ? id
                         : fmt::format("{}  {}  {}", id,
                                       human_bytes(static_cast<double>(imported->bytes)), path));
}

/// An error of reading: the store's own failure, where there is one, has the better exit code.
[[noreturn]] void stop_reading(const client::StoreSource& source, const Explained& explained) {
  if (source.failure()) throw Stop{*source.failure()};
  stop(ExitCode::kUsage, explained);
}

void cat(const Globals& globals, const std::vector<std::string>& ids) {
  const OpenSession session(globals);
  for (const std::string& id : ids) {
    client::StoreSource source(*session, globals.timeout());
    const auto cid = fs::resolve(id, source);
    if (!cid) stop_reading(source, cid.error());
    const auto read = fs::read_file(*cid, source, [](ByteView bytes) -> Status<Explained> {
      while (!bytes.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(Explained{.what = "writing to standard output failed"});
        bytes = bytes.subspan(static_cast<std::size_t>(n));
      }
      return {};
    });
    if (!read) stop_reading(source, read.error());
  }
}

void get(const Globals& globals, const std::string& id, std::string to, bool may_overwrite) {
  const OpenSession session(globals);
  client::StoreSource source(*session, globals.timeout());
  const auto cid = fs::resolve(id, source);
  if (!cid) stop_reading(source, cid.error());
  if (to.empty()) to = stdfs::path(id).filename().string();
  const auto described = fs::describe(*cid, source);
  if (!described) stop_reading(source, described.error());
  Progress progress(globals, "getting", described->bytes);
  std::uint64_t total = 0;
  const auto done =
      fs::export_path(*cid, source, to, {.may_overwrite = may_overwrite}, [&](std::uint64_t n) {
        total += n;
        progress.add(n);
      });
  if (!done) stop_reading(source, done.error());
  print(globals,
        {{"id", cid->text()}, {"path", to}, {"bytes", total}, {"seconds", progress.seconds()}},
        globals.is_quiet ? "" : fmt::format("{}  {}", human_bytes(static_cast<double>(total)), to));
}

void ls(const Globals& globals, const std::string& id) {
  const OpenSession session(globals);
  client::StoreSource source(*session, globals.timeout());
  const auto cid = fs::resolve(id, source);
  if (!cid) stop_reading(source, cid.error());
  const auto entries = fs::list_directory(*cid, source);
  if (!entries) stop_reading(source, entries.error());
  for (const auto& entry : *entries) {
    print(globals, {{"name", entry.name}, {"id", entry.cid.text()}, {"tsize", entry.tsize}},
          globals.is_quiet
              ? entry.cid.text()
              : fmt::format("{}  {:>10}  {}", entry.cid.text(),
                            human_bytes(static_cast<double>(entry.tsize)), entry.name));
  }
}

}  // namespace

void add_file_commands(CLI::App& app, Globals& globals) {
  auto paths = std::make_shared<std::vector<std::string>>();
  auto* add =
      app.add_subcommand("add", "Store files, directories or standard input (-); print their ids");
  add->add_option("path", *paths, "Files, directories, or -")->required();
  add->callback([&globals, paths] {
    const OpenSession session(globals);
    for (const std::string& path : *paths) add_one(globals, *session, path);
  });

  auto ids = std::make_shared<std::vector<std::string>>();
  auto* cat_command =
      app.add_subcommand("cat", "Write files to standard output, verified against their ids");
  cat_command->add_option("id", *ids, "Ids, also ID/path/below")->required();
  cat_command->callback([&globals, ids] { cat(globals, *ids); });

  struct GetOptions {
    std::string id;
    std::string to;
    bool may_overwrite = false;
  };
  auto options = std::make_shared<GetOptions>();
  auto* get_command = app.add_subcommand(
      "get", "Fetch a file or directory to disk; run again after an interruption");
  get_command->add_option("id", options->id, "Id, also ID/path/below")->required();
  get_command->add_option("-o,--output", options->to, "Where to; default: the last part of the id");
  get_command->add_flag("--force", options->may_overwrite,
                        "Overwrite files that are something else");
  get_command->callback(
      [&globals, options] { get(globals, options->id, options->to, options->may_overwrite); });

  auto id = std::make_shared<std::string>();
  auto* ls_command = app.add_subcommand("ls", "List a directory");
  ls_command->add_option("id", *id, "Id, also ID/path/below")->required();
  ls_command->callback([&globals, id] { ls(globals, *id); });
}

}  // namespace rosebud::apps
