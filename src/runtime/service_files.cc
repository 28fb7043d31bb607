#include "runtime/service_files.h"

#include <charconv>

#include "base/files.h"
#include "crypto/key_file.h"
#include "service/state.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

using Number = wire::ConfigurationNumber;

constexpr std::size_t kStateSizeMax = 4U << 20;
constexpr std::string_view kKeySuffix = ".key";
constexpr std::string_view kStateSuffix = ".state";
constexpr std::string_view kRecordsSuffix = ".records";

std::string text_of(const Number& number) {
  return std::to_string(number.generation.value) + "-" + std::to_string(number.epoch.value);
}

/// "0-7" between `before` and `after`; nothing for any other name.
std::optional<Number> number_in(std::string_view name, std::string_view before,
                                std::string_view after) {
  if (!name.starts_with(before) || !name.ends_with(after) ||
      name.size() < before.size() + after.size()) {
    return std::nullopt;
  }
  name = name.substr(before.size(), name.size() - before.size() - after.size());
  Number out;
  const char* end = name.data() + name.size();
  const auto generation = std::from_chars(name.data(), end, out.generation.value);
  if (generation.ec != std::errc{} || generation.ptr == end || *generation.ptr != '-') {
    return std::nullopt;
  }
  const auto epoch = std::from_chars(generation.ptr + 1, end, out.epoch.value);
  if (epoch.ec != std::errc{} || epoch.ptr != end) return std::nullopt;
  return out;
}

std::string key_prefix(const fs::path& node_key) { return node_key.stem().string() + ".epoch-"; }

}  // namespace

fs::path epoch_key_path(const fs::path& node_key, const Number& number) {
  return node_key.parent_path() /
         (key_prefix(node_key) + text_of(number) + std::string(kKeySuffix));
}

std::optional<crypto::SecretKey> ServiceFiles::secret(const Number& number) const {
  auto key = crypto::read_secret_key(epoch_key_path(node_key_, number));
  return key ? std::optional(std::move(*key)) : std::nullopt;
}

Status<Explained> ServiceFiles::keep_secret(const Number& number,
                                            const crypto::SecretKey& key) const {
  return crypto::write_secret_key(epoch_key_path(node_key_, number), key);
}

Status<Explained> ServiceFiles::erase_secrets(const Number& below) const {
  std::error_code error;
  const fs::path folder = node_key_.parent_path().empty() ? fs::path(".") : node_key_.parent_path();
  Status<Explained> out;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto number =
        number_in(at->path().filename().string(), key_prefix(node_key_), kKeySuffix);
    if (!number || *number >= below) continue;
    // One that stays must not keep the others.
    if (auto erased = crypto::erase_secret_key(at->path()); !erased) out = std::move(erased);
  }
  if (error) {
    return fail(Explained{.what = "cannot read " + folder.string() + ": " + error.message(),
                          .cause = "it belongs to another user",
                          .next = "give it to the user that runs the node"});
  }
  return out;
}

std::optional<Buffer> ServiceFiles::state(const Number& number,
                                          const crypto::Digest& digest) const {
  const auto text =
      read_text_file(folder_ / (text_of(number) + std::string(kStateSuffix)), kStateSizeMax);
  if (!text || service::Carried::digest(as_bytes(*text)) != digest) return std::nullopt;
  return Buffer::copy_of(as_bytes(*text));
}

bool ServiceFiles::has_state(const Number& number) const {
  std::error_code error;
  return fs::exists(folder_ / (text_of(number) + std::string(kStateSuffix)), error) || error;
}

Status<Explained> ServiceFiles::keep_state(const Number& number, ByteView state) const {
  if (auto made = make_folder(folder_); !made) return made;
  return replace_file(folder_ / (text_of(number) + std::string(kStateSuffix)), as_text(state));
}

fs::path ServiceFiles::records(const Number& number) const {
  return folder_ / (text_of(number) + std::string(kRecordsSuffix));
}

void ServiceFiles::remove_old(const Number& below) const {
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    auto number = number_in(name, "", kStateSuffix);
    if (!number) number = number_in(name, "", kRecordsSuffix);
    if (number && *number < below) old.push_back(at->path());
  }
  for (const fs::path& one : old) fs::remove_all(one, error);
}

}  // namespace rosebud::runtime
