#include "wire/cursor.h"

#include <array>

#include "base/check.h"

namespace rosebud::wire {
namespace {

template <typename Number>
void append(Bytes& out, Number value) {
  std::array<std::uint8_t, sizeof(Number)> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> 8 * (bytes.size() - 1 - i));
  }
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename Number>
Number number_of(ByteView bytes) {
  Number value = 0;
  for (std::uint8_t byte : bytes) value = static_cast<Number>((value << 8) | byte);
  return value;
}

template <>
std::uint8_t number_of<std::uint8_t>(ByteView bytes) {
  return bytes.empty() ? std::uint8_t{0} : bytes[0];
}

}  // namespace

Writer& Writer::u8(std::uint8_t value) {
  out_.push_back(value);
  return *this;
}

Writer& Writer::u16(std::uint16_t value) {
  append(out_, value);
  return *this;
}

Writer& Writer::u32(std::uint32_t value) {
  append(out_, value);
  return *this;
}

Writer& Writer::u64(std::uint64_t value) {
  append(out_, value);
  return *this;
}

Writer& Writer::raw(ByteView bytes) {
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  return *this;
}

Writer& Writer::bytes16(ByteView bytes) {
  CHECK(bytes.size() <= 0xffff);
  return u16(static_cast<std::uint16_t>(bytes.size())).raw(bytes);
}

Writer& Writer::bytes32(ByteView bytes) {
  CHECK(bytes.size() <= 0xffffffff);
  return u32(static_cast<std::uint32_t>(bytes.size())).raw(bytes);
}

ByteView Reader::raw(std::size_t size) {
  if (failed_ || size > rest_.size()) {
    failed_ = true;
    return {};
  }
  const ByteView out = rest_.first(size);
  rest_ = rest_.subspan(size);
  return out;
}

std::uint8_t Reader::u8() { return number_of<std::uint8_t>(raw(1)); }
std::uint16_t Reader::u16() { return number_of<std::uint16_t>(raw(2)); }
std::uint32_t Reader::u32() { return number_of<std::uint32_t>(raw(4)); }
std::uint64_t Reader::u64() { return number_of<std::uint64_t>(raw(8)); }

ByteView Reader::bytes16(std::size_t size_max) {
  const std::size_t size = u16();
  if (size > size_max) fail();
  return raw(size);
}

ByteView Reader::bytes32(std::size_t size_max) {
  const std::size_t size = u32();
  if (size > size_max) fail();
  return raw(size);
}

}  // namespace rosebud::wire
