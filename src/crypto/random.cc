#include "crypto/random.h"

#include "crypto/signature.h"

namespace rosebud::crypto {

Random random_from_system() {
  std::uint64_t seed = 0;
  fill_random({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  return Random(seed);
}

}  // namespace rosebud::crypto
