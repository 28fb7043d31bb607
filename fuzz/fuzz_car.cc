// CAR files made by strangers. What is taken whole must come out and in again as the same blocks.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "fs/car.h"

namespace {

using namespace rosebud;

class Blocks final : public fs::BlockSink, public fs::BlockSource {
 public:
  Status<Explained> put(const fs::Cid& cid, Buffer block) override {
    if (fs::Cid::of(cid.codec, block.view()) != cid) std::abort();
    blocks[cid] = std::move(block);
    return {};
  }
  Result<Buffer, Explained> get(const fs::Cid& cid) override {
    const auto at = blocks.find(cid);
    if (at == blocks.end()) return fail(Explained{.what = "not here"});
    return at->second;
  }
  std::map<fs::Cid, Buffer> blocks;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fs::MemorySource source(ByteView(data, size));
  Blocks taken;
  Blocks store;
  const auto imported = fs::import_car(source, taken, store, {});
  if (!imported) return 0;
  for (const fs::Cid& root : imported->roots) {
    Bytes again;
    const auto exported = fs::export_car(root, taken, [&](ByteView bytes) -> Status<Explained> {
      again.insert(again.end(), bytes.begin(), bytes.end());
      return {};
    });
    if (!exported) std::abort();
    fs::MemorySource from(again);
    Blocks second;
    const auto back = fs::import_car(from, second, store, {});
    if (!back || back->roots != std::vector{root}) std::abort();
  }
  return 0;
}
