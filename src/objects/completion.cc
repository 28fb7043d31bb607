#include "objects/completion.h"

#include "membership/recovery.h"
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

namespace {

bool is_loss_accepted(const membership::Configuration& earlier,
                      const membership::Configuration& after, const crypto::Digest& key) {
  const bool is_parent = after.recovery() && earlier.number().epoch.next() == after.number().epoch;
  return is_parent && std::ranges::binary_search(after.recovery()->losses,
                                                 membership::group_id(earlier, earlier.group(key)));
}

}  // namespace

std::vector<EpochGroup> groups_back(const membership::Configuration& newest, const History& history,
                                    const crypto::Digest& key) {
  std::vector<EpochGroup> out{members_in(newest, newest, key)};
  const membership::Configuration* after = &newest;
  for (const auto& earlier : history) {
    EpochGroup& group = out.emplace_back(members_in(*earlier, newest, key));
    if (is_loss_accepted(*earlier, *after, key)) {
      group.is_lost = true;
      // The others were given up, or have left since: all who are listed are waited for.
      std::erase_if(group.members, [&](const wire::NodeKey& member) {
        return !after->node_index(member) || !newest.node_index(member);
      });
      return out;
    }
    after = earlier.get();
  }
  return out;
}

}  // namespace rosebud::objects
