#include "runtime/recovery_promise.h"

#include "base/check.h"
#include "runtime/statement_file.h"

namespace rosebud::runtime {

Result<RecoveryPromise, Explained> RecoveryPromise::load(const std::filesystem::path& file) {
  RecoveryPromise out(file);
  std::error_code error;
  if (!std::filesystem::exists(file, error) && !error) return out;
  auto statement = read_statement(file);
  if (statement) out.stated_ = membership::RecoveryStatement::decode(statement->statement);
  if (!out.stated_) {
    return fail(
        Explained{.what = "cannot read what the node promised in " + file.string(),
                  .cause = "the file is damaged: the node may have stated something for a recovery",
                  .next = "have the node's organisation admit it again with a new directory"});
  }
  out.statement_ = std::move(*statement);
  return out;
}

Status<Explained> RecoveryPromise::make(const wire::SignedBytes& statement) {
  auto stated = membership::RecoveryStatement::decode(statement.statement);
  CHECK(stated.has_value());
  CHECK(stated->generation > generation());
  if (auto kept = write_statement(file_, statement); !kept) return kept;
  statement_ = statement;
  stated_ = std::move(stated);
  return {};
}

}  // namespace rosebud::runtime
