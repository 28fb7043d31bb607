// What a replica asks its driver to do, in order.
//
// Order means durability: what is sent or replied after a Persist leaves only when that Persist is
// on disk, whichever input it came from (design 7). The driver may gather many of them into one
// sync. It says what is on disk (Replica::on_durable), since that is when a commit of the replica's
// own counts. A driver that cannot write any more stops the replica, which is a crash, and starts
// it anew from what is on disk.
#pragma once

#include <variant>
#include <vector>

#include "pbft/evidence.h"
#include "pbft/verify.h"

namespace rosebud::pbft {

struct Send {
  ReplicaId to;
  Message message;
};
/// To all other members.
struct Broadcast {
  Message message;
};
struct SendReply {
  ClientId to;  // over whatever links it has; none: dropped, it asks again
  Reply reply;
};
struct Write {
  Bytes key;
  std::optional<Buffer> value;  // nothing: the key is erased
};
/// One atomic commit.
struct Persist {
  std::vector<Write> writes;
};
/// A batch was executed. For who looks on.
struct Executed {
  SequenceNumber number;
  crypto::Digest digest;
  std::size_t requests = 0;
};
/// A replica signed two votes that contradict each other. It is kept durably too.
struct Report {
  Evidence evidence;
};

using Effect = std::variant<Send, Broadcast, SendReply, Persist, Executed, Report>;
using Effects = std::vector<Effect>;

/// What the disk yields at a start: every key with its last value.
struct PersistentState {
  std::vector<std::pair<Bytes, Bytes>> records;
};

}  // namespace rosebud::pbft
