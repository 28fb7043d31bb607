// Statements and the genesis in files: one line of text, a kind and hexadecimal digits.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "membership/genesis.h"
#include "wire/statement.h"

namespace rosebud::runtime {

Status<Explained> write_statement(const std::filesystem::path& path,
                                  const wire::SignedBytes& statement);
Result<wire::SignedBytes, Explained> read_statement(const std::filesystem::path& path);

Status<Explained> write_genesis(const std::filesystem::path& path,
                                const membership::SignedGenesis& genesis);
Result<membership::SignedGenesis, Explained> read_genesis(const std::filesystem::path& path);

}  // namespace rosebud::runtime
