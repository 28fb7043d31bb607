#include "apps/rosebud/verified_epochs.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "apps/rosebud/epoch_export.h"
#include "base/parallel.h"
#include "base/temporary_folder.h"

namespace rosebud::apps {
namespace {

using membership::Onward;
using membership::VerifiedEpoch;

class InputFile {
 public:
  explicit InputFile(const std::string& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) stop(ExitCode::kUsage, problem("opening", errno));
  }
  ~InputFile() { ::close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// 0 when it has none: a pipe.
  std::uint64_t size() const {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_, error);
    return error ? 0 : size;
  }
  Result<std::size_t, Explained> read(std::span<std::uint8_t> into) {
    while (true) {
      const ssize_t count = ::read(fd_, into.data(), into.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return fail(problem("reading", errno));
    }
  }

 private:
  Explained problem(const std::string& doing, int error) const {
    return {.what = doing + " " + path_ + " failed: " + std::generic_category().message(error),
            .cause = {},
            .next = {}};
  }

  std::string path_;
  int fd_ = -1;
};

/// What --cluster says, if it was given: an id, or a rosebud.toml that has one.
std::optional<crypto::ClusterId> trusted_cluster(const std::string& given) {
  if (given.empty()) return std::nullopt;
  if (const auto bytes = from_hex(given)) {
    if (const auto id = crypto::ClusterId::from(*bytes)) return id;
  }
  std::error_code error;
  if (!std::filesystem::exists(given, error)) {
    stop(ExitCode::kUsage, {.what = "'" + given + "' is neither a cluster id nor a rosebud.toml",
                            .cause = "a cluster id has 64 hexadecimal digits",
                            .next = "rosebud epoch verify --cluster ID --file F"});
  }
  const auto file = or_stop(client::read_cluster_file(or_stop(client::find_cluster_file(given))));
  if (!file.cluster) {
    stop(ExitCode::kUsage, {.what = file.file.string() + " says no cluster id",
                            .cause = {},
                            .next = "give the id itself: --cluster ID"});
  }
  return file.cluster;
}

}  // namespace

membership::EpochsVerified verify_epochs_of(
    const Globals& globals, const std::string& path,
    const std::function<Onward(const VerifiedEpoch&)>& on_epoch) {
  if (path.empty()) {
    const TemporaryFolder own;
    const std::string exported = (own.path() / "epochs").string();
    Globals there = globals;
    there.cluster = to_hex(export_epochs(globals, exported).cluster.view());
    return verify_epochs_of(there, exported, on_epoch);
  }
  const auto cluster = trusted_cluster(globals.cluster);
  InputFile file(path);
  auto verified = [&] {
    Progress progress(globals, "verified", file.size());
    membership::EpochFileReader reader([&](std::span<std::uint8_t> into) {
      auto count = file.read(into);
      if (count) progress.add(*count);
      return count;
    });
    return membership::verify_epochs(
        reader, cluster, crypto::ed25519(), for_each_in_parallel, [&](const VerifiedEpoch& epoch) {
          if (!cluster && epoch.header.number.epoch.value == 1) {
            warn(globals, {.what = "the genesis in the file is believed, of "
                                   "cluster " +
                                   to_hex(epoch.header.cluster.view()),
                           .cause = "no --cluster ID was given",
                           .next = "compare the id with one that you have from "
                                   "elsewhere"});
          }
          return on_epoch(epoch);
        });
  }();
  if (!verified) {
    const auto& problem = verified.error();
    stop(problem.error == membership::EpochFileError::kUnreadable ? ExitCode::kUsage
                                                                  : ExitCode::kIntegrity,
         problem.explained);
  }
  return std::move(*verified);
}

}  // namespace rosebud::apps
