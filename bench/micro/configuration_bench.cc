// Configurations of many members: the next one made of the one before, and one made anew. 32 of the
// members are replaced by others.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "base/check.h"
#include "membership/full_members.h"
#include "membership/test_cluster.h"

namespace rosebud::membership {
namespace {

constexpr std::size_t kReplaced = 32;
constexpr std::size_t kOrganisations = 64;

crypto::Digest digest(std::string_view tag, std::size_t number) {
  return crypto::Hasher(tag).update_u64(number).finish();
}

/// Keys are hashes: nobody signs anything here.
Node member(std::size_t number) {
  return {.name = "node" + std::to_string(number),
          .key = *wire::NodeKey::from(digest("rosebud bench key", number).view()),
          .organisation = static_cast<std::uint32_t>(number % kOrganisations),
          .directory = *wire::DirectoryId::from(
              digest("rosebud bench directory", number).view().first(wire::DirectoryId::kSize)),
          .address = "node" + std::to_string(number) + ".example.org:7000",
          .capacity_bytes = 1ULL << 40,
          .position_count = kPositionsUsual,
          .admission_randomness = digest("rosebud bench randomness", number / 1000)};
}

ConfigurationParts parts() {
  ConfigurationParts out{.cluster = {}, .number = {wire::Generation(0), wire::Epoch(2)}};
  for (std::size_t i = 0; i < kOrganisations; ++i) {
    out.organisations.push_back(
        {.name = "org" + std::to_string(i),
         .authority = *crypto::PublicKey::from(digest("rosebud bench authority", i).view())});
  }
  return out;
}

crypto::SecretKey epoch_key(std::uint32_t seat) {
  return test_key("bench epoch key " + std::to_string(seat));
}

std::shared_ptr<const Configuration> made_anew(std::size_t count) {
  ConfigurationParts all = parts();
  for (std::size_t i = 0; i < count; ++i) all.nodes.push_back(member(i));
  for (std::uint32_t i = 0; i < 4; ++i)
    all.service.push_back({.node = i, .epoch_key = epoch_key(i).public_key(), .commitment = {}});
  return *Configuration::make(std::move(all));
}

/// The same one for all benchmarks of one size.
const std::shared_ptr<const Configuration>& of_size(std::size_t count) {
  static std::map<std::size_t, std::shared_ptr<const Configuration>> made;
  auto& out = made[count];
  if (!out) out = made_anew(count);
  return out;
}

PlacedNodes replacing(std::size_t count, std::size_t first) {
  PlacedNodes out{.at = {}, .count = count};
  for (std::size_t i = 0; i < kReplaced; ++i) {
    out.at.emplace((i * 7919 + first) % count, member(count + first + i));
  }
  return out;
}

void NextConfiguration(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto current = of_size(count);
  const PlacedNodes change = replacing(count, 0);
  for (auto _ : state) benchmark::DoNotOptimize(Configuration::make(parts(), *current, change));
}
BENCHMARK(NextConfiguration)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// What replacing these makes of `current`, signed by as many as it takes.
Bytes description_of(const Configuration& current) {
  NextEpoch next = same_again(current);
  const std::size_t count = current.nodes().size();
  for (const auto& [place, node] : replacing(count, 100).at) {
    next.body.nodes.remove(current, current.nodes()[place].key);
    next.body.nodes.put(current, node);
  }
  std::vector<SeatKey> keys;
  for (std::uint16_t seat = 0; seat < 3; ++seat)
    keys.push_back({.seat = seat, .key = epoch_key(seat)});
  return make_description(current, next, keys, crypto::ed25519());
}

/// From the bytes of a description, its signatures among them.
void ApplyDescription(benchmark::State& state) {
  const auto current = of_size(static_cast<std::size_t>(state.range(0)));
  const Bytes description = description_of(*current);
  for (auto _ : state) {
    auto made = apply(*current, description, crypto::ed25519());
    CHECK(made.has_value());
    benchmark::DoNotOptimize(made);
  }
  state.counters["bytes"] = static_cast<double>(description.size());
}
BENCHMARK(ApplyDescription)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// Making one part and showing that it belongs to the root.
void MembersInParts(benchmark::State& state) {
  const auto current = of_size(static_cast<std::size_t>(state.range(0)));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const Bytes part = MembersPart::of(*current, 0).encode();
    MembersCollection collection(current->root());
    CHECK(collection.add(part));
    bytes = part.size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(MembersInParts)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void ConfigurationAnew(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(made_anew(static_cast<std::size_t>(state.range(0))));
  }
}
BENCHMARK(ConfigurationAnew)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// Bytes on the heap of the first configuration, and of each of 64 that follow, all of them kept.
void ConfigurationMemory(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const std::size_t empty = mallinfo2().uordblks;
    auto current = made_anew(count);
    const std::size_t first = mallinfo2().uordblks;
    std::vector<std::shared_ptr<const Configuration>> kept{current};
    for (std::size_t epoch = 1; epoch <= 64; ++epoch) {
      current = *Configuration::make(parts(), *current, replacing(count, epoch * kReplaced));
      kept.push_back(current);
    }
    state.counters["first"] = static_cast<double>(first - empty);
    state.counters["next"] = static_cast<double>(mallinfo2().uordblks - first) / 64;
  }
}
BENCHMARK(ConfigurationMemory)->Arg(100'000)->Iterations(1)->Unit(benchmark::kMillisecond);

void GroupOfKey(benchmark::State& state) {
  const auto current = of_size(static_cast<std::size_t>(state.range(0)));
  std::size_t number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(current->group(digest("rosebud bench object", ++number % 4096)));
  }
}
BENCHMARK(GroupOfKey)->Arg(1000)->Arg(100'000);

void ArcsOfNode(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto current = of_size(count);
  std::size_t number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(current->arcs_of(static_cast<std::uint32_t>(++number % count)));
  }
}
BENCHMARK(ArcsOfNode)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace rosebud::membership
