// Datagrams from anybody, and one peer that hears whatever decodes, from whomever the script says,
// with jumps of both clocks.
//
// The first byte says which: what decodes encodes again as it was; or a play in a ring of 40 peers,
// of whom 39 are the fuzzer. After every input: the peer's invariants hold, nothing leaves that is
// too long, goes to itself or does not decode, and the number of datagrams is bounded by what came
// in.
#include <array>

#include "routing/peer.h"
#include "script.h"

namespace {

using namespace rosebud;
using namespace rosebud::routing;
using fuzz::require;
using fuzz::Script;

constexpr std::uint32_t kPeers = 40;
const PeerIndex kSelf(11);

void fuzz_decoder(ByteView input) {
  for (const std::uint32_t peers : {1U, 33U, 1000U, 200'000U}) {
    const auto read = decode(input, peers);
    if (!read) continue;
    Bytes again;
    encode(*read, again);
    require(equal(again, input), "what is taken encodes as it was");
    (void)traffic_of(input);
  }
}

std::shared_ptr<const Roster> make_roster() {
  std::vector<Member> members(kPeers);
  for (std::uint32_t i = 0; i < kPeers; ++i) {
    members[i].at = mix(i);
    members[i].key.bytes[0] = static_cast<std::uint8_t>(i);
  }
  return std::make_shared<const Roster>(std::move(members));
}

class Play {
 public:
  Play(ByteView input, Timing timing) : in_(input), roster_(make_roster()) {
    Settings settings;
    settings.timing = timing;
    settings.slices = 2;
    settings.units = 3;
    rules_ = std::make_shared<const Rules>(Rules{settings, Slices(roster_, 2, 3)});
    std::vector<PeerState> states(kPeers, PeerState::alive(20));
    for (std::uint32_t i = 0; i < kPeers; i += 5) states[i] = PeerState::alive(20).died();
    const bool joins = in_.rarely(4);
    states[kSelf.value] = joins ? PeerState::alive(3).died() : PeerState::alive(3);
    const Table table(roster_, std::make_shared<const Snapshot>(std::move(states)));
    peer_.emplace(rules_, kSelf, table, in_.byte());
    if (joins) {
      peer_->join(now(), PeerIndex(12), std::nullopt, out_);
    } else {
      peer_->start(now(), out_);
    }
    judge(1);
  }

  void run() {
    while (!in_.is_over()) {
      step();
      peer_->check_invariants();
    }
  }

 private:
  Now now() const { return {Instant(time_), wall_}; }

  /// Everything that left is fit to leave.
  void judge(std::size_t inputs) {
    require(out_.sends().size() <= 4096 * inputs, "few datagrams for one input");
    for (const auto& send : out_.sends()) {
      tokens_.at(++token_ % tokens_.size()) = last_token(out_.bytes(send));
      require(send.to != kSelf, "nothing to itself");
      require(out_.bytes(send).size() <= kPayloadMax, "no longer than a datagram");
      require(decode(out_.bytes(send), kPeers).has_value(), "what leaves decodes");
    }
    out_.clear();
  }
  /// A token that the peer waits for, so that answers meet questions.
  static Token last_token(ByteView bytes) {
    const auto read = decode(bytes, kPeers);
    if (!read) return {};
    return std::visit(
        [](const auto& m) {
          if constexpr (requires { m.token; }) return m.token;
          return Token{};
        },
        *read);
  }

  PeerIndex peer() { return PeerIndex(in_.byte() % kPeers); }
  PeerState state() { return {static_cast<std::uint32_t>(1 + in_.byte() % 50)}; }
  Told told() {
    Told one{{peer(), state()}, std::nullopt};
    if (in_.rarely(4)) one.moved = Address{.ip = {}, .port = in_.byte()};
    return one;
  }
  Token token() { return in_.rarely(4) ? Token(in_.byte()) : tokens_[in_.byte() % tokens_.size()]; }
  BatchId batch_id() { return {static_cast<std::uint32_t>(in_.byte() % 100)}; }
  Period period() { return Period(rules_->period_at(wall_).value + in_.byte() % 3); }
  CodedEvents events() {
    CodedEvents out;
    for (std::uint32_t next = in_.byte() % 8; next < kPeers; next += 1 + in_.byte() % 16) {
      out.events.push_back({PeerIndex(next), in_.byte() & kLowMask});
    }
    if (out.events.empty()) out.events.push_back({PeerIndex(1), 1});
    return out;
  }

  Datagram datagram() {
    switch (in_.below(18)) {
      case 0: {
        KeepAlive out;
        out.low_bits = in_.byte() & kLowMask;
        if (in_.rarely(2)) out.compared = RegionDigest{in_.byte() % 2U, in_.byte()};
        if (in_.rarely(2)) out.batches.add(batch_id());
        out.token = token();
        if (in_.rarely(2)) out.events = events();
        return out;
      }
      case 1: {
        Tell out;
        for (std::size_t i = in_.below(4); i > 0; --i) out.changes.push_back(told());
        return out;
      }
      case 2:
        return Ping{token()};
      case 3:
        return Pong{token(), in_.byte() & kLowMask};
      case 4:
        return Suspect{{peer(), {state().rank & ~1U}}, period()};
      case 5:
        return Verdict{{peer(), state()}};
      case 6:
        return Announce{token(), period(), in_.byte() % 16U, told()};
      case 7:
        return Announced{token(), in_.rarely(2)};
      case 8: {
        const std::uint32_t first = in_.byte() % kPeers;
        const std::uint32_t end = first + in_.byte() % (kPeers - first + 1);
        return Batch{batch_id(), {first, end}, events(), {}};
      }
      case 9:
        return BatchTaken{batch_id()};
      case 10:
        return Pull{batch_id()};
      case 11:
        return Relay{token(), static_cast<Stage>(in_.below(3)), events()};
      case 12:
        return RelayTaken{token()};
      case 13: {
        const std::uint32_t first = in_.byte() % 2U;
        return Digests{first, std::vector<std::uint16_t>(2 - first, in_.byte())};
      }
      case 14: {
        const std::uint32_t first = in_.byte() % 2U;
        return Fetch{token(), first, 2 - first, {}};
      }
      case 15: {
        States out{.token = token(),
                   .purpose = static_cast<States::Purpose>(in_.below(3)),
                   .next = in_.byte() % 3U,
                   .buckets = {1},
                   .states = {},
                   .moved = {}};
        for (std::uint32_t i = kBucketPeers; i < kPeers; ++i) out.states.push_back(state());
        return out;
      }
      case 16:
        return Lookup{token(), mix(in_.byte()), {peer()}};
      default:
        return in_.rarely(2) ? Datagram(Found{token()}) : Datagram(Redirect{token(), {told()}});
    }
  }

  void step() {
    switch (in_.below(8)) {
      case 0:
        time_ += std::chrono::milliseconds(in_.byte() * 8);
        wall_ += std::chrono::milliseconds(in_.byte() * 8);
        break;
      case 1:
        // To the next deadline, as a driver does.
        if (peer_->next_deadline() != Instant::max()) {
          const Duration next = peer_->next_deadline().time_since_epoch();
          if (next > time_) {
            wall_ += next - time_;
            time_ = next;
          }
        }
        peer_->on_time(now(), out_);
        break;
      case 2:
        if (in_.rarely(16)) wall_ = std::chrono::hours(24 * 365 * in_.byte() / 4);
        if (in_.rarely(16)) time_ += std::chrono::hours(24 * 365 * in_.byte() / 4);
        peer_->on_time(now(), out_);
        break;
      case 3:
        peer_->lookup(now(), LookupId(in_.byte()), mix(in_.byte()), out_);
        break;
      case 4:
        peer_->on_datagram(now(), peer(), in_.bytes(64), out_);
        break;
      default: {
        Bytes bytes;
        encode(datagram(), bytes);
        peer_->on_datagram(now(), peer(), bytes, out_);
      }
    }
    judge(1);
  }

  Script in_;
  std::shared_ptr<const Roster> roster_;
  std::shared_ptr<const Rules> rules_;
  std::optional<Peer> peer_;
  Duration time_ = std::chrono::seconds(1);
  Duration wall_ = std::chrono::seconds(1'750'000'000);
  std::array<Token, 16> tokens_{};
  std::size_t token_ = 0;
  Effects out_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      fuzz_decoder(rest);
      break;
    case 1:
      Play(rest, Timing::kEager).run();
      break;
    default:
      Play(rest, Timing::kClassic).run();
  }
  return 0;
}
