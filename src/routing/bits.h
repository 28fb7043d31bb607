// Bit streams for the overlay's datagrams: a batch of events is mostly numbers of twelve bits.
//
// Most significant bit first; the last byte is filled with zeros, and a reader refuses others, so
// one meaning has one encoding.
#pragma once

#include <bit>

#include "base/bytes.h"

namespace rosebud::routing {

/// Appends to bytes of the caller's.
class BitWriter {
 public:
  explicit BitWriter(Bytes& out) : out_(out) {}

  /// The low `count` bits of `value`. Requires: count <= 32; no bits above.
  void bits(std::uint32_t value, std::uint32_t count) {
    held_ = (held_ << count) | value;
    held_count_ += count;
    while (held_count_ >= 8) {
      held_count_ -= 8;
      out_.push_back(static_cast<std::uint8_t>(held_ >> held_count_));
    }
  }
  void flag(bool value) { bits(value ? 1 : 0, 1); }
  void u64(std::uint64_t value) {
    bits(static_cast<std::uint32_t>(value >> 32), 32);
    bits(static_cast<std::uint32_t>(value), 32);
  }
  /// A number whose size is not known before: five bits of length, then what follows its leading
  /// one. Requires: value < 2^31.
  void number(std::uint32_t value) {
    const auto width = static_cast<std::uint32_t>(std::bit_width(value));
    bits(width, 5);
    if (width > 1) bits(value & ((1U << (width - 1)) - 1), width - 1);
  }
  /// Golomb-Rice: the quotient in unary, then `parameter` bits. Requires: parameter < 32.
  void rice(std::uint32_t value, std::uint32_t parameter) {
    for (std::uint32_t left = value >> parameter; left > 0; --left) bits(1, 1);
    bits(0, 1);
    if (parameter > 0) bits(value & ((1U << parameter) - 1), parameter);
  }
  /// To the next whole byte.
  void align() {
    if (held_count_ > 0) bits(0, 8 - held_count_);
  }

 private:
  Bytes& out_;
  std::uint64_t held_ = 0;
  std::uint32_t held_count_ = 0;
};

/// Reads what a BitWriter wrote. After the first failure it stays failed and yields zeros.
class BitReader {
 public:
  explicit BitReader(ByteView bytes) : bytes_(bytes) {}

  std::uint32_t bits(std::uint32_t count) {
    while (held_count_ < count) {
      if (at_ == bytes_.size()) {
        is_failed_ = true;
        return 0;
      }
      held_ = (held_ << 8) | bytes_[at_++];
      held_count_ += 8;
    }
    held_count_ -= count;
    return static_cast<std::uint32_t>((held_ >> held_count_) & ((std::uint64_t{1} << count) - 1));
  }
  bool flag() { return bits(1) != 0; }
  std::uint64_t u64() {
    const std::uint64_t high = bits(32);
    return (high << 32) | bits(32);
  }
  std::uint32_t number() {
    const std::uint32_t width = bits(5);
    if (width <= 1) return width;
    return (1U << (width - 1)) | bits(width - 1);
  }
  /// Fails above `value_max`, before it takes longer than that is worth.
  std::uint32_t rice(std::uint32_t parameter, std::uint32_t value_max) {
    std::uint32_t quotient = 0;
    while (bits(1) == 1 && !is_failed_) {
      if (++quotient > value_max >> parameter) is_failed_ = true;
    }
    if (is_failed_) return 0;
    const std::uint32_t value = (quotient << parameter) | bits(parameter);
    if (value > value_max) is_failed_ = true;
    return is_failed_ ? 0 : value;
  }
  void align() {
    const std::uint32_t filled = held_count_ % 8;
    if (filled > 0 && bits(filled) != 0) is_failed_ = true;
  }
  /// What is left. Requires: aligned.
  ByteView rest() const { return bytes_.subspan(at_ - held_count_ / 8); }

  void fail() { is_failed_ = true; }
  bool ok() const { return !is_failed_; }
  /// Nothing failed and nothing but the filling is left.
  bool done() {
    align();
    return !is_failed_ && at_ == bytes_.size() && held_count_ == 0;
  }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  std::uint64_t held_ = 0;
  std::uint32_t held_count_ = 0;
  bool is_failed_ = false;
};

}  // namespace rosebud::routing
