#include "objects/completion.h"

#include "objects/planted_bugs.h"

namespace rosebud::objects {

EpochGroup members_in(const membership::Configuration& earlier,
                      const membership::Configuration& newest, const crypto::Digest& key) {
  EpochGroup out{.epoch = earlier.number().epoch, .members = {}};
  for (const std::uint32_t index : earlier.group(key)) {
    const membership::Node& member = earlier.nodes()[index];
    const auto now = newest.node_index(member.key);
    const bool is_another = now && newest.nodes()[*now].directory != member.directory;
    if (!is_another || is_planted(Bug::kLostMemberTells)) out.members.push_back(member.key);
  }
  return out;
}

}  // namespace rosebud::objects
