#include "service/sim/world.h"

#include "base/check.h"

namespace rosebud::service::sim {
namespace {

constexpr std::size_t kOverheardMax = 256;
constexpr Duration kLinkHint = std::chrono::milliseconds(5);

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      cluster_({.organisations = options.organisations,
                .nodes_of_each = options.nodes_of_each,
                .settings = options.settings}),
      newest_(cluster_.first()),
      chain_{newest_} {
  for (std::size_t n = 0; n < cluster_.node_count(); ++n) add(n);
  for (std::size_t seat = 0; seat < newest_->service().size(); ++seat) {
    Life& life = lives_.at(newest_->service()[seat].node);
    life.disk.secrets.emplace(newest_->number(), cluster_.epoch_keys()[seat]);
    life.misbehaviour.remember(newest_->number(), cluster_.epoch_keys()[seat]);
  }
}

// ---- Faults ----

void World::set_conduct(std::size_t n, Conduct conduct) {
  Life& life = lives_.at(n);
  life.misbehaviour.set_conduct(conduct);
  if (conduct != Conduct::kCorrect) life.is_faulty = true;
}

void World::crash(std::size_t n) {
  tell("node " + std::to_string(n) + " is down");
  lives_.at(n).node.reset();
  mark_disturbed(n);
  tell_links(n, false);
}

void World::start(std::size_t n) {
  CHECK(!is_up(n));
  Life& life = lives_.at(n);
  life.node = std::make_unique<SimNode>(agenda_, life.key, life.disk, life.clock_offset_ms,
                                        options_.participant, random_.fork(), events_of(n));
  life.node->start();
  tell("node " + std::to_string(n) + " is up in epoch " +
       std::to_string(life.node->number().epoch.value));
  call(watchers_.on_started, n);
  tell_links(n, true);
}

void World::restart(std::size_t n) {
  if (is_up(n)) crash(n);
  start(n);
}

void World::wipe(std::size_t n) {
  if (is_up(n)) crash(n);
  lives_.at(n).disk.wipe();
  mark_disturbed(n);
  call(watchers_.on_wiped, n);
  start(n);
}

void World::power_cut() {
  for (auto& [n, life] : lives_) {
    if (life.node) crash(n);
  }
}

void World::start_all() {
  for (auto& [n, life] : lives_) {
    if (!life.node) start(n);
  }
}

void World::fail_writes(std::size_t n, std::uint32_t per_mille) {
  lives_.at(n).fails_per_mille = per_mille;
  mark_disturbed(n);
}

void World::lag(std::size_t n, Duration time) {
  if (is_up(n)) lives_.at(n).node->learn_not_before(agenda_.now() + time);
  mark_disturbed(n);
}

void World::cut(std::size_t from, std::size_t to) {
  ++cuts_[{from, to}];
  mark_disturbed(from);
  mark_disturbed(to);
}

void World::babble(std::size_t n) {
  if (!is_up(n) || overheard_.empty()) return;
  Bytes bytes = overheard_[random_.below(overheard_.size())];
  if (random_.chance(1, 4)) bytes.resize(random_.below(bytes.size()) + 1);
  if (random_.chance(1, 4)) bytes[random_.below(bytes.size())] ^= 1;
  const auto& nodes = lives_.at(n).node->configuration().nodes();
  transmit(n, nodes[random_.below(nodes.size())].key,
           {.number = lives_.at(n).node->number(), .body = Buffer(std::move(bytes))}, {});
}

void World::lie(std::size_t n) {
  if (!is_up(n) || is_correct(n)) return;
  const SimNode& node = *lives_.at(n).node;
  const membership::Configuration& epoch = node.configuration();
  rewrite(n);
  const auto notice =
      lives_.at(n).misbehaviour.unasked(epoch, node.machine(), node.now().wall.value);
  if (!notice) return;
  const Buffer bytes = encode(*notice);
  for (const auto& member : epoch.service()) {
    transmit(n, epoch.nodes()[member.node].key, {.number = node.number(), .body = bytes}, {});
  }
}

/// To whoever has not entered the true successor yet, or asks for what is newer.
void World::rewrite(std::size_t n) {
  const auto& chain = lives_.at(n).disk.chain;
  const auto false_one = lives_.at(n).misbehaviour.rewritten(*chain[random_.below(chain.size())]);
  if (!false_one) return;
  for (const auto& [key, other] : number_of_) {
    transmit(n, key, {.number = chain.back()->number(), .body = Descriptions{{*false_one}}}, {});
  }
}

// ---- Audits ----

void World::audit() {
  for (auto& [n, life] : lives_) {
    if (!life.node || !life.misbehaviour.is_correct()) continue;
    check_something(n);
    complain_of_somebody(n);
  }
}

bool World::can_hear(std::size_t n, std::size_t from) const {
  const auto cut = cuts_.find({from, n});
  return lives_.at(from).node && (cut == cuts_.end() || cut->second == 0) &&
         conduct(from) != Conduct::kMute;
}

/// Who is there and has the block shows it, sooner or later; a hollow one never does.
void World::check_something(std::size_t n) {
  SimNode& node = *lives_.at(n).node;
  if (node.checks().empty()) return;
  const wire::Accusation about = node.checks()[random_.below(node.checks().size())];
  const auto accused = number_of(about.accused);
  if (!accused || !can_hear(n, *accused)) return;
  wire::AuditOutcome outcome = wire::AuditOutcome::kProven;
  if (conduct(*accused) == Conduct::kHollow) {
    // Some of them say nothing, others say something wrong.
    outcome = *accused % 2 == 0 ? wire::AuditOutcome::kFalse : wire::AuditOutcome::kWithheld;
  }
  node.on_checked(about, outcome);
}

void World::complain_of_somebody(std::size_t n) {
  SimNode& node = *lives_.at(n).node;
  const auto& nodes = node.configuration().nodes();
  const wire::NodeKey accused = nodes[random_.below(nodes.size())].key;
  const auto number = number_of(accused);
  const bool is_hollow = number && conduct(*number) == Conduct::kHollow;
  const bool is_mistaken = random_.chance(1, 40);  // it was slow, and is not
  if (!is_hollow && !is_mistaken) return;
  const auto block = some_block(node.configuration(), key(n), accused, random_);
  if (accused == key(n) || !block) return;
  node.complain({.accused = accused, .accuser = key(n), .block = *block});
}

// ---- Work ----

void World::add(std::size_t n) {
  Life& life = lives_.try_emplace(n, n, random_.fork()).first->second;
  life.disk.chain = {cluster_.first()};
  number_of_[life.key.public_key()] = n;
}

void World::give_chain(std::size_t n) { lives_.at(n).disk.chain = chain_; }

HandInId World::hand_in(std::size_t n, const Operation& operation) {
  const HandInId id(++last_hand_in_);
  lives_.at(n).node->hand_in(id, operation);
  return id;
}

std::optional<Answer> World::answer_to(HandInId id) const {
  const auto at = answers_.find(id);
  return at == answers_.end() ? std::nullopt : std::optional(at->second);
}

void World::every(Duration interval, std::function<void()> what) {
  agenda_.after(interval, [this, interval, what] {
    what();
    every(interval, what);
  });
}

void World::run_for(Duration time) {
  agenda_.run_until([] { return false; }, time);
}

bool World::run_epochs(std::uint64_t count, Duration each) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t before = epoch();
    if (!agenda_.run_until([&] { return epoch() > before; }, each)) return false;
  }
  return true;
}

bool World::run_until_all_there(Duration limit) {
  return agenda_.run_until([this] { return are_all_there(); }, limit);
}

// ---- Looking on ----

std::optional<std::size_t> World::number_of(const wire::NodeKey& key) const {
  const auto at = number_of_.find(key);
  return at == number_of_.end() ? std::nullopt : std::optional(at->second);
}

std::set<std::size_t> World::members() const {
  std::set<std::size_t> out;
  for (const auto& one : newest_->service()) {
    out.insert(number_of_.at(newest_->nodes()[one.node].key));
  }
  return out;
}

bool World::are_all_there() const {
  return std::ranges::all_of(lives_, [this](const auto& one) {
    const auto& [n, life] = one;
    return !life.node || life.misbehaviour.conduct() == Conduct::kMute ||
           life.node->number() == newest_->number();
  });
}

void World::tell(const std::string& what) {
  if (story_lines_ == 0) return;
  char time[32];
  std::snprintf(time, sizeof time, "%9.3f s  ",
                static_cast<double>(agenda_.now().time_since_epoch().count()) / 1e6);
  story_.push_back(time + what);
  if (story_.size() > story_lines_) story_.pop_front();
}

NodeEvents World::events_of(std::size_t n) {
  return {.send = [this, n](const wire::NodeKey& to,
                            const Packet& packet) { transmit(n, to, packet, {}); },
          .on_notice = [this, n](const SendNotice& one) { leave(n, one); },
          .on_answer =
              [this](HandInId id, Answer answer) {
                call(watchers_.on_answer, id, answer);
                answers_.emplace(id, answer);
              },
          .on_effect = [this, n](const Effect& effect) { note_effect(n, effect); },
          .may_keep = [this, n](const Effect& effect) { return may_keep(n, effect); },
          .on_entered = [this, n] { note_entered(n); },
          .on_look =
              [this, n] {
                const Machine* machine = lives_.at(n).node->machine();
                if (machine) call(watchers_.on_look, n, *machine);
              },
          .on_step = [this, n](const Step& step) { call(watchers_.on_step, n, step); },
          .on_nonsense =
              [this, n](const wire::NodeKey& from) {
                call(watchers_.on_nonsense, n, number_of_.at(from));
              },
          .on_broken = [this, n](const char* what) { call(watchers_.on_broken, n, what); }};
}

bool World::may_keep(std::size_t n, const Effect& effect) {
  const bool is_write = std::holds_alternative<KeepSecret>(effect) ||
                        std::holds_alternative<KeepState>(effect) ||
                        std::holds_alternative<OpenGroup>(effect);
  return !is_write || !random_.chance(lives_.at(n).fails_per_mille, 1000);
}

void World::note(std::uint64_t what) {
  trace_ = (trace_ ^ what ^ static_cast<std::uint64_t>(agenda_.now().time_since_epoch().count())) *
           0x9e3779b97f4a7c15U;
  trace_ ^= trace_ >> 29;
}

void World::note_effect(std::size_t n, const Effect& effect) {
  Life& life = lives_.at(n);
  if (std::holds_alternative<OpenGroup>(effect)) ++life.opened;
  if (const auto* secret = std::get_if<KeepSecret>(&effect)) {
    life.misbehaviour.remember(secret->number, secret->key);
  }
  call(watchers_.on_effect, n, effect);
}

void World::note_entered(std::size_t n) {
  const ConfigurationPointer& entered = lives_.at(n).disk.chain.back();
  note(entered->number().epoch.value);
  call(watchers_.on_entered, n);
  if (entered->number() <= newest_->number()) return;
  newest_ = entered;
  chain_.push_back(entered);
  tell("epoch " + std::to_string(epoch()) + " with " + std::to_string(newest_->nodes().size()) +
       " nodes and " + std::to_string(newest_->service().size()) + " seats");
}

// ---- The network ----

void World::leave(std::size_t n, const SendNotice& one) {
  Life& life = lives_.at(n);
  call(watchers_.on_notice, n, one.notice);
  overheard_.push_back(to_bytes(encode(one.notice).view()));
  if (overheard_.size() > kOverheardMax) overheard_.pop_front();
  if (one.to == life.key.public_key()) return;
  const SimNode& node = *life.node;
  if (auto leaving = life.misbehaviour.is_correct()
                         ? Leaving{.bytes = encode(one.notice)}
                         : life.misbehaviour.edit(node.configuration(), one.notice)) {
    transmit(n, one.to, {.number = node.number(), .body = std::move(leaving->bytes)},
             leaving->delay);
  }
}

void World::transmit(std::size_t from, const wire::NodeKey& to, const Packet& packet,
                     Duration delay) {
  const auto target = number_of_.find(to);
  if (target == number_of_.end() || conduct(from) == Conduct::kMute) return;
  if (random_.chance(options_.loss_per_mille, 1000)) return;
  const int copies = random_.chance(options_.duplicate_per_mille, 1000) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const auto longest = static_cast<std::uint64_t>(options_.latency_max.count());
    const auto latency = Duration(static_cast<std::int64_t>(random_.between(200, longest)));
    agenda_.after(delay + latency,
                  [this, from, to = target->second, packet] { arrive(from, to, packet); });
  }
}

void World::arrive(std::size_t from, std::size_t to, const Packet& packet) {
  const Life& life = lives_.at(to);
  const auto cut = cuts_.find({from, to});
  if (!life.node || (cut != cuts_.end() && cut->second > 0)) return;
  note(from * 1000 + to * 10 + packet.body.index());
  life.node->take(lives_.at(from).key.public_key(), packet);
  probes_max_ = std::max(probes_max_, life.node->participant().probes_under_way());
}

void World::tell_links(std::size_t n, bool is_up) {
  for (auto& [other, life] : lives_) {
    if (other == n) continue;
    agenda_.after(kLinkHint, [this, other, n, is_up] {
      SimNode* node = lives_.at(other).node.get();
      if (node) node->on_link(lives_.at(n).key.public_key(), is_up);
    });
  }
}

}  // namespace rosebud::service::sim
