#include "replication/evidence_file.h"

#include "base/files.h"

namespace rosebud::replication {
namespace {

constexpr std::string_view kEvidenceKind = "rosebud-evidence-1 ";

}  // namespace

Status<Explained> write_evidence(const std::filesystem::path& path,
                                 const pbft::Evidence& evidence) {
  return replace_file(path, kind_file_text(kEvidenceKind, evidence.encode()));
}

Result<pbft::Evidence, Explained> read_evidence(const std::filesystem::path& path) {
  const auto bytes = read_kind_file(path, kEvidenceKind);
  if (!bytes) return fail(bytes.error());
  auto evidence = pbft::Evidence::decode(*bytes);
  if (!evidence) return fail(wrong_kind(path, kEvidenceKind));
  return std::move(*evidence);
}

Status<Explained> verify_evidence(const pbft::Evidence& evidence, const GroupFile& group) {
  const auto no = [](std::string what, std::string cause) {
    return fail(Explained{.what = "this is no evidence: " + std::move(what),
                          .cause = std::move(cause),
                          .next = {},
                          .trouble = Trouble::kIntegrity});
  };
  const auto members = group.group();
  if (!members->is_member(evidence.first.replica))
    return no("the group has no such replica", "the group file is another's");
  if (!pbft::is_contradiction(evidence.first, evidence.second))
    return no("a correct replica may sign both votes", {});
  if (!pbft::is_valid(evidence, *members, crypto::ed25519()))
    return no("the replica did not sign both votes", "it was forged, or is about another group");
  return {};
}

}  // namespace rosebud::replication
