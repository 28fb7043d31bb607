// Fingerprints of many ranges, for one question about all of them or one answer to it.
//
// Most pieces of an arc are equal most of the time. What each of them costs is then not what is
// compared but the question itself; so all that one source may know of is asked at once
// (wire::CompareRanges), and only what differs is looked at one by one (reconciler.h).
#pragma once

#include <map>
#include <vector>

#include "objects/range_digest.h"

namespace rosebud::objects {

/// Leaves in all ranges of one survey of several: a quarter of the key space. Where much is stored,
/// and so remembered leaf by leaf, they are gone through within one input; a larger one would hold
/// up the node for longer, a smaller one would ask more often.
inline constexpr std::size_t kSurveyLeavesMax = kLeafCount / 4;

/// Leaves that the range touches.
std::size_t leaves_in(const wire::KeyRange& range);
/// True when the ranges are too many leaves for one survey. One range alone never is: it costs what
/// a comparison of it costs.
bool is_too_wide(const std::vector<wire::CompareRange>& ranges);

class RangeSurvey {
 public:
  /// Scans of one survey under way at once: bounds the entries in memory.
  static constexpr std::size_t kScansMax = 8;

  /// `entries_max`, `leaves`: as of RangeDigest.
  RangeSurvey(std::vector<wire::KeyRange> ranges, LeafDigests& leaves, std::size_t entries_max);

  struct Scan {
    std::size_t index = 0;  // of the range
    RangeDigest::Scan scan;
  };
  /// What must be read next, at the moment of the call, beside the scans that are under way; they
  /// must be asked for before any other input is taken. Nothing, and no scan under way: is_done().
  std::vector<Scan> next_scans();
  /// Requires: what a scan of range `index` that is under way showed.
  void add(std::size_t index, const wire::Scanned& scanned);

  bool is_done() const { return done_ == ranges_.size(); }
  /// In the order of the ranges. Requires: is_done().
  const std::vector<crypto::Digest>& fingerprints() const { return fingerprints_; }

 private:
  std::vector<wire::KeyRange> ranges_;
  LeafDigests* leaves_;
  std::size_t entries_max_;
  std::vector<crypto::Digest> fingerprints_;
  std::map<std::size_t, RangeDigest> begun_;  // at most kScansMax
  std::vector<std::size_t> to_go_on_;         // of those: no scan of it is under way
  std::size_t next_ = 0;                      // the first range that was not begun
  std::size_t done_ = 0;
};

}  // namespace rosebud::objects
