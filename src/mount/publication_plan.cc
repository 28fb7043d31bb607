#include "mount/publication_plan.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "fs/edit.h"

namespace rosebud::mount {
namespace {

/// What a file that is being written was when it was pinned. Chunks that nothing was written into
/// are those of the published content, and of holes there is one.
class PinnedContent final : public fs::EditedContent {
 public:
  using From = StagedFile::From;

  /// `published`: so many bytes, or none.
  PinnedContent(const std::vector<StagedFile::Piece>& pieces, Staging& staging,
                FileReader* published, fs::BlockSource& source)
      : pieces_(pieces), staging_(staging), published_(published), source_(source) {}

  std::uint64_t size() const override {
    return pieces_.empty() ? 0 : pieces_.back().offset + pieces_.back().size;
  }

  Status<Explained> read(std::uint64_t offset, std::span<std::uint8_t> into) override {
    while (!into.empty()) {
      const StagedFile::Piece& piece = *piece_at(offset);
      const std::uint64_t left = piece.offset + piece.size - offset;
      const auto part =
          into.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size())));
      if (auto filled = fill(piece, offset, part); !filled) return filled;
      offset += part.size();
      into = into.subspan(part.size());
    }
    return {};
  }

  Result<std::optional<fs::Leaf>, Explained> leaf_at(std::uint64_t offset,
                                                     fs::BlockSink& sink) override {
    const auto piece = piece_at(offset);
    if (piece == pieces_.end() || piece->from == From::kStaged) return std::nullopt;
    const std::uint64_t left = piece->offset + piece->size - offset;
    if (piece->from == From::kZeros) return hole(left, sink);
    auto leaf = published_->leaf_at(offset, source_);
    if (!leaf || !*leaf) return leaf;
    const std::uint64_t end = offset + (*leaf)->bytes;
    // The last one was cut by the end of the file, which may be elsewhere now.
    const bool is_cut_so = end != published_->size() || end == size();
    if ((*leaf)->bytes > left || !is_cut_so) leaf->reset();
    return leaf;
  }

 private:
  using Pieces = std::vector<StagedFile::Piece>;

  Pieces::const_iterator piece_at(std::uint64_t offset) const {
    return std::ranges::upper_bound(pieces_, offset, {},
                                    [](const auto& piece) { return piece.offset + piece.size; });
  }

  Result<std::optional<fs::Leaf>, Explained> hole(std::uint64_t left, fs::BlockSink& sink) {
    static const std::size_t cut = fs::content_cut(Bytes(fs::kChunkSize));
    if (left < cut) return std::nullopt;
    if (!zeros_) {
      Bytes bytes(cut);
      zeros_ = fs::Leaf{.cid = fs::Cid::of(fs::Codec::kRaw, bytes), .bytes = cut};
      if (auto put = sink.put(zeros_->cid, Buffer(std::move(bytes))); !put)
        return fail(put.error());
    }
    return zeros_;
  }

  Status<Explained> fill(const StagedFile::Piece& piece, std::uint64_t offset,
                         std::span<std::uint8_t> into) {
    switch (piece.from) {
      case From::kZeros:
        std::ranges::fill(into, std::uint8_t{0});
        return {};
      case From::kStaged:
        if (staging_.read(piece.place + (offset - piece.offset), into)) return {};
        return fail(Explained{.what = "what was written cannot be read from this machine's disk"});
      case From::kPublished:
        break;
    }
    CHECK(published_);
    const auto found = published_->read(offset, into.size(), source_);
    if (!found) return fail(found.error());
    std::size_t filled = 0;
    for (const Buffer& part : *found) {
      std::ranges::copy(part.view(), into.begin() + static_cast<std::ptrdiff_t>(filled));
      filled += part.size();
    }
    if (filled == into.size()) return {};
    return fail(Explained{.what = "a published file is shorter than it says",
                          .trouble = Trouble::kIntegrity});
  }

  const Pieces& pieces_;
  Staging& staging_;
  FileReader* published_;
  fs::BlockSource& source_;
  std::optional<fs::Leaf> zeros_;
};

/// Of a hole all nodes of one level are the same.
class WithoutRepeats final : public fs::BlockSink {
 public:
  explicit WithoutRepeats(fs::BlockSink& sink) : sink_(sink) {}
  Status<Explained> put(const fs::Cid& cid, Buffer block) override {
    if (std::ranges::find(recent_, cid) != recent_.end()) return {};
    recent_[next_++ % recent_.size()] = cid;
    return sink_.put(cid, std::move(block));
  }

 private:
  fs::BlockSink& sink_;
  std::array<std::optional<fs::Cid>, 16> recent_;
  std::size_t next_ = 0;
};

}  // namespace

PublicationPlan::Step PublicationPlan::step_of(const PendingNode& node) {
  Step out{.id = node.id,
           .parent = node.parent,
           .name = node.name,
           .kind = node.kind,
           .attributes = node.attributes,
           .has_new_attributes = node.has_new_attributes,
           .base = node.base,
           .tsize = node.tsize,
           .base_bytes = node.base_bytes,
           .bytes = node.bytes(),
           .target = node.target};
  for (const auto& [name, since] : node.hidden) out.entries.emplace(name, std::nullopt);
  if (node.kind != fs::Kind::kFile) return out;
  out.has_new_content = !node.base || (node.staged && node.staged->is_changed());
  if (node.staged && out.has_new_content) {
    out.staged = node.staged;
    out.staged->pin();
    out.pieces = node.staged->pieces(0, node.staged->size());
  } else if (out.bytes > 0) {
    out.pieces.push_back({.from = StagedFile::From::kPublished, .offset = 0, .size = out.bytes});
  }
  return out;
}

PublicationPlan::PublicationPlan(PendingTree& tree, InWork in_work, bool is_awaited)
    : generation_(tree.begin_generation()) {
  CHECK(tree.has_changes());
  // Directories before what is in them, then the other way round.
  steps_.push_back(step_of(tree.root()));
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].kind != fs::Kind::kDirectory) continue;
    for (const auto& [name, id] : tree.find(steps_[i].id)->children) {
      PendingNode& child = *tree.find(id);
      if (!child.is_changed) continue;
      // The kernel says that a file was closed some time after it was.
      const bool is_done = !child.is_in_work() || (is_awaited && child.is_flushed);
      const bool is_left_out = !is_done && in_work != InWork::kTaken;
      child.is_wanted = false;  // whoever wants it later waits for the next
      if (is_left_out) left_out_.push_back(id);
      if (is_left_out && child.is_added) {
        // Until it is done, what it takes the place of stays; what is published of it moves along.
        if (child.published) {
          steps_[i].entries.insert_or_assign(name, child.published);
        } else {
          steps_[i].entries.erase(name);
        }
      }
      if (is_left_out && in_work == InWork::kLeftOut) continue;
      steps_.push_back(step_of(child));
      steps_.back().above = i;
      steps_.back().is_left_out = is_left_out;
    }
  }
  std::ranges::reverse(steps_);
  for (Step& step : steps_) step.above = steps_.size() - 1 - step.above;
}

Result<fs::Imported, Explained> PublicationPlan::make_file(const Step& step, Staging& staging,
                                                           fs::BlockSource& source,
                                                           fs::BlockSink& sink) {
  if (!step.has_new_content && !step.has_new_attributes)
    return fs::Imported{.cid = *step.base, .tsize = step.tsize, .bytes = step.bytes};
  if (!step.has_new_content && step.base->codec != fs::Codec::kRaw) {
    // They stand in its uppermost node, so the content is not moved.
    auto node = fs::get_node(*step.base, source);
    if (!node) return fail(node.error());
    node->attributes = step.attributes;
    return fs::put_node(*node, sink);
  }
  std::optional<FileReader> published;
  if (step.base) published.emplace(*step.base, step.base_bytes);
  PinnedContent content(step.pieces, staging, published ? &*published : nullptr, source);
  WithoutRepeats each_once(sink);
  return fs::import_edited(content, each_once, step.attributes);
}

Result<fs::Imported, Explained> PublicationPlan::make(const Step& step, Staging& staging,
                                                      fs::BlockSource& source,
                                                      fs::BlockSink& sink) {
  switch (step.kind) {
    case fs::Kind::kFile:
      return make_file(step, staging, source, sink);
    case fs::Kind::kSymlink:
      if (step.base && !step.has_new_attributes)
        return fs::Imported{.cid = *step.base, .tsize = step.tsize};
      return fs::import_symlink(step.target, sink, step.attributes);
    case fs::Kind::kDirectory:
      break;
  }
  std::vector<fs::EntryChange> changes;
  changes.reserve(step.entries.size());
  for (const auto& [name, becomes] : step.entries)
    changes.push_back({.name = name, .becomes = becomes});
  return fs::edit_directory(step.base, changes, step.attributes, source, sink);
}

Result<fs::Imported, Explained> PublicationPlan::store(Staging& staging, fs::BlockSource& source,
                                                       fs::BlockSink& sink) {
  for (Step& step : steps_) {
    auto made = make(step, staging, source, sink);
    if (!made) return made;
    step.made = *made;
    Step& above = steps_[step.above];
    if (&above != &step && !step.is_left_out) above.entries.insert_or_assign(step.name, *made);
  }
  return *steps_.back().made;
}

void PublicationPlan::carry_over(PendingTree& tree) {
  for (const Step& step : steps_) {
    PendingNode* const node = tree.find(step.id);
    if (!node || node->is_removed()) continue;
    const bool is_at_its_place = node->parent == step.parent && node->name == step.name;
    if (is_at_its_place && !step.is_left_out) {
      node->is_added = false;
      // It may have been elsewhere meanwhile.
      if (PendingNode* const above = tree.find(node->parent)) above->hidden.erase(node->name);
    }
    if (node->is_directory()) {
      tree.rebase(*node, *step.made, generation_);
    } else {
      node->base = step.made->cid;
      node->tsize = step.made->tsize;
      if (!step.is_left_out) node->published = *step.made;
    }
    const bool has_changed = tree.has_changed_after(*node, generation_);
    if (node->kind == fs::Kind::kFile) {
      node->base_bytes = step.bytes;
      node->reader.reset();
      if (!has_changed) node->staged.reset();
      if (node->staged && node->staged == step.staged) node->staged->rebase(step.bytes);
    }
    if (!has_changed && !step.is_left_out) tree.mark_published(*node);
  }
  for (const InodeId id : left_out_) {
    if (PendingNode* const node = tree.find(id)) tree.mark_changed(*node);
  }
  // Those that only the change kept.
  for (const Step& step : steps_) tree.forget_unneeded(step.id);
}

void PublicationPlan::release() {
  for (Step& step : steps_) {
    if (step.staged) step.staged->unpin();
    step.staged.reset();
  }
}

}  // namespace rosebud::mount
