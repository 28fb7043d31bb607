// export, import: whole DAGs as CAR files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/file_parts.h"
#include "client/files.h"
#include "fs/car.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

[[noreturn]] void stop_with_errno(std::string what, std::string next = {}) {
  stop(ExitCode::kUsage, {.what = std::move(what) + ": " + std::generic_category().message(errno),
                          .next = std::move(next)});
}

/// A file descriptor that is closed at the end; standard input and output are not.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status<Explained> write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(Explained{
          .what = "writing the CAR file failed: " + std::generic_category().message(errno),
          .cause = errno == ENOSPC ? "the file system is full" : ""});
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

void export_to(const Globals& globals, const std::string& id, std::string to, bool may_overwrite) {
  const OpenSession session(globals);
  client::StoreSource source(*session, globals.timeout());
  const auto stop_reading = [&](const Explained& explained) {
    if (source.failure()) throw Stop{*source.failure()};
    stop(client::code_of(explained), explained);
  };
  const auto cid = fs::resolve(id, source);
  if (!cid) stop_reading(cid.error());
  if (to.empty()) to = cid->text() + ".car";
  const bool is_stdout = to == "-";
  // Beside its place, renamed when whole: nobody finds half a file under its name.
  const std::string part = to + ".part";
  if (!is_stdout && !may_overwrite && stdfs::exists(to)) {
    stop(ExitCode::kUsage, {.what = visible(to) + " exists",
                            .next = "choose another file with -o, or overwrite with --force"});
  }
  const File file(is_stdout ? STDOUT_FILENO
                            : ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.fd() < 0) stop_with_errno("cannot write " + visible(part));
  Progress progress(globals, "exporting", 0);
  const auto done = fs::export_car(*cid, source, [&](ByteView bytes) {
    progress.add(bytes.size());
    return write_all(file.fd(), bytes);
  });
  if (!done) {
    if (!is_stdout) ::unlink(part.c_str());
    stop_reading(done.error());
  }
  if (is_stdout) return;
  if (::fsync(file.fd()) != 0 || ::rename(part.c_str(), to.c_str()) != 0)
    stop_with_errno("finishing " + visible(to) + " failed");
  nlohmann::json json = {{"id", cid->text()},
                         {"blocks", done->blocks},
                         {"bytes", done->bytes},
                         {"seconds", progress.seconds()}};
  put_text(json, "path", to);
  print(globals, json,
        globals.is_quiet ? ""
                         : fmt::format("{} blocks, {}  {}", done->blocks,
                                       human_bytes(static_cast<double>(done->bytes)), visible(to)));
}

void import_from(const Globals& globals, const std::string& path) {
  const bool is_stdin = path == "-";
  const File file(is_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) stop_with_errno("cannot read " + visible(path));
  struct stat status{};
  const bool has_size = ::fstat(file.fd(), &status) == 0 && S_ISREG(status.st_mode);
  const OpenSession session(globals);
  client::StoreSink sink(*session, globals.timeout());
  client::StoreSource store(*session, globals.timeout());
  Progress progress(globals, "importing",
                    has_size ? static_cast<std::uint64_t>(status.st_size) : 0);
  DescriptorSource source(file.fd(), "the CAR file");
  const auto imported =
      fs::import_car(source, sink, store, [&](std::uint64_t n) { progress.add(n); });
  if (const auto failure = sink.finish()) throw Stop{*failure};
  if (!imported) {
    // Silence of the cluster is no fault of the file.
    const bool is_unreachable = store.failure() && store.failure()->code != ExitCode::kNotFound;
    if (is_unreachable) throw Stop{*store.failure()};
    stop(client::code_of(imported.error()), imported.error());
  }
  for (const fs::Cid& root : imported->roots) {
    nlohmann::json json = {{"id", root.text()},
                           {"blocks", imported->totals.blocks},
                           {"bytes", imported->totals.bytes},
                           {"seconds", progress.seconds()}};
    put_text(json, "path", path);
    print(
        globals, json,
        globals.is_quiet
            ? root.text()
            : fmt::format("{}  {} blocks, {}  {}", root.text(), imported->totals.blocks,
                          human_bytes(static_cast<double>(imported->totals.bytes)), visible(path)));
  }
  flush_output();
}

}  // namespace

void add_car_commands(CLI::App& app, Globals& globals) {
  struct ExportOptions {
    std::string id;
    std::string to;
    bool may_overwrite = false;
  };
  auto options = std::make_shared<ExportOptions>();
  auto* out = app.add_subcommand(
      "export", "Write a file or directory with all its blocks as a CAR file, which IPFS reads");
  out->add_option("id", options->id, "Id, also ID/path/below")->required();
  out->add_option("-o,--output", options->to, "The file, or -; default: ID.car");
  out->add_flag("--force", options->may_overwrite, "Overwrite the file");
  out->callback([&globals, options] {
    export_to(globals, options->id, options->to, options->may_overwrite);
  });

  auto paths = std::make_shared<std::vector<std::string>>();
  auto* in = app.add_subcommand(
      "import", "Store all blocks of CAR files, verified; print the ids of their roots");
  in->add_option("file", *paths, "CAR files, or -")->required();
  in->callback([&globals, paths] {
    for (const std::string& path : *paths) import_from(globals, path);
  });
}

}  // namespace rosebud::apps
