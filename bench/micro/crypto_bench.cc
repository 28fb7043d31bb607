// Hashes and signatures.
#include <benchmark/benchmark.h>

#include "crypto/remembering_scheme.h"

namespace rosebud::crypto {
namespace {

void Sha256(benchmark::State& state) {
  const Bytes bytes(static_cast<std::size_t>(state.range(0)), 7);
  for (auto _ : state) benchmark::DoNotOptimize(sha256(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Sha256)->Arg(128)->Arg(1 << 10)->Arg(64 << 10)->Arg(1 << 20);

void Sign(benchmark::State& state) {
  const SecretKey key = SecretKey::generate();
  const Bytes message(200, 1);
  for (auto _ : state) benchmark::DoNotOptimize(ed25519().sign(key, "bench", message));
}
BENCHMARK(Sign);

void Verify(benchmark::State& state, const SignatureScheme& scheme) {
  const SecretKey key = SecretKey::generate();
  const Bytes message(200, 1);
  const Signature signature = ed25519().sign(key, "bench", message);
  for (auto _ : state)
    benchmark::DoNotOptimize(scheme.verify(key.public_key(), "bench", message, signature));
}
void VerifyFirst(benchmark::State& state) { Verify(state, ed25519()); }
BENCHMARK(VerifyFirst);
void VerifyAgain(benchmark::State& state) { Verify(state, RememberingScheme(ed25519())); }
BENCHMARK(VerifyAgain);

}  // namespace
}  // namespace rosebud::crypto
