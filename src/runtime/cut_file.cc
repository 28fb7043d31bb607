#include "runtime/cut_file.h"

#include "base/files.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCutKind = "rosebud-cut-1 ";

fs::path path_in(const fs::path& data) { return data / "cut"; }

}  // namespace

Result<Cut, Explained> read_cut(const fs::path& data) {
  std::error_code error;
  if (!fs::exists(path_in(data), error) && !error) return Cut{};
  const auto bytes = read_kind_file(path_in(data), kCutKind);
  if (!bytes) return fail(bytes.error());
  if (bytes->size() % crypto::PublicKey::kSize != 0)
    return fail(wrong_kind(path_in(data), kCutKind));
  Cut out;
  for (std::size_t at = 0; at < bytes->size(); at += crypto::PublicKey::kSize)
    out.insert(*crypto::PublicKey::from(ByteView(*bytes).subspan(at, crypto::PublicKey::kSize)));
  return out;
}

Status<Explained> write_cut(const fs::path& data, const Cut& cut) {
  if (!cut.empty()) {
    Bytes bytes;
    for (const crypto::PublicKey& key : cut)
      bytes.insert(bytes.end(), key.bytes.begin(), key.bytes.end());
    return replace_file(path_in(data), kind_file_text(kCutKind, bytes));
  }
  std::error_code error;
  fs::remove(path_in(data), error);
  if (!error) return {};
  return fail(Explained{.what = "cannot remove " + path_in(data).string() + ": " + error.message(),
                        .cause = "it belongs to another user",
                        .next = "remove it by hand"});
}

}  // namespace rosebud::runtime
