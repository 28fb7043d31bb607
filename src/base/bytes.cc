#include "base/bytes.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud {

Buffer Buffer::copy_of(ByteView view) {
  const auto bytes = std::make_shared_for_overwrite<std::uint8_t[]>(view.size());
  std::ranges::copy(view, bytes.get());
  return {bytes, {bytes.get(), view.size()}};
}

Buffer Buffer::slice(std::size_t offset, std::size_t length) const {
  CHECK(offset <= view_.size());
  CHECK(length <= view_.size() - offset);
  Buffer out = *this;
  out.view_ = view_.subspan(offset, length);
  return out;
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

}  // namespace

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base32(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t window = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    window = (window << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out.push_back(kBase32[(window >> bits) & 31]);
    }
    window &= (1u << bits) - 1;
  }
  if (bits > 0) out.push_back(kBase32[(window << (5 - bits)) & 31]);
  return out;
}

std::optional<Bytes> from_base32(std::string_view text) {
  Bytes out;
  out.reserve(text.size() * 5 / 8);
  std::uint32_t window = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kBase32.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    window = (window << 5) | static_cast<std::uint32_t>(digit);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(window >> bits));
      window &= (1u << bits) - 1;
    }
  }
  // Left-over bits must be padding of less than one digit, and zero, so that one value has one
  // spelling.
  if (bits >= 5 || window != 0) return std::nullopt;
  return out;
}

}  // namespace rosebud
