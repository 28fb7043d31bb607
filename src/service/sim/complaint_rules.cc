#include "service/sim/complaint_rules.h"

#include <algorithm>

namespace rosebud::service::sim {
namespace {

using membership::Configuration;

constexpr std::uint64_t kSecondMs = 1000;
constexpr std::uint64_t kDayMs = 86'400 * kSecondMs;
constexpr std::size_t kOfOneMax = 8;
constexpr std::size_t kOfAllMax = 4096;

std::uint64_t life_of(const Configuration& epoch) {
  const std::uint64_t length = epoch.settings().epoch_seconds;
  return length == 0 ? kDayMs : 4 * length * kSecondMs;
}

bool is_in(const routing::Arc& arc, const Configuration& epoch, const wire::NodeKey& key) {
  return std::ranges::any_of(arc.group,
                             [&](std::uint32_t node) { return epoch.nodes()[node].key == key; });
}

/// Whether f+1 who complain, not too long ago, are in one group with it.
bool is_there_a_case(const Configuration& epoch, const State& state, const wire::NodeKey& accused,
                     std::uint64_t now_ms) {
  const auto of_it = state.carried.complaints.find(accused);
  if (of_it == state.carried.complaints.end()) return false;
  return std::ranges::any_of(epoch.ring().arcs(), [&](const routing::Arc& arc) {
    if (!is_in(arc, epoch, accused)) return false;
    const auto count = std::ranges::count_if(of_it->second, [&](const auto& one) {
      return is_in(arc, epoch, one.first) && one.second.since_ms + life_of(epoch) > now_ms;
    });
    return std::cmp_greater(count, epoch.f());
  });
}

bool is_member(const Configuration& epoch, const wire::NodeKey& key) {
  return std::ranges::any_of(epoch.service(), [&](const membership::ServiceMember& one) {
    return epoch.nodes()[one.node].key == key;
  });
}

std::size_t count_members(const Configuration& epoch, const Said& said,
                          const wire::NodeKey& about) {
  const auto at = said.find(about);
  if (at == said.end()) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(
      at->second, [&](const wire::NodeKey& by) { return is_member(epoch, by) && by != about; }));
}

class ComplaintRules {
 public:
  explicit ComplaintRules(const Step& step)
      : step_(step),
        before_(step.before),
        after_(step.machine.state()),
        epoch_(step.machine.configuration()) {}

  std::string problem() const {
    for (const auto rule : {&ComplaintRules::of_complaints, &ComplaintRules::of_convictions}) {
      std::string out = (this->*rule)();
      if (!out.empty()) return out;
    }
    return {};
  }

 private:
  std::string of_complaints() const {
    const auto* asked = std::get_if<Complain>(&*step_.operation);
    std::size_t total = 0;
    std::map<wire::NodeKey, std::size_t> count_of;
    for (const auto& [accused, of_it] : after_.carried.complaints) {
      for (const auto& [accuser, complaint] : of_it) {
        if (++count_of[accuser] > kOfOneMax) return "somebody complains of too many";
        if (++total > kOfAllMax) return "more complaints than are handed over";
        const Complaint* was = find(before_, accused, accuser);
        if (was && *was == complaint) continue;
        if (!asked || step_.asker != accuser || asked->accused != accused ||
            asked->block != complaint.block || complaint.since_ms != step_.time_ms) {
          return "a complaint that nobody made";
        }
        const auto arc = epoch_.ring().arc(complaint.block.placement);
        if (accuser == accused || !is_in(*arc, epoch_, accuser) || !is_in(*arc, epoch_, accused)) {
          return "a complaint about a block of another group";
        }
      }
    }
    for (const auto& [accused, of_it] : before_.carried.complaints) {
      for (const auto& [accuser, complaint] : of_it) {
        const bool is_over = complaint.since_ms + life_of(epoch_) <= step_.time_ms;
        if (!is_over && !find(after_, accused, accuser)) return "a complaint is lost";
      }
    }
    return {};
  }

  static const Complaint* find(const State& state, const wire::NodeKey& accused,
                               const wire::NodeKey& accuser) {
    const auto of_it = state.carried.complaints.find(accused);
    if (of_it == state.carried.complaints.end()) return nullptr;
    const auto by = of_it->second.find(accuser);
    return by == of_it->second.end() ? nullptr : &by->second;
  }

  std::string of_convictions() const {
    const Wishes& before = before_.carried.wishes;
    const Wishes& after = after_.carried.wishes;
    for (const auto& [since_before, since_after, said, is_final] :
         {std::tuple(&before.withholding_since_ms, &after.withholding_since_ms, &after_.withheld,
                     false),
          std::tuple(&before.false_since_ms, &after.false_since_ms, &after_.shown_false, true)}) {
      for (const auto& [node, since] : *since_after) {
        if (const auto at = since_before->find(node); at != since_before->end()) {
          if (at->second != since)
            return "a member is found wanting since another time than before";
          continue;
        }
        if (since != step_.time_ms) return "a member is found wanting at another time";
        if (!is_there_a_case(epoch_, after_, node, step_.time_ms)) {
          return "a member is found wanting of whom fewer than f+1 of a group complain";
        }
        const std::size_t quorum = 2 * std::size_t{epoch_.settings().service_faults} + 1;
        if (count_members(epoch_, *said, node) < quorum) {
          return "a member is found wanting by fewer than 2F+1";
        }
      }
      for (const auto& [node, since] : *since_before) {
        if (since_after->contains(node)) continue;
        if (is_final) return "a wrong proof is made up for";
        const bool is_over = !is_there_a_case(epoch_, after_, node, step_.time_ms);
        const bool is_shown =
            count_members(epoch_, after_.shown, node) > epoch_.settings().service_faults;
        if (!is_over && !is_shown) return "a member is acquitted by fewer than F+1";
      }
    }
    return {};
  }

  const Step& step_;
  const State& before_;
  const State& after_;
  const Configuration& epoch_;
};

}  // namespace

std::string problem_of_complaints(const Step& step) { return ComplaintRules(step).problem(); }

bool is_convicted_in(const State& sealed, const wire::NodeKey& node) {
  return sealed.carried.wishes.false_since_ms.contains(node);
}

std::string problem_of_complaints_handed_over(const membership::Configuration& current,
                                              const State& sealed, const Carried& handed_over) {
  const auto next = membership::nodes_after(current, sealed.next.nodes);
  const auto stays = [&](const wire::NodeKey& key) {
    const auto before = current.node_index(key);
    return before && std::ranges::any_of(next, [&](const membership::Node& node) {
             return node.key == key && node.directory == current.nodes()[*before].directory;
           });
  };
  Complaints expected;
  for (const auto& [accused, of_it] : sealed.carried.complaints) {
    for (const auto& [accuser, complaint] : of_it) {
      if (complaint.since_ms + life_of(current) <= sealed.prepared_ms) {
        return "a complaint outlives its time";
      }
      if (stays(accused) && stays(accuser)) expected[accused][accuser] = complaint;
    }
  }
  if (handed_over.complaints != expected) return "complaints are not handed over";
  const std::size_t quorum = 2 * std::size_t{current.settings().service_faults} + 1;
  std::map<wire::NodeKey, std::uint64_t> withholding;
  for (const auto& [node, since] : sealed.carried.wishes.withholding_since_ms) {
    const bool is_said = count_members(current, sealed.withheld, node) >= quorum;
    if (stays(node) && is_said) withholding.emplace(node, since);
  }
  if (handed_over.wishes.withholding_since_ms != withholding) {
    return "who shows nothing is not handed over, or nobody said it in this epoch";
  }
  std::map<wire::NodeKey, std::uint64_t> convicted;
  for (const auto& [node, since] : sealed.carried.wishes.false_since_ms) {
    if (stays(node)) convicted.emplace(node, since);
  }
  if (handed_over.wishes.false_since_ms != convicted) return "who was convicted is not handed over";
  return {};
}

}  // namespace rosebud::service::sim
