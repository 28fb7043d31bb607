#include "client/volume.h"

#include "base/check.h"

namespace rosebud::client {
namespace {

/// Without lists of snapshots, as the first release wrote it: what has none is still read by it.
constexpr std::uint8_t kLayoutPlain = 1;
constexpr std::uint8_t kLayoutSnapshots = 2;
constexpr std::string_view kSaltBefore = "volume:";

Explained no_volume(const std::string& name) {
  return {.what = "volume " + name + " makes no sense",
          .cause =
              "its owner signed something that is no published state of a volume, or a later "
              "release of rosebud wrote it",
          .next = "its owner can look at it (rosebud ref get " + std::string(kSaltBefore) + name +
                  ") and put an empty volume in its place (rosebud fs create " + name + " --yes)"};
}

Result<PublishedVolume, Failure> decode_volume(const std::string& name, wire::Version version,
                                               ByteView value) {
  auto state = VolumeState::decode(value);
  if (!state) return fail(Failure{ExitCode::kIntegrity, no_volume(name)});
  return PublishedVolume{.version = version, .state = std::move(*state)};
}

/// Whether what was sent last from here does not stand before what is there now, as far as that
/// shows. The version alone does not say it: another machine that takes the record over raises its
/// term, and so may overtake a publication that it has not seen.
bool is_displaced(const RecordView& sent, const RecordView& now) {
  if (sent.version == now.version) return sent.value != now.value;
  const auto ours = VolumeState::decode(sent.value.view());
  const auto theirs = VolumeState::decode(now.value.view());
  if (!ours || !theirs || ours == theirs) return false;
  if (theirs->number > ours->number + 1) return false;  // it names the one before alone
  // The root alone would not say it: publications that make snapshots leave it as it is.
  return theirs->number <= ours->number || theirs->parent != ours->root.digest ||
         theirs->parent_snapshots != ours->snapshots;
}

/// Where what was displaced is found.
std::string where_lost(const std::string& name, ByteView sent, ByteView there) {
  const auto lost = VolumeState::decode(sent);
  const auto now = VolumeState::decode(there);
  if (!lost) return "look at what is there now";
  if (now && now->root == lost->root)
    return "files are the same; see whether its snapshots are: rosebud fs snapshot list " + name;
  return "what was published here is still there: rosebud ls " + lost->root.text();
}

std::optional<crypto::Digest> if_set(const crypto::Digest& digest) {
  if (digest == crypto::Digest{}) return std::nullopt;
  return digest;
}

}  // namespace

Bytes VolumeId::salt() const { return to_bytes(as_bytes(std::string(kSaltBefore) + name)); }

Bytes VolumeState::encode() const {
  CHECK(root.codec == fs::Codec::kDagPb);
  const bool has_lists = snapshots || parent_snapshots;
  wire::Writer out;
  out.u8(has_lists ? kLayoutSnapshots : kLayoutPlain).u64(number).u64(published.value);
  out.raw(root.digest.view()).raw(parent.value_or(crypto::Digest{}).view());
  if (has_lists) {
    for (const auto& list : {snapshots, parent_snapshots})
      out.raw(list.value_or(crypto::Digest{}).view());
  }
  return out.take();
}

std::optional<VolumeState> VolumeState::decode(ByteView bytes) {
  wire::Reader in(bytes);
  const std::uint8_t layout = in.u8();
  VolumeState out;
  out.number = in.u64();
  out.published = Timestamp(in.u64());
  out.root = {.codec = fs::Codec::kDagPb, .digest = in.fixed<crypto::Digest>()};
  out.parent = if_set(in.fixed<crypto::Digest>());
  if (layout == kLayoutSnapshots) {
    out.snapshots = if_set(in.fixed<crypto::Digest>());
    out.parent_snapshots = if_set(in.fixed<crypto::Digest>());
    const bool has_lists = out.snapshots || out.parent_snapshots;
    if (!has_lists || out.number == 1) return std::nullopt;
  } else if (layout != kLayoutPlain) {
    return std::nullopt;
  }
  const bool is_possible = out.number > 0 && (out.number > 1) == out.parent.has_value();
  if (!in.done() || !is_possible) return std::nullopt;
  return out;
}

Result<PublishedVolume, Failure> read_volume(Session& session, const VolumeId& id,
                                             Duration timeout) {
  auto record = read_record(session, id.owner, id.salt(), timeout);
  const bool is_gone = record ? record->is_tombstone : record.error().code == ExitCode::kNotFound;
  if (is_gone) {
    return fail(Failure{
        ExitCode::kNotFound,
        {.what = "there is no volume " + id.name,
         .cause = record ? "its owner removed it" : "the name is wrong, or it is another owner's",
         .next = "see `rosebud fs list`; make one: rosebud fs create NAME; another "
                 "owner's is named by the line that `rosebud fs share` prints"}});
  }
  if (!record) return fail(record.error());
  return decode_volume(id.name, record->version, record->value.view());
}

Result<PublishedVolume, Failure> hold_volume(Session& session, const VolumeId& id,
                                             Duration timeout) {
  auto published = read_volume(session, id, timeout);
  if (!published) return published;
  const auto object = wire::record_id(id.owner, id.salt());
  const auto read = session.wait(
      [&](Session::Done done) { session.read_record(object, timeout, std::move(done)); });
  if (read.outcome != objects::Outcome::kDone)
    return fail(failure_of(read, "reading the record of volume " + id.name, session));
  const auto written = session.wait([&](Session::Done done) {
    session.write_record(object, *read.record, timeout, std::move(done));
  });
  if (written.outcome != objects::Outcome::kDone)
    return fail(failure_of(written, "holding the record of volume " + id.name, session));
  return published;
}

VolumeWriter::VolumeWriter(Session& session, std::filesystem::path state, std::string name)
    : session_(session),
      id_{.owner = session.key().public_key(), .name = std::move(name)},
      writer_(session, std::move(state), id_.salt()) {}

Result<std::optional<PublishedVolume>, Failure> VolumeWriter::begin(Duration timeout,
                                                                    Garbage garbage) {
  const auto sent = writer_.settle(timeout);
  if (!sent) return fail(sent.error());
  auto read = read_record(session_, id_.owner, id_.salt(), timeout);
  if (!read && read.error().code == ExitCode::kNotFound) return std::nullopt;
  if (!read) return fail(read.error());
  if (*sent && is_displaced(**sent, *read)) {
    writer_.forget();
    return fail(Failure{
        ExitCode::kConflict,
        {.what =
             "the last publication of volume " + id_.name + " from here was displaced by another",
         .cause = "another machine with this key published at the same moment, or made the volume "
                  "anew",
         .next = where_lost(id_.name, (*sent)->value.view(), read->value.view()) +
                 "; the next command goes on from theirs"}});
  }
  base_version_ = read->version;
  if (read->is_tombstone) return std::nullopt;
  auto state = decode_volume(id_.name, read->version, read->value.view());
  if (!state && garbage == Garbage::kReplace) return std::nullopt;
  if (!state) return fail(state.error());
  base_ = std::move(*state);
  return base_;
}

Result<PublishedVolume, Failure> VolumeWriter::publish(const fs::Cid& root, Timestamp now,
                                                       Duration timeout) {
  return publish(root, base_ ? base_->state.snapshots : std::nullopt, now, timeout);
}

Result<PublishedVolume, Failure> VolumeWriter::publish(
    const fs::Cid& root, const std::optional<crypto::Digest>& snapshots, Timestamp now,
    Duration timeout) {
  CHECK(base_ || !snapshots);
  VolumeState next{.root = root, .published = now, .snapshots = snapshots};
  if (base_) {
    next.number = base_->state.number + 1;
    next.parent = base_->state.root.digest;
    next.parent_snapshots = base_->state.snapshots;
  }
  const auto written = writer_.write(next.encode(), base_version_, timeout);
  if (written) return PublishedVolume{.version = written->version, .state = next};
  if (written.error().code != ExitCode::kConflict) return fail(written.error());
  return fail(
      Failure{ExitCode::kConflict,
              {.what = base_ ? "volume " + id_.name + " was published by another command meanwhile"
                             : "there is a volume " + id_.name + " already",
               .cause = base_ ? "somebody with the same key changed it since this command began"
                              : "it was made before, here or on another machine with this key",
               .next = base_ ? "nothing of theirs was overwritten; run the same command again"
                             : "look at it: rosebud fs ls " + id_.name}});
}

}  // namespace rosebud::client
