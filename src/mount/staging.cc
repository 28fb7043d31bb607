#include "mount/staging.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/check.h"

namespace rosebud::mount {
namespace {

/// File systems end files at 16 TiB (ext4 with blocks of 4 KiB).
constexpr Staging::Place kPlacesEnd = std::uint64_t{1} << 43;

/// A full disk and a quota are the same to who writes.
int told(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG ? ENOSPC : EIO; }

}  // namespace

Result<std::unique_ptr<Staging>, Explained> Staging::open(const std::filesystem::path& folder,
                                                          std::uint64_t bytes_max) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    // Not every file system makes files without a name. Its last six characters are mkostemp's.
    std::string name = (folder / "staged-XXXXXX").string();
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(name.c_str());
  }
  if (fd < 0) {
    return fail(Explained{.what = "cannot keep what is written in " + folder.string() + ": " +
                                  std::generic_category().message(errno),
                          .next = "name another folder for it"});
  }
  return std::unique_ptr<Staging>(new Staging(fd, bytes_max));
}

Staging::~Staging() { ::close(fd_); }

Answer<Staging::Place> Staging::put(ByteView bytes, std::uint64_t room) {
  CHECK(!bytes.empty());
  CHECK(bytes.size() <= room);
  if (extents_count() >= kExtentsMax) return refuse(ENOSPC);
  Place place = 0;
  {
    const std::lock_guard lock(mutex_);
    if (held_ == 0) end_ = 0;
    if (room > kPlacesEnd - end_ || bytes.size() > bytes_max_ - held_) return refuse(ENOSPC);
    held_ += bytes.size();
    place = end_;
    end_ += room;
  }
  if (auto written = write_held(place, bytes); !written) return fail(written.error());
  return place;
}

Answer<void> Staging::hold(Place place, ByteView bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (bytes.size() > bytes_max_ - held_) return refuse(ENOSPC);
    held_ += bytes.size();
  }
  return write_held(place, bytes);
}

Answer<void> Staging::write_held(Place place, ByteView bytes) {
  auto written = write(place, bytes);
  if (!written) let_go(place, bytes.size());
  return written;
}

Answer<void> Staging::write(Place place, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(place));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refuse(told(errno));
    place += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Answer<void> Staging::overwrite(Place place, ByteView bytes) { return write(place, bytes); }

Answer<void> Staging::read(Place place, std::span<std::uint8_t> into) const {
  while (!into.empty()) {
    const ssize_t n = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(place));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return refuse(EIO);
    place += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

void Staging::let_go(Place place, std::uint64_t count) {
  if (count == 0) return;
  // Where there are no holes it takes room until all is let go.
  (void)::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(place),
                    static_cast<off_t>(count));
  const std::lock_guard lock(mutex_);
  CHECK(count <= held_);
  held_ -= count;
}

std::uint64_t Staging::held_bytes() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace rosebud::mount
