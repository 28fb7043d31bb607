// The store of one node: loads from memory and synced commits.
#include <benchmark/benchmark.h>

#include <filesystem>

#include "base/random.h"
#include "base/temporary_folder.h"
#include "disk/store.h"

namespace rosebud::disk {
namespace {

class Fixture : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State&) override {
    folder_.emplace();
    auto opened = Store::open({.path = folder_->path() / "db", .reserve_bytes = 0});
    if (!opened) std::abort();
    store_ = std::move(*opened);
  }
  void TearDown(const benchmark::State&) override {
    store_.reset();
    folder_.reset();
  }

 protected:
  wire::PutObject block(std::size_t size) {
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random_.next());
    const auto id = wire::ObjectId::block(crypto::sha256(bytes));
    const auto key = crypto::SecretKey::generate();
    wire::Hold hold{
        .statement = wire::sign(crypto::model_scheme(), key, wire::HoldStatement{.count = 1}),
        .size = size};
    wire::PutObject out{
        .object = {.id = id, .holds = {std::move(hold)}, .content = Buffer(std::move(bytes))}};
    out.content_size = size;
    return out;
  }
  bool commit(wire::StorageWrite write) {
    const std::vector<wire::StorageWrite> writes{std::move(write)};
    return store_->commit({&writes}).has_value();
  }

  Random random_{1};
  std::optional<TemporaryFolder> folder_;
  std::unique_ptr<Store> store_;
};

BENCHMARK_DEFINE_F(Fixture, Load)(benchmark::State& state) {
  std::vector<wire::ObjectId> ids;
  for (int i = 0; i < 200; ++i) {
    wire::PutObject put = block(static_cast<std::size_t>(state.range(0)));
    ids.push_back(put.object.id);
    if (!commit(std::move(put))) return state.SkipWithError("commit failed");
  }
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(store_->load(ids[++at % ids.size()], wire::LoadPart::kAll));
}
BENCHMARK_REGISTER_F(Fixture, Load)->Arg(1 << 10)->Arg(1 << 20);

BENCHMARK_DEFINE_F(Fixture, SyncedCommit)(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    wire::PutObject put = block(size);
    state.ResumeTiming();
    if (!commit(std::move(put))) return state.SkipWithError("commit failed");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK_REGISTER_F(Fixture, SyncedCommit)->Arg(1 << 10)->Arg(1 << 20)->UseRealTime();

}  // namespace
}  // namespace rosebud::disk
