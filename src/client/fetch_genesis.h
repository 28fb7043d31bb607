// The genesis from any node of a cluster, for whoever knows nothing but the cluster id: whatever
// comes is worth as much as its hash says.
#pragma once

#include "base/time.h"
#include "membership/genesis.h"

namespace rosebud::client {

/// `admission`: of the node `key`, signed by an organisation of the cluster; it names the cluster.
Result<membership::SignedGenesis, Explained> fetch_genesis(const std::string& address,
                                                           const crypto::SecretKey& key,
                                                           const wire::SignedBytes& admission,
                                                           Duration timeout);

}  // namespace rosebud::client
