// A PBFT replica that votes for two things: what it says once more, to the same effect but about
// something else, signed with its own key.
//
// For nodes of development clusters (`rosebud dev corrupt --mode equivocate`). The replica's core
// is never touched, and knows nothing of it.
#pragma once

#include <optional>

#include "pbft/types.h"

namespace rosebud::adversary {

/// Of an encoded message that is a prepare or a commit signed with `key`: the same vote for a
/// digest that nobody proposed. Nothing for any other message.
std::optional<Buffer> other_vote(const pbft::InstanceId& instance, const crypto::SecretKey& key,
                                 const crypto::SignatureScheme& scheme, ByteView message);

}  // namespace rosebud::adversary
