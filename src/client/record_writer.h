// Writing a record so that its owner never contradicts itself, whatever crashes (design 6).
//
// The record that will be sent is made durable first, in a note; after a crash exactly that is sent
// again. Without a note (a first run, another machine) the writer reads a quorum and first writes
// the value read under a raised term: a write that an earlier writer left half done can then no
// longer win.
#pragma once

#include "client/record_note.h"
#include "client/session.h"

namespace rosebud::client {

struct Written {
  wire::Version version;
};

struct RecordView {
  wire::Version version;
  bool is_tombstone = false;
  Buffer value;
  std::size_t phases = 1;
};

/// To be called once, when a new key is made whose notes will be kept in `state`: what this key
/// ever sent is noted there, so that a record without a note was never written. A copy of the
/// directory does not count. Without it the first write of a record is under a raised term.
Status<Explained> begin_notes_of_new_key(const std::filesystem::path& state);

class RecordWriter {
 public:
  /// Notes are kept in `state`, one file per record. Writers of one record, in this process and in
  /// others that share the directory, wait for each other.
  RecordWriter(Session& session, std::filesystem::path state, Bytes salt);

  /// Publishes `value` as the next version. `expected`: only when the newest version is this one
  /// (0: no record yet).
  Result<Written, Failure> write(ByteView value, std::optional<wire::Version> expected,
                                 Duration timeout);
  /// What was sent last from here, by this or an earlier run; a write that was left half done is
  /// finished first. Nothing: nothing is noted here.
  Result<std::optional<RecordView>, Failure> settle(Duration timeout);
  /// Drops the note: the next write takes over, under a raised term, from whatever is there.
  void forget() const;

 private:
  Result<std::optional<RecordNote>, Failure> settle_locked(Duration timeout);
  std::filesystem::path note_path() const;
  std::filesystem::path lock_path() const;
  Result<std::optional<RecordNote>, Failure> read_note() const;
  Status<Failure> write_note(const RecordNote& note) const;
  Status<Failure> publish(const wire::SignedRecord& record, Duration timeout);
  Result<Written, Failure> write_locked(ByteView value, std::optional<wire::Version> expected,
                                        Duration timeout);
  wire::SignedRecord make(wire::Version version, ByteView value,
                          const wire::SignedRecord* parent) const;

  Session& session_;
  std::filesystem::path state_;
  Bytes salt_;
  wire::ObjectId id_;
};

/// Reads somebody's record. Not found is a Failure with kNotFound.
Result<RecordView, Failure> read_record(Session& session, const crypto::PublicKey& owner,
                                        ByteView salt, Duration timeout);

}  // namespace rosebud::client
