// What a node has stated for a recovery by the organisations, which binds it (design 8.6,
// membership/recovery.h): it enters nothing of a lower generation any more.
//
// A file of its own in the data directory. It is on disk before anybody hears the statement, and
// replaced only by one for a higher generation.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "membership/recovery.h"

namespace rosebud::runtime {

class RecoveryPromise {
 public:
  /// Nothing there: nothing was promised. An error: what was promised is not known, and the node
  /// must not run.
  static Result<RecoveryPromise, Explained> load(const std::filesystem::path& file);

  /// On disk when it returns. Requires: it is for a higher generation than what is there.
  Status<Explained> make(const wire::SignedBytes& statement);

  /// As it was signed; the same for whoever asks again.
  const std::optional<wire::SignedBytes>& statement() const { return statement_; }
  /// 0: nothing was promised.
  wire::Generation generation() const {
    return stated_ ? stated_->generation : wire::Generation(0);
  }
  /// Whether it keeps a node in this epoch from following the service.
  bool binds(const wire::ConfigurationNumber& entered) const {
    return entered.generation < generation();
  }
  bool may_enter(const wire::ConfigurationNumber& next) const {
    return !binds(next) || next <= stated_->entered;
  }
  /// Takes away the end of a chain that was written down and not entered.
  void cut(std::vector<std::shared_ptr<const membership::Configuration>>& chain) const;

 private:
  explicit RecoveryPromise(std::filesystem::path file) : file_(std::move(file)) {}

  std::filesystem::path file_;
  std::optional<wire::SignedBytes> statement_;
  std::optional<membership::RecoveryStatement> stated_;
};

}  // namespace rosebud::runtime
