// Which contents lie in segments, and how much of every segment is still used; for store.cc alone.
//
// The database names the place of each content, and for each segment the bytes that are in use, in
// the same batch as the objects: after a crash they agree. A segment of which nothing is used goes;
// one of which less than half is used is moved to the newest, a step at a time.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <set>

#include "disk/segments.h"

namespace rosebud::disk {

class PlacedContents {
 public:
  struct Families {
    rocksdb::ColumnFamilyHandle* places = nullptr;    // object id -> place
    rocksdb::ColumnFamilyHandle* segments = nullptr;  // segment -> bytes in use
  };
  /// Requires: `db` and the families outlive it.
  static Result<std::unique_ptr<PlacedContents>, Explained> open(rocksdb::DB& db, Families families,
                                                                 std::filesystem::path folder,
                                                                 std::uint64_t segment_bytes);

  /// Contents of fewer bytes stay in the database: a file of their own would cost more than a copy.
  static constexpr std::size_t kPlacedFrom = 32U << 10;
  static bool is_placed(const wire::PutObject& put) {
    return put.object.id.type == wire::ObjectType::kBlock && !put.is_content_unchanged &&
           !put.object.is_damaged && put.object.content.size() >= kPlacedFrom;
  }

  /// What one commit changes. Made, filled in the order of the writes, and applied when the batch
  /// was written; dropped otherwise.
  class Change {
   public:
    Change(PlacedContents& of, rocksdb::WriteBatch& batch) : of_(of), batch_(batch) {}
    /// Makes the contents durable, before anything names them.
    Status<wire::StorageError> append(const std::vector<SegmentContent>& contents);
    /// The next one of those appended is the object's content now.
    void put_next(const wire::ObjectId& id);
    /// The object has no content in a segment any more.
    void forget(const wire::ObjectId& id);
    /// Writes how much of the segments is used. Call last.
    void finish();
    void apply();

   private:
    friend class PlacedContents;
    std::optional<Place> place_now(const wire::ObjectId& id) const;
    void set(const wire::ObjectId& id, const std::optional<Place>& place);

    PlacedContents& of_;
    rocksdb::WriteBatch& batch_;
    std::vector<Place> appended_;
    std::size_t next_ = 0;
    std::map<wire::ObjectId, std::optional<Place>> places_;  // changed by this commit
    std::map<SegmentNumber, std::int64_t> used_;             // differences, heads counted
  };

  /// Nothing: this object's content is not in a segment (in the state that `read` names).
  Result<std::optional<Buffer>, wire::StorageError> read(const rocksdb::ReadOptions& read,
                                                         const wire::ObjectId& id) const;

  /// Gives back the space of one segment, or moves some of what is used in it. False when there was
  /// nothing to do. `threshold`: segments of which at least this share (of 100) is used are left
  /// alone. Costs nothing while nothing was given up since.
  bool reclaim(unsigned threshold);
  std::uint64_t bytes() const { return segments_->bytes(); }
  std::size_t damage(std::uint64_t seed, std::uint64_t one_in);

 private:
  PlacedContents(rocksdb::DB& db, Families families, std::unique_ptr<Segments> segments)
      : db_(db), families_(families), segments_(std::move(segments)) {}
  Result<std::optional<Place>, wire::StorageError> place_of(const rocksdb::ReadOptions& read,
                                                            const wire::ObjectId& id) const;
  bool move_some(SegmentNumber segment);

  rocksdb::DB& db_;
  Families families_;
  std::unique_ptr<Segments> segments_;
  std::map<SegmentNumber, std::uint64_t> used_;
  bool may_reclaim_ = true;             // something changed since nothing was found to be reclaimed
  SegmentNumber newest_;                // when it was looked at last
  std::set<SegmentNumber> left_alone_;  // could not be moved; tried again after a restart
};

}  // namespace rosebud::disk
