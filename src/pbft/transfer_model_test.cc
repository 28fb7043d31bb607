// State transfer in a group whose members answer, lie, are slow or say nothing, and whose links
// break, except those of correct members. Who looks on keeps
// a list of all that was asked and all that came.
#include <algorithm>
#include <set>

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

/// How a replica answers. Only a correct one does it in time, and with the truth.
enum class Manner { kCorrect, kSlow, kSilent, kLiar };

constexpr Duration kTimeout{1000};
constexpr std::size_t kInFlightMax = 3;

const std::vector<std::shared_ptr<const Group>> kGroups = {test_group(1), test_group(2)};

Settings transfer_settings() {
  Settings out;
  out.fetch_timeout = kTimeout;
  out.chunks_in_flight_max = kInFlightMax;
  return out;
}

class TransferRun {
 public:
  explicit TransferRun(std::uint64_t seed)
      : random_(seed),
        group_(kGroups[random_.below(2)]),
        self_(id(random_.below(group_->seat_count()))),
        target_(make_checkpoint(8, 12)) {
    for (std::size_t seat = 0; seat < group_->seat_count(); ++seat) {
      manners_.push_back(static_cast<Manner>(random_.below(4)));
    }
    is_link_down_.resize(group_->seat_count());
    if (random_.chance(1, 2)) {
      const Checkpoint older = make_checkpoint(4, 5);
      for (const auto& [digest, piece] : older.chunks) known_pieces_.insert(digest);
      known_.add(older);
    }
    Certificate certificate = sign(target_);
    transfer_.emplace(*group_, self_, transfer_settings(), certificate, random_.fork());
    begin(std::move(certificate));
  }

  /// To the end, by the rule of the replica: ask after every input and at every deadline.
  void run(bool is_retargeted) {
    const std::size_t asks_till_retarget = random_.below(8);
    for (int steps = 0;; ++steps) {
      ASSERT_LT(steps, 1000) << "gets nowhere";
      change_links();
      for (const auto& ask : transfer_->ask(now_, known_, is_link_down_)) note(ask);
      expect_as_seen();
      if (transfer_->is_complete()) break;
      // Of so many sources in a row one is correct, and what it is asked for comes in time.
      ASSERT_LE(asked_.size(), sources_.size() * (pieces().size() + 2)) << "gets nowhere";
      if (is_retargeted && !was_retargeted_ && asked_.size() >= asks_till_retarget) {
        retarget();
        continue;
      }
      pass();
    }
    expect_right(transfer_->take());
  }

 private:
  struct Asked {
    Instant when;
    std::optional<crypto::Digest> piece;  // nothing: the manifest
    ReplicaId from;
    bool is_lost = false;  // with the link
  };
  struct Answer {
    Instant when;
    bool is_manifest;
    Buffer bytes;
  };

  // ---- The group ----

  Buffer piece(std::uint64_t which) const {
    return Buffer::copy_of(as_bytes("piece " + std::to_string(which)));
  }
  Checkpoint make_checkpoint(std::uint64_t number, std::uint64_t pieces_max) {
    std::vector<Buffer> service;
    const std::uint64_t count = random_.below(pieces_max + 1);  // one may be there twice
    for (std::uint64_t i = 0; i < count; ++i) service.push_back(piece(random_.below(16)));
    const Buffer table = random_.chance(3, 4) ? piece(random_.below(16)) : Buffer();
    return Checkpoint::make(InstanceId{}, SequenceNumber(number), AgreedTime(number), false,
                            table.view(), service);
  }
  /// Any 2F+1 of the group, itself too. One of the others is correct.
  Certificate sign(const Checkpoint& checkpoint) {
    std::vector<ReplicaId> signers = group_->members();
    random_.shuffle(signers);
    signers.resize(group_->quorum());
    Certificate out{.kind = VoteKind::kCheckpoint,
                    .number = checkpoint.manifest.number,
                    .digest = checkpoint.digest};
    for (const ReplicaId signer : signers) out.endorsements.push_back({.replica = signer});
    manners_[signers[signers[0] == self_ ? 1 : 0].value] = Manner::kCorrect;
    std::ranges::sort(out.endorsements, {}, &Endorsement::replica);
    return out;
  }
  void begin(Certificate certificate) {
    sources_.clear();
    for (const Endorsement& one : certificate.endorsements) {
      if (one.replica != self_) sources_.insert(one.replica);
    }
    has_manifest_ = false;
    asked_.clear();
  }
  void retarget() {
    was_retargeted_ = true;
    earlier_ = target_;
    target_ = make_checkpoint(12, 12);
    Certificate certificate = sign(target_);
    transfer_->retarget(certificate);
    begin(std::move(certificate));
  }

  /// The true answer; of the checkpoint before, too, which some still keep.
  std::optional<Answer> truth(const Message& question) const {
    for (const Checkpoint* one : {&target_, &earlier_}) {
      if (const auto* manifest = std::get_if<FetchManifest>(&question)) {
        if (manifest->checkpoint == one->digest) return Answer{now_, true, one->encoded};
      } else if (const auto* chunk = std::get_if<FetchChunk>(&question)) {
        const auto found = one->chunks.find(chunk->chunk);
        if (found != one->chunks.end()) return Answer{now_, false, found->second};
      }
    }
    return std::nullopt;
  }
  Answer lie(const Answer& truth) {
    Bytes bytes = to_bytes(truth.bytes.view());
    switch (random_.below(5)) {
      case 0:
        bytes.pop_back();
        break;
      case 1:
        bytes[random_.below(bytes.size())] ^= 1;
        break;
      case 2:
        return {now_, truth.is_manifest, piece(random_.below(20))};  // maybe a true one
      case 3:
        return {now_, true, make_checkpoint(target_.manifest.number.value, 12).encoded};
      default:
        return {now_, true, earlier_.encoded};
    }
    return {now_, truth.is_manifest, Buffer(std::move(bytes))};
  }
  void answer(const StateTransfer::Ask& ask) {
    auto out = truth(ask.message);
    if (!out) return;  // a piece that nobody needs any more
    const Manner manner = manners_[ask.from.value];
    if (manner == Manner::kSilent) return;
    const std::uint64_t timeout = kTimeout.count();
    const std::uint64_t delay = manner == Manner::kSlow ? random_.between(timeout + 1, 3 * timeout)
                                                        : random_.between(1, timeout - 1);
    const std::uint64_t copies = random_.between(1, 2);
    for (std::uint64_t i = 0; i < copies; ++i) {
      Answer copy = manner == Manner::kLiar ? lie(*out) : *out;
      copy.when = now_ + Duration(static_cast<std::int64_t>(delay));
      under_way_.push_back(std::move(copy));
    }
  }

  void change_links() {
    for (std::size_t seat = 0; seat < manners_.size(); ++seat) {
      if (manners_[seat] == Manner::kCorrect) {
        is_link_down_[seat] = false;
      } else if (random_.chance(1, 8)) {
        is_link_down_[seat] = !is_link_down_[seat];
      }
    }
    for (Asked& one : asked_) one.is_lost |= is_link_down_[one.from.value];
  }

  // ---- Who looks on ----

  const std::map<crypto::Digest, Buffer>& pieces() const { return target_.chunks; }
  bool is_here(const crypto::Digest& one) const {
    return came_.contains(one) || known_pieces_.contains(one);
  }
  std::size_t lacking() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(pieces(), [&](const auto& one) { return !is_here(one.first); }));
  }
  bool is_waited_for(const Asked& one) const {
    if (one.is_lost || now_ >= one.when + kTimeout) return false;
    return one.piece ? has_manifest_ && !came_.contains(*one.piece) : !has_manifest_;
  }

  void note(const StateTransfer::Ask& ask) {
    EXPECT_TRUE(sources_.contains(ask.from)) << "did not sign it, or is this replica";
    EXPECT_FALSE(is_link_down_[ask.from.value]) << "another source has a link";
    Asked asked{.when = now_, .piece = {}, .from = ask.from};
    if (const auto* manifest = std::get_if<FetchManifest>(&ask.message)) {
      EXPECT_FALSE(has_manifest_);
      EXPECT_EQ(manifest->checkpoint, target_.digest);
    } else {
      asked.piece = std::get<FetchChunk>(ask.message).chunk;
      EXPECT_TRUE(has_manifest_);
      EXPECT_TRUE(pieces().contains(*asked.piece));
      EXPECT_FALSE(is_here(*asked.piece));
    }
    for (const Asked& one : asked_) {
      EXPECT_FALSE(one.piece == asked.piece && is_waited_for(one)) << "asked for twice";
    }
    asked_.push_back(asked);
    answer(ask);
  }
  void expect_as_seen() const {
    std::size_t in_flight = 0;
    Instant deadline = Instant::max();
    for (const Asked& one : asked_) {
      if (!is_waited_for(one)) continue;
      ++in_flight;
      deadline = std::min(deadline, one.when + kTimeout);
    }
    EXPECT_LE(in_flight, kInFlightMax);
    // What was asked for before a new target, and comes before its manifest, may count or not.
    if (was_retargeted_) return;
    const std::size_t wanted = has_manifest_ ? std::min(kInFlightMax, lacking()) : 1;
    EXPECT_EQ(in_flight, wanted);
    EXPECT_EQ(transfer_->is_complete(), has_manifest_ && lacking() == 0);
    EXPECT_EQ(transfer_->next_deadline(), deadline);
  }
  /// To the next answer or deadline.
  void pass() {
    const auto next = std::ranges::min_element(under_way_, {}, &Answer::when);
    const Instant deadline = transfer_->next_deadline();
    if (next == under_way_.end() || deadline < next->when) {
      ASSERT_NE(deadline, Instant::max()) << "waits for nothing";
      now_ = std::max(now_, deadline);
      return;
    }
    const Answer answer = std::move(*next);
    under_way_.erase(next);
    now_ = answer.when;
    if (answer.is_manifest) {
      transfer_->on_manifest(answer.bytes);
      has_manifest_ |= answer.bytes == target_.encoded;
      return;
    }
    transfer_->on_chunk(answer.bytes);
    if (!has_manifest_) return;
    for (const auto& [digest, bytes] : pieces()) {
      if (bytes == answer.bytes) came_.insert(digest);
    }
  }
  void expect_right(const Checkpoint& got) const {
    EXPECT_EQ(got.digest, target_.digest);
    EXPECT_EQ(got.encoded, target_.encoded);
    EXPECT_EQ(got.manifest.encode(), to_bytes(target_.encoded.view()));
    EXPECT_EQ(got.chunks, target_.chunks);
  }

  Random random_;
  std::shared_ptr<const Group> group_;
  ReplicaId self_;
  Checkpoint target_;
  Checkpoint earlier_;
  std::vector<Manner> manners_;  // by seat
  std::vector<bool> is_link_down_;
  CheckpointStore known_;
  std::set<crypto::Digest> known_pieces_;
  std::optional<StateTransfer> transfer_;

  Instant now_{};
  std::set<ReplicaId> sources_;
  bool has_manifest_ = false;
  bool was_retargeted_ = false;
  std::vector<Asked> asked_;       // since the last target
  std::set<crypto::Digest> came_;  // pieces that were lacking when they came
  std::vector<Answer> under_way_;
};

TEST(StateTransfer, AsksOnWhenNoLinkIsThere) {
  const auto group = test_group();
  const Checkpoint target =
      Checkpoint::make(InstanceId{}, SequenceNumber(4), AgreedTime(4), false, {}, {});
  Certificate certificate{
      .kind = VoteKind::kCheckpoint, .number = SequenceNumber(4), .digest = target.digest};
  for (std::size_t seat = 0; seat < 3; ++seat)
    certificate.endorsements.push_back({.replica = id(seat)});
  StateTransfer transfer(*group, id(3), transfer_settings(), certificate, Random(1));
  const std::vector<bool> none(4, true);
  EXPECT_EQ(transfer.ask(Instant{}, {}, none).size(), 1U);
  EXPECT_TRUE(transfer.ask(Instant{}, {}, none).empty());
  EXPECT_EQ(transfer.ask(Instant{} + kTimeout, {}, none).size(), 1U);
}

TEST(StateTransfer, ComesToItsEndWithTheTruthWhenOneSourceIsCorrect) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    TransferRun(seed).run(false);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(StateTransfer, ComesToItsEndWhenTheTargetChangesOnTheWay) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    TransferRun(seed).run(true);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace rosebud::pbft
