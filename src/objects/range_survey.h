// Fingerprints of many ranges, for one question about all of them or one answer to it.
//
// Most pieces of an arc are equal most of the time. What each of them costs is then not what is
// compared but the question itself; so all that one source may know of is asked at once
// (wire::CompareRanges), and only what differs is looked at one by one (reconciler.h).
#pragma once

#include "objects/range_digest.h"

namespace rosebud::objects {

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
