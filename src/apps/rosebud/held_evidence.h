// Against whom nodes hold evidence, and whom the service found wanting, from what nodes say of
// themselves. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace rosebud::apps {

struct Accused {
  std::string node;
  std::string organisation;
  std::uint64_t epoch = 0;           // the newest that there is evidence of
  std::string file;                  // of that, in the data directory of the first holder
  std::vector<std::string> holders;  // nodes with evidence of that epoch
  bool is_member = false;            // still, as far as a holder knows
};

/// `nodes`: what each says (/v1/status), with its `name`. By the name of the accused.
std::vector<Accused> accused_in(const nlohmann::json& nodes);
nlohmann::json json_of(const std::vector<Accused>& accused);

/// A node of which 2F+1 members of the service agree that it does not show what it should hold.
struct Wanting {
  std::string node;
  bool is_convicted = false;  // it gave wrong proofs; else it withholds them
};

/// By name, each once. Who convicts knows more than who does not, who may be behind.
std::vector<Wanting> wanting_in(const nlohmann::json& nodes);
nlohmann::json json_of(const std::vector<Wanting>& wanting);

}  // namespace rosebud::apps
