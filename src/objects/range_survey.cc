#include "objects/range_survey.h"

#include <utility>

namespace rosebud::objects {

std::size_t leaves_in(const wire::KeyRange& range) {
  return leaf_of(range.last) - leaf_of(range.first) + 1;
}

bool is_too_wide(const std::vector<wire::CompareRange>& ranges) {
  std::size_t leaves = 0;
  for (const wire::CompareRange& one : ranges) leaves += leaves_in(one.range);
  return ranges.size() > 1 && leaves > kSurveyLeavesMax;
}

RangeSurvey::RangeSurvey(std::vector<wire::KeyRange> ranges, LeafDigests& leaves,
                         std::size_t entries_max)
    : ranges_(std::move(ranges)),
      leaves_(&leaves),
      entries_max_(entries_max),
      fingerprints_(ranges_.size()) {}

std::vector<RangeSurvey::Scan> RangeSurvey::next_scans() {
  std::vector<Scan> out;
  const auto go_on = [&](std::size_t index) {
    RangeDigest& digest = begun_.at(index);
    if (const auto scan = digest.next_scan()) {
      out.push_back({.index = index, .scan = *scan});
      return;
    }
    fingerprints_[index] = digest.finish().fingerprint;
    begun_.erase(index);
    ++done_;
  };
  for (const std::size_t index : std::exchange(to_go_on_, {})) go_on(index);
  while (next_ < ranges_.size() && begun_.size() < kScansMax) {
    begun_.try_emplace(next_, ranges_[next_], *leaves_, entries_max_);
    go_on(next_++);
  }
  return out;
}

void RangeSurvey::add(std::size_t index, const wire::Scanned& scanned) {
  begun_.at(index).add(scanned);
  to_go_on_.push_back(index);
}

}  // namespace rosebud::objects
