#include "objects/history.h"

#include <algorithm>

namespace rosebud::objects {

bool have_same_groups(const membership::Configuration& one,
                      const membership::Configuration& other) {
  return one.number().generation == other.number().generation &&
         one.settings().faults == other.settings().faults &&
         one.settings().cap == other.settings().cap && one.nodes().size() == other.nodes().size() &&
         one.nodes().all_not_shared(other.nodes(), [&](std::size_t place) {
           const membership::Node& a = one.nodes()[place];
           const membership::Node& b = other.nodes()[place];
           return a.key == b.key && a.directory == b.directory &&
                  a.organisation == b.organisation && a.position_count == b.position_count &&
                  a.admission_randomness == b.admission_randomness;
         });
}

void remember(History& history, std::shared_ptr<const membership::Configuration> left,
              std::size_t size_max) {
  const bool is_run_of_three = history.size() >= 2 && have_same_groups(*history[0], *left) &&
                               have_same_groups(*history[1], *left);
  if (is_run_of_three) {
    history[0] = std::move(left);
  } else {
    history.insert(history.begin(), std::move(left));
  }
  if (history.size() > size_max) history.resize(size_max);
}

}  // namespace rosebud::objects
