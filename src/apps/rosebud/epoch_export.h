// All epochs of a running cluster, from its nodes into a file: verified as they come.
#pragma once

#include "apps/rosebud/commands.h"
#include "base/temporary_folder.h"

namespace rosebud::apps {

/// A file for a command's time.
class ExportedEpochs {
 public:
  explicit ExportedEpochs(const Globals& globals);

  std::string path() const { return (folder_.path() / "epochs").string(); }
  const crypto::ClusterId& cluster() const { return cluster_; }

 private:
  TemporaryFolder folder_;
  crypto::ClusterId cluster_;
};

void add_epoch_export(CLI::App& epoch, Globals& globals);

}  // namespace rosebud::apps
