// The rules of one-phase writes and reads, as pure types: what may be concluded from which answers.
// They are those of Byzantine quorums with self-verifying data ([MR98], [TDSC12];
// docs/references.md), with a writer that remembers its version, so that one phase is enough.
//
// A group has 3f+1 replicas, at most f of them faulty; a quorum is 2f+1, so two quorums share f+1
// replicas, one of them correct. Every answer counted here was verified and came from one epoch; a
// type is made anew when the epoch changes. Replicas are named by their seat in the group, 0 to 3f;
// where the cap leaves seats empty, nobody answers for them. A replica that answers twice counts
// once.
//
//   a block is written    when 2f+1 replicas say that it and the hold are durable there;
//   a record is written   when 2f+1 replicas hold exactly it; one newer record signed by the owner
//                         supersedes it;
//   a record is read      when 2f+1 answers are equal, or the newest of 2f+1 answers was written
//                         back to 2f+1;
//   "not there"           needs 2f+1 replicas, like everything that its own bytes do not prove.
//
// The state machine that sends and retries is client.cc, what it makes of each answer is in
// client_answers.cc; how a replica answers is in replica_requests.cc.
#pragma once

#include <optional>
#include <vector>

#include "objects/planted_bugs.h"
#include "wire/statement.h"

namespace rosebud::objects {

using Seat = std::size_t;

inline std::size_t quorum_of(std::size_t faults) {
  return 2 * faults + (is_planted(Bug::kQuorumOf2f) ? 0 : 1);
}
constexpr std::size_t group_size_of(std::size_t faults) { return 3 * faults + 1; }

/// What orders the versions of one record: the version, then the value hash. Signature bytes play
/// no part (design 5).
struct RecordOrder {
  wire::Version version;
  crypto::Digest value_hash;

  friend bool operator==(const RecordOrder&, const RecordOrder&) = default;
  friend std::strong_ordering operator<=>(const RecordOrder& a, const RecordOrder& b) {
    if (a.version != b.version || is_planted(Bug::kEqualVersionsNotOrdered)) {
      return a.version <=> b.version;
    }
    return a.value_hash <=> b.value_hash;
  }
};
inline RecordOrder order_of(const wire::RecordStatement& statement) {
  return {statement.version, statement.value_hash};
}

/// Distinct replicas that said yes.
class Votes {
 public:
  explicit Votes(std::size_t faults) : faults_(faults), has_voted_(group_size_of(faults)) {}

  void add(Seat seat) {
    if (seat >= has_voted_.size() || has_voted_[seat]) return;
    has_voted_[seat] = true;
    ++count_;
  }
  bool has(Seat seat) const { return seat < has_voted_.size() && has_voted_[seat]; }
  std::size_t count() const { return count_; }
  bool is_quorum() const { return count_ >= quorum_of(faults_); }

 private:
  std::size_t faults_;
  std::vector<bool> has_voted_;
  std::size_t count_ = 0;
};

/// Writing a block: done at 2f+1 acknowledgements.
class BlockWrite {
 public:
  explicit BlockWrite(std::size_t faults) : stored_(faults) {}
  void on_stored(Seat seat) { stored_.add(seat); }
  bool is_done() const { return stored_.is_quorum(); }
  const Votes& stored() const { return stored_; }

 private:
  Votes stored_;
};

/// Writing a record: done at 2f+1 replicas that hold exactly it. Writing *back* what was read is
/// content with newer ones too: they prove that the replica is past what was read.
class RecordWrite {
 public:
  enum class Kind : std::uint8_t { kOwnWrite, kWriteBack };
  enum class Verdict : std::uint8_t { kWaiting, kDone, kSuperseded };

  RecordWrite(std::size_t faults, RecordOrder written, Kind kind)
      : written_(written), kind_(kind), held_(faults) {}

  /// A replica now durably holds `held`; an older one says nothing and is asked again.
  void on_held(Seat seat, const RecordOrder& held) {
    if (held == written_ || (kind_ == Kind::kWriteBack && held > written_)) held_.add(seat);
    const bool is_newer = is_planted(Bug::kOlderSupersedes) ? held != written_ : held > written_;
    if (kind_ == Kind::kOwnWrite && is_newer) is_superseded_ = true;
  }

  Verdict verdict() const {
    if (held_.is_quorum()) return Verdict::kDone;
    return is_superseded_ ? Verdict::kSuperseded : Verdict::kWaiting;
  }
  const Votes& held() const { return held_; }

 private:
  RecordOrder written_;
  Kind kind_;
  Votes held_;
  bool is_superseded_ = false;
};

/// First phase of reading a record.
///
/// What 2f+1 answers agree on is returned even when another replica shows something newer: were the
/// newer one written, or returned by a read, f+1 correct replicas would hold it, and one of them
/// would be among any 2f+1 that answered.
class RecordRead {
 public:
  enum class Verdict : std::uint8_t {
    kWaiting,
    kAgreed,  // 2f+1 equal answers: return that record, done in one phase
    kMixed,   // 2f+1 answers without agreement: after `read_settle`, write the newest back
  };

  /// `members`: seats of the group that somebody has; fewer than 3f+1 where some are exposed.
  RecordRead(std::size_t faults, std::size_t members)
      : faults_(faults), members_(members), answers_(group_size_of(faults)), is_answered_(faults) {}

  /// `held` is nothing for "no record". Only a replica's first answer counts.
  void on_answer(Seat seat, std::optional<RecordOrder> held) {
    if (seat >= answers_.size() || is_answered_.has(seat)) return;
    is_answered_.add(seat);
    answers_[seat] = held;
  }

  Verdict verdict() const {
    if (agreed_seat()) return Verdict::kAgreed;
    return is_answered_.is_quorum() ? Verdict::kMixed : Verdict::kWaiting;
  }
  bool has_everyone_answered() const { return is_answered_.count() >= members_; }
  const Votes& answered() const { return is_answered_; }

  /// A seat whose answer 2f+1 replicas gave.
  std::optional<Seat> agreed_seat() const {
    for (Seat seat = 0; seat < answers_.size(); ++seat) {
      const std::size_t enough = is_planted(Bug::kReadFromFew) ? faults_ + 1 : quorum_of(faults_);
      if (is_answered_.has(seat) && supporters_of(answers_[seat]) >= enough) return seat;
    }
    return std::nullopt;
  }
  /// The seat that answered with the newest record; nothing when all said "none".
  std::optional<Seat> newest_seat() const {
    std::optional<Seat> newest;
    for (Seat seat = 0; seat < answers_.size(); ++seat) {
      if (is_answered_.has(seat) && answers_[seat] &&
          (!newest || (!is_planted(Bug::kFirstIsNewest) && *answers_[seat] > *answers_[*newest]))) {
        newest = seat;
      }
    }
    return newest;
  }

 private:
  std::size_t supporters_of(const std::optional<RecordOrder>& answer) const {
    std::size_t count = 0;
    for (Seat seat = 0; seat < answers_.size(); ++seat) {
      if (is_answered_.has(seat) && answers_[seat] == answer) ++count;
    }
    return count;
  }

  std::size_t faults_;
  std::size_t members_;
  std::vector<std::optional<RecordOrder>> answers_;
  Votes is_answered_;
};

}  // namespace rosebud::objects
