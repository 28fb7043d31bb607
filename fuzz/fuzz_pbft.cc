// Messages between replicas from anybody, and a core that hears whatever verifies, with jumps of
// time.
//
// The first byte says which: what decodes encodes again, byte by byte; a replica that starts from
// records of a disk as they come, or from some that make sense one by one; or a play in which the
// fuzzer has the keys of all other replicas and clients. Beyond F nothing is promised but that the
// core does not stop, and what no lie of others excuses: that the replica starts again from what it
// has written itself, wherever the power went, and contradicts no vote that had left before.
#include <cstdlib>

#include "crypto/believes_everything.h"
#include "pbft/records.h"
#include "pbft/replica.h"
#include "pbft/sim/ledger.h"

namespace {

using namespace rosebud;
using namespace rosebud::pbft;

constexpr std::size_t kSeats = 4;
constexpr ReplicaId kSelf(1);

const crypto::BelievesEverything kScheme;

void require(bool condition) {
  if (!condition) std::abort();
}

void fuzz_messages(ByteView input) {
  if (const auto message = decode(InstanceId{}, input)) require(equal(encode(*message), input));
  if (const auto reply = decode_reply(input)) require(equal(encode(*reply), input));
  if (const auto manifest = Manifest::decode(input)) require(equal(manifest->encode(), input));
  if (const auto evidence = Evidence::decode(input)) require(equal(evidence->encode(), input));
  ClientTable table({}, 1);
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
  enum class Disk : std::uint8_t { kEmpty, kGiven };

  Play(ByteView input, RequestAuthentication authentication, Disk disk)
      : in_(input), verifier_(make_group(), group_settings(authentication), kScheme) {
    settings_.group = verifier_.settings();
    settings_.pending_requests_max = 2;  // so that vouches are driven out
    if (disk == Disk::kGiven) write_something();
    start({});
    require(replica_->may_vote() || disk == Disk::kGiven);
  }

  void run() {
    take_effects();  // of the first start: else they would count as the next life's
    while (in_.ok() && in_.left() > 0) {
      step();
      take_effects();
      check_invariants();
    }
  }

 private:
  void take_effects() {
    unsettled_.insert(unsettled_.end(), effects_.begin(), effects_.end());
    effects_.clear();
  }

  /// A disk that was tampered with may hold records that fit each other in no run.
  void check_invariants() const {
    if (!is_rotten_) replica_->check_invariants();
  }

  // ---- The disk ----

  void start(const std::optional<Vote>& latest) {
    PersistentState found;
    found.records.assign(disk_.begin(), disk_.end());
    ledger_.emplace();
    replica_.emplace(Identity{kSelf, own_key()}, verifier_, settings_, *ledger_, found,
                     Random(++starts_));
    require(!replica_->has_unreadable_records() || is_rotten_);
    replica_->start(now(), effects_);
    for (const ReplicaId from : {ReplicaId(0), ReplicaId(2)}) {
      for (const Effect& effect : Effects(effects_)) {
        const auto* all = std::get_if<Broadcast>(&effect);
        const auto* query = all ? std::get_if<RecoveryQuery>(&all->message) : nullptr;
        if (query)
          hear(from, RecoveryAnswer{.nonce = query->nonce, .latest = latest, .stable = {}});
      }
    }
    check_invariants();
  }

  /// The power goes after one of the commits that are under way, now and then with a record.
  void restart() {
    const std::uint8_t lot = in_.u8();
    const auto commits = std::ranges::count_if(unsettled_, is_commit);
    auto left = commits - (lot % 4 == 0 ? std::min<std::ptrdiff_t>(in_.u8(), commits) : 0);
    for (const Effect& effect : unsettled_) {
      if (is_commit(effect) && left-- == 0) break;
      settle(effect);
    }
    unsettled_.clear();
    if (lot % 16 == 15 && !disk_.empty()) {
      disk_.erase(std::next(disk_.begin(), in_.u8() % static_cast<int>(disk_.size())));
      is_rotten_ = true;
    }
    std::optional<Vote> latest;
    if (lot % 16 == 14) {
      latest = vote(VoteKind::kPrepare, {});
      latest->replica = kSelf;
    }
    start(latest);
  }

  /// Some of the commits that are under way are durable, and what waited for them leaves.
  void sync() {
    const auto commits = std::ranges::count_if(unsettled_, is_commit);
    const auto count = std::min<std::ptrdiff_t>(1 + in_.u8() % 16, commits);
    auto at = unsettled_.begin();
    for (auto left = count; at != unsettled_.end(); ++at) {
      if (is_commit(*at) && left-- == 0) break;
      settle(*at);
    }
    unsettled_.erase(unsettled_.begin(), at);
    replica_->on_durable(now(), static_cast<std::uint64_t>(count), effects_);
  }

  static bool is_commit(const Effect& effect) { return std::holds_alternative<Persist>(effect); }

  /// It is durable, or has left.
  void settle(const Effect& effect) {
    if (const auto* persist = std::get_if<Persist>(&effect)) {
      for (const Write& write : persist->writes) {
        if (write.value) disk_.insert_or_assign(write.key, to_bytes(write.value->view()));
        if (!write.value) disk_.erase(write.key);
      }
    } else if (const auto* one = std::get_if<Send>(&effect)) {
      note_said(one->message);
    } else if (const auto* all = std::get_if<Broadcast>(&effect)) {
      note_said(all->message);
    }
  }

  void note_said(const Message& message) {
    if (const auto* proposal = std::get_if<PrePrepare>(&message)) note_said(proposal->vote);
    if (const auto* ballot = std::get_if<Ballot>(&message)) note_said(ballot->vote);
    if (const auto* change = std::get_if<ViewChange>(&message)) note_said(change->vote);
    if (const auto* begun = std::get_if<NewView>(&message)) {
      note_said(begun->vote);
      for (const Vote& one : begun->pre_prepares) note_said(one);
    }
  }

  /// Where more than F lie, other batches may be committed again behind what is durable of a state.
  void note_said(const Vote& vote) {
    if (vote.replica != kSelf || is_rotten_ || vote.kind == VoteKind::kCheckpoint) return;
    for (const Vote& earlier : said_) require(!is_contradiction(earlier, vote));
    if (said_.size() < 256) said_.push_back(vote);
  }

  void write_something() {
    is_rotten_ = true;
    for (int left = in_.u8() % 12; left > 0; --left) {
      const Write one = record();
      disk_.insert_or_assign(one.key, to_bytes(one.value->view()));
    }
  }

  Write record() {
    const crypto::Digest digest = batch()->digest();
    switch (in_.u8() % 13) {
      case 0:
        return records::counter(VoteCounter(in_.u8()));
      case 1:
        return records::view(view(), in_.u8() % 2 == 0);
      case 2:
        return records::view_change(view_change(view(), seat()));
      case 3:
        return records::new_view(new_view());
      case 4:
        return records::silence(number(), view());
      case 5:
        return records::reached({vote(VoteKind::kViewChange, digest)});
      case 6:
        return records::latest(vote(VoteKind::kCommit, digest));
      case 7:
        return records::stable(certificate(VoteKind::kCheckpoint, View{}, number(), digest));
      case 8: {
        std::optional<Vote> own;
        if (in_.u8() % 2 == 0) own = vote(VoteKind::kPrepare, digest);
        return records::proposal(number(), vote(VoteKind::kPrePrepare, digest), own);
      }
      case 9: {
        const SequenceNumber of = number();
        return records::prepared(of, certificate(VoteKind::kPrepare, view(), of, digest),
                                 vote(VoteKind::kCommit, digest));
      }
      case 10: {
        // A whole one, of a state that is empty.
        const SequenceNumber of = number();
        const Manifest manifest{
            .number = of, .time = now().wall, .client_table = {}, .service = {}};
        return records::checkpoint(of, Buffer(manifest.encode()), {});
      }
      case 11:
        return records::evidence({vote(VoteKind::kCommit, digest), vote(VoteKind::kCommit, {})});
      default:
        return records::batch(number(), *batch());
    }
  }

  // ---- What others say ----

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
    const std::uint8_t kind = in_.u8();
    if (kind >= 240) return restart();
    switch (kind % 16) {
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
      case 14:
        return sync();
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
  std::optional<sim::Ledger> ledger_;
  std::optional<Replica> replica_;
  Duration time_{};
  Effects effects_;
  std::map<Bytes, Bytes> disk_;
  Effects unsettled_;       // since the last start: not known to be durable or to have left
  std::vector<Vote> said_;  // its own votes that have left, from its first start on
  bool is_rotten_ = false;  // the disk lost something, or was another's
  std::uint64_t starts_ = 0;
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
  sim::Ledger ledger;
  FixedBytes<32, struct crypto::SeedTag> seed;
  seed.bytes[0] = 1;
  Replica replica(Identity{kSelf, crypto::SecretKey::from_seed(seed)},
                  Verifier(make_group(), {}, kScheme), {}, ledger, state, Random(1));
  Effects effects;
  replica.start({}, effects);
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
      if (data[0] / 3 % 2 == 0) {
        fuzz_records(input);
      } else {
        Play(input, RequestAuthentication::kSignature, Play::Disk::kGiven).run();
      }
      break;
    default:
      Play(input,
           data[0] / 3 % 2 == 0 ? RequestAuthentication::kSignature
                                : RequestAuthentication::kSessionKeys,
           Play::Disk::kEmpty)
          .run();
  }
  return 0;
}
