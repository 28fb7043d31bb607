// One random run of the object store in virtual time: a workload, faults, then healing, and
// checkers that stand outside.
//
// Safety phase: clients write and read blocks and records, and hold each other's under holds of
// their choice, while up to f organisations' worth of replicas misbehave, nodes crash and restart,
// the network loses, duplicates and parts, and members change. Then network and disks are healed
// and progress is demanded, in half of the seeds while the liars go on. Checked: acknowledged
// blocks are read again byte for byte, and records before anything is written over them; every
// record is linearizable (one writer, versions ordered); once a second, who says that it is
// complete for an epoch holds what was acknowledged before it (design 10); healed operations end
// well; all replicas of a group end with the same objects, undamaged.
#pragma once

#include <string>

#include "sim/world.h"

namespace rosebud::sim {

struct SwarmResult {
  std::string violation;  // empty: none was found
  crypto::Digest trace;
  std::uint64_t events = 0;
  std::uint64_t epochs = 0;  // changes of membership
  std::uint64_t operations = 0;
  std::uint64_t acknowledged = 0;
  std::string story;  // what was chosen: for people
};

/// A seed fixes topology, faults, latencies and workload.
SwarmResult run_seed(std::uint64_t seed);

}  // namespace rosebud::sim
