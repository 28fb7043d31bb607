// Epochs verified by headers alone: F = 1, four seats that all signed, three signatures looked at.
#include <benchmark/benchmark.h>

#include "base/parallel.h"
#include "crypto/believes_everything.h"
#include "membership/test_chain.h"

namespace rosebud::membership {
namespace {

const std::vector<SignedHeader>& headers() {
  static const std::vector<SignedHeader> made = [] {
    TestChain chain(crypto::ed25519());
    std::vector<SignedHeader> out;
    while (out.size() < kEpochBatch) out.push_back(without_body(chain.next()));
    return out;
  }();
  return made;
}

void VerifyHeaders(benchmark::State& state, const ForEach& for_each) {
  const auto genesis = TestCluster(crypto::ed25519()).first();
  for (auto _ : state) {
    HeaderChain chain(*genesis);
    const auto appended = chain.append(headers(), crypto::ed25519(), for_each);
    if (appended.problem) state.SkipWithError("the chain does not verify");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(headers().size()));
}
void VerifyHeadersOnOneCore(benchmark::State& state) { VerifyHeaders(state, for_each_in_order); }
BENCHMARK(VerifyHeadersOnOneCore)->UseRealTime();
void VerifyHeadersOnAllCores(benchmark::State& state) {
  VerifyHeaders(state, for_each_in_parallel);
}
BENCHMARK(VerifyHeadersOnAllCores)->UseRealTime();

/// What it costs beside the signatures: decoding, hashing, links.
void LinkHeaders(benchmark::State& state) {
  const crypto::BelievesEverything scheme;
  const auto genesis = TestCluster(crypto::ed25519()).first();
  for (auto _ : state) {
    HeaderChain chain(*genesis);
    benchmark::DoNotOptimize(chain.append(headers(), scheme));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(headers().size()));
}
BENCHMARK(LinkHeaders)->UseRealTime();

}  // namespace
}  // namespace rosebud::membership
