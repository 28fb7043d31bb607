#include "service/sim/node.h"

#include "service/sim/cluster.h"

namespace rosebud::service::sim {
namespace {

constexpr Duration kAskAgain = std::chrono::milliseconds(500);
constexpr Duration kAskSomebody = std::chrono::seconds(5);

}  // namespace

// ---- The disk ----

std::optional<crypto::SecretKey> NodeDisk::secret(const Number& number) const {
  const auto at = secrets.find(number);
  return at == secrets.end() ? std::nullopt : std::optional(at->second);
}

std::optional<Buffer> NodeDisk::state(const Number& number, const crypto::Digest& digest) const {
  const auto at = states.find(number);
  if (at == states.end() || Carried::digest(at->second.view()) != digest) return std::nullopt;
  return at->second;
}

void NodeDisk::remove_old(const Number& below) {
  std::erase_if(states, [&](const auto& one) { return one.first < below; });
  std::erase_if(records, [&](const auto& one) { return one.first < below; });
}

void NodeDisk::wipe() {
  chain.resize(1);
  secrets.clear();
  states.clear();
  records.clear();
}

pbft::StateMachine::Outcome WatchedMachine::execute(pbft::AgreedTime time,
                                                    const pbft::ClientId& client,
                                                    ByteView operation) {
  const State before = machine_.state();
  Outcome out = machine_.execute(time, client, operation);
  on_step_({.before = before,
            .machine = machine_,
            .asker = client,
            .operation = decode_operation(operation),
            .time_ms = time.value});
  return out;
}

SimNode::SimNode(Agenda& agenda, crypto::SecretKey key, NodeDisk& disk,
                 std::int64_t clock_offset_ms, ParticipantSettings settings, Random random,
                 NodeEvents events)
    : agenda_(agenda),
      key_(key),
      disk_(disk),
      clock_offset_ms_(clock_offset_ms),
      random_(random.fork()),
      events_(std::move(events)),
      participant_(
          std::move(key), crypto::model_scheme(), [this] { return fresh_key(); }, settings,
          random.fork()) {}

void SimNode::start() {
  const std::size_t count = disk_.chain.size();
  begin(disk_.chain.back(), count > 1 ? disk_.chain[count - 2] : nullptr);
  ask_somebody_later();
}

std::uint64_t SimNode::wall_ms() const {
  const auto since =
      std::chrono::duration_cast<std::chrono::milliseconds>(agenda_.now().time_since_epoch());
  return static_cast<std::uint64_t>(kWallBeginMs + since.count() + clock_offset_ms_);
}

crypto::SecretKey SimNode::fresh_key() {
  return key_named("fresh " + std::to_string(random_.next()));
}

template <typename Action>
void SimNode::plan(Instant time, Action action) {
  agenda_.at(time, [alive = std::weak_ptr(alive_), action = std::move(action)]() mutable {
    if (!alive.expired()) action();
  });
}

template <typename Input>
void SimNode::feed(Input input) {
  Effects effects;
  input(effects);
  perform(effects);
  wake();
}

// ---- What comes in ----

void SimNode::take(const wire::NodeKey& from, const Packet& packet) {
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

void SimNode::on_link(const wire::NodeKey& node, bool is_up) {
  const auto seat = seat_of(configuration(), node);
  if (replica_ && seat) replica_->on_link(*seat, is_up);
}

void SimNode::hand_in(HandInId id, const Operation& operation) {
  feed([&](Effects& out) { participant_.hand_in(now(), id, operation, out); });
}

void SimNode::complain(const wire::Accusation& about) {
  feed([&](Effects& out) { participant_.complain(now(), about, machine(), out); });
}

void SimNode::on_checked(const wire::Accusation& about, wire::AuditOutcome outcome) {
  feed([&](Effects& out) { participant_.on_checked(now(), about, outcome, machine(), out); });
}

// ---- Epochs, as in runtime/node_epochs.cc ----

void SimNode::ask_for_descriptions(const wire::NodeKey& node) {
  events_.send(node, {.number = number_, .body = GetDescriptions{number_}});
}

void SimNode::ask_again(Instant& again, const wire::NodeKey& node) {
  if (agenda_.now() < again) return;
  again = agenda_.now() + kAskAgain;
  ask_for_descriptions(node);
}

void SimNode::answer_descriptions(const wire::NodeKey& to, const Number& after) {
  Descriptions out;
  for (const ConfigurationPointer& one : disk_.chain) {
    if (one->number() > after) out.descriptions.push_back(one->signed_description());
  }
  events_.send(to, {.number = number_, .body = std::move(out)});
}

void SimNode::learn(const std::vector<Buffer>& descriptions) {
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

void SimNode::tell_others() {
  for (const membership::Node& node : configuration().nodes()) {
    if (node.key != key_.public_key()) ask_for_descriptions(node.key);
  }
}

void SimNode::ask_somebody_later() {
  plan(agenda_.now() + kAskSomebody, [this] {
    const auto& nodes = configuration().nodes();
    const wire::NodeKey& somebody = nodes[random_.below(nodes.size())].key;
    if (somebody != key_.public_key()) ask_for_descriptions(somebody);
    ask_somebody_later();
  });
}

// ---- The service, as in runtime/service_host.cc ----

void SimNode::begin(ConfigurationPointer configuration, ConfigurationPointer previous) {
  close_group();
  number_ = configuration->number();
  disk_.remove_old(number_);
  Entered entered{.configuration = configuration,
                  .previous = std::move(previous),
                  .secret = disk_.secret(number_),
                  .next_secret = disk_.secret(next_of(number_)),
                  .state = disk_.state(number_, configuration->service_state()),
                  .has_next_state = disk_.states.contains(next_of(number_))};
  feed([&](Effects& out) { participant_.begin(now(), std::move(entered), out); });
}

bool SimNode::take_notice(const wire::NodeKey& from, const Buffer& bytes) {
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
    is_sense = participant_.on_notice(now(), from, *notice, machine(), out);
  });
  return is_sense;
}

void SimNode::perform(const Effects& effects) {
  for (const Effect& effect : effects) {
    if (!events_.may_keep(effect)) {
      participant_.on_failed(effect);
      return;
    }
    perform_one(effect);
    events_.on_effect(effect);
  }
}

void SimNode::perform_one(const Effect& effect) {
  if (const auto* one = std::get_if<SendNotice>(&effect)) {
    send(*one);
  } else if (const auto* secret = std::get_if<KeepSecret>(&effect)) {
    keep_secret(*secret);
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
  } else if (const auto* check = std::get_if<Check>(&effect)) {
    checks_ = check->accusations;
  }
}

/// Suppose a second key took the place of one that was announced: the seat would be nobody's.
void SimNode::keep_secret(const KeepSecret& secret) {
  if (!disk_.secrets.emplace(secret.number, secret.key).second) {
    events_.on_broken("writes a second key of one epoch");
  }
}

void SimNode::send(const SendNotice& one) {
  events_.on_notice(one);
  if (one.to != key_.public_key()) return;
  const auto* ask = std::get_if<Ask>(&one.notice);
  if (ask && replica_ && !replica_->take_request(ask->request.view())) {
    events_.on_broken("makes no sense of its own request");
  }
}

void SimNode::open_group(const OpenGroup& wanted) {
  machine_ = std::make_unique<WatchedMachine>(
      Machine(participant_.shared_configuration(), wanted.carried, crypto::model_scheme()),
      events_.on_step);
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

void SimNode::close_group() {
  replica_.reset();
  machine_.reset();
}

void SimNode::send_reply(const pbft::ClientId& to, const pbft::Reply& reply) {
  const Reply answer{Buffer(pbft::encode(reply))};
  if (to != key_.public_key()) return send({to, answer});
  plan(agenda_.now(), [this, to, answer] {
    feed([&](Effects& out) { (void)participant_.on_notice(now(), to, answer, machine(), out); });
  });
}

void SimNode::look_later() {
  if (!replica_ || replica_->replica().executed() == seen_ || is_look_posted_) return;
  is_look_posted_ = true;
  plan(agenda_.now(), [this] {
    is_look_posted_ = false;
    if (!replica_) return;
    seen_ = replica_->replica().executed();
    feed([&](Effects& out) { participant_.on_executed(now(), *machine(), out); });
    events_.on_look();
  });
}

void SimNode::wake() {
  const Instant deadline = participant_.next_deadline();
  if (deadline >= wake_at_) return;
  wake_at_ = deadline;
  plan(deadline, [this, deadline] {
    if (wake_at_ != deadline) return;
    wake_at_ = Instant::max();
    feed([&](Effects& out) { participant_.on_time(now(), machine(), out); });
  });
}

}  // namespace rosebud::service::sim
