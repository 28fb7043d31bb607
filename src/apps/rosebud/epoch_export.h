// All epochs of a running cluster, from its nodes into a file: verified as they come.
#pragma once

#include "apps/rosebud/commands.h"

namespace rosebud::apps {

/// A file for a command's time.
class ExportedEpochs {
 public:
  explicit ExportedEpochs(const Globals& globals);
  ~ExportedEpochs();
  ExportedEpochs(const ExportedEpochs&) = delete;
  ExportedEpochs& operator=(const ExportedEpochs&) = delete;

  const std::string& path() const { return path_; }
  const crypto::ClusterId& cluster() const { return cluster_; }

 private:
  std::string path_;
  crypto::ClusterId cluster_;
};

void add_epoch_export(CLI::App& epoch, Globals& globals);

}  // namespace rosebud::apps
