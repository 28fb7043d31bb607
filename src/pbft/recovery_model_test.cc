// The verdict of a recovery, in histories by the rules that recovery.h reasons from: how far a
// correct replica goes in views and numbers, and what it may have seen of the others.
#include <algorithm>
#include <set>

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

constexpr std::uint64_t kInterval = 2;
constexpr std::uint64_t kWindow = 4;
constexpr std::uint64_t kNonce = 77;

/// A group whose last replica tells us all that it signs. The first ones are liars: what they can
/// say is bounded by signatures alone. Messages get lost, and come in any order: a replica learns
/// at some time what another was then, or never.
class History {
 public:
  /// Of a liar nothing counts.
  struct Replica {
    std::uint64_t view = 0;
    bool is_changing = false;
    std::vector<std::uint64_t> changes;  // by seat: the newest view change that it holds
    std::uint64_t stable = 0;
    std::uint64_t executed = 0;
    std::optional<Vote> latest;  // of the one that tells
    std::uint64_t signed_count = 0;
  };

  /// The one that tells votes in no view below `votes_from`: it has forgotten something before.
  History(Random random, std::size_t faults, std::size_t liars, std::uint64_t votes_from)
      : random_(random),
        faults_(faults),
        liars_(liars),
        self_(3 * faults),
        votes_from_(votes_from) {
    all_.resize(3 * faults + 1);
    for (Replica& one : all_) one.changes.resize(all_.size());
  }

  void step() {
    const std::size_t who = random_.between(liars_, self_);
    Replica& one = all_[who];
    switch (random_.below(10)) {
      case 0:
        return time_out(who);
      case 1:
        return make_new_view();
      case 2:
        return hear_new_view(who);
      case 3:
        // Whatever was committed, nobody executes beyond its window.
        one.executed = std::max(one.executed, random_.between(one.stable, one.stable + kWindow));
        return;
      case 4:
        return vote_for_checkpoint(who);
      case 5:
        return learn_checkpoint(who);
      case 6:
        return vote();
      case 7:
        return hear_vote(who);
      default:
        return hear_change(who, random_.below(all_.size()));
    }
  }

  std::size_t self() const { return self_; }
  const Replica& replica(std::size_t seat) const { return all_[seat]; }
  const std::vector<Vote>& signed_votes() const { return signed_; }
  std::uint64_t greatest_view() const {
    std::uint64_t out = 0;
    for (std::size_t i = liars_; i < all_.size(); ++i) out = std::max(out, all_[i].view);
    return out;
  }
  std::uint64_t greatest_stable() const {
    std::uint64_t out = 0;
    for (const Replica& one : all_) out = std::max(out, one.stable);
    return out;
  }

  /// What a correct replica answers.
  RecoveryAnswer answer(std::size_t seat) const {
    const Replica& one = all_[seat];
    RecoveryAnswer out{.nonce = kNonce, .latest = one.latest};
    if (one.stable > 0) out.stable = Certificate{.number = SequenceNumber(one.stable)};
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (one.changes[i] > 0) out.view_changes.push_back(change_of(i, one.changes[i]));
    }
    return out;
  }
  /// The worst that signatures allow: old things, nothing, and any view of its own.
  RecoveryAnswer lie(std::size_t seat) {
    RecoveryAnswer out = answer(random_.between(liars_, self_));
    if (random_.chance(1, 2)) out.stable.reset();
    if (random_.chance(1, 2)) out.latest.reset();
    if (!signed_.empty() && random_.chance(1, 4)) {
      out.latest = signed_[random_.below(signed_.size())];
    } else if (random_.chance(1, 4)) {
      out.latest = Vote{.replica = id(seat), .counter = VoteCounter(1'000'000)};
    }
    std::erase_if(out.view_changes, [&](const Vote&) { return random_.chance(1, 2); });
    out.view_changes.push_back(change_of(seat, random_.between(1, 1000)));
    return out;
  }
  static Vote change_of(std::size_t seat, std::uint64_t view) {
    return {.kind = VoteKind::kViewChange, .view = View(view), .replica = id(seat)};
  }

 private:
  std::size_t quorum() const { return 2 * faults_ + 1; }
  std::size_t primary_of(std::uint64_t view) const { return view % all_.size(); }
  bool is_liar(std::size_t seat) const { return seat < liars_; }
  bool may_vote(std::size_t seat) const { return seat != self_ || all_[seat].view >= votes_from_; }

  void sign(VoteKind kind, std::uint64_t view, std::uint64_t number) {
    signed_.push_back({.kind = kind,
                       .view = View(view),
                       .number = SequenceNumber(number),
                       .replica = id(self_),
                       .counter = VoteCounter(++all_[self_].signed_count)});
  }

  // ---- Views ----

  void change(std::size_t who, std::uint64_t view) {
    if (who == self_ && view < votes_from_) return;
    Replica& one = all_[who];
    one.view = view;
    one.is_changing = true;
    one.changes[who] = view;
    if (who == self_) sign(VoteKind::kViewChange, view, one.stable);
  }
  /// From a view that has begun at any time; else when 2F+1 have got there, or wish to be beyond.
  void time_out(std::size_t who) {
    const Replica& one = all_[who];
    std::size_t arrived = 0;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const bool is_wish = is_liar(i) || (i == self_ && one.view < votes_from_);
      if (is_wish || one.changes[i] >= one.view) ++arrived;
    }
    const bool is_over = !one.is_changing || arrived >= quorum();
    if (is_over && may_vote(who) && random_.chance(1, 2)) change(who, one.view + 1);
  }
  void hear_change(std::size_t who, std::size_t from) {
    if (who == from) return;
    Replica& one = all_[who];
    const std::uint64_t view =
        is_liar(from) ? random_.between(1, one.view + 3) : all_[from].changes[from];
    one.changes[from] = std::max(one.changes[from], view);
    // The greatest view that F+1 others have reached.
    std::vector<std::uint64_t> others = one.changes;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(who));
    std::ranges::sort(others, std::greater());
    if (others[faults_] > one.view) change(who, others[faults_]);
  }
  /// Its primary holds 2F+1 view changes to it. A liar holds all that were ever made; liars' too.
  void make_new_view() {
    const std::size_t who = random_.below(all_.size());
    const std::uint64_t view = is_liar(who) ? random_.between(1, 9) : all_[who].view;
    if (view == 0 || primary_of(view) != who) return;
    if (!is_liar(who) && (!all_[who].is_changing || !may_vote(who))) return;
    std::vector<std::size_t> proofs;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const bool is_known =
          is_liar(who) ? is_liar(i) || all_[i].changes[i] == view : all_[who].changes[i] == view;
      if (is_known) proofs.push_back(i);
    }
    if (proofs.size() < quorum()) return;
    proofs.resize(quorum());
    new_views_[view] = proofs;
    if (is_liar(who)) return;
    all_[who].is_changing = false;
    if (who == self_) sign(VoteKind::kNewView, view, 0);
  }
  void hear_new_view(std::size_t who) {
    if (new_views_.empty()) return;
    const auto& [view, proofs] = *std::next(
        new_views_.begin(), static_cast<std::ptrdiff_t>(random_.below(new_views_.size())));
    Replica& one = all_[who];
    if (view < one.view || (view == one.view && !one.is_changing)) return;
    one.view = view;
    one.is_changing = false;
    for (const std::size_t i : proofs) one.changes[i] = std::max(one.changes[i], view);
  }

  // ---- Numbers ----

  void vote_for_checkpoint(std::size_t who) {
    const Replica& one = all_[who];
    const std::uint64_t number = one.executed / kInterval * kInterval;
    if (number <= one.stable || !may_vote(who)) return;
    const bool is_new = signers_[number].insert(who).second;
    if (is_new && who == self_) sign(VoteKind::kCheckpoint, 0, number);
  }
  void learn_checkpoint(std::size_t who) {
    std::vector<std::uint64_t> certified;
    for (const auto& [number, signers] : signers_) {
      if (number > all_[who].stable && signers.size() + liars_ >= quorum()) {
        certified.push_back(number);
      }
    }
    if (certified.empty()) return;
    all_[who].stable = certified[random_.below(certified.size())];
    all_[who].executed = std::max(all_[who].executed, all_[who].stable);
  }

  // ---- Votes of the one that tells ----

  void vote() {
    const Replica& one = all_[self_];
    if (one.is_changing || !may_vote(self_)) return;
    const std::uint64_t ahead = random_.chance(1, 2) ? kWindow : random_.between(1, kWindow);
    sign(random_.chance(1, 2) ? VoteKind::kPrepare : VoteKind::kCommit, one.view,
         one.stable + ahead);
  }
  /// Any of them, the last ones rather; or none, since a vote may reach nobody.
  void hear_vote(std::size_t who) {
    if (who == self_ || signed_.empty()) return;
    const std::uint64_t back = random_.below(std::min<std::uint64_t>(signed_.size(), 4));
    const Vote& vote = signed_[signed_.size() - 1 - back];
    Replica& one = all_[who];
    if (!one.latest || one.latest->counter < vote.counter) one.latest = vote;
    if (vote.kind != VoteKind::kViewChange) return;
    one.changes[self_] = std::max(one.changes[self_], vote.view.value);
  }

  Random random_;
  std::size_t faults_;
  std::size_t liars_;
  std::size_t self_;
  std::uint64_t votes_from_;
  std::vector<Replica> all_;
  std::vector<Vote> signed_;
  std::map<std::uint64_t, std::vector<std::size_t>> new_views_;  // whose view changes prove it
  std::map<std::uint64_t, std::set<std::size_t>> signers_;       // correct ones, by checkpoint
};

/// Asks 2F others or more, liars first of all, with what its disk holds.
struct Asked {
  Asked(Random& random, History& history, std::size_t faults, std::size_t liars,
        const History::Replica& disk)
      : own{VoteCounter(disk.signed_count), View(disk.view), SequenceNumber(disk.stable)} {
    const std::size_t self = history.self();
    ReachedViews reached(self + 1);
    for (std::size_t i = 0; i <= self; ++i) {
      if (disk.changes[i] > 0) reached.note(History::change_of(i, disk.changes[i]));
    }
    Recovery recovery(id(self), 2 * faults, kNonce);
    std::set<std::size_t> answered;
    const auto hear = [&](std::size_t seat, const RecoveryAnswer& answer) {
      // To an earlier question, or of itself: no answer.
      recovery.on_answer(id(seat), {.nonce = kNonce - 1});
      recovery.on_answer(id(self), answer);
      EXPECT_EQ(recovery.has_enough(), answered.size() >= 2 * faults);
      recovery.on_answer(id(seat), answer);
      const bool is_own_vote = answer.latest && answer.latest->replica == id(self);
      if (is_own_vote || !answer.latest) answered.insert(seat);
      for (const Vote& one : answer.view_changes) {
        reached.note(one);
        is_shown |= one.replica == id(self) && one.view > own.view;
      }
      is_shown |= is_own_vote && answer.latest->counter > own.counter;
    };
    std::vector<std::size_t> correct;
    for (std::size_t seat = 0; seat < self; ++seat) {
      if (seat < liars) {
        hear(seat, history.lie(seat));
      } else {
        correct.push_back(seat);
      }
    }
    random.shuffle(correct);
    for (const std::size_t seat : correct) {
      if (recovery.has_enough() && random.chance(3, 4)) break;
      hear(seat, history.answer(seat));
    }
    EXPECT_TRUE(recovery.has_enough());
    verdict = recovery.verdict(own, reached, kWindow, faults + 1);
  }

  Recovery::Own own;
  bool is_shown = false;  // that something was forgotten
  Recovery::Verdict verdict;
};

TEST(Recovery, ItIsSilentAboutAllThatItMayHaveSigned) {
  Random random(1);
  std::size_t silent = 0;
  std::uint64_t least_view_gap = 1000;
  std::uint64_t least_number_gap = 1000;
  for (int round = 0; round < 6000; ++round) {
    const std::size_t faults = random.between(1, 3);
    const std::size_t liars = faults - 1;  // the one that forgets is the other faulty one
    const std::uint64_t votes_from = random.chance(1, 2) ? 0 : random.below(6);
    History history(random.fork(), faults, liars, votes_from);
    const std::uint64_t copied_at = random.below(100);
    const std::uint64_t end = copied_at + random.below(200);
    for (std::uint64_t i = 0; i < copied_at; ++i) history.step();
    const History::Replica copy = history.replica(history.self());
    for (std::uint64_t i = copied_at; i < end; ++i) history.step();
    const Asked asked(random, history, faults, liars, copy);
    EXPECT_EQ(asked.verdict.silent_until != SequenceNumber{}, asked.is_shown);
    EXPECT_EQ(asked.verdict.votes_from != View{}, asked.is_shown);
    EXPECT_GE(asked.verdict.counter, asked.own.counter);
    if (!asked.is_shown) continue;  // the gap that is left: nobody can show it
    ++silent;
    // For ever would be safe too. No lie makes it longer than what is true.
    EXPECT_LE(asked.verdict.votes_from.value, history.greatest_view() + Recovery::kViewsAhead);
    EXPECT_LE(asked.verdict.silent_until.value, history.greatest_stable() + 2 * kWindow);
    for (const Vote& vote : history.signed_votes()) {
      const bool is_change = vote.kind == VoteKind::kViewChange;
      const std::uint64_t least_view = vote.view.value + (is_change ? 1 : 0);
      ASSERT_GE(asked.verdict.votes_from.value, least_view) << "round " << round;
      ASSERT_GE(asked.verdict.silent_until, vote.number) << "round " << round;
      ASSERT_GE(asked.verdict.counter, vote.counter) << "round " << round;
      least_view_gap = std::min(least_view_gap, asked.verdict.votes_from.value - least_view);
      least_number_gap =
          std::min(least_number_gap, asked.verdict.silent_until.value - vote.number.value);
    }
  }
  EXPECT_GT(silent, 1000U);
  // Nothing less would do.
  EXPECT_EQ(least_view_gap, 0U);
  EXPECT_EQ(least_number_gap, 0U);
}

TEST(Recovery, NoLiarKeepsOneSilentThatForgotNothing) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t faults = random.between(1, 3);
    History history(random.fork(), faults, faults, 0);
    const std::uint64_t end = random.below(200);
    for (std::uint64_t i = 0; i < end; ++i) history.step();
    const Asked asked(random, history, faults, faults, history.replica(history.self()));
    EXPECT_EQ(asked.verdict.silent_until, SequenceNumber{});
    EXPECT_EQ(asked.verdict.votes_from, View{});
    EXPECT_EQ(asked.verdict.counter, asked.own.counter);
  }
}

}  // namespace
}  // namespace rosebud::pbft
