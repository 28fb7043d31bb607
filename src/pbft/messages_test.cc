// Encodings, and the second gate.
#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

std::vector<Message> one_of_each() {
  const auto group = test_group();
  const BatchPointer batch = test_batch({test_request("a", 1), test_request("b", 2, "")});
  const Certificate stable = certificate(*group, VoteKind::kCheckpoint, 0, 4, test_digest(4));
  ViewChange change{.stable = stable,
                    .prepared = {certificate(*group, VoteKind::kPrepare, 0, 5, test_digest(5)),
                                 certificate(*group, VoteKind::kPrepare, 0, 7, test_digest(7))}};
  std::vector<ViewChange> changes;
  for (std::size_t seat = 0; seat < 3; ++seat) {
    change.vote =
        signed_vote(*group, VoteKind::kViewChange, 1, 4, change.digest(InstanceId{}), seat);
    changes.push_back(change);
  }
  NewView view{.proofs = changes};
  view.pre_prepares = {
      signed_vote(*group, VoteKind::kPrePrepare, 1, 5, test_digest(5), 1),
      signed_vote(*group, VoteKind::kPrePrepare, 1, 6, test_verifier().null_batch()->digest(), 1),
      signed_vote(*group, VoteKind::kPrePrepare, 1, 7, test_digest(7), 1)};
  view.vote = signed_vote(*group, VoteKind::kNewView, 1, 0, view.digest(InstanceId{}), 1);
  return {
      PrePrepare{signed_vote(*group, VoteKind::kPrePrepare, 0, 1, batch->digest(), 0), batch},
      Ballot{signed_vote(*group, VoteKind::kPrepare, 0, 1, batch->digest(), 2)},
      change,
      view,
      Status{.view = View(3),
             .is_changing_view = true,
             .stable = SequenceNumber(4),
             .executed = SequenceNumber(6),
             .proposals = 5,
             .silent_until = SequenceNumber(20),
             .votes_from = View(6),
             .view_changes = {View(1), View(0), View(2), View(3)}},
      FetchBatch{test_digest(1)},
      BatchFound{batch},
      Committed{certificate(*group, VoteKind::kCommit, 0, 1, batch->digest()), batch},
      StableCheckpoint{stable},
      FetchManifest{test_digest(1)},
      ManifestFound{Buffer::copy_of(as_bytes("manifest"))},
      FetchChunk{test_digest(2)},
      ChunkFound{Buffer::copy_of(as_bytes("chunk"))},
      RecoveryQuery{12},
      RecoveryAnswer{
          .nonce = 12,
          .latest = signed_vote(*group, VoteKind::kCommit, 0, 1, test_digest(1), 3),
          .stable = stable,
          .view_changes = {signed_vote(*group, VoteKind::kViewChange, 2, 0, test_digest(1), 1),
                           signed_vote(*group, VoteKind::kViewChange, 3, 0, test_digest(2), 2)}},
      test_request("c", 9, "do it"),
      Vouch{{test_digest(1), test_digest(2)}},
      FetchRequests{{test_digest(3)}}};
}

TEST(Messages, EncodingsAreReadBackAndCanonical) {
  const auto messages = one_of_each();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);
  for (std::size_t type = 0; type < messages.size(); ++type) {
    ASSERT_EQ(messages[type].index(), type);
    const Bytes encoded = encode(messages[type]);
    const auto decoded = decode(InstanceId{}, encoded);
    ASSERT_TRUE(decoded) << name_of(messages[type]);
    EXPECT_EQ(encode(*decoded), encoded);
    EXPECT_FALSE(describe(*decoded).empty());
    // Cut anywhere, or longer, it is nothing.
    for (std::size_t size = 0; size < encoded.size(); size += 1 + size / 16) {
      EXPECT_FALSE(decode(InstanceId{}, ByteView(encoded).first(size)));
    }
    Bytes longer = encoded;
    longer.push_back(0);
    EXPECT_FALSE(decode(InstanceId{}, longer));
  }
  EXPECT_FALSE(decode(InstanceId{}, Bytes{99}));
}

TEST(Messages, RepliesAreReadBack) {
  const Reply reply{.view = View(3),
                    .number = RequestNumber(8),
                    .operation = test_digest(4),
                    .status = Reply::Status::kNumberForgotten,
                    .result = Buffer::copy_of(as_bytes("r")),
                    .floor = RequestNumber(9),
                    .time = AgreedTime(8)};
  const auto decoded = decode_reply(encode(reply));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, reply);
  EXPECT_FALSE(decode_reply(as_bytes("no")));
}

TEST(Verify, GoodMessagesPass) {
  for (const Message& message : one_of_each()) {
    EXPECT_TRUE(test_verifier().message(message)) << name_of(message);
  }
}

TEST(Verify, NoBitOfWhatIsSignedCanBeChanged) {
  const Verifier verifier = test_verifier();
  for (const Message& message : one_of_each()) {
    const bool is_signed =
        !std::holds_alternative<Status>(message) && !std::holds_alternative<FetchBatch>(message) &&
        !std::holds_alternative<BatchFound>(message) &&
        !std::holds_alternative<FetchManifest>(message) &&
        !std::holds_alternative<ManifestFound>(message) &&
        !std::holds_alternative<FetchChunk>(message) &&
        !std::holds_alternative<ChunkFound>(message) &&
        !std::holds_alternative<RecoveryQuery>(message) &&
        !std::holds_alternative<RecoveryAnswer>(message) &&
        !std::holds_alternative<Vouch>(message) && !std::holds_alternative<FetchRequests>(message);
    if (!is_signed) continue;
    const Bytes encoded = encode(message);
    for (std::size_t at = 1; at < encoded.size(); at += 1 + encoded.size() / 400) {
      Bytes changed = encoded;
      changed[at] ^= 1;
      auto decoded = decode(InstanceId{}, changed);
      if (!decoded) continue;
      EXPECT_FALSE(verifier.message(std::move(*decoded))) << name_of(message) << " byte " << at;
    }
  }
}

TEST(Verify, SignaturesOfAnotherInstanceMeanNothing) {
  InstanceId other;
  other.bytes[0] = 1;
  Vote vote = signed_vote(*test_group(), VoteKind::kCommit, 0, 1, test_digest(1), 2);
  vote.signature =
      crypto::model_scheme().sign(test_replica_key(2), Vote::kTag, vote.statement(other));
  EXPECT_FALSE(test_verifier().message(Ballot{vote}));
  const Request request = sign_request(other, crypto::model_scheme(), test_key("a"),
                                       RequestNumber(1), Buffer::copy_of(as_bytes("op")));
  EXPECT_FALSE(test_verifier().request(request));
}

RejectReason reason(const Message& message) {
  const auto verdict = test_verifier().message(message);
  EXPECT_FALSE(verdict.has_value());
  return verdict ? RejectReason::kBadSignature : verdict.error();
}

TEST(Verify, OnlyThePrimaryProposesAndItDoesNotPrepare) {
  const auto group = test_group();
  const BatchPointer batch = test_batch({});
  EXPECT_EQ(reason(PrePrepare{signed_vote(*group, VoteKind::kPrePrepare, 0, 1, batch->digest(), 1),
                              batch}),
            RejectReason::kWrongSender);
  EXPECT_EQ(reason(Ballot{signed_vote(*group, VoteKind::kPrepare, 0, 1, batch->digest(), 0)}),
            RejectReason::kWrongSender);
  EXPECT_EQ(reason(Ballot{signed_vote(*group, VoteKind::kPrePrepare, 0, 1, batch->digest(), 0)}),
            RejectReason::kWrongSender);
  EXPECT_EQ(reason(Ballot{signed_vote(*group, VoteKind::kCheckpoint, 2, 4, batch->digest(), 0)}),
            RejectReason::kWrongSender);
}

TEST(Verify, AProposalNeedsTheClientsSignatures) {
  const auto group = test_group();
  Request forged = test_request("a", 1);
  forged.operation = Buffer::copy_of(as_bytes("another"));
  const BatchPointer batch = test_batch({test_request("b", 1), forged});
  EXPECT_EQ(reason(PrePrepare{signed_vote(*group, VoteKind::kPrePrepare, 0, 1, batch->digest(), 0),
                              batch}),
            RejectReason::kBadRequest);
}

TEST(Verify, ABatchMustBeWhatTheVoteNames) {
  const auto group = test_group();
  const BatchPointer batch = test_batch({test_request("a", 1)});
  const BatchPointer other = test_batch({test_request("b", 1)});
  EXPECT_EQ(reason(PrePrepare{signed_vote(*group, VoteKind::kPrePrepare, 0, 1, batch->digest(), 0),
                              other}),
            RejectReason::kBadDigest);
  EXPECT_EQ(reason(Committed{certificate(*group, VoteKind::kCommit, 0, 1, batch->digest()), other}),
            RejectReason::kBadDigest);
}

ViewChange signed_change(ViewChange change, std::uint64_t view, std::size_t seat) {
  const std::uint64_t stable = change.stable ? change.stable->number.value : 0;
  change.vote = signed_vote(*test_group(), VoteKind::kViewChange, view, stable,
                            change.digest(InstanceId{}), seat);
  return change;
}

TEST(Verify, AViewChangeProvesWhatItSays) {
  // [CL99 §4.4]
  const auto group = test_group();
  const auto prepared = [&](std::uint64_t view, std::uint64_t number) {
    return certificate(*group, VoteKind::kPrepare, view, number, test_digest(number));
  };
  EXPECT_TRUE(test_verifier().message(signed_change({.prepared = {prepared(0, 1)}}, 2, 3)));
  // Prepared in the view that it is going to.
  EXPECT_EQ(reason(signed_change({.prepared = {prepared(2, 1)}}, 2, 3)),
            RejectReason::kBadCertificate);
  // Beyond the high water mark; twice; not in order.
  EXPECT_EQ(reason(signed_change({.prepared = {prepared(0, 9)}}, 2, 3)),
            RejectReason::kOutsideWindow);
  EXPECT_EQ(reason(signed_change({.prepared = {prepared(0, 1), prepared(1, 1)}}, 2, 3)),
            RejectReason::kOutsideWindow);
  // A certificate of something else.
  EXPECT_EQ(
      reason(signed_change(
          {.prepared = {certificate(*group, VoteKind::kCommit, 0, 1, test_digest(1))}}, 2, 3)),
      RejectReason::kBadCertificate);
  // A pre-prepare alone is not prepared.
  Certificate alone = prepared(0, 1);
  alone.endorsements.resize(1);
  EXPECT_EQ(reason(signed_change({.prepared = {alone}}, 2, 3)), RejectReason::kBadCertificate);
  // A stable checkpoint without proof.
  ViewChange unproven;
  unproven.vote =
      signed_vote(*group, VoteKind::kViewChange, 2, 8, unproven.digest(InstanceId{}), 3);
  EXPECT_EQ(reason(unproven), RejectReason::kBadCertificate);
}

TEST(Verify, ANewViewMustFollowFromItsProofs) {
  // [CL99 §4.4]: backups compute O themselves.
  const auto group = test_group();
  const Certificate prepared = certificate(*group, VoteKind::kPrepare, 0, 2, test_digest(2));
  const auto proofs = [&](std::vector<std::size_t> seats, std::uint64_t view) {
    std::vector<ViewChange> out;
    for (const std::size_t seat : seats) {
      ViewChange change;
      if (seat == 2) change.prepared = {prepared};
      out.push_back(signed_change(std::move(change), view, seat));
    }
    return out;
  };
  const crypto::Digest null = test_verifier().null_batch()->digest();
  const auto make = [&](std::vector<ViewChange> from, std::vector<crypto::Digest> digests) {
    NewView out{.proofs = std::move(from)};
    for (std::size_t i = 0; i < digests.size(); ++i) {
      out.pre_prepares.push_back(
          signed_vote(*group, VoteKind::kPrePrepare, 1, i + 1, digests[i], 1));
    }
    out.vote = signed_vote(*group, VoteKind::kNewView, 1, 0, out.digest(InstanceId{}), 1);
    return out;
  };
  EXPECT_TRUE(test_verifier().message(make(proofs({0, 2, 3}, 1), {null, test_digest(2)})));
  for (const auto& wrong : std::vector<std::vector<crypto::Digest>>{
           {null, null},                            // drops what was prepared
           {test_digest(1), test_digest(2)},        // something where nothing was prepared
           {null},                                  // ends too early
           {null, test_digest(2), test_digest(3)},  // adds something
           {}}) {
    EXPECT_EQ(reason(make(proofs({0, 2, 3}, 1), wrong)), RejectReason::kUnjustified);
  }
  EXPECT_EQ(reason(make(proofs({0, 2}, 1), {null, test_digest(2)})), RejectReason::kBadCertificate);
  EXPECT_EQ(reason(make(proofs({0, 2, 2}, 1), {null, test_digest(2)})), RejectReason::kUnjustified);
  EXPECT_EQ(reason(make(proofs({0, 2, 3}, 2), {null, test_digest(2)})),
            RejectReason::kUnjustified);  // view changes to another view
}

}  // namespace
}  // namespace rosebud::pbft
