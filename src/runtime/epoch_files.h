// The epoch descriptions that a node has taken over, one file for each (docs/format/disk.md).
//
// The chain begins at the genesis and is verified again at every start: a file that does not follow
// ends it there, and what is missing is learnt from others. Where two follow, the one of the higher
// generation does (design 8.6): what followed in the lower one is abandoned, and its files stay.
#pragma once

#include <filesystem>
#include <vector>

#include "membership/description.h"

namespace rosebud::runtime {

class EpochFiles {
 public:
  /// The folder is made when something is added.
  explicit EpochFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The genesis and what follows, oldest first. An error: a file cannot be read.
  Result<std::vector<std::shared_ptr<const membership::Configuration>>, Explained> load(
      std::shared_ptr<const membership::Configuration> genesis,
      const crypto::SignatureScheme& scheme) const;
  /// On disk when it returns. Requires: it follows what is there.
  Status<Explained> add(const membership::Configuration& next) const;
  /// Of all files that are there, ascending.
  std::vector<wire::ConfigurationNumber> numbers() const;
  /// The signed description of that epoch; nothing when it is not here.
  std::optional<Buffer> find(const wire::ConfigurationNumber& number) const;

 private:
  std::filesystem::path path_of(const wire::ConfigurationNumber& number) const;
  std::filesystem::path folder_;
};

}  // namespace rosebud::runtime
