#include "apps/rosebud/held_evidence.h"

#include <map>

namespace rosebud::apps {

std::vector<Accused> accused_in(const nlohmann::json& nodes) {
  std::map<std::string, Accused> by_key;
  for (const auto& holder : nodes) {
    for (const auto& one : holder.value("evidence", nlohmann::json::array())) {
      Accused& accused = by_key[one.value("node", "?") + " " + one.value("key", "")];
      const auto epoch = one.value("epoch", std::uint64_t{0});
      if (epoch < accused.epoch) continue;
      if (epoch > accused.epoch) accused.holders.clear();
      if (accused.holders.empty()) {
        accused.node = one.value("node", "?");
        accused.organisation = one.value("org", "?");
        accused.epoch = epoch;
        accused.file = one.value("file", "?");
      }
      accused.holders.push_back(holder.value("name", "?"));
      accused.is_member = accused.is_member || one.value("member", false);
    }
  }
  std::vector<Accused> out;
  for (auto& [key, accused] : by_key) out.push_back(std::move(accused));
  return out;
}

nlohmann::json json_of(const std::vector<Accused>& accused) {
  nlohmann::json out = nlohmann::json::array();
  for (const Accused& one : accused) {
    out.push_back({{"node", one.node},
                   {"org", one.organisation},
                   {"epoch", one.epoch},
                   {"file", one.file},
                   {"held_by", one.holders},
                   {"member", one.is_member}});
  }
  return out;
}

std::vector<Wanting> wanting_in(const nlohmann::json& nodes) {
  std::map<std::string, bool> is_convicted;
  for (const auto& node : nodes) {
    for (const auto& one : node.value("wanting", nlohmann::json::array())) {
      bool& found = is_convicted[one.value("node", "?")];
      found = found || one.value("how", "") == "convicted";
    }
  }
  std::vector<Wanting> out;
  for (const auto& [node, found] : is_convicted)
    out.push_back({.node = node, .is_convicted = found});
  return out;
}

nlohmann::json json_of(const std::vector<Wanting>& wanting) {
  nlohmann::json out = nlohmann::json::array();
  for (const Wanting& one : wanting)
    out.push_back({{"node", one.node}, {"how", one.is_convicted ? "convicted" : "withholding"}});
  return out;
}

}  // namespace rosebud::apps
