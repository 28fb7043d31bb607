// Evidence against a replica in a file that people hand around: one line, a kind and hexadecimal
// digits. Who has the group file can verify it off line.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pbft/evidence.h"
#include "replication/group_file.h"

namespace rosebud::replication {

Status<Explained> write_evidence(const std::filesystem::path& path, const pbft::Evidence& evidence);
Result<pbft::Evidence, Explained> read_evidence(const std::filesystem::path& path);

/// Nothing when the evidence proves that its replica is faulty; else why it does not.
Status<Explained> verify_evidence(const pbft::Evidence& evidence, const GroupFile& group);

}  // namespace rosebud::replication
