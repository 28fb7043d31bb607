// Blocks in memory, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "fs/reader.h"

namespace rosebud::fs {

/// Keeps blocks, or only their number.
class Blocks final : public BlockSink, public BlockSource {
 public:
  explicit Blocks(bool keeps_leaves = true) : keeps_leaves_(keeps_leaves) {}
  Status<Explained> put(const Cid& cid, Buffer block) override {
    for (const auto& link : links_of(cid, block)) {
      EXPECT_TRUE(!keeps_leaves_ || blocks.contains(link.cid)) << "a parent came before its child";
    }
    if (keeps_leaves_ || cid.codec == Codec::kDagPb) blocks[cid] = std::move(block);
    return {};
  }
  Result<Buffer, Explained> get(const Cid& cid) override {
    const auto at = blocks.find(cid);
    if (at == blocks.end()) return fail(Explained{.what = "not here"});
    return at->second;
  }
  std::map<Cid, Buffer> blocks;

 private:
  static std::vector<Link> links_of(const Cid& cid, const Buffer& block) {
    if (cid.codec == Codec::kRaw) return {};
    return DagNode::decode(block.view())->links;
  }
  bool keeps_leaves_;
};

}  // namespace rosebud::fs
