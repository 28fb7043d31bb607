#include "runtime/epoch_files.h"

#include "base/files.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileSizeMax = membership::kDescriptionBodySizeMax + (64U << 10);

}  // namespace

fs::path EpochFiles::path_of(const wire::ConfigurationNumber& number) const {
  return folder_ / (std::to_string(number.generation.value) + "-" +
                    std::to_string(number.epoch.value) + ".description");
}

Result<std::vector<std::shared_ptr<const membership::Configuration>>, Explained> EpochFiles::load(
    std::shared_ptr<const membership::Configuration> genesis,
    const crypto::SignatureScheme& scheme) const {
  std::vector<std::shared_ptr<const membership::Configuration>> out{std::move(genesis)};
  while (true) {
    const wire::ConfigurationNumber now = out.back()->number();
    const fs::path path = path_of({now.generation, now.epoch.next()});
    std::error_code error;
    if (!fs::exists(path, error)) return out;
    const auto bytes = read_text_file(path, kFileSizeMax);
    if (!bytes) return fail(bytes.error());
    auto next = membership::apply(*out.back(), as_bytes(*bytes), scheme);
    if (!next) return out;
    out.push_back(std::move(*next));
  }
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
