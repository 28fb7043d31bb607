// What stands in a volume as people name it, and a volume that a command reads or changes.
#pragma once

#include "apps/rosebud/file_parts.h"
#include "apps/rosebud/volume_name.h"
#include "fs/tree.h"

namespace rosebud::apps {

inline constexpr const char* kPathHelp =
    "VOLUME:PATH; VOLUME is NAME, or another owner's as `fs share` prints it";

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

/// A volume as it was published last. What fails ends the program.
class Volume {
 public:
  enum class For : bool { kReading, kChanging };

  /// `globals` and `session` outlive it.
  Volume(const Globals& globals, OpenSession& session, const VolumeName& name, For use);

  fs::Tree& tree() { return *tree_; }
  /// What the tree has read is not fetched again.
  fs::BlockSource& blocks() { return tree_->blocks(); }
  const client::StoreSource& store() const { return source_; }
  const client::PublishedVolume& published() const { return published_; }

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
  [[noreturn]] void stop_at(Explained explained, const VolumePath& at);
  /// The nearest one that is there.
  VolumePath directory_above(VolumePath at);

  const Globals& globals_;
  OpenSession& session_;
  client::StoreSource source_;
  VolumeName name_;
  client::PublishedVolume published_;
  std::optional<client::VolumeWriter> writer_;
  std::optional<fs::Tree> tree_;
};

}  // namespace rosebud::apps
