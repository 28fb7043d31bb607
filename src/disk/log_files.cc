#include "disk/log_files.h"

#include <fcntl.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <array>

namespace rosebud::disk {
namespace {

/// One log. It is appended to by the file that it wraps; the room comes by a descriptor of its own.
class FilledLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FilledLog(std::unique_ptr<rocksdb::FSWritableFile> file, int fd)
      : FSWritableFileOwnerWrapper(std::move(file)), fd_(fd) {}
  ~FilledLog() override {
    if (fd_ >= 0) ::close(fd_);
  }
  FilledLog(const FilledLog&) = delete;
  FilledLog& operator=(const FilledLog&) = delete;

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    size_ += data.size();
    return target()->Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    size_ += data.size();
    return target()->Append(data, options, verification, debug);
  }

  /// Called before everything that is appended; what is not written yet lies below `offset`.
  void PrepareWrite(std::size_t offset, std::size_t length, const rocksdb::IOOptions&,
                    rocksdb::IODebugContext*) override {
    while (fd_ >= 0 && filled_ < offset + length) fill();
  }

  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    give_back_room();
    return target()->Close(options, debug);
  }

 private:
  /// The size of the file is durable before a record stands in it.
  void fill() {
    static constexpr std::array<char, 64U << 10> kZeros{};
    for (std::size_t done = 0; done < kLogFillBytes; done += kZeros.size()) {
      const auto at = static_cast<off_t>(filled_ + done);
      if (::pwrite(fd_, kZeros.data(), kZeros.size(), at) != static_cast<ssize_t>(kZeros.size())) {
        return give_up();
      }
    }
    if (::fdatasync(fd_) != 0) return give_up();
    filled_ += kLogFillBytes;
  }
  void give_up() {
    ::close(fd_);
    fd_ = -1;
  }
  void give_back_room() {
    if (fd_ < 0) return;
    // Whoever reads it skips zeros, should this fail.
    [[maybe_unused]] const int result = ::ftruncate(fd_, static_cast<off_t>(size_));
    give_up();
  }

  int fd_;  // -1: not filled any more
  std::size_t filled_ = 0;
  std::size_t size_ = 0;  // of what was appended
};

class FilledLogFiles final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "RosebudFilledLogs"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* out,
                                    rocksdb::IODebugContext* debug) override {
    auto status = target()->NewWritableFile(path, options, out, debug);
    if (!status.ok() || !path.ends_with(".log")) return status;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd >= 0) *out = std::make_unique<FilledLog>(std::move(*out), fd);
    return status;
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> with_filled_logs(rocksdb::Env* base) {
  return rocksdb::NewCompositeEnv(std::make_shared<FilledLogFiles>(base->GetFileSystem()));
}

}  // namespace rosebud::disk
