// What one publication makes of a pending tree: a copy of all that has changed at one moment, and
// how it becomes blocks.
//
// The tree may change on while blocks are made; of files that are written meanwhile, what was
// staged at that moment is pinned.
//
// A file that somebody is in the middle of writing is left out: in the directory it stays what was
// published, or absent. So whoever is killed leaves no half of it.
#pragma once

#include "mount/pending_tree.h"

namespace rosebud::mount {

class PublicationPlan {
 public:
  enum class InWork : std::uint8_t {
    kLeftOut,
    kStored,  // left out, but what is there of it is stored, so that it leaves the staging
    kTaken,   // as it is: it is the end
  };
  /// Of all that has changed; a new generation begins. `is_awaited`: by somebody, so that files
  /// which were closed belong to it. Requires: something has.
  PublicationPlan(PendingTree& tree, InWork in_work, bool is_awaited);
  PublicationPlan(PublicationPlan&&) = default;
  PublicationPlan(const PublicationPlan&) = delete;
  PublicationPlan& operator=(const PublicationPlan&) = delete;

  /// Stores what is new; returns the root. Reads what is published through `source`. Needs no
  /// other to keep still.
  Result<fs::Imported, Explained> store(Staging& staging, fs::BlockSource& source,
                                        fs::BlockSink& sink);
  /// The tree stands on what store() made, which is published. Changes of later generations stay.
  void carry_over(PendingTree& tree);
  /// The pins end. To be called once, whatever became of it, when nothing else uses the files.
  void release();

 private:
  struct Step {
    InodeId id = 0;
    InodeId parent = 0;
    std::size_t above = 0;  // the step of its directory, which comes later; of the root: its own
    std::string name;
    fs::Kind kind = fs::Kind::kFile;
    fs::Attributes attributes;
    bool has_new_attributes = false;
    std::optional<fs::Cid> base;
    std::uint64_t tsize = 0;
    // A file.
    std::uint64_t base_bytes = 0;
    std::uint64_t bytes = 0;
    bool has_new_content = false;
    bool is_left_out = false;
    std::shared_ptr<StagedFile> staged;  // pinned
    std::vector<StagedFile::Piece> pieces;
    // A symbolic link.
    std::string target;
    // A directory.
    std::map<std::string, std::optional<fs::Imported>> entries;  // that become something else

    std::optional<fs::Imported> made;
  };

  static Step step_of(const PendingNode& node);
  static Result<fs::Imported, Explained> make(const Step& step, Staging& staging,
                                              fs::BlockSource& source, fs::BlockSink& sink);
  static Result<fs::Imported, Explained> make_file(const Step& step, Staging& staging,
                                                   fs::BlockSource& source, fs::BlockSink& sink);

  Generation generation_ = 0;
  std::vector<Step> steps_;        // what is in a directory before it
  std::vector<InodeId> left_out_;  // files that have no step, or one that is left out
};

}  // namespace rosebud::mount
