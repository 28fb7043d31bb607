// UnixFS nodes, ids and directories made by strangers.
#include <cstdlib>

#include "fs/diff.h"
#include "fs/tree.h"

namespace {

/// Every id leads to the input: a DAG that contains itself as often as it likes.
class Everywhere final : public rosebud::fs::BlockSource {
 public:
  explicit Everywhere(rosebud::Buffer block) : block_(std::move(block)) {}
  rosebud::Result<rosebud::Buffer, rosebud::Explained> get(const rosebud::fs::Cid&) override {
    if (++asked_ > 100) return rosebud::fail(rosebud::Explained{.what = "enough"});
    return block_;
  }

 private:
  rosebud::Buffer block_;
  int asked_ = 0;
};

/// Whatever the tree is: a change is made or refused, and one that is made can be seen.
void edit(rosebud::ByteView input) {
  using namespace rosebud;
  const fs::Imported file{.cid = {.codec = fs::Codec::kRaw}, .tsize = 7, .bytes = 7};
  const fs::ModificationTime now{.seconds = 1};
  Everywhere source(Buffer::copy_of(input));
  fs::Tree tree(fs::Cid{.codec = fs::Codec::kDagPb}, source);
  for (const fs::TreePath& path : {fs::TreePath{"a"}, fs::TreePath{"a", "b"}, fs::TreePath{"c"}}) {
    const fs::Cid before = tree.root();
    if (!tree.put(path, file, now)) {
      if (tree.root() != before) std::abort();
      continue;
    }
    const auto there = tree.find(path);
    if (!there || !*there || (*there)->cid != file.cid) std::abort();
    if (!tree.rename(path, {"moved"}, now)) continue;
    const auto gone = tree.find(path);
    if (!gone || *gone || !*tree.find({"moved"})) std::abort();
    if (!tree.remove({"moved"}, fs::Tree::Below::kMustBeEmpty, now)) std::abort();
  }
  Everywhere other(Buffer::copy_of(input));
  fs::Tree again(fs::Cid{.codec = fs::Codec::kDagPb}, other);
  (void)again.remove({"a"}, fs::Tree::Below::kGoesToo, now);
}

/// One id leads to the first half of the input, every other one to the second.
class Halves final : public rosebud::fs::BlockSource {
 public:
  Halves(rosebud::ByteView input, const rosebud::fs::Cid& first)
      : first_(first),
        halves_{rosebud::Buffer::copy_of(input.first(input.size() / 2)),
                rosebud::Buffer::copy_of(input.subspan(input.size() / 2))} {}
  rosebud::Result<rosebud::Buffer, rosebud::Explained> get(const rosebud::fs::Cid& cid) override {
    if (++asked_ > 200) return rosebud::fail(rosebud::Explained{.what = "enough"});
    return halves_[cid == first_ ? 0 : 1];
  }

 private:
  rosebud::fs::Cid first_;
  rosebud::Buffer halves_[2];
  int asked_ = 0;
};

/// Whatever the trees are: it ends, and says of each difference what it has to.
void compare(rosebud::ByteView input) {
  using namespace rosebud;
  using What = fs::TreeDifference::What;
  const fs::Cid first{.codec = fs::Codec::kDagPb};
  fs::Cid second = first;
  second.digest = crypto::sha256(input);
  Halves source(input, first);
  (void)fs::diff_trees(fs::Link{.name = {}, .cid = first}, fs::Link{.name = {}, .cid = second},
                       source,
                       [](const fs::TreeDifference& difference) -> Status<Explained> {
                         if (difference.before.has_value() == (difference.what == What::kAdded))
                           std::abort();
                         if (difference.after.has_value() == (difference.what == What::kRemoved))
                           std::abort();
                         return {};
                       },
                       {.entries_max = 1000});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rosebud;
  const ByteView input(data, size);
  (void)fs::Cid::parse(as_text(input));
  (void)fs::Cid::from_binary(input);
  if (const auto node = fs::DagNode::decode(input)) {
    const auto again = fs::DagNode::decode(node->encode());
    if (!again || again->attributes != node->attributes || again->links != node->links)
      std::abort();
  }
  const fs::Cid cid{.codec = fs::Codec::kDagPb};
  Everywhere list(Buffer::copy_of(input));
  (void)fs::list_directory(cid, list);
  Everywhere read(Buffer::copy_of(input));
  edit(input);
  compare(input);
  (void)fs::read_file(cid, read, [](ByteView) -> Status<Explained> { return {}; });
  return 0;
}
