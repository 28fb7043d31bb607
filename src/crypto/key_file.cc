#include "crypto/key_file.h"

#include <sys/stat.h>

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
