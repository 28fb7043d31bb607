#include "disk/segments.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "wire/cursor.h"

namespace rosebud::disk {
namespace {

namespace stdfs = std::filesystem;
using wire::StorageError;

/// Stands before every content: "RBS1", object id (34), size (4), checksum (8), zeros.
constexpr std::size_t kHeadSize = kSegmentHeadSize;
constexpr std::uint8_t kMagic[4] = {'R', 'B', 'S', '1'};
constexpr std::string_view kSuffix = ".segment";
/// Most parts of one write (IOV_MAX is 1024).
constexpr std::size_t kPartsMax = 512;

std::uint64_t checksum_of(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

StorageError error_of(int error) {
  return error == ENOSPC || error == EDQUOT ? StorageError::kNoSpace : StorageError::kIo;
}

std::array<std::uint8_t, kHeadSize> head_of(const SegmentContent& content, std::uint64_t checksum) {
  wire::Writer out;
  out.raw(ByteView(kMagic))
      .raw(content.id.encode().view())
      .u32(static_cast<std::uint32_t>(content.bytes.size()))
      .u64(checksum);
  std::array<std::uint8_t, kHeadSize> head{};
  CHECK(out.bytes().size() <= kHeadSize);
  std::ranges::copy(out.bytes(), head.begin());
  return head;
}

std::optional<SegmentNumber> number_in(const stdfs::path& path) {
  const std::string name = path.filename().string();
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || number == 0 || end != name.data() + name.size() - kSuffix.size() ||
      !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  return SegmentNumber(number);
}

/// All parts at `offset`; fewer parts than kPartsMax.
bool write_all(int fd, std::vector<iovec> parts, std::uint64_t offset) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const ssize_t n = ::pwritev(fd, &parts[first], static_cast<int>(parts.size() - first),
                                static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<std::uint64_t>(n);
    for (auto left = static_cast<std::size_t>(n); left > 0;) {
      iovec& part = parts[first];
      const std::size_t step = std::min(left, part.iov_len);
      part.iov_base = static_cast<std::uint8_t*>(part.iov_base) + step;
      part.iov_len -= step;
      left -= step;
      if (part.iov_len == 0) ++first;
    }
    while (first < parts.size() && parts[first].iov_len == 0) ++first;
  }
  return true;
}

bool read_all(int fd, std::span<std::uint8_t> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n =
        ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) {
      errno = 0;  // shorter than it was
      return false;
    }
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

Bytes Place::encode() const {
  return wire::Writer().u32(segment.value).u64(offset).u32(size).u64(checksum).take();
}

std::optional<Place> Place::decode(ByteView bytes) {
  wire::Reader in(bytes);
  Place out;
  out.segment = SegmentNumber(in.u32());
  out.offset = in.u64();
  out.size = in.u32();
  out.checksum = in.u64();
  if (!in.done()) return std::nullopt;
  return out;
}

namespace {

/// A file opened for as long as one call needs it: a node may have thousands of segments.
class OpenFile {
 public:
  OpenFile(const stdfs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<std::unique_ptr<Segments>, Explained> Segments::open(stdfs::path folder,
                                                            std::uint64_t size_max) {
  const auto failed = [&](const stdfs::path& at, int error) {
    return fail(Explained{
        .what = "cannot open " + at.string() + ": " + std::generic_category().message(error),
        .cause = error == EACCES ? "another user owns it" : "",
        .next = "see that the node's user may read and write its data directory"});
  };
  std::error_code error;
  stdfs::create_directories(folder, error);
  if (error) return failed(folder, error.value());
  std::unique_ptr<Segments> out(new Segments(std::move(folder), size_max));
  for (stdfs::directory_iterator it(out->folder_, error), end; !error && it != end;
       it.increment(error)) {
    const auto number = number_in(it->path());
    if (!number) continue;
    const OpenFile file(it->path(), O_RDONLY);
    struct stat status{};
    if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0) return failed(it->path(), errno);
    out->sizes_.emplace(*number, static_cast<std::uint64_t>(status.st_size));
    out->last_ = std::max(out->last_, *number);
  }
  if (error) return failed(out->folder_, error.value());
  return out;
}

Segments::~Segments() { close_segment(); }

stdfs::path Segments::path_of(SegmentNumber segment) const {
  return folder_ / (std::to_string(segment.value) + std::string(kSuffix));
}

std::uint64_t Segments::size_of(SegmentNumber segment) const {
  const std::lock_guard lock(mutex_);
  const auto at = sizes_.find(segment);
  return at == sizes_.end() ? 0 : at->second;
}

void Segments::set_size(SegmentNumber segment, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  sizes_[segment] = size;
}

Status<StorageError> Segments::begin_segment() {
  const SegmentNumber number(last_.value + 1);
  const int fd = ::open(path_of(number).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail(error_of(errno));
  {
    const std::lock_guard lock(mutex_);
    last_ = number;
    sizes_.emplace(number, 0);
    fd_ = fd;
    is_suspected_ = false;
  }
  // A file whose name is lost with the power is lost with all that was synced into it.
  const OpenFile folder(folder_, O_RDONLY | O_DIRECTORY);
  if (folder.fd() >= 0 && ::fsync(folder.fd()) == 0) return {};
  const int error = errno;
  close_segment();
  return fail(error_of(error));
}

void Segments::close_segment() {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

/// Suppose the newest file was removed under the node: what is appended to it goes nowhere, is
/// found missing, fetched again, and appended to it.
void Segments::suspect(SegmentNumber segment) const {
  const std::lock_guard lock(mutex_);
  if (segment == last_) is_suspected_ = true;
}

Result<std::vector<Place>, StorageError> Segments::append(
    const std::vector<SegmentContent>& contents) {
  std::vector<Place> out;
  const auto give_up = [this](std::uint64_t size) {
    const StorageError error = error_of(errno);
    // What was written of it is garbage; its space may be what others wait for.
    if (::ftruncate(fd_, static_cast<off_t>(size)) == 0) set_size(last_, size);
    close_segment();
    return fail(error);
  };
  const auto is_suspected = [this] {
    const std::lock_guard lock(mutex_);
    return is_suspected_;
  };
  if (is_suspected()) close_segment();
  for (std::size_t done = 0; done < contents.size();) {
    if (fd_ >= 0 && size_of(last_) >= size_max_) close_segment();
    if (fd_ < 0) {
      if (auto begun = begin_segment(); !begun) return fail(begun.error());
    }
    const std::size_t end = std::min(contents.size(), done + kPartsMax / 2);
    std::vector<std::array<std::uint8_t, kHeadSize>> heads;
    heads.reserve(end - done);  // the parts point into it
    std::vector<iovec> parts;
    const std::uint64_t begin = size_of(last_);
    std::uint64_t offset = begin;
    for (; done < end && (parts.empty() || offset < size_max_); ++done) {
      const SegmentContent& content = contents[done];
      const std::uint64_t checksum = checksum_of(content.bytes);
      heads.push_back(head_of(content, checksum));
      parts.push_back({heads.back().data(), kHeadSize});
      if (!content.bytes.empty()) {
        parts.push_back({const_cast<std::uint8_t*>(content.bytes.data()), content.bytes.size()});
      }
      out.push_back({.segment = last_,
                     .offset = offset + kHeadSize,
                     .size = static_cast<std::uint32_t>(content.bytes.size()),
                     .checksum = checksum});
      offset += kHeadSize + content.bytes.size();
    }
    set_size(last_, offset);
    if (!write_all(fd_, std::move(parts), begin)) return give_up(begin);
    // Once for all, but before a segment is left.
    const bool is_last_here = done == contents.size() || offset >= size_max_;
    if (is_last_here && ::fdatasync(fd_) != 0) return give_up(begin);
  }
  return out;
}

Result<Buffer, StorageError> Segments::read(const Place& place) const {
  if (place.size > wire::kBlockSizeMax) return fail(StorageError::kCorrupt);
  const OpenFile file(path_of(place.segment), O_RDONLY);
  if (file.fd() < 0 && errno != ENOENT) return fail(StorageError::kIo);
  // Not zeroed: that would take as long as reading them from memory.
  const auto memory = std::make_shared_for_overwrite<std::uint8_t[]>(place.size);
  const std::span<std::uint8_t> bytes(memory.get(), place.size);
  // A sector that cannot be read is bad bytes: they are fetched again from others.
  const bool is_right = file.fd() >= 0 && read_all(file.fd(), bytes, place.offset) &&
                        checksum_of(bytes) == place.checksum;
  if (is_right) return Buffer(memory, bytes);
  suspect(place.segment);
  return fail(StorageError::kCorrupt);
}

Result<std::vector<Segments::Found>, StorageError> Segments::contents_of(
    SegmentNumber segment) const {
  const std::uint64_t size = size_of(segment);
  const OpenFile file(path_of(segment), O_RDONLY);
  if (file.fd() < 0) return fail(StorageError::kIo);
  std::vector<Found> out;
  for (std::uint64_t offset = 0; offset + kHeadSize <= size;) {
    std::array<std::uint8_t, kHeadSize> head{};
    if (!read_all(file.fd(), head, offset)) return fail(StorageError::kCorrupt);
    wire::Reader in{ByteView(head)};
    const ByteView magic = in.raw(sizeof kMagic);
    const auto id = wire::ObjectId::decode(in.raw(wire::ObjectId::kSize));
    Place place{.segment = segment, .offset = offset + kHeadSize};
    place.size = in.u32();
    place.checksum = in.u64();
    // Behind a head that makes no sense nothing can be found.
    if (!equal(magic, kMagic) || !id || size - place.offset < place.size)
      return fail(StorageError::kCorrupt);
    out.push_back({.id = *id, .place = place});
    offset = place.offset + place.size;
  }
  return out;
}

std::map<SegmentNumber, std::uint64_t> Segments::closed() const {
  const std::lock_guard lock(mutex_);
  std::map<SegmentNumber, std::uint64_t> out = sizes_;
  if (fd_ >= 0) out.erase(last_);
  return out;
}

void Segments::remove(SegmentNumber segment) {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0 && segment == last_) return;
  std::error_code ignored;  // then it is found and removed at the next start
  stdfs::remove(path_of(segment), ignored);
  sizes_.erase(segment);
}

std::uint64_t Segments::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t out = 0;
  for (const auto& [number, size] : sizes_) out += size;
  return out;
}

bool Segments::flip(const Place& place, std::uint64_t which) {
  const OpenFile file(path_of(place.segment), O_RDWR);
  if (file.fd() < 0 || place.size == 0) return false;
  const auto at = static_cast<off_t>(place.offset + which % place.size);
  std::uint8_t byte = 0;
  if (::pread(file.fd(), &byte, 1, at) != 1) return false;
  byte ^= 0x10;
  return ::pwrite(file.fd(), &byte, 1, at) == 1;
}

}  // namespace rosebud::disk
