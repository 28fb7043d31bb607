// The pure types that keep votes and checkpoints, against dumb versions: a list of what happened,
// and a look through all of it for every answer.
#include <algorithm>
#include <set>

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

// ---- The log ----

constexpr VoteKind kBallots[] = {VoteKind::kPrepare, VoteKind::kCommit, VoteKind::kCheckpoint};

/// All votes that were taken, in order, and the last proposal for each number.
struct DumbLog {
  static constexpr std::uint64_t kViews = 3;
  static constexpr std::uint64_t kLots = 2;

  const Group& group;
  std::uint64_t window;
  std::uint64_t low = 0;
  std::uint64_t last = 0;
  std::vector<Vote> votes{};
  std::map<std::uint64_t, Vote> proposals{};

  bool is_inside(std::uint64_t number) const { return number > low && number <= low + window; }

  /// Of the newest view in which it voted, the first.
  std::optional<Vote> kept(VoteKind kind, std::uint64_t number, ReplicaId replica) const {
    for (std::uint64_t view = kViews; view-- > 0;) {
      for (const Vote& one : votes) {
        if (one.kind == kind && one.number.value == number && one.replica == replica &&
            one.view.value == view) {
          return one;
        }
      }
    }
    return std::nullopt;
  }
  std::vector<Vote> all_for(VoteKind kind, std::uint64_t number, View view,
                            const crypto::Digest& digest) const {
    std::vector<Vote> out;
    for (const ReplicaId replica : group.members()) {
      const auto vote = kept(kind, number, replica);
      if (vote && vote->view == view && vote->digest == digest) out.push_back(*vote);
    }
    return out;
  }
  static Certificate sealed(VoteKind kind, const std::vector<Vote>& equal) {
    Certificate out{
        .kind = kind, .view = equal[0].view, .number = equal[0].number, .digest = equal[0].digest};
    for (const Vote& one : equal) {
      out.endorsements.push_back({one.replica, one.counter, one.signature});
    }
    std::ranges::sort(out.endorsements, {}, &Endorsement::replica);
    return out;
  }
  /// 2F+1 for one thing, whatever that is.
  std::optional<Certificate> agreed(VoteKind kind, std::uint64_t number) const {
    for (std::uint64_t view = 0; view < kViews; ++view) {
      for (std::uint64_t lot = 0; lot < kLots; ++lot) {
        std::vector<Vote> equal = all_for(kind, number, View(view), test_digest(lot));
        if (equal.size() < 2 * group.faults() + 1) continue;
        equal.resize(2 * group.faults() + 1);
        return sealed(kind, equal);
      }
    }
    return std::nullopt;
  }
  /// The proposal, and 2F for it.
  std::optional<Certificate> prepared(std::uint64_t number) const {
    if (!proposals.contains(number)) return std::nullopt;
    const Vote& proposal = proposals.at(number);
    std::vector<Vote> equal = all_for(VoteKind::kPrepare, number, proposal.view, proposal.digest);
    if (equal.size() < 2 * group.faults()) return std::nullopt;
    equal.resize(2 * group.faults());
    equal.push_back(proposal);
    return sealed(VoteKind::kPrepare, equal);
  }
};

void expect_same_slot(const Log& log, const DumbLog& dumb, std::uint64_t number) {
  const Slot* slot = log.find(SequenceNumber(number));
  ASSERT_EQ(slot != nullptr, number > dumb.low && number <= dumb.last);
  if (!slot) return;
  for (const ReplicaId replica : dumb.group.members()) {
    const std::size_t seat = replica.value;
    EXPECT_EQ(slot->prepares[seat], dumb.kept(VoteKind::kPrepare, number, replica));
    EXPECT_EQ(slot->commits[seat], dumb.kept(VoteKind::kCommit, number, replica));
    EXPECT_EQ(slot->checkpoints[seat], dumb.kept(VoteKind::kCheckpoint, number, replica));
  }
  EXPECT_EQ(log.prepared_certificate(*slot), dumb.prepared(number));
  EXPECT_EQ(log.commit_certificate(*slot), dumb.agreed(VoteKind::kCommit, number));
  EXPECT_EQ(log.checkpoint_certificate(*slot), dumb.agreed(VoteKind::kCheckpoint, number));
}

TEST(Log, IsThatOfTheDumbVersion) {
  Random random(1);
  std::size_t certificates = 0;
  for (int round = 0; round < 60; ++round) {
    const std::size_t faults = random.between(1, 2);
    const auto group = test_group(faults, random.below(2));
    const std::uint64_t window = random.between(1, 4);
    Log log(group, window);
    DumbLog dumb{.group = *group, .window = window};
    for (std::uint64_t step = 1; step <= 150; ++step) {
      const std::uint64_t number = random.between(dumb.low == 0 ? 0 : dumb.low - 1, dumb.low + 5);
      // Most vote alike, or nothing would ever be agreed on.
      Vote vote{.kind = kBallots[random.below(3)],
                .view = View(random.chance(2, 3) ? 1 : random.below(DumbLog::kViews)),
                .number = SequenceNumber(number),
                .digest = test_digest(random.chance(7, 8) ? 0 : 1),
                .replica = group->members()[random.below(group->members().size())],
                .counter = VoteCounter(step)};  // tells it from all others
      Slot* slot = log.open(vote.number);
      EXPECT_EQ(slot != nullptr, dumb.is_inside(number));
      EXPECT_EQ(log.is_inside(vote.number), dumb.is_inside(number));
      if (slot) {
        dumb.last = std::max(dumb.last, number);
        const bool is_of_primary = group->primary_of(vote.view) == vote.replica;
        if (is_of_primary && vote.kind == VoteKind::kPrepare) {
          vote.kind = VoteKind::kPrePrepare;  // no primary prepares in its view (verify.h)
          slot->proposal = {vote, nullptr};
          dumb.proposals.insert_or_assign(number, vote);
        } else {
          const auto kept = dumb.kept(vote.kind, number, vote.replica);
          const bool contradicts = kept && kept->view == vote.view && kept->digest != vote.digest;
          EXPECT_EQ(Log::add_vote(*slot, vote), contradicts ? kept : std::nullopt);
          dumb.votes.push_back(vote);
        }
      }
      if (random.chance(1, 40)) {
        dumb.low += random.below(2 * window + 1);
        dumb.last = std::max(dumb.last, dumb.low);
        log.advance(SequenceNumber(dumb.low));
      }
      EXPECT_EQ(log.low().value, dumb.low);
      EXPECT_EQ(log.high().value, dumb.low + window);
      EXPECT_EQ(log.last().value, dumb.last);
      const std::uint64_t looked_at = random.between(dumb.low, dumb.low + window + 1);
      expect_same_slot(log, dumb, looked_at);
      if (dumb.is_inside(looked_at)) {
        certificates += dumb.prepared(looked_at) || dumb.agreed(VoteKind::kCommit, looked_at);
      }
    }
  }
  EXPECT_GT(certificates, 100U);
}

// ---- Views that were reached ----

TEST(ReachedViews, AreThoseOfTheDumbVersion) {
  Random random(6);
  for (int round = 0; round < 200; ++round) {
    const std::size_t seats = 3 * random.between(0, 2) + 1;
    ReachedViews reached(seats);
    std::vector<Vote> ever;
    const auto has_reached = [&](std::size_t seat, std::uint64_t view) {
      return std::ranges::any_of(
          ever, [&](const Vote& one) { return one.replica == id(seat) && one.view.value >= view; });
    };
    for (std::uint64_t step = 0; step < 25; ++step) {
      ever.push_back({.kind = VoteKind::kViewChange,
                      .view = View(random.between(1, 9)),
                      .replica = id(random.below(seats)),
                      .counter = VoteCounter(step)});
      reached.note(ever.back());
      std::vector<std::uint64_t> by_count(seats + 1, 0);  // what so many have reached
      std::vector<Vote> votes;
      for (std::size_t seat = 0; seat < seats; ++seat) {
        std::uint64_t own = 0;
        while (has_reached(seat, own + 1)) ++own;
        EXPECT_EQ(reached.reached_by(id(seat)), View(own));
        const auto first = std::ranges::find_if(ever, [&](const Vote& one) {
          return one.replica == id(seat) && one.view.value == own;
        });
        if (first != ever.end()) votes.push_back(*first);
      }
      for (std::uint64_t view = 1; view <= 9; ++view) {
        std::size_t count = 0;
        for (std::size_t seat = 0; seat < seats; ++seat) count += has_reached(seat, view);
        for (std::size_t few = 1; few <= count; ++few) by_count[few] = view;
      }
      for (std::size_t count = 1; count <= seats; ++count) {
        EXPECT_EQ(reached.reached_by(count), View(by_count[count]));
      }
      EXPECT_EQ(reached.votes(), votes);
    }
  }
}

// ---- Checkpoints ----

/// In no order. What is forgotten follows from what there was before and after.
struct DumbStore {
  std::vector<Checkpoint> all{};

  std::set<crypto::Digest> pieces() const {
    std::set<crypto::Digest> out;
    for (const Checkpoint& one : all) {
      for (const auto& [digest, piece] : one.chunks) out.insert(digest);
    }
    return out;
  }
  std::set<SequenceNumber> numbers() const {
    std::set<SequenceNumber> out;
    for (const Checkpoint& one : all) out.insert(one.manifest.number);
    return out;
  }
  template <typename Condition>
  void expect_forgotten(const CheckpointStore::Forgotten& forgotten, Condition is_to_go) {
    const auto pieces_before = pieces();
    const auto numbers_before = numbers();
    std::erase_if(all, [&](const Checkpoint& one) { return is_to_go(one.manifest.number); });
    std::vector<SequenceNumber> numbers_gone;
    std::vector<crypto::Digest> pieces_gone;
    std::ranges::set_difference(numbers_before, numbers(), std::back_inserter(numbers_gone));
    std::ranges::set_difference(pieces_before, pieces(), std::back_inserter(pieces_gone));
    EXPECT_EQ(forgotten.numbers, numbers_gone);
    std::vector<crypto::Digest> told = forgotten.chunks;
    std::ranges::sort(told);
    EXPECT_EQ(told, pieces_gone);
  }
};

TEST(CheckpointStore, IsThatOfTheDumbVersion) {
  std::vector<Buffer> pieces;
  for (int i = 0; i < 6; ++i) {
    pieces.push_back(Buffer::copy_of(as_bytes("piece " + std::to_string(i))));
  }
  Random random(7);
  for (int round = 0; round < 60; ++round) {
    CheckpointStore store;
    DumbStore dumb;
    std::uint64_t highest = 0;
    for (int step = 0; step < 60; ++step) {
      const SequenceNumber number(random.between(1, highest + 1));
      switch (random.below(4)) {
        default: {
          // A number that is there already: another state takes its place.
          const SequenceNumber added = random.chance(2, 3) ? SequenceNumber(++highest) : number;
          std::vector<Buffer> service;
          for (const Buffer& piece : pieces) {
            if (random.chance(1, 3)) service.push_back(piece);
          }
          const AgreedTime time(random.below(3));
          const ByteView table = random.chance(1, 2) ? pieces[random.below(6)].view() : ByteView{};
          const Checkpoint checkpoint =
              Checkpoint::make(InstanceId{}, added, time, false, table, service);
          store.add(checkpoint);
          std::erase_if(dumb.all,
                        [&](const Checkpoint& one) { return one.manifest.number == added; });
          dumb.all.push_back(checkpoint);
          break;
        }
        case 0: {
          // Whatever is stable, the replica has it.
          if (!dumb.numbers().contains(number)) break;
          SequenceNumber before{};
          for (const SequenceNumber one : dumb.numbers()) {
            if (one < number) before = std::max(before, one);
          }
          dumb.expect_forgotten(store.advance(number),
                                [&](SequenceNumber one) { return one < before; });
          break;
        }
        case 1:
          if (random.chance(1, 2)) break;
          dumb.expect_forgotten(store.remove(number),
                                [&](SequenceNumber one) { return one == number; });
          break;
      }
      EXPECT_EQ(store.size(), dumb.all.size());
      const auto numbers = dumb.numbers();
      EXPECT_EQ(store.newest() != nullptr, !numbers.empty());
      if (store.newest()) {
        EXPECT_EQ(store.newest()->manifest.number, *numbers.rbegin());
      }
      for (std::uint64_t n = 0; n <= highest + 1; ++n) {
        EXPECT_EQ(store.find(SequenceNumber(n)) != nullptr, numbers.contains(SequenceNumber(n)));
      }
      for (const Checkpoint& one : dumb.all) {
        ASSERT_TRUE(store.find(one.manifest.number));
        EXPECT_EQ(store.find(one.manifest.number)->digest, one.digest);
        ASSERT_TRUE(store.find_manifest(one.digest));
        EXPECT_EQ(*store.find_manifest(one.digest), one.encoded);
      }
      EXPECT_FALSE(store.find_manifest(test_digest(1)));
      const auto kept = dumb.pieces();
      for (const Buffer& piece : pieces) {
        const crypto::Digest digest = chunk_digest(InstanceId{}, piece.view());
        const Buffer* found = store.find_chunk(digest);
        ASSERT_EQ(found != nullptr, kept.contains(digest));
        if (found) {
          EXPECT_EQ(*found, piece);
        }
      }
    }
  }
}

}  // namespace
}  // namespace rosebud::pbft
