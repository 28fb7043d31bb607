// Commands of rosebud-kv that take more than a few lines.
#pragma once

#include "replication/client_host.h"

/// A client of the group in `folder` with so many keys: the folder's own, and new ones beside it.
std::unique_ptr<rosebud::replication::ClientHost> open_client(const std::string& folder,
                                                              std::size_t keys,
                                                              rosebud::Duration timeout);

/// So many clients at once, each of which adds to a counter, one operation after the other, and
/// checks every answer, until `seconds` are over or SIGTERM comes. Prints JSON; 0 when every answer
/// was right.
int check(const std::string& folder, double seconds, std::size_t clients);

/// Null operations, `in_flight` at a time. Prints JSON, with the processor time of this client and
/// of `servers`, processes of this machine.
int bench(const std::string& folder, std::size_t in_flight, double seconds,
          const std::vector<int>& servers);
