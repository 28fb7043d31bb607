#include "client/snapshots.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::client {
namespace {

constexpr std::string_view kMagic = "rosebud snapshots 1\n";

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Snapshot read_entry(wire::Reader& in) {
  Snapshot out;
  out.name = as_text(in.raw(in.u8()));
  out.number = in.u64();
  out.published = Timestamp(in.u64());
  out.made = Timestamp(in.u64());
  out.root = {.codec = fs::Codec::kDagPb, .digest = in.fixed<crypto::Digest>()};
  if (!is_snapshot_name(out.name) || out.number == 0) in.fail();
  return out;
}

Failure unusable_list(const std::string& named, std::string what, std::string cause) {
  return {ExitCode::kIntegrity,
          {.what = "the list of snapshots of volume " + named + " " + std::move(what),
           .cause = std::move(cause),
           .next = "files are not touched by it; the volume's owner can begin a new list: rosebud "
                   "fs snapshot delete " +
                   named + " --all --yes"}};
}

Failure senseless_list(const std::string& named) {
  return unusable_list(named, "makes no sense",
                       "its owner published something that is none, or a later release of rosebud "
                       "wrote it");
}

wire::ObjectId block_of(const crypto::Digest& digest) { return wire::ObjectId::block(digest); }

}  // namespace

bool is_snapshot_name(std::string_view text) {
  if (text.empty() || text.size() > kSnapshotNameMax || text == kPreviousState) return false;
  return is_letter_or_digit(text.front()) && std::ranges::all_of(text, [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

bool is_state_name(std::string_view text) {
  return text == kPreviousState || is_snapshot_name(text);
}

// ---- The list ----

const Snapshot* SnapshotList::find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(all_, name, {}, &Snapshot::name);
  return at != all_.end() && at->name == name ? &*at : nullptr;
}

bool SnapshotList::add(Snapshot snapshot) {
  CHECK(is_snapshot_name(snapshot.name));
  CHECK(all_.size() < kSnapshotsMax);
  const auto at = std::ranges::lower_bound(all_, snapshot.name, {}, &Snapshot::name);
  if (at != all_.end() && at->name == snapshot.name) return false;
  all_.insert(at, std::move(snapshot));
  return true;
}

bool SnapshotList::remove(std::string_view name) {
  return std::erase_if(all_, [&](const Snapshot& one) { return one.name == name; }) > 0;
}

Bytes SnapshotList::encode() const {
  CHECK(!all_.empty());
  wire::Writer out;
  out.raw(as_bytes(kMagic)).u16(static_cast<std::uint16_t>(all_.size()));
  for (const Snapshot& one : all_) {
    CHECK(one.root.codec == fs::Codec::kDagPb);
    out.u8(static_cast<std::uint8_t>(one.name.size())).raw(as_bytes(one.name));
    out.u64(one.number).u64(one.published.value).u64(one.made.value).raw(one.root.digest.view());
  }
  return out.take();
}

std::optional<SnapshotList> SnapshotList::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (as_text(in.raw(kMagic.size())) != kMagic) return std::nullopt;
  const std::size_t count = in.u16();
  if (count == 0 || count > kSnapshotsMax) return std::nullopt;
  SnapshotList out;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Snapshot next = read_entry(in);
    if (!out.all_.empty() && out.all_.back().name >= next.name) in.fail();
    out.all_.push_back(std::move(next));
  }
  if (!in.done()) return std::nullopt;
  return out;
}

// ---- In a cluster ----

Result<SnapshotList, Failure> read_snapshots(Session& session, const VolumeState& state,
                                             const std::string& named, Duration timeout) {
  if (!state.snapshots) return SnapshotList();
  const auto read = session.wait([&](Session::Done done) {
    session.read_block(block_of(*state.snapshots), timeout, std::move(done));
  });
  if (read.outcome == objects::Outcome::kNotFound) {
    return fail(
        unusable_list(named, "is missing",
                      "it was lost with more than f replicas of its group, or was published "
                      "without having been stored"));
  }
  if (read.outcome != objects::Outcome::kDone)
    return fail(failure_of(read, "reading the list of snapshots", session));
  auto list = SnapshotList::decode(read.bytes.view());
  // What it keeps was published before it was.
  const auto is_before = [&](const Snapshot& one) { return one.number < state.number; };
  if (!list || !std::ranges::all_of(list->all(), is_before)) return fail(senseless_list(named));
  return std::move(*list);
}

Result<std::optional<crypto::Digest>, Failure> store_snapshots(Session& session,
                                                               const SnapshotList& list,
                                                               Duration timeout) {
  if (list.all().empty()) return std::nullopt;
  const Bytes bytes = list.encode();
  const crypto::Digest digest = crypto::sha256(bytes);
  const auto written = session.wait([&](Session::Done done) {
    session.write_block(block_of(digest), Buffer::copy_of(bytes), timeout, std::move(done));
  });
  if (written.outcome != objects::Outcome::kDone)
    return fail(failure_of(written, "storing the list of snapshots", session));
  return digest;
}

Result<Snapshot, Failure> find_state(Session& session, const VolumeState& state,
                                     const std::string& called, const std::string& named,
                                     Duration timeout) {
  if (called == kPreviousState) {
    if (state.parent) {
      return Snapshot{.name = called,
                      .number = state.number - 1,
                      .root = {.codec = fs::Codec::kDagPb, .digest = *state.parent}};
    }
    return fail(Failure{ExitCode::kNotFound,
                        {.what = "volume " + named + " has no previous state",
                         .cause = "it was published once",
                         .next = "see what it is now: rosebud fs ls " + named}});
  }
  const auto list = read_snapshots(session, state, named, timeout);
  if (!list) return fail(list.error());
  if (const Snapshot* found = list->find(called)) return *found;
  return fail(Failure{ExitCode::kNotFound,
                      {.what = "volume " + named + " has no snapshot " + called,
                       .cause = "the name is wrong, or its owner removed it",
                       .next = "see which there are: rosebud fs snapshot list " + named}});
}

}  // namespace rosebud::client
