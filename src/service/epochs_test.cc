// Members of the service over many epochs, with an order that is given (pbft has tests of its own):
// every epoch ends, everybody accepts the next, who is away for long goes, who is there stays, and
// F members that lie, stay silent or keep things to themselves change nothing of that.
#include <algorithm>

#include "service/member.h"
#include "service/test_service.h"

namespace rosebud::service {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Conduct : std::uint8_t {
  kCorrect,
  kSilentCandidate,  // announces nothing
  kWithholder,       // opens nothing
  kSlanderer,        // says of everybody that he does not answer, announce or open
  kSilentMember,     // does nothing at all as a member
};

class Epochs {
 public:
  explicit Epochs(std::uint64_t seed, membership::Settings settings)
      : random_(seed), test_(settings) {
    wall_ms_ = test_.configuration->start().value * 1000;
    for (std::size_t n = 0; n < 8; ++n) is_up_.insert(node_key(n));
    begin({});
  }

  std::map<wire::NodeKey, Conduct> conduct;

  const membership::Configuration& configuration() const { return *test_.configuration; }
  bool is_in(std::size_t n) const { return configuration().node_index(node_key(n)).has_value(); }
  TestService& test() { return test_; }
  void kill(std::size_t n) { is_up_.erase(node_key(n)); }
  void start(std::size_t n) { is_up_.insert(node_key(n)); }
  /// By way of some node.
  void ask(const Operation& operation) {
    wishes_.emplace_back(configuration().nodes().back().key, operation);
  }

  /// Runs until the next epoch; false after so much time.
  bool run_to_next(Duration at_most) {
    const std::uint64_t epoch = test_.epoch();
    const Instant end = now_ + at_most;
    while (test_.epoch() == epoch) {
      if (now_ >= end) return false;
      tick();
    }
    return true;
  }

 private:
  struct Seat {
    std::unique_ptr<Machine> machine;
    std::unique_ptr<Member> member;
    std::size_t executed = 0;  // of the order
    bool has_outstanding = false;
  };
  struct Ordered {
    std::uint64_t time_ms;
    wire::NodeKey asker;
    Bytes operation;
  };

  Conduct conduct_of(const wire::NodeKey& node) const {
    const auto at = conduct.find(node);
    return at == conduct.end() ? Conduct::kCorrect : at->second;
  }
  EpochSecret secret_of(const wire::NodeKey& node, std::uint64_t epoch) const {
    if (epoch > 1) {
      return {.key = TestService::epoch_key(node, epoch), .share = TestService::share(node, epoch)};
    }
    const auto members = test_.members();
    const auto seat = std::ranges::find(members, node) - members.begin();
    return {.key = test_.cluster.epoch_keys[static_cast<std::size_t>(seat)].key,
            .share = TestService::share(node, 1)};
  }

  void begin(const Carried& carried) {
    seats_.clear();
    order_.clear();
    wishes_.clear();
    for (const wire::NodeKey& node : test_.members()) {
      Seat& seat = seats_[node];
      seat.machine = std::make_unique<Machine>(test_.configuration, carried, test_.scheme);
      seat.member = std::make_unique<Member>(
          node, test_.configuration, secret_of(node, test_.epoch()),
          MemberSettings{.patience = seconds(3), .probe_interval = seconds(2)}, test_.scheme,
          random_.fork());
    }
  }

  void tick() {
    now_ += milliseconds(100);
    wall_ms_ += 100;
    for (auto& [node, seat] : seats_) {
      if (is_up_.contains(node) && conduct_of(node) != Conduct::kSilentMember) act(node, seat);
    }
    // The order is any order, and some wishes are lost on the way.
    random_.shuffle(wishes_);
    for (auto& [asker, operation] : wishes_) {
      if (random_.chance(1, 4)) continue;
      order_.push_back({.time_ms = wall_ms_, .asker = asker, .operation = encode(operation)});
    }
    wishes_.clear();
    for (auto& [node, seat] : seats_) {
      if (is_up_.contains(node)) execute(seat);
    }
    exchange_signatures();
  }

  void act(const wire::NodeKey& node, Seat& seat) {
    Member& member = *seat.member;
    for (const wire::NodeKey& candidate : member.to_ask(now_, *seat.machine)) {
      if (!is_up_.contains(candidate) || random_.chance(1, 4)) continue;
      if (conduct_of(candidate) == Conduct::kSilentCandidate) continue;
      member.on_announcement(announce(configuration(), TestService::secret_of(candidate),
                                      secret_of(candidate, test_.epoch() + 1), test_.scheme));
    }
    for (const wire::NodeKey& probed : member.to_probe(now_)) {
      member.on_probe(probed, is_up_.contains(probed));
    }
    auto wish = member.wish(now_, wall_ms_ + random_.below(300), *seat.machine);
    if (conduct_of(node) == Conduct::kSlanderer) {
      const auto& nodes = configuration().nodes();
      const wire::NodeKey& victim = nodes[random_.below(nodes.size())].key;
      wishes_.emplace_back(node, Reachability{.node = victim});
      wishes_.emplace_back(node, NoAnnouncement{victim});
      wishes_.emplace_back(node, NoReveal{victim});
    }
    if (!wish) return;
    if (conduct_of(node) == Conduct::kWithholder && std::holds_alternative<Reveal>(*wish)) return;
    wishes_.emplace_back(node, std::move(*wish));
  }

  /// Members are at different places of the same order.
  void execute(Seat& seat) {
    const std::size_t up_to = seat.executed + random_.below(order_.size() - seat.executed + 1);
    while (seat.executed < up_to && seat.machine->state().phase != Phase::kSealed) {
      const Ordered& one = order_[seat.executed++];
      seat.machine->execute(pbft::AgreedTime(one.time_ms), one.asker, one.operation);
    }
  }

  void exchange_signatures() {
    for (auto& [from, seat] : seats_) {
      if (!is_up_.contains(from) || conduct_of(from) == Conduct::kSilentMember) continue;
      const auto signature = seat.member->sign(*seat.machine);
      if (!signature) continue;
      for (auto& [to, other] : seats_) {
        if (to == from || !is_up_.contains(to) || random_.chance(1, 3)) continue;
        other.member->on_signature(*other.machine, *signature);
      }
    }
    std::optional<Bytes> header;
    for (auto& [node, seat] : seats_) {
      const auto* description = seat.member->description();
      if (!description) continue;
      if (!header) header = description->header;
      EXPECT_EQ(*header, description->header);
      if (next_.empty()) {
        next_ = description->encode();
        carried_ = handed_over(*seat.machine);
      }
    }
    if (next_.empty()) return;
    auto next = membership::apply(configuration(), next_, test_.scheme);
    ASSERT_TRUE(next) << membership::text_of(next.error());
    test_.configuration = *next;
    next_.clear();
    begin(carried_);
  }

  Random random_;
  TestService test_;
  Instant now_ = Instant(seconds(1000));
  std::uint64_t wall_ms_ = 0;
  std::set<wire::NodeKey> is_up_;
  std::map<wire::NodeKey, Seat> seats_;
  std::vector<Ordered> order_;
  std::vector<std::pair<wire::NodeKey, Operation>> wishes_;
  Bytes next_;
  Carried carried_;
};

constexpr membership::Settings kMinute{
    .epoch_seconds = 60, .service_term_seconds = 60, .evict_after_seconds = 150};

TEST(Epochs, GoOnWhenAllIsWell) {
  Epochs epochs(1, kMinute);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(epochs.run_to_next(seconds(70))) << i;
    EXPECT_EQ(epochs.configuration().service().size(), 4U);
    EXPECT_EQ(epochs.configuration().nodes().size(), 8U);
  }
}

/// One node after the other is one of the faulty ones; whoever sits in the service.
TEST(Epochs, OneWhoLiesOrIsSilentStopsNothingAndHarmsNobody) {
  for (const Conduct what : {Conduct::kSilentCandidate, Conduct::kWithholder, Conduct::kSlanderer,
                             Conduct::kSilentMember}) {
    for (std::size_t n = 0; n < 8; ++n) {
      Epochs epochs(n + 1, kMinute);
      epochs.conduct[node_key(n)] = what;
      for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(epochs.run_to_next(seconds(75)))
            << "conduct " << static_cast<int>(what) << ", node " << n << ", epoch " << i;
        EXPECT_EQ(epochs.configuration().nodes().size(), 8U);
        EXPECT_GE(epochs.configuration().service().size(), 3U);
      }
    }
  }
}

TEST(Epochs, ADeadNodeGoesWhenItsTimeIsOverAndOneThatComesBackStays) {
  for (std::size_t n = 0; n < 8; ++n) {
    Epochs epochs(n + 20, kMinute);
    const std::size_t back = (n + 3) % 8;
    epochs.kill(n);
    ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    EXPECT_TRUE(epochs.is_in(n));  // not after a minute
    epochs.start(n);
    ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    epochs.kill(n);
    epochs.kill(back);
    epochs.start(back);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    EXPECT_FALSE(epochs.is_in(n));
    EXPECT_TRUE(epochs.is_in(back));
    for (const auto& member : epochs.configuration().service()) {
      EXPECT_NE(epochs.configuration().nodes()[member.node].key, node_key(n));
    }
  }
}

TEST(Epochs, AllNodesAreReplacedOneAfterTheOther) {
  Epochs epochs(5, {.epoch_seconds = 60, .service_term_seconds = 0, .evict_after_seconds = 0});
  for (std::size_t n = 0; n < 8; ++n) {
    const auto organisation = static_cast<std::uint32_t>(n / 2);
    epochs.start(20 + n);
    for (int i = 0; i < 9 && !epochs.is_in(20 + n); ++i) {
      epochs.ask(epochs.test().admission(20 + n, organisation));
      ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    }
    ASSERT_TRUE(epochs.is_in(20 + n));
    for (int i = 0; i < 9 && epochs.is_in(n); ++i) {
      epochs.ask(epochs.test().revocation(n, organisation));
      ASSERT_TRUE(epochs.run_to_next(seconds(80)));
    }
    ASSERT_FALSE(epochs.is_in(n));
    epochs.kill(n);
  }
  EXPECT_EQ(epochs.configuration().nodes().size(), 8U);
  EXPECT_EQ(epochs.configuration().service().size(), 4U);
}

TEST(Member, RefusesAnnouncementsThatAreNotForTheNextEpoch) {
  TestService service;
  Member member(node_key(0), service.configuration, std::nullopt, {}, service.scheme, Random(1));
  const wire::SignedBytes good = service.announcement(node_key(3)).announcement;
  wire::SignedBytes forged = good;
  forged.signature.bytes[3] ^= 1;
  EXPECT_FALSE(member.on_announcement(forged));
  auto later = *Announcement::decode(good.statement);
  later.number.epoch = later.number.epoch.next();
  EXPECT_FALSE(member.on_announcement(
      wire::sign(service.scheme, TestService::secret_of(node_key(3)), later)));
  EXPECT_TRUE(member.on_announcement(good));
  EXPECT_FALSE(member.on_announcement(good));
}

/// Where too few announce for a service they are all asked again, with as much time as before.
TEST(Member, ComplainsOfACandidateNoMoreOftenThanItsPatienceLasts) {
  TestService service;
  Member member(node_key(0), service.configuration, std::nullopt, {.patience = seconds(5)},
                service.scheme, Random(1));
  service.now_ms += 60'000;
  service.all_say(PrepareEpoch{});
  std::map<wire::NodeKey, int> complaints;
  for (Instant now(seconds(1)); now < Instant(seconds(61)); now += milliseconds(100)) {
    const auto wish = member.wish(now, service.now_ms, *service.machine);
    if (!wish) continue;
    ++complaints[std::get<NoAnnouncement>(*wish).candidate];
    service.all_say(*wish);
  }
  EXPECT_GE(complaints.size(), 4U);
  for (const auto& [candidate, count] : complaints) EXPECT_LE(count, 12);
}

TEST(Member, WithoutItsSecretItSignsAndRevealsNothing) {
  TestService service;
  Member member(node_key(0), service.configuration, std::nullopt, {}, service.scheme, Random(1));
  service.now_ms += 60'000;
  const Instant now(seconds(1));
  EXPECT_TRUE(std::holds_alternative<PrepareEpoch>(
      member.wish(now, service.now_ms, *service.machine).value()));
  service.all_say(PrepareEpoch{});
  service.announce_all();
  EXPECT_FALSE(member.wish(now, service.now_ms, *service.machine));
  EXPECT_FALSE(member.sign(*service.machine));
  service.reveal_all();
  EXPECT_FALSE(member.sign(*service.machine));
}

}  // namespace
}  // namespace rosebud::service
