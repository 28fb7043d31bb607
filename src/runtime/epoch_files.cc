#include "runtime/epoch_files.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/files.h"
#include "runtime/log.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileSizeMax = membership::kSignedDescriptionSizeMax;
constexpr std::string_view kSuffix = ".description";

/// "1-9.description"
std::optional<wire::ConfigurationNumber> number_in(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  wire::ConfigurationNumber out;
  const char* end = name.data() + name.size();
  const auto generation = std::from_chars(name.data(), end, out.generation.value);
  if (generation.ec != std::errc{} || generation.ptr == end || *generation.ptr != '-')
    return std::nullopt;
  const auto epoch = std::from_chars(generation.ptr + 1, end, out.epoch.value);
  if (epoch.ec != std::errc{} || epoch.ptr != end) return std::nullopt;
  return out;
}

/// A file, and no longer than one can be; true when that cannot be seen.
bool can_be_description(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (error) return true;
  if (!fs::is_regular_file(status)) return false;
  const auto size = fs::file_size(path, error);
  return error || size <= kFileSizeMax;
}

}  // namespace

fs::path EpochFiles::path_of(const wire::ConfigurationNumber& number) const {
  return folder_ / (std::to_string(number.generation.value) + "-" +
                    std::to_string(number.epoch.value) + std::string(kSuffix));
}

Result<std::vector<std::shared_ptr<const membership::Configuration>>, Explained> EpochFiles::load(
    std::shared_ptr<const membership::Configuration> genesis, const crypto::SignatureScheme& scheme,
    const MayEnd& may_end) const {
  constexpr std::size_t kNone = SIZE_MAX;
  struct Branch {
    std::shared_ptr<const membership::Configuration> configuration;
    std::size_t before = kNone;  // index of its predecessor
  };
  auto there = numbers();
  std::ranges::sort(there, {},
                    [](const auto& one) { return std::pair(one.epoch, one.generation); });
  std::vector<Branch> all{{.configuration = std::move(genesis)}};
  std::map<crypto::Digest, std::size_t> index_of{{all[0].configuration->header_hash(), 0}};
  std::size_t end = 0;
  std::optional<std::pair<wire::ConfigurationNumber, Explained>> unreadable;  // the highest
  for (const wire::ConfigurationNumber& number : there) {
    const fs::path path = path_of(number);
    if (!can_be_description(path)) {
      log_error("passes over what is no epoch description", {{"file", path.string()}});
      continue;
    }
    const auto bytes = read_text_file(path, kFileSizeMax);
    if (!bytes) {
      log_error("cannot read an epoch description",
                {{"file", path.string()}, {"reason", bytes.error().text()}});
      if (!unreadable || unreadable->first < number) unreadable.emplace(number, bytes.error());
      continue;
    }
    const auto header = membership::header_in(as_bytes(*bytes));
    const auto before = header ? index_of.find(header->previous) : index_of.end();
    if (before == index_of.end()) continue;
    auto next = membership::apply(*all[before->second].configuration, as_bytes(*bytes), scheme);
    if (!next) continue;
    index_of.insert_or_assign((*next)->header_hash(), all.size());
    const bool is_higher = (*next)->number() > all[end].configuration->number();
    if (is_higher && (!may_end || may_end(**next))) end = all.size();
    all.push_back({.configuration = std::move(*next), .before = before->second});
  }
  // It may be what this node has entered last.
  if (unreadable && unreadable->first > all[end].configuration->number())
    return fail(std::move(unreadable->second));
  std::vector<std::shared_ptr<const membership::Configuration>> out;
  for (std::size_t at = end; at != kNone; at = all[at].before) out.push_back(all[at].configuration);
  std::ranges::reverse(out);
  return out;
}

std::vector<wire::ConfigurationNumber> EpochFiles::numbers() const {
  std::vector<wire::ConfigurationNumber> out;
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    if (const auto number = number_in(at->path().filename().string())) out.push_back(*number);
  }
  std::ranges::sort(out);
  return out;
}

Status<Explained> EpochFiles::add(const membership::Configuration& next) const {
  // Its name too: keys are erased when the description is durable.
  if (auto made = make_folder(folder_); !made) return made;
  return replace_file(path_of(next.number()), as_text(next.signed_description().view()));
}

std::optional<Buffer> EpochFiles::find(const wire::ConfigurationNumber& number) const {
  const auto bytes = read_text_file(path_of(number), kFileSizeMax);
  if (!bytes) return std::nullopt;
  return Buffer::copy_of(as_bytes(*bytes));
}

}  // namespace rosebud::runtime
