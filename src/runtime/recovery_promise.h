// What a node has stated for a recovery by the organisations, which binds it (design 8.6,
// membership/recovery.h): it enters nothing of a lower generation any more.
//
// A file of its own in the data directory. It is on disk before anybody hears the statement, and
// replaced only by one for a higher generation.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/result.h"
#include "membership/recovery.h"

namespace rosebud::runtime {

/// Generations may be skipped, when signatures were split or statements were lost: so many.
inline constexpr std::uint32_t kGenerationsAheadMax = 64;

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
  /// Whether it may state something for this generation, being in `own`: a step so far would leave
  /// no generations to recover in later.
  bool is_too_far(wire::Generation asked, wire::Generation own) const {
    return std::uint64_t{asked.value} >
           std::uint64_t{std::max(own, generation()).value} + kGenerationsAheadMax;
  }

 private:
  explicit RecoveryPromise(std::filesystem::path file) : file_(std::move(file)) {}

  std::filesystem::path file_;
  std::optional<wire::SignedBytes> statement_;
  std::optional<membership::RecoveryStatement> stated_;
};

}  // namespace rosebud::runtime
