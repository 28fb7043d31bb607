// An object as replicas keep it, and what a core may ask of a disk.
//
// The disk's index is ordered by ObjectId, which starts with the placement key: listing an arc is
// one scan (design 13). Layouts on disk stand in docs/format/disk.md. Implemented by disk/ on
// RocksDB and by sim/ in memory.
#pragma once

#include <variant>

#include "base/result.h"
#include "wire/hold.h"

namespace rosebud::wire {

/// A record as it travels and is stored: a signed RecordStatement and the value whose hash it
/// names.
struct SignedRecord {
  SignedBytes statement;
  Buffer value;

  friend bool operator==(const SignedRecord&, const SignedRecord&) = default;
};

/// An interval of placement keys on the line 0 .. 2^256 - 1, both ends included. Invariant: first
/// <= last.
struct KeyRange {
  crypto::Digest first;
  crypto::Digest last;

  bool contains(const crypto::Digest& key) const { return first <= key && key <= last; }
  friend auto operator<=>(const KeyRange&, const KeyRange&) = default;
};

KeyRange whole_key_range();

/// What a scan of the index yields. Two replicas hold the same of an object exactly when `state` is
/// equal.
struct IndexEntry {
  ObjectId id;
  std::uint64_t content_size = 0;  // bytes of the block or of the record's value
  crypto::Digest state;            // object_state(...)
  bool is_damaged =
      false;  // the content was found bad and dropped; answers "busy" until fetched again

  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

/// Most holds of one object: bounds what one request makes a replica load. A holder beyond it is
/// refused.
inline constexpr std::size_t kHoldsPerObjectMax = 1024;

/// Everything that a replica keeps of one object. `content` is a block's bytes or a record's value.
struct StoredObject {
  ObjectId id;
  SignedBytes record;       // a record's statement; empty for a block
  std::vector<Hold> holds;  // one per holder, ordered by holder; never empty unless damaged
  Buffer content;
  bool is_damaged = false;

  IndexEntry entry() const;
  SignedRecord signed_record() const { return {.statement = record, .value = content}; }
  friend bool operator==(const StoredObject&, const StoredObject&) = default;
};

/// Hash of what "the same" means between replicas: (version, value hash) of a record, and the
/// statement of each hold. Signature bytes play no part. Requires: statements that decode.
crypto::Digest object_state(const ObjectId& id, const SignedBytes& record,
                            const std::vector<Hold>& holds);

/// Longest encoding of an object without its content, and of the whole on the wire.
inline constexpr std::size_t kObjectMetaSizeMax =
    2 + kStatementSizeMax + 64 + 2 + kHoldsPerObjectMax * kHoldSizeMax;

/// Everything but id and content, as one canonical encoding (docs/format/disk.md).
Bytes encode_object_meta(const StoredObject& object);
/// Fills `record`, `holds` and `is_damaged`; false for bytes that encode_object_meta never makes.
bool decode_object_meta(ByteView bytes, StoredObject& object);

// ---- What a core asks of a disk ----

enum class StorageError : std::uint8_t {
  kNoSpace,  // nothing was written; reading goes on
  kCorrupt,  // stored bytes fail their checksum
  kIo,       // the device failed; the node should stop
};

enum class LoadPart : std::uint8_t {
  kMeta,  // without content
  kAll,
  kAllFromDisk,  // past what is kept in memory: what a scrubber wants to see
};

/// What a load finds; nothing when the object is not there.
using Loaded = Result<std::optional<StoredObject>, StorageError>;

/// Up to `limit` entries from the start of the range; `is_whole` says that none follow.
struct Scanned {
  std::vector<IndexEntry> entries;
  bool is_whole = false;
};

/// Writes an object's index entry, meta and (unless it is unchanged) content.
struct PutObject {
  StoredObject object;
  bool is_content_unchanged =
      false;  // then object.content may be empty; the entry's size is `content_size`
  std::uint64_t content_size = 0;
};
struct DeleteObject {
  ObjectId id;
};
/// A small durable value under a name of the core's own ("quota/…", "entered"). Empty value:
/// removed.
struct PutNote {
  Bytes name;
  Bytes value;
};
using StorageWrite = std::variant<PutObject, DeleteObject, PutNote>;

}  // namespace rosebud::wire
