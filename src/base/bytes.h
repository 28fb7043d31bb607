// Byte vocabulary: owned bytes, views, fixed-size arrays, and shared immutable buffers.
//
// `Buffer` is how block bytes travel through the system without being copied: one allocation, many
// readers, slices that keep it alive. Nobody may change the bytes after a Buffer was made from
// them.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rosebud {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// Views the characters of `text` as bytes. The view lives as long as what `text` refers to.
inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Views bytes as characters. The view lives as long as what `bytes` refers to.
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }

inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// Exactly N bytes with a type of their own. `Tag` keeps a key from being mistaken for a digest of
/// the same length. Ordered as a big-endian number. Value-initialised to zero.
template <std::size_t N, typename Tag>
struct FixedBytes {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};

  /// Word by word: ids are compared all the time, and a call of memcmp takes longer than comparing.
  friend std::strong_ordering operator<=>(const FixedBytes& a, const FixedBytes& b) {
    for (std::size_t at = 0; at + 8 <= N; at += 8) {
      if (a.word(at) != b.word(at)) return a.word(at) <=> b.word(at);
    }
    for (std::size_t at = N - N % 8; at < N; ++at) {
      if (a.bytes[at] != b.bytes[at]) return a.bytes[at] <=> b.bytes[at];
    }
    return std::strong_ordering::equal;
  }
  friend bool operator==(const FixedBytes& a, const FixedBytes& b) { return (a <=> b) == 0; }

  ByteView view() const { return bytes; }
  /// The first eight bytes as a number: ascends with the value.
  std::uint64_t leading_bits() const {
    static_assert(N >= 8);
    return word(0);
  }
  bool is_zero() const { return *this == FixedBytes{}; }

  /// Returns nothing unless `view` is exactly N bytes long.
  static std::optional<FixedBytes> from(ByteView view) {
    if (view.size() != N) return std::nullopt;
    FixedBytes out;
    std::memcpy(out.bytes.data(), view.data(), N);
    return out;
  }

 private:
  /// The eight bytes from `at`, as a big-endian number.
  std::uint64_t word(std::size_t at) const {
    std::uint64_t out = 0;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return std::endian::native == std::endian::little ? std::byteswap(out) : out;
  }
};

/// Immutable bytes with shared ownership; neither copying nor slicing copies them.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Bytes bytes) {
    auto owner = std::make_shared<const Bytes>(std::move(bytes));
    view_ = *owner;
    owner_ = std::move(owner);
  }
  /// Takes part in the ownership of `owner`, which must keep `view` valid.
  Buffer(std::shared_ptr<const void> owner, ByteView view)
      : owner_(std::move(owner)), view_(view) {}

  static Buffer copy_of(ByteView view);

  ByteView view() const { return view_; }
  operator ByteView() const& { return view_; }
  operator ByteView() && = delete;  // it would outlive the bytes
  const std::uint8_t* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

  /// Requires: offset + length <= size().
  Buffer slice(std::size_t offset, std::size_t length) const;

  friend bool operator==(const Buffer& a, const Buffer& b) {
    return (a.data() == b.data() && a.size() == b.size()) || equal(a.view_, b.view_);
  }

 private:
  std::shared_ptr<const void> owner_;
  ByteView view_;
};

/// Lower-case hexadecimal, two characters a byte.
std::string to_hex(ByteView bytes);

/// Returns nothing for an odd length or a character that is no hexadecimal digit (either case is
/// accepted).
std::optional<Bytes> from_hex(std::string_view text);

/// RFC 4648 base32, lower case, no padding: the alphabet of CIDv1 text.
std::string to_base32(ByteView bytes);

/// Returns nothing for characters outside the alphabet or non-zero left-over bits.
std::optional<Bytes> from_base32(std::string_view text);

}  // namespace rosebud
