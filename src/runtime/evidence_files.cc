#include "runtime/evidence_files.h"

#include <algorithm>

#include "base/files.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".txt";

auto order_of(const service::MemberEvidence& evidence) {
  return std::pair(evidence.number, evidence.votes.first.replica);
}

}  // namespace

Result<service::MemberEvidence, Explained> read_member_evidence(const fs::path& path) {
  const auto bytes = read_kind_file(path, kMemberEvidenceKind);
  if (!bytes) return fail(bytes.error());
  auto evidence = service::MemberEvidence::decode(*bytes);
  if (!evidence) return fail(wrong_kind(path, kMemberEvidenceKind));
  return std::move(*evidence);
}

EvidenceFiles::EvidenceFiles(fs::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != kSuffix || kept_.size() >= kFilesMax) continue;
    auto evidence = read_member_evidence(at->path());
    if (evidence && at->path() == path_of(*evidence)) add({at->path(), std::move(*evidence)});
  }
}

void EvidenceFiles::add(Kept one) {
  const auto at = std::ranges::upper_bound(
      kept_, order_of(one.evidence), {}, [](const Kept& kept) { return order_of(kept.evidence); });
  kept_.insert(at, std::move(one));
}

fs::path EvidenceFiles::path_of(const service::MemberEvidence& evidence) const {
  return folder_ / (std::to_string(evidence.number.generation.value) + "-" +
                    std::to_string(evidence.number.epoch.value) + "-seat-" +
                    std::to_string(evidence.votes.first.replica.value) + std::string(kSuffix));
}

bool EvidenceFiles::is_wanted(const service::MemberEvidence& evidence) const {
  if (kept_.size() >= kFilesMax) return false;
  std::size_t of_one = 0;
  for (const Kept& kept : kept_) {
    if (order_of(kept.evidence) == order_of(evidence)) return false;
    of_one += kept.evidence.node == evidence.node ? 1 : 0;
  }
  return of_one < kFilesOfOneMax;
}

Status<Explained> EvidenceFiles::keep(const service::MemberEvidence& evidence) {
  if (!is_wanted(evidence)) return {};
  if (auto made = make_folder(folder_); !made) return made;
  const fs::path path = path_of(evidence);
  auto written = replace_file(path, kind_file_text(kMemberEvidenceKind, evidence.encode()));
  if (written) add({path, evidence});
  return written;
}

}  // namespace rosebud::runtime
