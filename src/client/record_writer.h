// Writing a record so that its owner never contradicts itself, whatever crashes (design 6).
//
// The record that will be sent is made durable first, in a note; after a crash exactly that is sent
// again. Without a note (a first run, another machine) the writer reads a quorum and first writes
// the value read under a raised term: a write that an earlier writer left half done can then no
// longer win.
#pragma once

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

class RecordWriter {
 public:
  /// Notes are kept in `state`, one file per record.
  RecordWriter(Session& session, std::filesystem::path state, Bytes salt);

  /// Publishes `value` as the next version. `expected`: only when the newest version is this one
  /// (0: no record yet).
  Result<Written, Failure> write(ByteView value, std::optional<wire::Version> expected,
                                 Duration timeout);

 private:
  struct Note {
    wire::SignedRecord record;
    bool is_done = false;
  };
  Result<std::optional<Note>, Failure> read_note() const;
  Status<Failure> write_note(const Note& note) const;
  Status<Failure> publish(const wire::SignedRecord& record, Duration timeout);
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
