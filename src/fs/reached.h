// Which of the nodes that were made a root reaches.
#pragma once

#include <map>

#include "fs/node.h"

namespace rosebud::fs {

/// Children first, each once. What is not among `made` stood there before, with all below it.
std::vector<Cid> reached_among(const std::map<Cid, Buffer>& made, const Cid& root);

}  // namespace rosebud::fs
