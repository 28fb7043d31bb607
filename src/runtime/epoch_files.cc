#include "runtime/epoch_files.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/files.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileSizeMax = membership::kDescriptionBodySizeMax + (64U << 10);
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

}  // namespace

fs::path EpochFiles::path_of(const wire::ConfigurationNumber& number) const {
  return folder_ / (std::to_string(number.generation.value) + "-" +
                    std::to_string(number.epoch.value) + std::string(kSuffix));
}

Result<std::vector<std::shared_ptr<const membership::Configuration>>, Explained> EpochFiles::load(
    std::shared_ptr<const membership::Configuration> genesis,
    const crypto::SignatureScheme& scheme) const {
  std::multimap<wire::Epoch, wire::Generation> there;  // of one epoch ascending, as numbers() are
  for (const auto& number : numbers()) there.emplace(number.epoch, number.generation);
  std::vector<std::shared_ptr<const membership::Configuration>> out{std::move(genesis)};
  while (true) {
    const wire::ConfigurationNumber now = out.back()->number();
    const auto [first, last] = there.equal_range(now.epoch.next());
    std::shared_ptr<const membership::Configuration> following;
    for (auto at = last; at != first && !following;) {
      --at;
      if (at->second < now.generation) break;
      const auto bytes = read_text_file(path_of({at->second, at->first}), kFileSizeMax);
      if (!bytes) return fail(bytes.error());
      auto next = membership::apply(*out.back(), as_bytes(*bytes), scheme);
      if (next) following = std::move(*next);
    }
    if (!following) return out;
    out.push_back(std::move(following));
  }
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
