// Signed statements, holds, objects and the genesis: one encoding each, whatever comes.
#include <cstdlib>

#include "membership/genesis.h"
#include "wire/object.h"

namespace {

template <typename T>
void check(rosebud::ByteView input) {
  const auto decoded = T::decode(input);
  if (decoded && !rosebud::equal(decoded->encode(), input)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rosebud;
  const ByteView input(data, size);
  check<wire::AdmissionStatement>(input);
  check<wire::HoldStatement>(input);
  check<wire::RecordStatement>(input);
  check<wire::CompletenessStatement>(input);
  check<wire::Hold>(input);
  check<membership::Genesis>(input);
  check<membership::SignedGenesis>(input);
  wire::StoredObject object;
  if (wire::decode_object_meta(input, object) && !equal(wire::encode_object_meta(object), input))
    std::abort();
  return 0;
}
