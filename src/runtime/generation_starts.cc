#include "runtime/generation_starts.h"

#include <algorithm>

namespace rosebud::runtime {

void GenerationStarts::add(const membership::Configuration& next) {
  if (next.recovery()) lost_with_[next.number()] = next.recovery()->losses.size();
}

void GenerationStarts::go_back_to(const wire::ConfigurationNumber& parent) {
  lost_with_.erase(lost_with_.upper_bound(parent), lost_with_.end());
}

wire::ConfigurationNumber GenerationStarts::at_epoch(wire::Epoch epoch) const {
  wire::ConfigurationNumber out{.generation = {}, .epoch = epoch};
  for (const auto& [start, lost] : lost_with_) {
    if (start.epoch <= epoch) out.generation = start.generation;
  }
  return out;
}

wire::ConfigurationNumber GenerationStarts::following(
    const wire::ConfigurationNumber& after) const {
  wire::Epoch epoch = std::max(after.epoch.next(), wire::Epoch(2));
  for (const auto& [start, lost] : lost_with_) {
    if (start.generation > after.generation) epoch = std::min(epoch, start.epoch);
  }
  return at_epoch(epoch);
}

std::size_t GenerationStarts::lost_groups_count() const {
  std::size_t out = 0;
  for (const auto& [start, lost] : lost_with_) out += lost;
  return out;
}

}  // namespace rosebud::runtime
