// Against whom nodes hold evidence, from what they say of themselves. Pure functions.
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

}  // namespace rosebud::apps
