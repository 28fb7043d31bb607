// Messages between replicas from anybody, and a core that hears whatever verifies, with jumps of
// time.
//
// The first byte says which: what decodes encodes again, byte by byte; records of a disk; or a play
// in which the fuzzer has the keys of all other replicas and clients: beyond F nothing is promised
// but that the core does not stop.
#include <cstdlib>

#include "crypto/believes_everything.h"
#include "pbft/records.h"
#include "pbft/replica.h"
#include "pbft/sim/ledger.h"

namespace {

using namespace rosebud;
using namespace rosebud::pbft;

constexpr std::size_t kSeats = 4;

const crypto::BelievesEverything kScheme;

void require(bool condition) {
  if (!condition) std::abort();
}

void fuzz_messages(ByteView input) {
  if (const auto message = decode(InstanceId{}, input)) require(equal(encode(*message), input));
  if (const auto reply = decode_reply(input)) require(equal(encode(*reply), input));
  if (const auto manifest = Manifest::decode(input)) require(equal(manifest->encode(), input));
  if (const auto evidence = Evidence::decode(input)) require(equal(evidence->encode(), input));
  ClientTable table({});
  if (table.restore(input)) (void)table.encode();
}

std::shared_ptr<const Group> make_group() {
  std::vector<std::optional<crypto::PublicKey>> seats;
  for (std::uint8_t i = 0; i < kSeats; ++i) {
    FixedBytes<32, struct crypto::SeedTag> seed;
    seed.bytes[0] = i;
    seats.emplace_back(crypto::SecretKey::from_seed(seed).public_key());
  }
  return std::make_shared<const Group>(InstanceId{}, std::move(seats));
}

/// Small numbers, so that votes meet.
class Play {
 public:
  Play(ByteView input, RequestAuthentication authentication)
      : in_(input), verifier_(make_group(), group_settings(authentication), kScheme) {
    settings_.group = verifier_.settings();
    settings_.pending_requests_max = 2;  // so that vouches are driven out
    replica_.emplace(Identity{ReplicaId(1), own_key()}, verifier_, settings_, ledger_,
                     PersistentState{}, Random(1));
    replica_->start(now(), effects_);
    for (const ReplicaId from : {ReplicaId(0), ReplicaId(2)}) {
      for (const Effect& effect : Effects(effects_)) {
        const auto* all = std::get_if<Broadcast>(&effect);
        const auto* query = all ? std::get_if<RecoveryQuery>(&all->message) : nullptr;
        if (query) hear(from, RecoveryAnswer{.nonce = query->nonce, .latest = {}, .stable = {}});
      }
    }
    require(replica_->may_vote());
  }

  void run() {
    while (in_.ok() && in_.left() > 0) {
      step();
      effects_.clear();
      replica_->check_invariants();
    }
  }

 private:
  Now now() const {
    return {Instant(time_), AgreedTime(1000 + static_cast<std::uint64_t>(time_.count() / 1000))};
  }
  void hear(ReplicaId from, Message message) {
    auto verified = verifier_.message(std::move(message));
    if (verified) replica_->on_message(now(), from, *verified, effects_);
  }
  ReplicaId seat() { return ReplicaId(in_.u8() % kSeats); }
  View view() { return View(in_.u8() % 6); }
  SequenceNumber number() { return SequenceNumber(1 + in_.u8() % 12); }
  BatchPointer batch() {
    const std::uint8_t lot = in_.u8() % 4;
    if (lot == 0) return verifier_.null_batch();
    Batch out{.time = now().wall, .requests = {}};
    for (std::uint8_t i = 1; i < lot; ++i) out.requests.push_back(request());
    return SealedBatch::seal(InstanceId{}, std::move(out));
  }
  Request request() {
    Request out;
    out.client.bytes[0] = in_.u8() % 3;
    out.number = RequestNumber(in_.u8());
    out.operation = Buffer(Bytes{in_.u8()});
    if (has_session_keys()) authenticate(out);
    return out;
  }
  bool has_session_keys() const {
    return settings_.group.request_authentication == RequestAuthentication::kSessionKeys;
  }
  /// Right to the replica, or not.
  void authenticate(Request& request) {
    request.macs.resize(kSeats);
    const auto key = session_key(InstanceId{}, request.client,
                                 verifier_.group().key_of(ReplicaId(1)), own_key(), kScheme);
    request.macs[1] = crypto::authenticate(*key, request.digest(InstanceId{}).view());
    request.macs[1].bytes[0] ^= in_.u8() % 2;
  }
  Vote vote(VoteKind kind, const crypto::Digest& digest) {
    return {.kind = kind,
            .view = kind == VoteKind::kCheckpoint ? View{} : view(),
            .number = number(),
            .digest = digest,
            .replica = seat(),
            .counter = VoteCounter(in_.u8()),
            .signature = {}};
  }
  Certificate certificate(VoteKind kind, View of, SequenceNumber n, const crypto::Digest& digest) {
    Certificate out{.kind = kind, .view = of, .number = n, .digest = digest, .endorsements = {}};
    const std::uint16_t left_out = in_.u8() % kSeats;
    for (std::uint16_t i = 0; i < kSeats; ++i) {
      const bool is_needed =
          kind == VoteKind::kPrepare && ReplicaId(i) == verifier_.group().primary_of(of);
      if (i == left_out && !is_needed) continue;
      if (out.endorsements.size() == 3) break;
      out.endorsements.push_back({ReplicaId(i), VoteCounter(1), {}});
    }
    return out;
  }
  ViewChange view_change(View to, ReplicaId from) {
    ViewChange out;
    const std::uint8_t count = in_.u8() % 4;
    for (std::uint64_t n = 1; n <= count; ++n) {
      out.prepared.push_back(certificate(VoteKind::kPrepare, View(in_.u8() % 3), SequenceNumber(n),
                                         batch()->digest()));
    }
    out.vote = {.kind = VoteKind::kViewChange,
                .view = to,
                .number = {},
                .digest = {},
                .replica = from,
                .counter = VoteCounter(in_.u8()),
                .signature = {}};
    out.vote.digest = out.digest(InstanceId{});
    return out;
  }
  NewView new_view() {
    NewView out;
    const View to(1 + in_.u8() % 5);
    const ReplicaId primary = verifier_.group().primary_of(to);
    for (std::uint16_t i = 0; i < 3; ++i) out.proofs.push_back(view_change(to, ReplicaId(i)));
    const NewViewChoice choice = choose_new_view(out.proofs, verifier_.null_batch()->digest());
    SequenceNumber n = choice.first();
    for (const crypto::Digest& digest : choice.digests) {
      out.pre_prepares.push_back({.kind = VoteKind::kPrePrepare,
                                  .view = to,
                                  .number = n,
                                  .digest = digest,
                                  .replica = primary,
                                  .counter = VoteCounter(1),
                                  .signature = {}});
      n = n.next();
    }
    out.vote = {.kind = VoteKind::kNewView,
                .view = to,
                .number = {},
                .digest = {},
                .replica = primary,
                .counter = VoteCounter(2),
                .signature = {}};
    out.vote.digest = out.digest(InstanceId{});
    return out;
  }

  void step() {
    const ReplicaId from = seat();
    switch (in_.u8() % 15) {
      case 0: {
        const BatchPointer proposed = batch();
        Vote one = vote(VoteKind::kPrePrepare, proposed->digest());
        one.replica = verifier_.group().primary_of(one.view);
        return hear(from, PrePrepare{one, proposed});
      }
      case 1:
        return hear(from, Ballot{vote(VoteKind::kPrepare, batch()->digest())});
      case 2:
        return hear(from, Ballot{vote(VoteKind::kCommit, batch()->digest())});
      case 3:
        return hear(from, Ballot{vote(VoteKind::kCheckpoint, batch()->digest())});
      case 4:
        return hear(from, view_change(view(), seat()));
      case 5:
        return hear(from, new_view());
      case 6: {
        const BatchPointer known = batch();
        return hear(
            from,
            Committed{certificate(VoteKind::kCommit, view(), number(), known->digest()), known});
      }
      case 7:
        return hear(from, StableCheckpoint{certificate(VoteKind::kCheckpoint, View{}, number(),
                                                       batch()->digest())});
      case 8: {
        auto verified = verifier_.request(request());
        if (verified) replica_->on_request(now(), *verified, effects_);
        return;
      }
      case 9:
        return hear(from, BatchFound{batch()});
      case 10:
        time_ += std::chrono::milliseconds(in_.u16());
        return replica_->on_time(now(), effects_);
      case 11:
        return replica_->on_link(now(), from, in_.u8() % 2 == 0, effects_);
      case 12:
        return hear(from, pbft::Status{.view = view(),
                                       .is_changing_view = in_.u8() % 2 == 0,
                                       .stable = number(),
                                       .executed = number(),
                                       .proposals = in_.u8(),
                                       .silent_until = number(),
                                       .view_changes = {view(), view()}});
      case 13: {
        const std::uint8_t lot = in_.u8();
        std::vector<crypto::Digest> requests;
        for (int left = lot % 3; left > 0; --left) {
          requests.push_back(request().digest(InstanceId{}));
        }
        if (lot >= 128) return hear(from, FetchRequests{std::move(requests)});
        return hear(from, Vouch{std::move(requests)});
      }
      default:
        // Anything that decodes: chunks, manifests, questions.
        if (auto message = decode(InstanceId{}, in_.raw(std::min<std::size_t>(in_.left(), 64)))) {
          hear(from, std::move(*message));
        }
    }
  }

  static crypto::SecretKey own_key() {
    FixedBytes<32, struct crypto::SeedTag> seed;
    seed.bytes[0] = 1;
    return crypto::SecretKey::from_seed(seed);
  }
  static GroupSettings group_settings(RequestAuthentication authentication) {
    GroupSettings out;
    out.checkpoint_interval = 2;
    out.window = 4;
    out.request_authentication = authentication;
    return out;
  }

  wire::Reader in_;
  Settings settings_;
  Verifier verifier_;
  sim::Ledger ledger_;
  std::optional<Replica> replica_;
  Duration time_{};
  Effects effects_;
};

void fuzz_records(ByteView input) {
  // Pairs of key and value as a disk may yield them.
  wire::Reader in(input);
  PersistentState state;
  while (in.ok() && in.left() > 0) {
    Bytes key = to_bytes(in.bytes16(200));
    state.records.emplace_back(std::move(key), to_bytes(in.bytes16(4000)));
  }
  (void)records::read(*make_group(), state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      fuzz_messages(input);
      break;
    case 1:
      fuzz_records(input);
      break;
    default:
      Play(input, data[0] / 3 % 2 == 0 ? RequestAuthentication::kSignature
                                       : RequestAuthentication::kSessionKeys)
          .run();
  }
  return 0;
}
