// Keys, statements and the genesis in files: one line of text, a kind and hexadecimal digits.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "membership/genesis.h"
#include "wire/statement.h"

namespace rosebud::runtime {

/// Writes a new file readable by its owner alone, durably. Refused when the file is there already.
Status<Explained> write_secret_key(const std::filesystem::path& path, const crypto::SecretKey& key);
/// Refused when others can read the file.
Result<crypto::SecretKey, Explained> read_secret_key(const std::filesystem::path& path);

Status<Explained> write_statement(const std::filesystem::path& path,
                                  const wire::SignedBytes& statement);
Result<wire::SignedBytes, Explained> read_statement(const std::filesystem::path& path);

Status<Explained> write_genesis(const std::filesystem::path& path,
                                const membership::SignedGenesis& genesis);
Result<membership::SignedGenesis, Explained> read_genesis(const std::filesystem::path& path);

/// Whole small files. `size_max` bounds what a wrong path costs.
Result<std::string, Explained> read_text_file(const std::filesystem::path& path,
                                              std::size_t size_max = 8U << 20);
/// Draft, sync, rename, sync of the folder: the file is there whole or as before. `mode`:
/// permission bits.
Status<Explained> replace_file(const std::filesystem::path& path, std::string_view text,
                               unsigned mode = 0644);

}  // namespace rosebud::runtime
