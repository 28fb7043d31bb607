// The first frame in each direction of a connection of a group: who asks, for which group, and
// whether it is let in (docs/format/replication.md). TLS has proven a key.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "pbft/types.h"

namespace rosebud::replication {

inline constexpr std::uint16_t kProtocolVersion = 1;

enum class Role : std::uint8_t { kReplica = 1, kClient = 2 };

struct Hello {
  std::uint16_t version = kProtocolVersion;
  pbft::InstanceId instance;
  Role role = Role::kClient;

  Bytes encode() const;
  static std::optional<Hello> decode(ByteView bytes);
};

enum class HelloVerdict : std::uint8_t {
  kWelcome = 0,
  kOtherGroup = 1,
  kOtherVersion = 2,
  kNoMember = 3,  // the group has no replica with this key
};
/// For a person.
std::string_view text_of(HelloVerdict verdict);

Bytes encode(HelloVerdict verdict);
std::optional<HelloVerdict> decode_verdict(ByteView bytes);
/// Welcome; or the words of a refusal, none for what makes no sense.
Status<std::string> judge_verdict(ByteView bytes);

}  // namespace rosebud::replication
