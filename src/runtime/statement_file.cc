#include "runtime/statement_file.h"

#include "base/files.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStatementKind = "rosebud-statement-1 ";
constexpr std::string_view kGenesisKind = "rosebud-genesis-1 ";

}  // namespace

Status<Explained> write_statement(const fs::path& path, const wire::SignedBytes& statement) {
  wire::Writer out;
  wire::write(out, statement);
  return replace_file(path, kind_file_text(kStatementKind, out.bytes()));
}

Result<wire::SignedBytes, Explained> read_statement(const fs::path& path) {
  auto bytes = read_kind_file(path, kStatementKind);
  if (!bytes) return fail(bytes.error());
  wire::Reader in(*bytes);
  wire::SignedBytes out = wire::read_signed_bytes(in, wire::kStatementSizeMax);
  if (!in.done()) return fail(wrong_kind(path, kStatementKind));
  return out;
}

Status<Explained> write_genesis(const fs::path& path, const membership::SignedGenesis& genesis) {
  return replace_file(path, kind_file_text(kGenesisKind, genesis.encode()));
}

Result<membership::SignedGenesis, Explained> read_genesis(const fs::path& path) {
  auto bytes = read_kind_file(path, kGenesisKind);
  if (!bytes) return fail(bytes.error());
  auto out = membership::SignedGenesis::decode(*bytes);
  if (!out) return fail(wrong_kind(path, kGenesisKind));
  return std::move(*out);
}

}  // namespace rosebud::runtime
