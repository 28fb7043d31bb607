// Evidence that this node has against members of the configuration service, one file for each
// member and epoch: `evidence/G-E-seat-N.txt` (docs/format/disk.md). Kept for good: it outlives the
// epoch whose records it came from.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "service/evidence.h"

namespace rosebud::runtime {

/// How a file of evidence against a member begins.
inline constexpr std::string_view kMemberEvidenceKind = "rosebud-member-evidence-1 ";

Result<service::MemberEvidence, Explained> read_member_evidence(const std::filesystem::path& path);

class EvidenceFiles {
 public:
  /// One is enough to revoke a node, and a few show that it went on. A liar must not fill the disk,
  /// nor keep others from being shown.
  static constexpr std::size_t kFilesOfOneMax = 4;
  static constexpr std::size_t kFilesMax = 1024;

  struct Kept {
    std::filesystem::path file;
    service::MemberEvidence evidence;
  };

  /// Reads what is there. Files that are none, or have another name than theirs, are
  /// passed over.
  explicit EvidenceFiles(std::filesystem::path folder);

  /// On disk when it returns. Does nothing when that one is there already, or enough are.
  Status<Explained> keep(const service::MemberEvidence& evidence);
  /// Whether keep() would write a file.
  bool is_wanted(const service::MemberEvidence& evidence) const;
  /// Oldest epoch first.
  const std::vector<Kept>& kept() const { return kept_; }
  std::filesystem::path path_of(const service::MemberEvidence& evidence) const;

 private:
  void add(Kept one);

  std::filesystem::path folder_;
  std::vector<Kept> kept_;  // Invariant: by epoch and seat, ascending; at most kFilesMax.
};

}  // namespace rosebud::runtime
