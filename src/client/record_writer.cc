#include "client/record_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <system_error>
#include <thread>

#include "base/check.h"
#include "base/files.h"

namespace rosebud::client {
namespace {

namespace stdfs = std::filesystem;

Failure local(Explained explained) { return {ExitCode::kUsage, std::move(explained)}; }

wire::RecordStatement statement_of(const wire::SignedRecord& record) {
  auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());  // verified, or our own
  return std::move(*statement);
}

constexpr auto kLastTerm = std::numeric_limits<std::uint16_t>::max();

/// Nothing: there is none.
std::optional<wire::Version> next_counter(wire::Version version) {
  if (version.value == std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
  return wire::Version{version.value + 1};
}
std::optional<wire::Version> next_term(wire::Version version) {
  if (version.term() == kLastTerm) return std::nullopt;
  const std::uint64_t counter = std::min(version.counter() + 1, wire::Version::kCounterMax);
  return wire::Version::of(static_cast<std::uint16_t>(version.term() + 1), counter);
}
Failure no_more_versions() {
  return local({.what = "the record has used up its versions",
                .cause = "somebody with its key wrote the last one that there is",
                .next = "use another record"});
}

/// Says that all notes of the key are in the directory that it stands in.
constexpr const char* kAllNotesFile = "all-notes-are-here";

/// The directory itself, not a copy of it.
std::string identity_of(const stdfs::path& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0) return {};
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + "\n";
}

bool has_all_notes(const stdfs::path& state) {
  const auto text = read_text_file(state / kAllNotesFile, 100);
  return text && !text->empty() && *text == identity_of(state);
}

/// Held while a record is written: two that read one note would send two values at one version.
class WriterLock {
 public:
  static Result<WriterLock, Failure> take(const stdfs::path& file, Duration timeout) {
    WriterLock out(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (out.fd_ >= 0 && ::flock(out.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) break;
      if (std::chrono::steady_clock::now() >= end) {
        return fail(local({.what = "another process is writing this record",
                           .cause = "it holds " + file.string(),
                           .next = "wait for it, then try again"}));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (out.fd_ < 0) {
      return fail(local(
          {.what = "cannot open " + file.string() + ": " + std::generic_category().message(errno),
           .next = "see that you may write there"}));
    }
    return out;
  }
  ~WriterLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  WriterLock(WriterLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  WriterLock& operator=(WriterLock&&) = delete;

 private:
  explicit WriterLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace

RecordWriter::RecordWriter(Session& session, stdfs::path state, Bytes salt)
    : session_(session),
      state_(std::move(state)),
      salt_(std::move(salt)),
      id_(wire::record_id(session.key().public_key(), salt_)) {}

Status<Explained> begin_notes_of_new_key(const stdfs::path& state) {
  std::error_code error;
  stdfs::create_directories(state, error);
  return replace_file(state / kAllNotesFile, identity_of(state), 0600);
}

stdfs::path RecordWriter::note_path() const {
  return state_ / (to_hex(id_.placement.view()) + ".note");
}
stdfs::path RecordWriter::lock_path() const {
  return state_ / (to_hex(id_.placement.view()) + ".lock");
}

Result<std::optional<RecordNote>, Failure> RecordWriter::read_note() const {
  const stdfs::path path = note_path();
  std::error_code error;
  if (!stdfs::exists(path, error)) return std::optional<RecordNote>();
  auto text = read_text_file(path, 4U << 20);
  if (!text) return fail(local(text.error()));
  auto note = RecordNote::decode(*text);
  // Under this record's name, but of another one: it was moved here.
  const bool is_ours = note && statement_of(note->record).id() == id_;
  if (is_ours) return note;
  return fail(local({.what = path.string() + " is damaged",
                     .cause = "it was edited, or the disk failed",
                     .next = "remove it: the next write then takes over under a raised term"}));
}

Status<Failure> RecordWriter::write_note(const RecordNote& note) const {
  std::error_code error;
  stdfs::create_directories(state_, error);
  auto written = replace_file(note_path(), note.encode(), 0600);
  if (!written) return fail(local(written.error()));
  return {};
}

wire::SignedRecord RecordWriter::make(wire::Version version, ByteView value,
                                      const wire::SignedRecord* parent) const {
  wire::RecordStatement statement{.cluster = session_.configuration()->cluster(),
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
    forget();
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
  std::error_code error;
  stdfs::create_directories(state_, error);
  const auto lock = WriterLock::take(lock_path(), timeout);
  if (!lock) return fail(lock.error());
  return write_locked(value, expected, timeout);
}

Result<std::optional<RecordNote>, Failure> RecordWriter::settle_locked(Duration timeout) {
  auto note = read_note();
  if (!note || !*note || (*note)->is_done) return note;
  if (auto resent = publish((*note)->record, timeout); !resent) return fail(resent.error());
  (*note)->is_done = true;
  return note;
}

Result<std::optional<RecordView>, Failure> RecordWriter::settle(Duration timeout) {
  std::error_code error;
  if (!stdfs::exists(note_path(), error)) return std::nullopt;
  const auto lock = WriterLock::take(lock_path(), timeout);
  if (!lock) return fail(lock.error());
  const auto note = settle_locked(timeout);
  if (!note) return fail(note.error());
  if (!*note) return std::nullopt;
  const auto statement = statement_of((*note)->record);
  return RecordView{.version = statement.version,
                    .is_tombstone = statement.is_tombstone,
                    .value = (*note)->record.value};
}

void RecordWriter::forget() const {
  std::error_code error;
  stdfs::remove(note_path(), error);
}

Result<Written, Failure> RecordWriter::write_locked(ByteView value,
                                                    std::optional<wire::Version> expected,
                                                    Duration timeout) {
  const auto note = settle_locked(timeout);
  if (!note) return fail(note.error());
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
      const auto raised = next_term(found);
      if (!raised) return fail(no_more_versions());
      const auto again = make(*raised, read.record->value.view(), &*read.record);
      if (auto taken = publish(again, timeout); !taken) return fail(taken.error());
      newest = again;
    }
  }
  std::optional<wire::Version> version;
  if (newest) {
    version = next_counter(statement_of(*newest).version);
  } else {
    // Suppose an earlier writer with this key sent its first version to one replica, was lost with
    // its notes, and 2f+1 others answered that there is none: at the same version the greater hash
    // would win, and be read later instead of what is acknowledged now.
    version = has_all_notes(state_) ? wire::Version{1} : next_term({});
  }
  if (!version) return fail(no_more_versions());
  const auto record = make(*version, value, newest ? &*newest : nullptr);
  if (auto published = publish(record, timeout); !published) return fail(published.error());
  return Written{*version};
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
