// Cursors for our own canonical encodings: fixed widths, big-endian, lengths in front.
//
// Everything that is signed or hashed is laid out with these and nothing else. A Reader never reads
// past its end: after the first failure it stays failed and yields zeros, so a decoder reads all
// fields and asks done() once at the end.
#pragma once

#include "base/bytes.h"

namespace rosebud::wire {

/// Appends to a byte vector of its own.
class Writer {
 public:
  Writer& u8(std::uint8_t value);
  Writer& u16(std::uint16_t value);
  Writer& u32(std::uint32_t value);
  Writer& u64(std::uint64_t value);
  /// The bytes alone: for fields of fixed length.
  Writer& raw(ByteView bytes);
  /// Two bytes of length, then the bytes. Requires: at most 65535 bytes.
  Writer& bytes16(ByteView bytes);
  /// Four bytes of length, then the bytes.
  Writer& bytes32(ByteView bytes);
  Writer& text(std::string_view text) { return bytes16(as_bytes(text)); }

  Bytes take() { return std::move(out_); }
  const Bytes& bytes() const { return out_; }

 private:
  Bytes out_;
};

/// Reads what a Writer wrote. Views that it returns live as long as the bytes it was made from.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  ByteView raw(std::size_t size);
  /// A length over `size_max` is a failure.
  ByteView bytes16(std::size_t size_max);
  ByteView bytes32(std::size_t size_max);
  std::string text(std::size_t size_max) { return std::string(as_text(bytes16(size_max))); }

  template <typename Fixed>
  Fixed fixed() {
    return Fixed::from(raw(Fixed::kSize)).value_or(Fixed{});
  }

  /// For a value that the decoder finds impossible.
  void fail() { failed_ = true; }
  bool ok() const { return !failed_; }
  /// True when nothing failed and nothing is left: trailing bytes make an encoding invalid.
  bool done() const { return !failed_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  ByteView rest_;
  bool failed_ = false;
};

}  // namespace rosebud::wire
