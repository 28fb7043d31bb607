// UnixFS nodes, ids and directories made by strangers.
#include <cstdlib>

#include "fs/reader.h"

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
  (void)fs::read_file(cid, read, [](ByteView) -> Status<Explained> { return {}; });
  return 0;
}
