// Write-ahead logs of RocksDB that get their room before they are written.
//
// A sync of a file that grew must also commit the journal of the file system, which all writers on
// it share. So logs are filled with zeros ahead of their records, a step at a time: a sync then
// writes the record and nothing else. RocksDB takes zeros at the end of a log for room that was not
// used.
#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace rosebud::disk {

/// The files of `base`, but logs ("*.log") are filled ahead. `base` must outlive what comes back.
/// Where there is no space to fill, logs grow as they do without.
std::unique_ptr<rocksdb::Env> with_filled_logs(rocksdb::Env* base);

/// How far ahead logs are filled.
inline constexpr std::size_t kLogFillBytes = 1U << 20;

}  // namespace rosebud::disk
