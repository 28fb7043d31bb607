// The rule by which an interval becomes complete for an epoch (design 10.3, 10.4): holding every
// write that was acknowledged there before the epoch began.
//
//   10.3  2f+1 members of the group of the epoch before, who have entered this one, told what they
//   hold. Their quorum meets every write quorum of that epoch. If f+1 of them were complete for
//   that epoch, one correct member had everything older too; otherwise the same is asked of the
//   group of the epoch before that, and so on back to the first, whose members are complete for it.
//   10.4  Or f+1 members of this epoch's own group, who are complete for it, told what they hold.
//
// Pure; one for each interval and one for each single object that a client waits for. How telling
// is done is in reconciler.h.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "membership/configuration.h"
#include "objects/write_quorum.h"
#include "wire/ids.h"

namespace rosebud::objects {

/// The members of an interval's group in one epoch.
struct EpochGroup {
  wire::Epoch epoch;
  std::vector<wire::NodeKey> members;
};

/// Who can speak for the group of `key` in the epoch of `earlier`, now that `newest` is the
/// configuration. A node that lost its directory in between is another one since then: it is left
/// out, so that what it does not hold is not taken for what the member did not hold (ADR 6).
EpochGroup members_in(const membership::Configuration& earlier,
                      const membership::Configuration& newest, const crypto::Digest& key);

class Completion {
 public:
  Completion() = default;
  /// `groups`: of the epoch to complete for, then of those before, newest first, of a run of epochs
  /// with one group the first and the last (history.h), as far back as is known. `own`: the epoch
  /// for which `self` is complete already, 0 for none.
  Completion(std::size_t faults, const wire::NodeKey& self, wire::Epoch own,
             std::vector<EpochGroup> groups)
      : faults_(faults), self_(self), groups_(std::move(groups)) {
    told_[self] = own;
  }

  /// `from` told all that it holds of the interval, and for which epoch it is complete there.
  void on_told(const wire::NodeKey& from, wire::Epoch complete_for) {
    wire::Epoch& known = told_[from];
    known = std::max(known, complete_for);
  }

  bool is_complete() const {
    if (is_planted(Bug::kCompleteFromNobody)) return true;
    const EpochGroup& own = groups_.front();
    if (own.epoch.value <= 1 || told_.at(self_) >= own.epoch) return true;
    const std::size_t enough = faults_ + (is_planted(Bug::kCompleteFromFew) ? 0 : 1);
    const std::size_t quorum = quorum_of(faults_) - (is_planted(Bug::kCompleteFrom2f) ? 1 : 0);
    if (complete_members(own) >= enough) return true;
    for (std::size_t back = 1; back < groups_.size(); ++back) {
      const EpochGroup& group = groups_[back];
      if (tellers(group) < quorum) return false;
      if (complete_members(group) >= enough) return true;
    }
    return false;
  }

  /// Whom to ask as far as is known now: the own group and, back to the first epoch that may
  /// suffice, the groups before.
  std::vector<wire::NodeKey> sources() const {
    std::vector<wire::NodeKey> out;
    const auto add = [&](const EpochGroup& group) {
      for (const wire::NodeKey& member : group.members) {
        if (member != self_ && std::ranges::find(out, member) == out.end()) out.push_back(member);
      }
    };
    for (std::size_t back = 0; back < groups_.size(); ++back) {
      add(groups_[back]);
      const bool is_decided = back > 0 && (tellers(groups_[back]) < quorum_of(faults_) ||
                                           complete_members(groups_[back]) >= faults_ + 1);
      if (is_decided) break;
    }
    return out;
  }

 private:
  std::size_t tellers(const EpochGroup& group) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        group.members, [&](const wire::NodeKey& member) { return told_.contains(member); }));
  }
  /// Members of the first epoch are complete for it: before it nothing was written.
  std::size_t complete_members(const EpochGroup& group) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(group.members, [&](const wire::NodeKey& member) {
          const auto at = told_.find(member);
          return at != told_.end() && (at->second >= group.epoch || group.epoch.value <= 1);
        }));
  }

  std::size_t faults_ = 0;
  wire::NodeKey self_;
  std::vector<EpochGroup> groups_;
  std::map<wire::NodeKey, wire::Epoch> told_;
};

}  // namespace rosebud::objects
