// One node in virtual time, as far as the configuration service goes: a Participant, the replica of
// its seat when it has one, and a disk that outlives it.
//
// What runtime/service_host.h and runtime/node_epochs.cc do with files and links is done here in
// the same order.
#pragma once

#include <gtest/gtest.h>

#include "membership/test_cluster.h"
#include "service/participant.h"
#include "service/test_seat.h"

namespace rosebud::service {

using Number = wire::ConfigurationNumber;
using ConfigurationPointer = std::shared_ptr<const membership::Configuration>;

/// What a node has written. What is here was synced: records come only when their sync is over.
struct NodeDisk {
  std::vector<ConfigurationPointer> chain;  // that it entered, the genesis first
  std::map<Number, crypto::SecretKey> secrets;
  std::map<Number, Buffer> states;
  std::map<Number, std::map<Bytes, Bytes>> records;

  std::optional<crypto::SecretKey> secret(const Number& number) const {
    const auto at = secrets.find(number);
    return at == secrets.end() ? std::nullopt : std::optional(at->second);
  }
  std::optional<Buffer> state(const Number& number, const crypto::Digest& digest) const {
    const auto at = states.find(number);
    if (at == states.end() || Carried::digest(at->second.view()) != digest) return std::nullopt;
    return at->second;
  }
  void remove_old(const Number& below) {
    std::erase_if(states, [&](const auto& one) { return one.first < below; });
    std::erase_if(records, [&](const auto& one) { return one.first < below; });
  }
  /// All but the genesis and the node's own key.
  void wipe() {
    chain.resize(1);
    secrets.clear();
    states.clear();
    records.clear();
  }
};

/// What travels. Everything says its sender's epoch.
struct GetDescriptions {
  Number after;
};
struct Descriptions {
  std::vector<Buffer> descriptions;
};
struct Packet {
  Number number;
  std::variant<Buffer, GetDescriptions, Descriptions> body;  // Buffer: a notice
};

/// What a node asks of the world, and tells it.
struct NodeEvents {
  std::function<void(const wire::NodeKey& to, Packet)> send;
  std::function<void(const SendNotice&)> on_notice;  // before anybody makes something else of it
  std::function<void(HandInId, Answer)> on_answer;
  std::function<void(const Effect&)> on_effect;  // when it has been done
  std::function<bool(const Effect&)> may_keep;   // false: the disk does not take it
  std::function<void()> on_entered;
  std::function<void()> on_look;  // its machine has executed something
  std::function<void(const wire::NodeKey& from)> on_nonsense;
};

/// From a start to a crash.
class SimNode {
 public:
  SimNode(Agenda& agenda, crypto::SecretKey key, NodeDisk& disk, std::int64_t clock_offset_ms,
          ParticipantSettings settings, Random random, NodeEvents events)
      : agenda_(agenda),
        key_(key),
        disk_(disk),
        clock_offset_ms_(clock_offset_ms),
        random_(random.fork()),
        events_(std::move(events)),
        participant_(
            std::move(key), crypto::model_scheme(), [this] { return fresh_key(); }, settings,
            random.fork()) {}
  SimNode(const SimNode&) = delete;  // what it has planned points to it
  SimNode& operator=(const SimNode&) = delete;

  void start() {
    const std::size_t count = disk_.chain.size();
    begin(disk_.chain.back(), count > 1 ? disk_.chain[count - 2] : nullptr);
    ask_somebody_later();
  }

  const membership::Configuration& configuration() const { return *disk_.chain.back(); }
  const Number& number() const { return number_; }
  const Participant& participant() const { return participant_; }
  const Machine* machine() const { return machine_.get(); }
  pbft::Now now() const { return {.instant = agenda_.now(), .wall = pbft::AgreedTime(wall_ms())}; }

  // ---- What comes in ----

  void take(const wire::NodeKey& from, const Packet& packet) {
    if (packet.number > number_) hear_of(from);
    if (const auto* asked = std::get_if<GetDescriptions>(&packet.body)) {
      answer_descriptions(from, asked->after);
    } else if (const auto* found = std::get_if<Descriptions>(&packet.body)) {
      const Number before = number_;
      learn(found->descriptions);
      if (before < number_) ask_again_at_.erase(from);
      if (packet.number > number_) hear_of(from);
    } else if (packet.number < number_) {
      tell(from);
    } else if (packet.number == number_) {
      if (!take_notice(from, std::get<Buffer>(packet.body))) events_.on_nonsense(from);
    }
  }
  void on_link(const wire::NodeKey& node, bool is_up) {
    const auto seat = seat_of(configuration(), node);
    if (replica_ && seat) replica_->on_link(*seat, is_up);
  }
  void hand_in(HandInId id, const Operation& operation) {
    feed([&](Effects& out) { participant_.hand_in(now(), id, operation, out); });
  }
  /// Does not enter anything before.
  void learn_not_before(Instant time) { learns_at_ = time; }

 private:
  std::uint64_t wall_ms() const {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(agenda_.now().time_since_epoch());
    return static_cast<std::uint64_t>(1'000'000 + since.count() + clock_offset_ms_);
  }
  crypto::SecretKey fresh_key() {
    return membership::test_key("fresh " + std::to_string(random_.next()));
  }
  template <typename Action>
  void plan(Instant time, Action action) {
    agenda_.at(time, [alive = std::weak_ptr(alive_), action = std::move(action)]() mutable {
      if (!alive.expired()) action();
    });
  }

  // ---- Epochs, as in runtime/node_epochs.cc ----

  static constexpr Duration kAskAgain = std::chrono::milliseconds(500);

  void ask_for_descriptions(const wire::NodeKey& node) {
    events_.send(node, {.number = number_, .body = GetDescriptions{number_}});
  }
  void hear_of(const wire::NodeKey& from) { ask_again(ask_again_at_[from], from); }
  void tell(const wire::NodeKey& node) { ask_again(tell_again_at_[node], node); }
  void ask_again(Instant& again, const wire::NodeKey& node) {
    if (agenda_.now() < again) return;
    again = agenda_.now() + kAskAgain;
    ask_for_descriptions(node);
  }
  void answer_descriptions(const wire::NodeKey& to, const Number& after) {
    Descriptions out;
    for (const ConfigurationPointer& one : disk_.chain) {
      if (one->number() > after) out.descriptions.push_back(one->signed_description());
    }
    events_.send(to, {.number = number_, .body = std::move(out)});
  }
  void learn(const std::vector<Buffer>& descriptions) {
    if (agenda_.now() < learns_at_) return;
    const Number before = number_;
    for (const Buffer& description : descriptions) {
      auto next = membership::apply(configuration(), description.view(), crypto::model_scheme());
      if (!next && next.error() == membership::DescriptionError::kNotNewer) continue;
      if (!next) break;
      ConfigurationPointer previous = disk_.chain.back();
      disk_.chain.push_back(*next);
      begin(*next, std::move(previous));
      events_.on_entered();
    }
    if (before < number_) tell_others();
  }
  void tell_others() {
    for (const membership::Node& node : configuration().nodes()) {
      if (node.key != key_.public_key()) ask_for_descriptions(node.key);
    }
  }
  void ask_somebody_later() {
    plan(agenda_.now() + std::chrono::seconds(5), [this] {
      const auto& nodes = configuration().nodes();
      const wire::NodeKey& somebody = nodes[random_.below(nodes.size())].key;
      if (somebody != key_.public_key()) ask_for_descriptions(somebody);
      ask_somebody_later();
    });
  }

  // ---- The service, as in runtime/service_host.cc ----

  void begin(ConfigurationPointer configuration, ConfigurationPointer previous) {
    close_group();
    number_ = configuration->number();
    disk_.remove_old(number_);
    Entered entered{
        .configuration = configuration,
        .previous = std::move(previous),
        .secret = disk_.secret(number_),
        .next_secret = disk_.secret({number_.generation, number_.epoch.next()}),
        .state = disk_.state(number_, configuration->service_state()),
        .has_next_state = disk_.states.contains({number_.generation, number_.epoch.next()})};
    feed([&](Effects& out) { participant_.begin(now(), std::move(entered), out); });
  }
  template <typename Input>
  void feed(Input input) {
    Effects effects;
    input(effects);
    perform(effects);
    wake();
  }
  bool take_notice(const wire::NodeKey& from, const Buffer& bytes) {
    const auto notice = decode_notice(bytes);
    if (!notice) return false;
    if (const auto* order = std::get_if<Order>(&*notice)) {
      const auto seat = seat_of(configuration(), from);
      if (!seat) return false;
      return !replica_ || replica_->take_message(*seat, order->message.view());
    }
    if (const auto* ask = std::get_if<Ask>(&*notice)) {
      if (!configuration().node_index(from)) return false;
      return !replica_ || replica_->take_request(ask->request.view());
    }
    bool is_sense = true;
    feed([&](Effects& out) {
      is_sense = participant_.on_notice(now(), from, *notice, machine_.get(), out);
    });
    return is_sense;
  }

  void perform(const Effects& effects) {
    for (const Effect& effect : effects) {
      if (!events_.may_keep(effect)) {
        participant_.on_failed(effect);
        return;
      }
      perform_one(effect);
      events_.on_effect(effect);
    }
  }
  void perform_one(const Effect& effect) {
    if (const auto* one = std::get_if<SendNotice>(&effect)) {
      send(*one);
    } else if (const auto* secret = std::get_if<KeepSecret>(&effect)) {
      EXPECT_TRUE(disk_.secrets.emplace(secret->number, secret->key).second) << "written twice";
    } else if (const auto* old = std::get_if<EraseSecrets>(&effect)) {
      std::erase_if(disk_.secrets, [&](const auto& kept) { return kept.first < old->below; });
    } else if (const auto* state = std::get_if<KeepState>(&effect)) {
      disk_.states[state->number] = state->state;
    } else if (const auto* group = std::get_if<OpenGroup>(&effect)) {
      open_group(*group);
    } else if (const auto* next = std::get_if<Learn>(&effect)) {
      plan(agenda_.now(), [this, description = next->description] { learn({description}); });
    } else if (const auto* answered = std::get_if<HandedIn>(&effect)) {
      events_.on_answer(answered->id, answered->answer);
    }
  }
  void send(const SendNotice& one) {
    events_.on_notice(one);
    if (one.to != key_.public_key()) return;
    const auto* ask = std::get_if<Ask>(&one.notice);
    const bool is_taken = !ask || !replica_ || replica_->take_request(ask->request.view());
    EXPECT_TRUE(is_taken);
  }

  void open_group(const OpenGroup& wanted) {
    machine_ = std::make_unique<Machine>(participant_.shared_configuration(), wanted.carried,
                                         crypto::model_scheme());
    replica_ = std::make_unique<SeatReplica>(
        agenda_, pbft::Identity{.self = wanted.seat, .key = wanted.key}, group_of(configuration()),
        *machine_, disk_.records[number_], random_.fork(),
        SeatReplica::Events{.send =
                                [this](pbft::ReplicaId to, const Buffer& message) {
                                  send({node_of(configuration(), to), Order{message}});
                                },
                            .reply = [this](const pbft::ClientId& to,
                                            const pbft::Reply& reply) { send_reply(to, reply); },
                            .on_change = [this] { look_later(); },
                            .now = [this] { return now(); }});
    seen_ = {};
    replica_->start();
  }
  void close_group() {
    replica_.reset();
    machine_.reset();
  }
  void send_reply(const pbft::ClientId& to, const pbft::Reply& reply) {
    const Reply answer{Buffer(pbft::encode(reply))};
    if (to != key_.public_key()) return send({to, answer});
    plan(agenda_.now(), [this, to, answer] {
      feed([&](Effects& out) {
        (void)participant_.on_notice(now(), to, answer, machine_.get(), out);
      });
    });
  }
  void look_later() {
    if (!replica_ || replica_->replica().executed() == seen_ || is_look_posted_) return;
    is_look_posted_ = true;
    plan(agenda_.now(), [this] {
      is_look_posted_ = false;
      if (!replica_) return;
      seen_ = replica_->replica().executed();
      feed([&](Effects& out) { participant_.on_executed(now(), *machine_, out); });
      events_.on_look();
    });
  }
  void wake() {
    const Instant deadline = participant_.next_deadline();
    if (deadline >= wake_at_) return;
    wake_at_ = deadline;
    plan(deadline, [this, deadline] {
      if (wake_at_ != deadline) return;
      wake_at_ = Instant::max();
      feed([&](Effects& out) { participant_.on_time(now(), machine_.get(), out); });
    });
  }

  Agenda& agenda_;
  crypto::SecretKey key_;
  NodeDisk& disk_;
  std::int64_t clock_offset_ms_;
  Random random_;
  NodeEvents events_;
  Participant participant_;
  Number number_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<SeatReplica> replica_;
  bool is_look_posted_ = false;
  pbft::SequenceNumber seen_;
  Instant wake_at_ = Instant::max();
  Instant learns_at_;
  std::map<wire::NodeKey, Instant> ask_again_at_;
  std::map<wire::NodeKey, Instant> tell_again_at_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace rosebud::service
