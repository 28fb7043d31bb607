#include "apps/rosebud/volume_publisher.h"

#include "apps/rosebud/open_volume.h"
#include "client/files.h"

namespace rosebud::apps {
namespace {

using mount::Unpublished;

/// Until one asking for others' publications gives up: an fsync() and the end of the mount may wait
/// for it.
constexpr Duration kAskFor = std::chrono::seconds(5);

auto failed(const client::Failure& failure) {
  Unpublished::Why why = Unpublished::Why::kFailed;
  if (failure.code == client::ExitCode::kTimeout) why = Unpublished::Why::kTimedOut;
  if (failure.code == client::ExitCode::kConflict) why = Unpublished::Why::kOvertaken;
  if (failure.code == client::ExitCode::kUsage) why = Unpublished::Why::kLocal;
  if (failure.is_full) why = Unpublished::Why::kNoRoom;
  return fail(Unpublished{.why = why, .explained = failure.explained});
}

}  // namespace

VolumePublisher::VolumePublisher(client::Session& session, std::filesystem::path state,
                                 client::VolumeId id, client::PublishedVolume standing,
                                 Duration timeout)
    : session_(session),
      state_(std::move(state)),
      id_(std::move(id)),
      timeout_(timeout),
      standing_(std::move(standing)) {}

Status<Unpublished> VolumePublisher::check_standing(const client::PublishedVolume& there) {
  // What counts is the files. Somebody who keeps a snapshot publishes, and leaves them as they are:
  // to whoever changes files that is no other state; nor is what was tried from here, which may
  // have been published without anybody knowing, and kept as a snapshot since.
  const auto is_root = [&](const fs::Cid& root) { return there.state.root == root; };
  if (is_root(standing_.state.root) || (tried_ && is_root(*tried_))) standing_ = there;
  if (there.state == standing_.state) return {};
  return fail(Unpublished{
      .why = Unpublished::Why::kOvertaken,
      .explained = {.what = "volume " + id_.name +
                            " was published by another command or machine "
                            "while changes were pending in this mount",
                    .cause = "two wrote with the same key",
                    .next = "the mount is read-only now; copy what is pending out of it, unmount "
                            "it with `rosebud umount --discard DIR`, and mount it again"}});
}

Status<Unpublished> VolumePublisher::publish(const Store& store) {
  client::VolumeWriter writer(session_, state_, id_.name);
  const auto there = writer.begin(timeout_);
  if (!there) return failed(there.error());
  if (!*there) {
    return fail(Unpublished{.why = Unpublished::Why::kOvertaken,
                            .explained = {.what = "volume " + id_.name + " is not there any more",
                                          .cause = "its owner removed it",
                                          .next = "copy what is pending out of the mount"}});
  }
  if (auto stands = check_standing(**there); !stands) return stands;
  client::StoreSink sink(session_, timeout_);
  const auto made = store(sink);
  if (const auto failure = sink.finish()) return failed(*failure);
  if (!made) return fail(Unpublished{.explained = made.error()});
  if (made->cid == standing_.state.root) return {};
  tried_ = made->cid;
  const auto published =
      writer.publish(made->cid, Timestamp(static_cast<std::uint64_t>(now().seconds)), timeout_);
  if (!published) return failed(published.error());
  standing_ = *published;
  tried_.reset();
  return {};
}

std::optional<fs::Cid> VolumePublisher::newer() {
  const auto there = client::read_volume(session_, id_, std::min(timeout_, kAskFor));
  if (!there || there->version <= standing_.version) return std::nullopt;
  if (there->state.root == standing_.state.root) {
    standing_ = *there;
    return std::nullopt;
  }
  newer_ = *there;
  return newer_.state.root;
}

}  // namespace rosebud::apps
