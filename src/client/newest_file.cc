#include "client/newest_file.h"

#include "base/files.h"
#include "membership/description.h"

namespace rosebud::client {
namespace {

std::filesystem::path path_in(const std::filesystem::path& folder) {
  return folder / "newest.description";
}

std::shared_ptr<const membership::Configuration> kept_in(const std::filesystem::path& folder,
                                                         const crypto::ClusterId& cluster) {
  const auto bytes = read_text_file(path_in(folder), membership::kSignedDescriptionSizeMax);
  if (!bytes) return nullptr;
  const auto description = membership::SignedDescription::decode(as_bytes(*bytes));
  const auto header =
      description ? membership::DescriptionHeader::decode(description->header) : std::nullopt;
  if (!header || header->cluster != cluster) return nullptr;
  auto out = membership::configuration_of(*header, *description);
  return out ? std::move(*out) : nullptr;
}

}  // namespace

std::shared_ptr<const membership::Configuration> newest_kept(
    const std::filesystem::path& folder, std::shared_ptr<const membership::Configuration> genesis) {
  auto kept = kept_in(folder, genesis->cluster());
  return kept && kept->number() > genesis->number() ? kept : genesis;
}

void keep_newest(const std::filesystem::path& folder,
                 const membership::Configuration& configuration) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error)
    (void)replace_file(path_in(folder), as_text(configuration.signed_description().view()));
}

}  // namespace rosebud::client
