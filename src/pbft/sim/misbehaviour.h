// A Byzantine replica, made by editing what a correct one wants to send, and what it hears. The
// core is never touched. It has its own key, so what it falsifies it signs.
#pragma once

#include <map>
#include <set>

#include "base/random.h"
#include "pbft/messages.h"
#include "pbft/verify.h"

namespace rosebud::pbft::sim {

enum class Mode : std::uint8_t {
  kHonest,
  kMute,
  kEquivocate,        // proposes different batches to different backups, and votes for all of them
  kDoubleVote,        // prepares and commits whatever anybody proposed, and what nobody did
  kWrongState,        // votes for wrong checkpoints, hands out wrong pieces, hides others' votes
  kForgeViewChange,   // view changes without what was prepared, without end
  kForgeNewView,      // new views with other batches than were prepared
  kForgeCertificate,  // certificates of signatures that nobody made
  kReplay,            // sends once more what it sent or heard long ago
  kCensor,            // leaves one client's requests aside
  kSlow,              // proposes just before the others lose patience
  kFlood,             // votes on every number, views far away, questions without end
  kWrongTime,         // proposes times far off, or going back
  kForgeRequest,      // proposes what no client signed, and vouches for it
  kIgnoreWishes,      // leaves no view for a replica that has lost its disk
  kHoard,             // keeps back what it has till nobody waits for it
  kTwin,              // two copies of one replica, each talking to half of the others
};
inline constexpr Mode kModeLast = Mode::kTwin;
std::string_view name_of(Mode mode);

class Misbehaviour {
 public:
  Misbehaviour(ReplicaId self, crypto::SecretKey key, Verifier verifier, Random random)
      : self_(self), key_(std::move(key)), verifier_(std::move(verifier)), random_(random) {}

  void set_mode(Mode mode) { mode_ = mode; }
  Mode mode() const { return mode_; }
  /// The client that is left aside.
  void set_censored(const ClientId& client) { censored_ = client; }
  /// What others wait before they give a primary up.
  void set_patience(Duration patience) { patience_ = patience; }

  struct Sent {
    Message message;
    Duration delay{};
  };
  /// What goes to `to` in the place of `message`.
  std::vector<Sent> edit(ReplicaId to, const Message& message);
  /// False: the core does not hear it.
  bool hears(const Message& message);
  bool hears_request(const Request& request) const;
  /// What it answers to a client; nothing: no answer.
  std::optional<Reply> edit_reply(const Reply& reply);
  /// What it sends to everybody now and then, without being asked.
  std::vector<Message> unasked();

 private:
  Vote signed_again(Vote vote);
  Message proposal_with(const PrePrepare& original, Batch batch);
  std::vector<Sent> edit_proposal(ReplicaId to, const PrePrepare& proposal);
  std::vector<Sent> double_votes(const Vote& vote);
  std::vector<Sent> hold_back(const Message& message);
  Message edit_state(const Message& message);
  ViewChange forget_prepared(ViewChange message);
  Message forge_new_view(NewView message);
  Status wish_for_views(ReplicaId to, Status status);
  Certificate forge(VoteKind kind, View view, SequenceNumber number, const crypto::Digest& digest);
  crypto::Digest random_digest();
  void remember(const Message& message);
  bool has_session_keys() const {
    return verifier_.settings().request_authentication == RequestAuthentication::kSessionKeys;
  }

  ReplicaId self_;
  crypto::SecretKey key_;
  Verifier verifier_;
  Random random_;
  Mode mode_ = Mode::kHonest;
  ClientId censored_;
  Duration patience_{};
  View view_;              // the highest that it heard of
  SequenceNumber number_;  // of the last proposal that it heard of
  std::uint64_t proposals_ = 0;
  std::map<std::pair<View, SequenceNumber>, std::set<crypto::Digest>> proposed_;
  std::vector<crypto::Digest> forged_;  // kForgeRequest: what it and the other liars proposed
  std::vector<Message> heard_;          // kReplay, kForgeRequest: some of what went by
  std::map<ReplicaId, std::uint64_t> wishes_;  // kFlood: lots of the lies to each
  std::optional<ViewChange> hoard_;            // kHoard: what it shows in every later view
};

}  // namespace rosebud::pbft::sim
