// The epoch descriptions that a node has verified, one file for each (docs/format/disk.md): those
// that it has entered, and those that a promise keeps it from entering.
//
// Chains begin at the genesis and are verified again at every start. A file that follows none of
// the others is passed over, and what is missing is learnt from others. Files of several
// generations may branch (design 8.6): of the chains that end where the node may be, the one that
// ends highest counts; what a recovery abandoned stays.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "membership/description.h"

namespace rosebud::runtime {

class EpochFiles {
 public:
  /// The folder is made when something is added.
  explicit EpochFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  using MayEnd = std::function<bool(const membership::Configuration&)>;

  /// The genesis and what follows, oldest first, up to the highest for which `may_end` holds; the
  /// genesis alone when it holds for none. Not every one on the way needs to be such a one: a node
  /// may have entered a generation from a parent that it must not have ended with. Nothing given:
  /// any may be the end.
  ///
  /// An error: a file cannot be read that could be higher than this end. Others that cannot be
  /// read, and whatever is too large for a description, are passed over with a line in the log.
  Result<std::vector<std::shared_ptr<const membership::Configuration>>, Explained> load(
      std::shared_ptr<const membership::Configuration> genesis,
      const crypto::SignatureScheme& scheme, const MayEnd& may_end = {}) const;
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
