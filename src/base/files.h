// Whole small files: read with a bound, written so that the file is there whole or as before.
#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"

namespace rosebud {

/// `size_max` bounds what a wrong path costs.
Result<std::string, Explained> read_text_file(const std::filesystem::path& path,
                                              std::size_t size_max = 8U << 20);
/// Draft, sync, rename, sync of the folder: the file is there whole or as before. `mode`:
/// permission bits.
Status<Explained> replace_file(const std::filesystem::path& path, std::string_view text,
                               unsigned mode = 0644);
/// The same, and refused when something has the name already.
Status<Explained> create_file(const std::filesystem::path& path, std::string_view text,
                              unsigned mode = 0644);
/// There when it returns, with all folders above it, each durable under its name: one whose name a
/// power cut takes away takes with it all that was synced below.
Status<Explained> make_folder(const std::filesystem::path& folder);
/// Makes the names in a folder durable. 0, or the number of the error.
int sync_folder(const std::filesystem::path& folder);

// ---- Files of one line: a kind (its space included) and hexadecimal digits ----

Result<Bytes, Explained> read_kind_file(const std::filesystem::path& path, std::string_view kind);
std::string kind_file_text(std::string_view kind, ByteView bytes);
/// What to tell a person when the file holds something else.
Explained wrong_kind(const std::filesystem::path& path, std::string_view kind);

}  // namespace rosebud
