#include "client/record_writer.h"

#include "base/check.h"
#include "runtime/key_file.h"

namespace rosebud::client {
namespace {

namespace stdfs = std::filesystem;

Failure local(Explained explained) { return {ExitCode::kUsage, std::move(explained)}; }

wire::RecordStatement statement_of(const wire::SignedRecord& record) {
  auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());  // verified, or our own
  return std::move(*statement);
}

wire::Version next_counter(wire::Version version) { return {version.value + 1}; }
wire::Version next_term(wire::Version version) {
  return wire::Version::of(static_cast<std::uint16_t>(version.term() + 1), version.counter() + 1);
}

}  // namespace

RecordWriter::RecordWriter(Session& session, stdfs::path state, Bytes salt)
    : session_(session),
      state_(std::move(state)),
      salt_(std::move(salt)),
      id_(wire::record_id(session.key().public_key(), salt_)) {}

Result<std::optional<RecordWriter::Note>, Failure> RecordWriter::read_note() const {
  const stdfs::path path = state_ / (to_hex(id_.placement.view()) + ".note");
  std::error_code error;
  if (!stdfs::exists(path, error)) return std::optional<Note>();
  auto text = runtime::read_text_file(path, 4U << 20);
  if (!text) return fail(local(text.error()));
  while (!text->empty() && text->back() == '\n') text->pop_back();
  const auto bytes = from_hex(*text);
  if (bytes) {
    wire::Reader in(*bytes);
    Note out;
    out.is_done = in.u8() == 1;
    out.record.statement = wire::read_signed_bytes(in, wire::kStatementSizeMax);
    out.record.value = Buffer::copy_of(in.bytes32(wire::kRecordValueSizeMax));
    if (in.done() && wire::RecordStatement::decode(out.record.statement.statement))
      return std::optional(std::move(out));
  }
  return fail(local({.what = path.string() + " is damaged",
                     .cause = "it was edited, or the disk failed",
                     .next = "remove it: the next write then takes over under a raised term"}));
}

Status<Failure> RecordWriter::write_note(const Note& note) const {
  wire::Writer out;
  out.u8(note.is_done ? 1 : 0);
  wire::write(out, note.record.statement);
  out.bytes32(note.record.value.view());
  std::error_code error;
  stdfs::create_directories(state_, error);
  auto written = runtime::replace_file(state_ / (to_hex(id_.placement.view()) + ".note"),
                                       to_hex(out.bytes()) + "\n", 0600);
  if (!written) return fail(local(written.error()));
  return {};
}

wire::SignedRecord RecordWriter::make(wire::Version version, ByteView value,
                                      const wire::SignedRecord* parent) const {
  wire::RecordStatement statement{.cluster = session_.configuration().cluster(),
                                  .owner = session_.key().public_key(),
                                  .salt = salt_,
                                  .version = version,
                                  .value_size = static_cast<std::uint32_t>(value.size()),
                                  .value_hash = wire::record_value_hash(value)};
  if (parent) statement.parent = wire::record_statement_hash(parent->statement.statement);
  return {.statement = wire::sign(session_.scheme(), session_.key(), statement),
          .value = Buffer::copy_of(value)};
}

/// Durable before sent; marked done after 2f+1 hold it.
Status<Failure> RecordWriter::publish(const wire::SignedRecord& record, Duration timeout) {
  if (auto noted = write_note({.record = record}); !noted) return noted;
  const auto result = session_.wait(
      [&](Session::Done done) { session_.write_record(id_, record, timeout, std::move(done)); });
  if (result.outcome == objects::Outcome::kDone)
    return write_note({.record = record, .is_done = true});
  if (result.outcome == objects::Outcome::kSuperseded) {
    // The note can never win again: without it the next write takes over from the newer one.
    std::error_code error;
    stdfs::remove(state_ / (to_hex(id_.placement.view()) + ".note"), error);
  }
  return fail(failure_of(result, "setting the record", session_));
}

Result<Written, Failure> RecordWriter::write(ByteView value, std::optional<wire::Version> expected,
                                             Duration timeout) {
  if (value.size() > wire::kRecordValueSizeMax) {
    return fail(local(
        {.what = "the value has " + std::to_string(value.size()) + " bytes, a record takes 65536",
         .cause = {},
         .next = "add it as a file, and set the record to its id"}));
  }
  auto note = read_note();
  if (!note) return fail(note.error());
  if (*note && !(*note)->is_done) {
    if (auto resent = publish((*note)->record, timeout); !resent) return fail(resent.error());
    (*note)->is_done = true;
  }
  std::optional<wire::SignedRecord> newest;
  if (*note) newest = (*note)->record;
  if (!*note || expected) {
    auto read = session_.wait(
        [&](Session::Done done) { session_.read_record(id_, timeout, std::move(done)); });
    if (read.outcome != objects::Outcome::kDone && read.outcome != objects::Outcome::kNotFound) {
      return fail(failure_of(read, "reading the record", session_));
    }
    const wire::Version known = newest ? statement_of(*newest).version : wire::Version{};
    const wire::Version found = read.record ? statement_of(*read.record).version : wire::Version{};
    if (expected && std::max(found, known) != *expected) {
      return fail(
          Failure{ExitCode::kConflict,
                  {.what = "the newest version is " + std::to_string(std::max(found, known).value) +
                           ", not " + std::to_string(expected->value),
                   .cause = "it was written in between",
                   .next = "read it, then decide whether to set again"}});
    }
    if (found > known) {
      // Somebody with this key wrote last: first their value under a raised term, so that nothing
      // older can win.
      const auto again = make(next_term(found), read.record->value.view(), &*read.record);
      if (auto taken = publish(again, timeout); !taken) return fail(taken.error());
      newest = again;
    }
  }
  const wire::Version version =
      newest ? next_counter(statement_of(*newest).version) : wire::Version{1};
  const auto record = make(version, value, newest ? &*newest : nullptr);
  if (auto published = publish(record, timeout); !published) return fail(published.error());
  return Written{version};
}

Result<RecordView, Failure> read_record(Session& session, const crypto::PublicKey& owner,
                                        ByteView salt, Duration timeout) {
  const wire::ObjectId id = wire::record_id(owner, salt);
  auto result =
      session.wait([&](Session::Done done) { session.read_record(id, timeout, std::move(done)); });
  if (result.outcome != objects::Outcome::kDone)
    return fail(failure_of(result, "reading the record", session));
  const auto statement = statement_of(*result.record);
  return RecordView{.version = statement.version,
                    .is_tombstone = statement.is_tombstone,
                    .value = result.record->value,
                    .phases = result.phases};
}

}  // namespace rosebud::client
