// Secret keys in files: one line of text, a kind and hexadecimal digits.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "crypto/signature.h"

namespace rosebud::crypto {

/// Writes a new file readable by its owner alone, durably. Refused when the file is there already.
Status<Explained> write_secret_key(const std::filesystem::path& path, const SecretKey& key);
/// Overwrites it and takes it away, durably. On flash memory the old bytes may live on somewhere.
/// Nothing to do when it is not there.
Status<Explained> erase_secret_key(const std::filesystem::path& path);
/// Refused when others can read the file.
Result<SecretKey, Explained> read_secret_key(const std::filesystem::path& path);

}  // namespace rosebud::crypto
