// What RocksDB warns of, in the file LOG of its folder.
//
// Its own logger may not be used: when one line of it cannot be written, because the disk is full
// or fails, the next one trips an assertion of RocksDB 7.8 and the process dies. Here a line that
// cannot be written is lost, which is all that it is worth.
#pragma once

#include <rocksdb/env.h>

#include <cstdio>
#include <filesystem>
#include <mutex>

namespace rosebud::disk {

class DatabaseLog final : public rocksdb::Logger {
 public:
  /// Begins the file anew; what was there becomes LOG.old. Takes kBytesMax, then no more lines.
  explicit DatabaseLog(const std::filesystem::path& folder);
  ~DatabaseLog() override;

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;

  static constexpr std::size_t kBytesMax = 4U << 20;

 private:
  std::mutex mutex_;
  std::FILE* file_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace rosebud::disk
