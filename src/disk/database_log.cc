#include "disk/database_log.h"

#include <cstdarg>
#include <ctime>

namespace rosebud::disk {

namespace stdfs = std::filesystem;

DatabaseLog::DatabaseLog(const stdfs::path& folder)
    : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {
  std::error_code ignored;
  stdfs::create_directories(folder, ignored);
  stdfs::rename(folder / "LOG", folder / "LOG.old", ignored);
  file_ = std::fopen((folder / "LOG").c_str(), "we");
}

DatabaseLog::~DatabaseLog() {
  if (file_) std::fclose(file_);
}

void DatabaseLog::Logv(const char* format, va_list arguments) {
  const std::lock_guard lock(mutex_);
  if (!file_ || bytes_ >= kBytesMax) return;
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char when[32];
  std::strftime(when, sizeof when, "%FT%TZ ", &utc);
  std::fputs(when, file_);
  const int written = std::vfprintf(file_, format, arguments);
  std::fputc('\n', file_);
  std::fflush(file_);
  std::clearerr(file_);
  bytes_ += sizeof when + static_cast<std::size_t>(written > 0 ? written : 0);
}

}  // namespace rosebud::disk
