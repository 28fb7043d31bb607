// Hashing keys that others choose, and a table of them for cores.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/random.h"

namespace rosebud {

/// Multilinear over words of four bytes, with secret multipliers: two keys collide with a
/// probability of some 2^-32 whoever chose them, as long as the secret is one [Dietzfelbinger96].
/// Suppose a table took the first bytes of a digest for its hash: whoever makes digests up would
/// put all of them into one bucket. The same secret gives the same hashes everywhere.
class KeyedHash {
 public:
  explicit KeyedHash(std::uint64_t secret) {
    Random random(secret);
    for (std::uint64_t& one : multipliers_) one = random.next();
  }

  template <std::size_t N, typename Tag>
  std::size_t operator()(const FixedBytes<N, Tag>& key) const noexcept {
    static_assert(N % 4 == 0 && N / 4 < kWordsMax);
    std::uint64_t sum = multipliers_[kWordsMax - 1];
    for (std::size_t i = 0; i < N / 4; ++i) {
      std::uint32_t word = 0;
      std::memcpy(&word, key.bytes.data() + 4 * i, sizeof word);
      sum += multipliers_[i] * word;
    }
    return sum >> 32U;
  }

 private:
  static constexpr std::size_t kWordsMax = 9;
  std::array<std::uint64_t, kWordsMax> multipliers_{};
};

/// A hash table that cannot be walked through: so nothing that a core does depends on the order of
/// what is in it, and equal inputs give equal effects on every library.
template <typename Key, typename Value, typename Hash = KeyedHash>
class KeyedTable {
 public:
  explicit KeyedTable(std::uint64_t secret) : entries_(0, Hash(secret)) {}

  /// Owned by the table, until it changes; nothing when the key is not there.
  const Value* find(const Key& key) const {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second;
  }
  /// Made in its first state when it is not there. Owned as above.
  Value& operator[](const Key& key) { return entries_[key]; }
  /// False, and nothing changed, when the key is there.
  bool emplace(const Key& key, Value value) {
    return entries_.emplace(key, std::move(value)).second;
  }
  /// False: it was not there.
  bool erase(const Key& key) { return entries_.erase(key) > 0; }
  void clear() { entries_.clear(); }
  std::size_t size() const { return entries_.size(); }

 private:
  // Beside each other in memory: tables of nodes cost a miss of the cache for each step.
  boost::unordered_flat_map<Key, Value, Hash> entries_;
};

}  // namespace rosebud
