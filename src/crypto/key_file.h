// Secret keys in files: one line of text, a kind and hexadecimal digits.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "crypto/signature.h"

namespace rosebud::crypto {

/// Writes a new file readable by its owner alone, durably. Refused when the file is there already.
Status<Explained> write_secret_key(const std::filesystem::path& path, const SecretKey& key);
/// Refused when others can read the file.
Result<SecretKey, Explained> read_secret_key(const std::filesystem::path& path);

}  // namespace rosebud::crypto
