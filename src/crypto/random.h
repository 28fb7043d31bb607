// A generator for whatever needs no secret: whom to ask first, nonces of requests, pauses.
#pragma once

#include "base/random.h"

namespace rosebud::crypto {

/// Seeded by the operating system: no two are alike, and no one outside knows the seed.
Random random_from_system();

}  // namespace rosebud::crypto
