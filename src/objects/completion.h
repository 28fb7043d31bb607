// The rule by which an interval becomes complete for an epoch (design 10.3, 10.4): holding every
// write that was acknowledged there before the epoch began.
//
//   10.3  2f+1 members of the group of the epoch before, who have entered this one, told what they
//   hold. Their quorum meets every write quorum of that epoch. If f+1 of them were complete for
//   that epoch, one correct member had everything older too; otherwise the same is asked of the
//   group of the epoch before that, and so on back to the first, whose members are complete for it.
//   Then each group after that oldest one is asked, when the one before it has told, and last 2f
//   others of one's own, who are in this epoch (ADR 11).
//   10.4  Or f+1 members of this epoch's own group, who are complete for it, told what they hold.
//
//     oldest group ── 2f+1 told, f+1 of them complete ──▶ next group ── 2f+1 told ──▶ … own group
//
// Why in order: suppose a member told before it held a write, then a later group became complete,
// and the rest of this group, which may turn faulty now, tells that there is nothing. The f+1
// correct members of the later group that are complete hold the write, and whoever asks 2f+1 of
// that group afterwards hears one of them. What that group told before says nothing.
//
// Pure; one for each interval and one for each single object that a client waits for. How telling
// is done is in reconciler.h.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "membership/configuration.h"
#include "objects/history.h"
#include "objects/write_quorum.h"
#include "wire/ids.h"

namespace rosebud::objects {

/// The members of an interval's group in one epoch.
struct EpochGroup {
  wire::Epoch epoch;
  std::vector<wire::NodeKey> members;
  /// The organisations accepted that what this group acknowledged may be lost (design 8.6): these
  /// members are what is left of it today. All of them tell, and nobody is asked about epochs
  /// before. Who has left since is not waited for. That loses nothing that was promised: of what
  /// this group acknowledged nothing is, and writes since are held by 2f+1 of the groups after it,
  /// which are asked in their turn.
  bool is_lost = false;
};

/// What a member says of an interval beside what it holds there.
struct Claim {
  wire::Epoch complete_for{};  // the newest epoch for which it is complete
  /// What it held as a member of earlier epochs than this it has deleted (design 10.5): it tells
  /// nothing for their groups. 0: nothing.
  wire::Epoch gone_before{};
  friend bool operator==(const Claim&, const Claim&) = default;
};

/// Who can speak for the group of `key` in the epoch of `earlier`, now that `newest` is the
/// configuration. A node that lost its directory in between is another one since then: it is left
/// out, so that what it does not hold is not taken for what the member did not hold (ADR 6).
EpochGroup members_in(const membership::Configuration& earlier,
                      const membership::Configuration& newest, const crypto::Digest& key);

/// The same for all epochs that count, newest first: that of `newest` itself, then those in
/// `history`, back to a group whose loss was accepted, if there is one.
std::vector<EpochGroup> groups_back(const membership::Configuration& newest, const History& history,
                                    const crypto::Digest& key);

class Completion {
 public:
  Completion() = default;
  /// `groups`: of the epoch to complete for, then of those before, newest first, of a run of epochs
  /// with one group the first and the last (history.h), as far back as is known. `own`: what `self`
  /// may claim already.
  Completion(std::size_t faults, const wire::NodeKey& self, const Claim& own,
             std::vector<EpochGroup> groups)
      : faults_(faults), self_(self), groups_(std::move(groups)) {
    told_[self] = own;
    go_on();
  }

  /// Raised when another group is asked: of answers to earlier questions, only those to the oldest
  /// group and what f+1 complete members of the own group told count from then on.
  std::uint64_t round() const { return round_; }

  /// `from`, who was asked in `round`, told all that it holds of the interval.
  void on_told(const wire::NodeKey& from, const Claim& claim, std::uint64_t round) {
    merge(told_, from, claim);
    if (round == round_) merge(told_in_round_, from, claim);
    is_anybody_gone_ |= claim.gone_before.value > 0;
    go_on();
  }

  /// True when `member` was asked and told in this round.
  bool has_told(const wire::NodeKey& member) const { return told_in_round_.contains(member); }

  /// True when `member` told that it is not complete for this epoch, and is worth asking again:
  /// somebody has deleted, so a quorum of some later group is complete, and it may be of it (10.4).
  bool may_be_complete_now(const wire::NodeKey& member) const {
    const EpochGroup& own = groups_.front();
    if (!is_anybody_gone_ || std::ranges::find(own.members, member) == own.members.end()) {
      return false;
    }
    const auto at = told_.find(member);
    return at != told_.end() && at->second.complete_for < own.epoch;
  }

  bool is_complete() const {
    if (is_planted(Bug::kCompleteFromNobody)) return true;
    const EpochGroup& own = groups_.front();
    if (own.epoch.value <= 1 || told_.at(self_).complete_for >= own.epoch) return true;
    return complete_members(own) >= enough() || has_everybody_told_;
  }

  /// Whom to ask as far as is known now: the own group, and the group whose turn it is; while the
  /// oldest one is not known, those back to the first epoch that may suffice.
  std::vector<wire::NodeKey> sources() const {
    std::vector<wire::NodeKey> out;
    const auto add = [&](const EpochGroup& group) {
      for (const wire::NodeKey& member : group.members) {
        if (member != self_ && std::ranges::find(out, member) == out.end()) out.push_back(member);
      }
    };
    add(groups_.front());
    if (asked_) {
      add(groups_[*asked_]);
      return out;
    }
    for (std::size_t back = 1; back < groups_.size(); ++back) {
      add(groups_[back]);
      if (groups_[back].is_lost || tellers(groups_[back]) < quorum_of(faults_)) break;
    }
    return out;
  }

 private:
  std::size_t enough() const { return faults_ + (is_planted(Bug::kCompleteFromFew) ? 0 : 1); }
  std::size_t quorum(const EpochGroup& group) const {
    if (group.is_lost) return group.members.size();
    return quorum_of(faults_) - (is_planted(Bug::kCompleteFrom2f) ? 1 : 0);
  }

  /// The newest group before the own one that suffices as the oldest.
  std::optional<std::size_t> oldest() const {
    for (std::size_t back = 1; back < groups_.size(); ++back) {
      const EpochGroup& group = groups_[back];
      if (tellers(group) < quorum(group)) return std::nullopt;
      if (group.is_lost || complete_members(group) >= enough()) return back;
    }
    return std::nullopt;
  }

  void go_on() {
    const std::optional<std::size_t> found = oldest();
    if (found && (!asked_ || *found <= *asked_)) ask(*found - 1);
    while (asked_ && !has_everybody_told_ && has_asked_group_told()) {
      if (*asked_ == 0) {
        has_everybody_told_ = true;
      } else {
        ask(*asked_ - 1);
      }
    }
  }

  void ask(std::size_t group) {
    asked_ = group;
    ++round_;
    told_in_round_.clear();
  }

  bool has_asked_group_told() const {
    const EpochGroup& group = groups_[*asked_];
    if (is_planted(Bug::kOwnGroupNotAsked)) return true;
    if (is_planted(Bug::kAskedInAnyOrder)) return tellers(group) >= quorum(group);
    return std::cmp_greater_equal(
        std::ranges::count_if(group.members,
                              [&](const wire::NodeKey& member) {
                                return member == self_ ? counts(told_, member, group)
                                                       : counts(told_in_round_, member, group);
                              }),
        quorum(group));
  }

  using Claims = std::map<wire::NodeKey, Claim>;
  /// What was told before a member deleted stays told.
  static void merge(Claims& told, const wire::NodeKey& from, const Claim& claim) {
    const auto [known, is_new] = told.emplace(from, claim);
    if (is_new) return;
    known->second.complete_for = std::max(known->second.complete_for, claim.complete_for);
    known->second.gone_before = std::min(known->second.gone_before, claim.gone_before);
  }
  /// Whether `member` told what it held as one of the group. One that deleted since counts for a
  /// lost group all the same: all of it are waited for, and it deleted only when 2f+1 of a later
  /// group were complete, whose turn comes after this one's.
  static bool counts(const Claims& told, const wire::NodeKey& member, const EpochGroup& group) {
    const auto at = told.find(member);
    if (at == told.end()) return false;
    return group.is_lost || at->second.gone_before <= group.epoch;
  }
  std::size_t tellers(const EpochGroup& group) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        group.members, [&](const wire::NodeKey& member) { return counts(told_, member, group); }));
  }
  /// Members of the first epoch are complete for it: before it nothing was written.
  std::size_t complete_members(const EpochGroup& group) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(group.members, [&](const wire::NodeKey& member) {
          return counts(told_, member, group) &&
                 (told_.at(member).complete_for >= group.epoch || group.epoch.value <= 1);
        }));
  }

  std::size_t faults_ = 0;
  wire::NodeKey self_;
  std::vector<EpochGroup> groups_;
  Claims told_;  // whenever they were asked
  /// Index of the group whose turn it is; none while the oldest one has not told.
  std::optional<std::size_t> asked_;
  std::uint64_t round_ = 0;
  Claims told_in_round_;
  bool is_anybody_gone_ = false;     // somebody has deleted what it held as a member
  bool has_everybody_told_ = false;  // from the oldest group to the own one
};

}  // namespace rosebud::objects
