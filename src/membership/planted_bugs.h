// Planted bugs (base/planted.h) of the chain of epochs. service/planted_bugs.h lists them: the
// simulator of the service strains them.
#pragma once

#include <cstdint>

#include "base/planted.h"

namespace rosebud::membership {

enum class Bug : std::uint8_t {
  kFewSignaturesMakeAnEpoch,  // F of them instead of 2F+1 (design 7)
};

}  // namespace rosebud::membership
