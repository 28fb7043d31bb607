// Contents of large blocks in files that only grow (docs/format/disk.md).
//
// In the database a mebibyte is written twice (log, then blob file) and copied several times more;
// here it is written once. A segment is appended to until it is full, then never changed; when what
// is still used in it is little, that moves to the end of the newest one and the file goes.
//
// Invariants:
//  1. append() returns after everything it wrote is on disk, the file's name included.
//  2. A place is used only when the database names it, so bytes of a commit that did not come to
//  its
//     end are never read. They are given back with their segment.
//  3. A segment that was written by an earlier run, or in which bad bytes were read, is never
//     appended to.
//
// Which places are used is the store's business (store.cc). One thread appends and removes; any
// thread reads.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "base/strong.h"
#include "wire/object.h"

namespace rosebud::disk {

using SegmentNumber = Strong<struct SegmentNumberTag, std::uint32_t>;

/// Where a content lies. 24 bytes in the database.
struct Place {
  SegmentNumber segment;
  std::uint64_t offset = 0;  // of the content, behind its head
  std::uint32_t size = 0;
  std::uint64_t checksum = 0;  // XXH3, 64 bits

  Bytes encode() const;
  static std::optional<Place> decode(ByteView bytes);
  friend bool operator==(const Place&, const Place&) = default;
};

/// Bytes that stand before each content in its segment.
inline constexpr std::size_t kSegmentHeadSize = 64;

struct SegmentContent {
  wire::ObjectId id;
  ByteView bytes;
};

class Segments {
 public:
  /// A segment is closed when it has grown to `size_max`.
  static Result<std::unique_ptr<Segments>, Explained> open(std::filesystem::path folder,
                                                           std::uint64_t size_max = 256U << 20);
  ~Segments();
  Segments(const Segments&) = delete;
  Segments& operator=(const Segments&) = delete;

  /// Writes all of them and syncs once. After an error nothing of it counts, and the next append
  /// begins another segment.
  Result<std::vector<Place>, wire::StorageError> append(
      const std::vector<SegmentContent>& contents);
  /// The bytes, checked. kCorrupt: the checksum is wrong, or they are not there.
  Result<Buffer, wire::StorageError> read(const Place& place) const;

  /// What a walk through a segment finds: content by content, as far as its heads make sense.
  struct Found {
    wire::ObjectId id;
    Place place;
  };
  Result<std::vector<Found>, wire::StorageError> contents_of(SegmentNumber segment) const;

  /// Size of every segment but the one that is being appended to.
  std::map<SegmentNumber, std::uint64_t> closed() const;
  /// Gives a closed segment's space back. A reader of a place in it may find kCorrupt then.
  void remove(SegmentNumber segment);
  std::uint64_t bytes() const;
  /// The segment that was begun last, whether or not it is appended to.
  SegmentNumber newest() const { return last_; }

  /// Flips a bit of a content on disk. For tests and development clusters.
  bool flip(const Place& place, std::uint64_t which);

 private:
  Segments(std::filesystem::path folder, std::uint64_t size_max)
      : folder_(std::move(folder)), size_max_(size_max) {}
  std::filesystem::path path_of(SegmentNumber segment) const;
  Status<wire::StorageError> begin_segment();
  void close_segment();
  std::uint64_t size_of(SegmentNumber segment) const;
  void set_size(SegmentNumber segment, std::uint64_t size);

  std::filesystem::path folder_;
  std::uint64_t size_max_;
  void suspect(SegmentNumber segment) const;

  mutable std::mutex mutex_;  // of all that follows
  std::map<SegmentNumber, std::uint64_t> sizes_;
  SegmentNumber last_;  // number of the newest segment, 0: none yet
  int fd_ = -1;         // of the newest one while it is appended to; -1: the next append begins one
  mutable bool is_suspected_ = false;  // bad bytes were read in the newest one
};

}  // namespace rosebud::disk
