// The genesis and what followed from any node of a cluster, for whoever knows nothing but the
// cluster id: the genesis is worth what its hash says, every epoch what the one before says.
#pragma once

#include "base/time.h"
#include "membership/genesis.h"

namespace rosebud::client {

struct FetchedEpochs {
  membership::SignedGenesis genesis;
  std::vector<std::shared_ptr<const membership::Configuration>> after;  // oldest first; verified
};

/// `admission`: of the node `key`, signed by an organisation of the cluster; it names the cluster.
/// The newest that the node gives, which may hide some: others tell of those later.
Result<FetchedEpochs, Explained> fetch_epochs(const std::string& address,
                                              const crypto::SecretKey& key,
                                              const wire::SignedBytes& admission, Duration timeout);

}  // namespace rosebud::client
