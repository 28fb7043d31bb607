// add, cat, get, ls: files and directories by their ids.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "apps/rosebud/file_parts.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

struct AddOptions {
  std::vector<std::string> paths;
  bool is_skipping = false;
  bool is_preserving = false;
};

/// Adds one path and prints its id. Returns how many things below it were left out.
std::size_t add_one(const Globals& globals, client::Session& session, const std::string& path,
                    const AddOptions& options) {
  const bool is_skipping = options.is_skipping;
  client::StoreSink sink(session, globals.timeout());
  const bool is_stdin = path == "-";
  Progress progress(globals, "adding", is_stdin ? 0 : size_below(path));
  DescriptorSource source(STDIN_FILENO, "standard input", &progress);
  std::size_t skipped = 0;
  fs::ImportObserver observer{.on_bytes = [&](std::uint64_t n) { progress.add(n); }};
  if (is_skipping) {
    observer.on_skipped = [&](const Explained& problem) {
      ++skipped;
      warn(globals, {.what = problem.what, .cause = problem.cause, .next = "it was left out"});
    };
  }
  const auto imported = is_stdin ? fs::import_file(source, sink)
                                 : fs::import_path(path, sink, observer,
                                                   {.preserves_attributes = options.is_preserving});
  if (const auto failure = sink.finish()) throw Stop{*failure};
  if (!imported) {
    Explained explained = imported.error();
    std::error_code error;
    if (explained.next.empty() && !is_stdin && stdfs::is_directory(path, error))
      explained.next = "take it away, or leave out what cannot be read with --skip";
    stop(client::code_of(explained), explained);
  }
  const std::string id = imported->cid.text();
  nlohmann::json json = {{"id", id}, {"bytes", imported->bytes}, {"seconds", progress.seconds()}};
  put_text(json, "path", path);
  if (is_skipping) json["skipped"] = skipped;
  print(globals, json,
        globals.is_quiet
            ? id
            : fmt::format("{}  {}  {}", id, human_bytes(static_cast<double>(imported->bytes)),
                          visible(path)));
  return skipped;
}

/// Each path on its own: one that cannot be added does not stop the others.
void add(const Globals& globals, const AddOptions& options) {
  const OpenSession session(globals);
  std::size_t added = 0;
  std::size_t skipped = 0;
  std::optional<Failure> last;
  for (const std::string& path : options.paths) {
    try {
      skipped += add_one(globals, *session, path, options);
      ++added;
    } catch (const Stop& failed) {
      // What the cluster refuses for one it refuses for all.
      if (failed.failure.code != ExitCode::kUsage) throw;
      if (last) warn(globals, last->explained);
      last = failed.failure;
    }
    flush_output();
  }
  if (last && added == 0) throw Stop{*last};
  if (last) warn(globals, last->explained);
  if (!last && skipped == 0) return;
  const std::string left_out =
      skipped == 0 ? "" : fmt::format(", {} things left out below", skipped);
  stop(ExitCode::kPartly,
       {.what = fmt::format("{} of {} added{}", added, options.paths.size(), left_out),
        .cause = "some things could not be read, see above",
        .next = "make them readable and add again: only what is missing moves"});
}

void cat(const Globals& globals, const std::vector<std::string>& ids) {
  const OpenSession session(globals);
  for (const std::string& id : ids) {
    client::StoreSource source(*session, globals.timeout());
    const auto cid = fs::resolve(id, source);
    if (!cid) stop_reading(source, cid.error());
    const auto read = fs::read_file(*cid, source, write_to_stdout);
    if (!read) stop_reading(source, read.error());
  }
}

void get(const Globals& globals, const std::string& id, std::string to,
         const fs::ExportOptions& options) {
  const OpenSession session(globals);
  client::StoreSource source(*session, globals.timeout());
  const auto cid = fs::resolve(id, source);
  if (!cid) stop_reading(source, cid.error());
  if (to.empty()) {
    const std::string_view whole = std::string_view(id).substr(0, id.find_last_not_of('/') + 1);
    to = stdfs::path(whole).filename().string();
  }
  const auto described = fs::describe(*cid, source);
  if (!described) stop_reading(source, described.error());
  Progress progress(globals, "getting", described->bytes);
  std::uint64_t total = 0;
  const auto done = fs::export_path(*cid, source, to, options, [&](std::uint64_t n) {
    total += n;
    progress.add(n);
  });
  if (!done) stop_reading(source, done.error());
  nlohmann::json json = {{"id", cid->text()},
                         {"bytes", total},
                         {"fetched", source.fetched_bytes()},
                         {"seconds", progress.seconds()}};
  put_text(json, "path", to);
  print(globals, json,
        globals.is_quiet
            ? ""
            : fmt::format("{}  {}", human_bytes(static_cast<double>(total)), visible(to)));
}

void ls(const Globals& globals, const std::string& id, bool is_long) {
  const OpenSession session(globals);
  client::StoreSource source(*session, globals.timeout());
  const auto cid = fs::resolve(id, source);
  if (!cid) stop_reading(source, cid.error());
  list(globals, *cid, source, source, is_long);
}

}  // namespace

void add_file_commands(CLI::App& app, Globals& globals) {
  auto adding = std::make_shared<AddOptions>();
  auto* add_command =
      app.add_subcommand("add", "Store files, directories or standard input (-); print their ids");
  add_command->add_option("path", adding->paths, "Files, directories, or -")->required();
  add_command->add_flag(
      "--skip", adding->is_skipping,
      "Leave out what cannot be read below a directory, and say so (exit code 3)");
  add_command->add_flag("--preserve", adding->is_preserving,
                        "Keep modes and modification times too; then ids depend on them");
  add_command->callback([&globals, adding] {
    tell_interruption();
    add(globals, *adding);
  });

  auto ids = std::make_shared<std::vector<std::string>>();
  auto* cat_command =
      app.add_subcommand("cat", "Write files to standard output, verified against their ids");
  cat_command->add_option("id", *ids, "Ids, also ID/path/below")->required();
  cat_command->callback([&globals, ids] { cat(globals, *ids); });

  struct GetOptions {
    std::string id;
    std::string to;
    fs::ExportOptions exported;
  };
  auto options = std::make_shared<GetOptions>();
  auto* get_command = app.add_subcommand(
      "get", "Fetch a file or directory to disk; run again after an interruption");
  get_command->add_option("id", options->id, "Id, also ID/path/below")->required();
  get_command->add_option("-o,--output", options->to, "Where to; default: the last part of the id");
  get_command->add_flag("--force", options->exported.may_overwrite,
                        "Overwrite files that are something else");
  get_command->add_flag("--special-bits", options->exported.keeps_special_bits,
                        "Set setuid, setgid and sticky too, where they are stored");
  get_command->callback([&globals, options] {
    tell_interruption();
    get(globals, options->id, options->to, options->exported);
  });

  auto id = std::make_shared<std::string>();
  auto* ls_command = app.add_subcommand("ls", "List a directory");
  ls_command->add_option("id", *id, "Id, also ID/path/below")->required();
  auto is_long = std::make_shared<bool>(false);
  ls_command->add_flag("-l,--long", *is_long,
                       "Sort, mode and modification time too; asks for the head of every entry");
  ls_command->callback([&globals, id, is_long] { ls(globals, *id, *is_long); });
}

}  // namespace rosebud::apps
