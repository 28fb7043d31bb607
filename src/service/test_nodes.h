// A cluster of nodes in virtual time (test_node.h): a network that delays, loses and doubles,
// crashes, power cuts, full disks, and liars (test_liar.h). A seed fixes everything.
//
// Whatever a test is about, this holds at any moment, or is an error:
//  1. Everybody enters the same description of an epoch.
//  2. Of members that are there and correct at most F lose their seats from one epoch to the next.
//  3. On no disk is a key of an epoch that is over, nor one of the epoch where there is no seat.
//  4. A key that is announced and a state that is signed are on disk; a node announces one key.
//  5. A group begins with the state whose digest stands in the header.
//  6. No correct node says what another one makes no sense of.
//  7. What was handed in is answered at most once.
//  8. Who has signed what follows an epoch signs no lease of it any more.
#pragma once

#include <deque>

#include "service/test_liar.h"
#include "service/test_node.h"
#include "service/test_service.h"

namespace rosebud::service {

struct NodesOptions {
  std::uint64_t seed = 1;
  membership::Settings settings{
      .has_leases = true, .epoch_seconds = 10, .service_term_seconds = 10};
  ParticipantSettings participant{};
  std::uint32_t loss_per_mille = 0;
  std::uint32_t duplicate_per_mille = 0;
  Duration latency_max = std::chrono::milliseconds(10);
};

/// The world. Nodes are numbered as in membership/test_cluster.h; those of an admission are added.
class Nodes {
 public:
  explicit Nodes(const NodesOptions& options)
      : options_(options), random_(options.seed), service_(options.settings) {
    for (std::size_t seat = 0; seat < service_.cluster.epoch_keys.size(); ++seat) {
      membership::ServiceMember& member = service_.cluster.genesis.service[seat];
      member.commitment = commitment_of(service_.cluster.genesis.nodes[member.node].key,
                                        share_of(service_.cluster.epoch_keys[seat].key));
    }
    genesis_ = service_.configuration = service_.cluster.first();
    newest_ = genesis_;
    headers_[genesis_->number()] = genesis_->header_hash();
    for (std::size_t n = 0; n < 8; ++n) add(n);
    for (std::size_t seat = 0; seat < service_.cluster.epoch_keys.size(); ++seat) {
      lives_.at(genesis_->service()[seat].node)
          .disk.secrets.emplace(genesis_->number(), service_.cluster.epoch_keys[seat].key);
    }
    for (std::size_t n = 0; n < 8; ++n) start(n);
  }

  // ---- Faults ----
  Conduct& conduct(std::size_t n) { return lives_.at(n).conduct; }
  bool is_up(std::size_t n) const { return lives_.at(n).node != nullptr; }
  void crash(std::size_t n) {
    lives_.at(n).node.reset();
    mark_excused(n);
    tell_links(n, false);
  }
  void start(std::size_t n) {
    Life& life = lives_.at(n);
    life.node = std::make_unique<SimNode>(agenda_, life.key, life.disk, life.clock_offset_ms,
                                          options_.participant, random_.fork(), events_of(n));
    life.node->start();
    check_secrets(n);
    tell_links(n, true);
  }
  void restart(std::size_t n) {
    if (is_up(n)) crash(n);
    start(n);
  }
  void wipe(std::size_t n) {
    if (is_up(n)) crash(n);
    lives_.at(n).disk.wipe();
    lives_.at(n).announced.clear();
    start(n);
  }
  void power_cut() {
    for (auto& [n, life] : lives_) {
      if (life.node) crash(n);
    }
  }
  void start_all() {
    for (auto& [n, life] : lives_) {
      if (!life.node) start(n);
    }
  }
  /// So many of a thousand writes fail.
  void fail_writes(std::size_t n, std::uint32_t per_mille) {
    lives_.at(n).fails_per_mille = per_mille;
  }
  void set_clock_offset(std::size_t n, std::int64_t ms) { lives_.at(n).clock_offset_ms = ms; }
  void lag(std::size_t n, Duration time) {
    if (is_up(n)) lives_.at(n).node->learn_not_before(agenda_.now() + time);
    mark_excused(n);
  }
  /// Says to somebody what anybody said to anybody lately, or part of it, as of its own epoch.
  void babble(std::size_t n) {
    if (!is_up(n) || overheard_.empty()) return;
    Bytes bytes = overheard_[random_.below(overheard_.size())];
    if (random_.chance(1, 4)) bytes.resize(random_.below(bytes.size()) + 1);
    if (random_.chance(1, 4)) bytes[random_.below(bytes.size())] ^= 1;
    const auto& nodes = lives_.at(n).node->configuration().nodes();
    transmit(n, nodes[random_.below(nodes.size())].key,
             {.number = lives_.at(n).node->number(), .body = Buffer(std::move(bytes))}, {});
  }
  void add(std::size_t n) {
    Life& life = lives_[n];
    life.key = membership::test_key("node" + std::to_string(n));
    life.disk.chain = {genesis_};
    number_of_[life.key.public_key()] = n;
  }

  // ---- Work ----
  Agenda& agenda() { return agenda_; }
  Random& random() { return random_; }
  const TestService& service() const { return service_; }
  HandInId hand_in(std::size_t n, const Operation& operation) {
    const HandInId id(++last_hand_in_);
    lives_.at(n).node->hand_in(id, operation);
    return id;
  }
  std::optional<Answer> answer_to(HandInId id) const {
    const auto at = answers_.find(id);
    return at == answers_.end() ? std::nullopt : std::optional(at->second);
  }
  void every(Duration interval, std::function<void()> what) {
    agenda_.after(interval, [this, interval, what] {
      what();
      every(interval, what);
    });
  }
  void run_for(Duration time) {
    agenda_.run_until([] { return false; }, time);
  }
  /// Somebody enters so many more epochs.
  [[nodiscard]] bool run_epochs(std::uint64_t count, Duration each) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t epoch = epoch_of(*newest_);
      if (!agenda_.run_until([&] { return epoch_of(*newest_) > epoch; }, each)) return false;
    }
    return true;
  }
  /// All that are up and not mute come to the newest epoch.
  [[nodiscard]] bool run_until_all_there(Duration limit) {
    return agenda_.run_until([this] { return are_all_there(); }, limit);
  }

  // ---- Looking on ----
  const membership::Configuration& newest() const { return *newest_; }
  std::uint64_t epoch() const { return epoch_of(*newest_); }
  const SimNode& node(std::size_t n) const { return *lives_.at(n).node; }
  NodeDisk& disk(std::size_t n) { return lives_.at(n).disk; }
  std::uint64_t trace() const { return trace_; }
  std::uint64_t opened_count(std::size_t n) const { return lives_.at(n).opened; }
  std::size_t probes_max() const { return probes_max_; }
  std::set<std::size_t> members() const {
    std::set<std::size_t> out;
    for (const auto& one : newest_->service()) out.insert(number_of(*newest_, one));
    return out;
  }
  /// Called after the machine of a node has executed something.
  std::function<void(std::size_t n, const Machine&)> on_look;

 private:
  struct Life {
    crypto::SecretKey key;
    NodeDisk disk;
    Conduct conduct = Conduct::kCorrect;
    std::int64_t clock_offset_ms = 0;
    std::uint32_t fails_per_mille = 0;
    std::uint64_t opened = 0;
    std::map<Number, crypto::PublicKey> announced;
    Number excused;  // it was down or faulty in this epoch
    std::unique_ptr<SimNode> node;
  };

  static std::uint64_t epoch_of(const membership::Configuration& one) {
    return one.number().epoch.value;
  }
  std::size_t number_of(const membership::Configuration& configuration,
                        const membership::ServiceMember& member) const {
    return number_of_.at(configuration.nodes()[member.node].key);
  }
  void mark_excused(std::size_t n) { lives_.at(n).excused = newest_->number(); }
  bool are_all_there() const {
    return std::ranges::all_of(lives_, [this](const auto& one) {
      const auto& [n, life] = one;
      return !life.node || life.conduct == Conduct::kMute ||
             life.node->number() == newest_->number();
    });
  }

  NodeEvents events_of(std::size_t n) {
    return {.send = [this, n](const wire::NodeKey& to,
                              Packet packet) { transmit(n, to, std::move(packet), {}); },
            .on_notice = [this, n](const SendNotice& one) { leave(n, one); },
            .on_answer = [this](HandInId id, Answer answer) { note_answer(id, answer); },
            .on_effect = [this, n](const Effect& effect) { check_effect(n, effect); },
            .may_keep = [this, n](const Effect& effect) { return may_keep(n, effect); },
            .on_entered = [this, n] { check_entered(n); },
            .on_look =
                [this, n] {
                  if (on_look && lives_.at(n).node->machine())
                    on_look(n, *lives_.at(n).node->machine());
                },
            .on_nonsense =
                [this, n](const wire::NodeKey& from) {
                  EXPECT_NE(lives_.at(number_of_.at(from)).conduct, Conduct::kCorrect)
                      << "node " << n << " makes no sense of what a correct one says";
                }};
  }

  bool may_keep(std::size_t n, const Effect& effect) {
    const bool is_write = std::holds_alternative<KeepSecret>(effect) ||
                          std::holds_alternative<KeepState>(effect) ||
                          std::holds_alternative<OpenGroup>(effect);
    return !is_write || !random_.chance(lives_.at(n).fails_per_mille, 1000);
  }

  // ---- The network ----

  void note(std::uint64_t what) {
    trace_ =
        (trace_ ^ what ^ static_cast<std::uint64_t>(agenda_.now().time_since_epoch().count())) *
        0x9e3779b97f4a7c15U;
    trace_ ^= trace_ >> 29;
  }
  void leave(std::size_t n, const SendNotice& one) {
    Life& life = lives_.at(n);
    check_said(n, one.notice);
    overheard_.push_back(to_bytes(encode(one.notice).view()));
    if (overheard_.size() > 256) overheard_.pop_front();
    if (one.to == life.key.public_key()) return;
    Liar liar(life.conduct, life.key, random_.fork());
    const SimNode& node = *life.node;
    if (auto leaving = liar.edit(node.configuration(), one.notice)) {
      transmit(n, one.to, {.number = node.number(), .body = std::move(leaving->bytes)},
               leaving->delay);
    }
  }
  void transmit(std::size_t from, const wire::NodeKey& to, Packet packet, Duration delay) {
    const auto target = number_of_.find(to);
    if (target == number_of_.end() || lives_.at(from).conduct == Conduct::kMute) return;
    if (random_.chance(options_.loss_per_mille, 1000)) return;
    const int copies = random_.chance(options_.duplicate_per_mille, 1000) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto longest = static_cast<std::uint64_t>(options_.latency_max.count());
      const auto latency = Duration(static_cast<std::int64_t>(random_.between(200, longest)));
      agenda_.after(delay + latency, [this, from, to = target->second, packet] {
        const Life& life = lives_.at(to);
        if (!life.node) return;
        note(from * 1000 + to * 10 + packet.body.index());
        life.node->take(lives_.at(from).key.public_key(), packet);
        probes_max_ = std::max(probes_max_, life.node->participant().probes_under_way());
      });
    }
  }
  void tell_links(std::size_t n, bool is_up) {
    for (auto& [other, life] : lives_) {
      if (other == n) continue;
      agenda_.after(std::chrono::milliseconds(5), [this, other, n, is_up] {
        SimNode* node = lives_.at(other).node.get();
        if (node) node->on_link(lives_.at(n).key.public_key(), is_up);
      });
    }
  }

  // ---- What must hold ----

  void note_answer(HandInId id, Answer answer) {
    EXPECT_TRUE(answers_.emplace(id, answer).second) << "answered twice";
  }

  /// What is said is on disk, and does not contradict what was said before.
  void check_said(std::size_t n, const Notice& notice) {
    Life& life = lives_.at(n);
    const Number own = life.node->number();
    const Number next{own.generation, own.epoch.next()};
    if (const auto* one = std::get_if<Announced>(&notice)) {
      const auto announcement = Announcement::decode(one->announcement.statement);
      ASSERT_TRUE(announcement);
      EXPECT_EQ(announcement->number, next);
      ASSERT_TRUE(life.disk.secrets.contains(next)) << "node " << n << " may forget its key";
      EXPECT_EQ(life.disk.secrets.at(next).public_key(), announcement->epoch_key);
      const auto at = life.announced.emplace(next, announcement->epoch_key).first;
      EXPECT_EQ(at->second, announcement->epoch_key) << "node " << n << " announced two keys";
    }
    const auto operation = operation_in(notice);
    const auto* asked = operation ? std::get_if<Announce>(&*operation) : nullptr;
    const auto own_one = asked ? Announcement::decode(asked->announcement.statement) : std::nullopt;
    if (own_one && own_one->node == life.key.public_key() && own_one->number == next) {
      const auto kept = life.disk.secret(next);
      EXPECT_TRUE(kept && kept->public_key() == own_one->epoch_key)
          << "node " << n << " asks for a seat whose key it may forget";
    }
    if (std::holds_alternative<LeaseShare>(notice)) {
      EXPECT_FALSE(life.disk.states.contains(next)) << "node " << n << " prolongs what is over";
    }
    if (std::holds_alternative<Signed>(notice)) {
      ASSERT_TRUE(life.node->machine());
      const auto header =
          membership::DescriptionHeader::decode(draft(*life.node->machine()).header);
      EXPECT_TRUE(life.disk.state(next, header->state)) << "node " << n << " may forget the state";
    }
  }
  void check_effect(std::size_t n, const Effect& effect) {
    Life& life = lives_.at(n);
    if (const auto* group = std::get_if<OpenGroup>(&effect)) {
      ++life.opened;
      const crypto::Digest& state = life.node->configuration().service_state();
      if (state != crypto::Digest{}) {
        EXPECT_EQ(Carried::digest(group->carried.encode()), state);
      }
    }
    if (const auto* learn = std::get_if<Learn>(&effect)) check_own_signature(n, *learn);
  }
  /// Whoever signed has the state: no description with its signature leaves before.
  void check_own_signature(std::size_t n, const Learn& learn) {
    Life& life = lives_.at(n);
    const auto description = membership::SignedDescription::decode(learn.description.view());
    ASSERT_TRUE(description);
    const auto seat = seat_of(life.node->configuration(), life.key.public_key());
    const bool is_signer =
        seat && std::ranges::any_of(description->signatures,
                                    [&](const auto& one) { return one.seat == seat->value; });
    if (!is_signer) return;
    const Number own = life.node->number();
    const auto header = membership::DescriptionHeader::decode(description->header);
    EXPECT_TRUE(life.disk.state({own.generation, own.epoch.next()}, header->state))
        << "node " << n << " may forget the state of a description that it signed";
  }

  void check_entered(std::size_t n) {
    const membership::Configuration& entered = lives_.at(n).node->configuration();
    const auto [at, is_first] = headers_.emplace(entered.number(), entered.header_hash());
    EXPECT_EQ(at->second, entered.header_hash()) << "two descriptions of one epoch";
    note(entered.number().epoch.value);
    if (is_first) check_newest(lives_.at(n).disk.chain.back());
    check_secrets(n);
  }
  void check_newest(const ConfigurationPointer& next) {
    const membership::Configuration& before = *newest_;
    EXPECT_EQ(next->number().epoch, before.number().epoch.next());
    std::size_t gone = 0;
    for (const auto& member : before.service()) {
      const std::size_t n = number_of(before, member);
      const Life& life = lives_.at(n);
      const bool is_excused = life.excused.epoch.value + 1 >= before.number().epoch.value ||
                              life.conduct != Conduct::kCorrect || life.fails_per_mille > 0 ||
                              !life.node || !next->node_index(life.key.public_key());
      const bool stays = seat_of(*next, life.key.public_key()).has_value();
      if (!stays && !is_excused) ++gone;
    }
    EXPECT_LE(gone, before.settings().service_faults);
    newest_ = next;
  }
  /// No key of an epoch that is over; that of the epoch only where there is its seat.
  void check_secrets(std::size_t n) {
    const Life& life = lives_.at(n);
    const membership::Configuration& configuration = life.node->configuration();
    const auto seat = seat_of(configuration, life.key.public_key());
    for (const auto& [number, secret] : life.disk.secrets) {
      EXPECT_GE(number, configuration.number()) << "node " << n << " keeps an old key";
      if (number == configuration.number()) {
        EXPECT_TRUE(seat) << "node " << n << " keeps a key without a seat";
      }
    }
    EXPECT_LE(life.disk.secrets.size(), 2U);
    EXPECT_LE(life.disk.states.size(), 2U);
    EXPECT_LE(life.disk.records.size(), 1U);
  }

  NodesOptions options_;
  Random random_;
  Agenda agenda_;
  TestService service_;
  ConfigurationPointer genesis_;
  ConfigurationPointer newest_;
  std::map<Number, crypto::Digest> headers_;
  std::map<std::size_t, Life> lives_;
  std::map<wire::NodeKey, std::size_t> number_of_;
  std::uint64_t last_hand_in_ = 0;
  std::map<HandInId, Answer> answers_;
  std::deque<Bytes> overheard_;
  std::size_t probes_max_ = 0;
  std::uint64_t trace_ = 0;
};

}  // namespace rosebud::service
