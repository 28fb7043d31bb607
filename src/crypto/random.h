// A generator for what needs no key: whom to ask first, nonces of requests, pauses, secrets of hash
// tables.
#pragma once

#include "base/random.h"

namespace rosebud::crypto {

/// Seeded by the operating system: no two are alike, and no one outside knows the seed.
Random random_from_system();

}  // namespace rosebud::crypto
