// What stands in a volume as people name it, and a volume that a command reads or changes.
#pragma once

#include "apps/rosebud/file_parts.h"
#include "apps/rosebud/volume_name.h"
#include "client/snapshots.h"
#include "fs/tree.h"

namespace rosebud::apps {

inline constexpr const char* kPathHelp =
    "VOLUME:PATH; VOLUME is NAME, or another owner's as `fs share` prints it";
inline constexpr const char* kReadPathHelp =
    "VOLUME:PATH, or VOLUME@SNAPSHOT:PATH; VOLUME is NAME, or another owner's as `fs share` prints "
    "it";

/// By the clock of this machine.
fs::ModificationTime now();

struct VolumePath {
  VolumeName volume;
  fs::TreePath path;
  bool is_directory_meant = false;  // it ends with a slash

  std::string text() const { return volume.text + ":" + fs::text_of(path); }
  VolumePath below(const std::string& entry) const;
  /// Of the root: the volume's name.
  const std::string& name() const { return path.empty() ? volume.name : path.back(); }
};

/// Nothing: it is a path on this machine. As with scp, a local "a:b" is written "./a:b". The end of
/// the program when the path in the volume is none.
std::optional<VolumePath> volume_path_of(const std::string& text);
/// VOLUME alone is its root. The end of the program when it names nothing in a volume.
VolumePath need_volume_path(const std::string& text);

/// What is published of a volume, and which state its name means: that one, or a snapshot (its
/// name is empty for the former).
struct MeantState {
  client::PublishedVolume published;
  client::Snapshot shown;
};
client::Snapshot shown_of(const client::PublishedVolume& published);
/// The end of the program when there is no such state.
client::Snapshot state_in(client::Session& session, const client::PublishedVolume& published,
                          const VolumeName& name, Duration timeout);
MeantState read_state(client::Session& session, const VolumeName& name, Duration timeout);
/// That the root is there and a directory, or the end of the program.
void check_root(client::Session& session, const fs::Cid& root, Duration timeout);
/// The end of the program when a snapshot is named: nobody changes one.
void need_no_snapshot(const VolumeName& name);
/// VOLUME or VOLUME@SNAPSHOT, without a path. The end of the program when it is something else.
VolumeName need_volume(const std::string& text);
/// What is published, for somebody who is going to change it by `writer`. The end of the program
/// when another client's key is needed, or there is no such volume.
client::PublishedVolume begin_changing(const Globals& globals, OpenSession& session,
                                       const VolumeName& name, client::VolumeWriter& writer);

/// A volume as it was published last, or a snapshot of it. What fails ends the program.
class Volume {
 public:
  enum class For : bool { kReading, kChanging };

  /// `globals` and `session` outlive it.
  Volume(const Globals& globals, OpenSession& session, const VolumeName& name, For use);
  /// The state that `name` has in what is published, to read it.
  Volume(const Globals& globals, OpenSession& session, const VolumeName& name,
         const client::PublishedVolume& published);

  fs::Tree& tree() { return *tree_; }
  /// What the tree has read is not fetched again.
  fs::BlockSource& blocks() { return tree_->blocks(); }
  const client::StoreSource& store() const { return source_; }
  /// What was published last, and the state whose tree this is.
  const client::PublishedVolume& published() const { return published_; }
  const client::Snapshot& shown() const { return shown_; }
  const VolumeName& name() const { return name_; }

  /// The value, or the end of the program with words about `at`.
  template <typename T>
  T or_stop_at(Result<T, Explained> result, const VolumePath& at) {
    if (!result) stop_at(std::move(result.error()), at);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }
  fs::Link get(const VolumePath& at) { return or_stop_at(tree_->get(at.path), at); }
  bool is_directory(const VolumePath& at);

  /// Something takes the place of what stands there, if anything does; of the root another
  /// directory, all of whose nodes are put already.
  void put(const VolumePath& at, const fs::Imported& what);
  /// Stores what the changed tree needs beyond what `sink` has been given, then publishes it.
  /// Nothing changed: nothing is published. Requires: For::kChanging.
  void publish(client::StoreSink& sink);
  void publish();

  /// With what the volume is now. `id`: all that -q shows; the root when it is empty.
  void print_done(nlohmann::json json, const std::string& text, const std::string& id = {}) const;

 private:
  void open_tree();
  [[noreturn]] void stop_at(Explained explained, const VolumePath& at);
  /// The nearest one that is there.
  VolumePath directory_above(VolumePath at);

  const Globals& globals_;
  OpenSession& session_;
  client::StoreSource source_;
  VolumeName name_;
  client::PublishedVolume published_;
  client::Snapshot shown_;
  std::optional<client::VolumeWriter> writer_;
  std::optional<fs::Tree> tree_;
};

}  // namespace rosebud::apps
