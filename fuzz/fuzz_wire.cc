// Messages and hellos from anybody: decode within limits, and what decodes encodes again.
#include <cstdlib>

#include "wire/codec.h"
#include "wire/hello.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rosebud;
  const ByteView input(data, size);
  // The first two bytes say how much of the rest is header; what remains is bulk.
  if (size < 2) return 0;
  const std::size_t header_size =
      std::min<std::size_t>((std::size_t{data[0]} << 8) | data[1], size - 2);
  const ByteView header = input.subspan(2, header_size);
  const Buffer bulk = Buffer::copy_of(input.subspan(2 + header_size));
  if (const auto message = wire::decode(header, bulk)) {
    const auto encoded = wire::encode(*message);
    const auto again = wire::decode(encoded.header, encoded.bulk);
    if (!again || wire::encode(*again).header != encoded.header) std::abort();
  }
  if (const auto hello = wire::Hello::decode(header)) {
    if (!equal(hello->encode(), header)) std::abort();
  }
  if (const auto answer = wire::HelloAnswer::decode(header)) {
    if (!equal(answer->encode(), header)) std::abort();
  }
  return 0;
}
