#include "crypto/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/files.h"

namespace rosebud::crypto {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKeyKind = "rosebud-secret-key-1 ";

}  // namespace

Status<Explained> write_secret_key(const fs::path& path, const SecretKey& key) {
  std::error_code error;
  if (fs::exists(path, error)) {
    return fail(Explained{.what = path.string() + " exists already",
                          .cause = "a key stands there, and a lost key cannot be made again",
                          .next = "choose another path, or move the old key away yourself"});
  }
  return create_file(path, kind_file_text(kKeyKind, key.seed().view()), 0600);
}

Status<Explained> erase_secret_key(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) return {};
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const std::string zeros(error ? 0 : size, '\0');
  const bool is_erased =
      file >= 0 && std::cmp_equal(::pwrite(file, zeros.data(), zeros.size(), 0), zeros.size()) &&
      ::fsync(file) == 0 && ::unlink(path.c_str()) == 0;
  const int problem = errno;
  if (file >= 0) ::close(file);
  const int folder = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_gone = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (is_erased && is_gone) return {};
  return fail(Explained{.what = "cannot erase the secret key " + path.string() + ": " +
                                std::generic_category().message(problem),
                        .cause = "its folder is read-only, or belongs to another user",
                        .next = "give it to the user that runs the node"});
}

Result<SecretKey, Explained> read_secret_key(const fs::path& path) {
  struct stat at{};
  if (::stat(path.c_str(), &at) == 0 && (at.st_mode & 077) != 0) {
    return fail(Explained{.what = "others can read or write the secret key " + path.string(),
                          .cause = "its permissions are too wide",
                          .next = "chmod 600 " + path.string()});
  }
  auto bytes = read_kind_file(path, kKeyKind);
  if (!bytes) return fail(bytes.error());
  const auto seed = FixedBytes<32, struct SeedTag>::from(*bytes);
  if (!seed) return fail(wrong_kind(path, kKeyKind));
  return SecretKey::from_seed(*seed);
}

}  // namespace rosebud::crypto
