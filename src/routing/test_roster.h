// A roster of random members, for tests.
#pragma once

#include <memory>

#include "base/random.h"
#include "routing/roster.h"

namespace rosebud::routing {

inline std::shared_ptr<const Roster> random_roster(Random& random, std::uint32_t size) {
  std::vector<Member> members(size);
  for (Member& one : members) {
    one.at = random.next();
    for (auto& byte : one.key.bytes) byte = static_cast<std::uint8_t>(random.next());
    one.address.ip[10] = one.address.ip[11] = 0xff;
    one.address.ip[15] = static_cast<std::uint8_t>(random.next());
    one.address.port = static_cast<std::uint16_t>(random.between(1, 60000));
  }
  return std::make_shared<const Roster>(std::move(members));
}

}  // namespace rosebud::routing
