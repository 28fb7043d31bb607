#include "client/newest_file.h"

#include "base/files.h"
#include "membership/full_members.h"

namespace rosebud::client {
namespace {

/// Layout: docs/format/epochs.md.
constexpr std::string_view kFirstLine = "rosebud-newest-1\n";
constexpr std::size_t kFileSizeMax =
    kFirstLine.size() + 2 + membership::kDescriptionHeaderSizeMax +
    membership::kMembersPartsMax * (4 + membership::kMembersPartSizeMax);

std::filesystem::path path_in(const std::filesystem::path& folder) { return folder / "newest"; }

std::shared_ptr<const membership::Configuration> kept_in(const std::filesystem::path& folder,
                                                         const crypto::ClusterId& cluster) {
  const auto bytes = read_text_file(path_in(folder), kFileSizeMax);
  if (!bytes || !bytes->starts_with(kFirstLine)) return nullptr;
  wire::Reader in(as_bytes(*bytes).subspan(kFirstLine.size()));
  const auto header =
      membership::DescriptionHeader::decode(in.bytes16(membership::kDescriptionHeaderSizeMax));
  if (!header || header->cluster != cluster) return nullptr;
  membership::MembersCollection members(header->members_root);
  while (!members.is_whole()) {
    if (!members.add(in.bytes32(membership::kMembersPartSizeMax))) return nullptr;
  }
  if (!in.done()) return nullptr;
  auto out = membership::configuration_of(*header, members.take());
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
  const auto description =
      membership::SignedDescription::decode(configuration.signed_description().view());
  if (!description) return;
  wire::Writer out;
  out.raw(as_bytes(kFirstLine)).bytes16(description->header);
  const std::size_t parts = membership::members_parts_count(configuration.nodes().size());
  for (std::size_t i = 0; i < parts; ++i) {
    out.bytes32(membership::MembersPart::of(configuration, i).encode());
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) (void)replace_file(path_in(folder), as_text(out.bytes()));
}

}  // namespace rosebud::client
