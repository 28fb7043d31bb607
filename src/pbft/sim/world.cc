#include "pbft/sim/world.h"

#include <algorithm>

namespace rosebud::pbft::sim {
namespace {

constexpr std::uint64_t kWallAtStart = 1'700'000'000'000;  // milliseconds
constexpr std::uint64_t kEventsAtOnceMax = 100'000;
constexpr Duration kUnaskedInterval = std::chrono::milliseconds(50);
/// Quicker than any new view begins.
constexpr Duration kViewChangeInterval = std::chrono::milliseconds(5);

crypto::SecretKey key_of(std::string_view what, std::uint64_t seed, std::size_t index) {
  const crypto::Digest digest = crypto::Hasher(what).update_u64(seed).update_u64(index).finish();
  return crypto::SecretKey::from_seed(*FixedBytes<32, struct crypto::SeedTag>::from(digest.view()));
}

std::vector<crypto::SecretKey> replica_keys(const WorldOptions& options) {
  std::vector<crypto::SecretKey> out;
  for (std::size_t i = 0; i < 3 * options.faults + 1; ++i) {
    out.push_back(key_of("sim replica", options.seed, i));
  }
  return out;
}

std::shared_ptr<const Group> make_group(const WorldOptions& options,
                                        const std::vector<crypto::SecretKey>& keys) {
  std::vector<std::optional<crypto::PublicKey>> seats;
  for (const auto& key : keys) seats.emplace_back(key.public_key());
  for (std::size_t i = 0; i < options.vacant; ++i) seats[seats.size() - 1 - i].reset();
  const crypto::Digest name = crypto::Hasher("sim instance").update_u64(options.seed).finish();
  return std::make_shared<const Group>(*InstanceId::from(name.view()), std::move(seats));
}

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed ^ 0x70626674),
      scheme_(options.has_real_signatures ? &crypto::ed25519() : &crypto::model_scheme()),
      keys_(replica_keys(options)),
      group_(make_group(options, keys_)),
      verifier_(group_, options.settings.group, *scheme_),
      cuts_((group_->members().size() + options.clients) *
            (group_->members().size() + options.clients)) {
  for (std::size_t seat = 0; seat < seat_count(); ++seat) {
    cores_.push_back({.seat = seat,
                      .key = keys_[seat],
                      .machine = nullptr,
                      .replica = nullptr,
                      .misbehaviour = Misbehaviour(ReplicaId(static_cast<std::uint16_t>(seat)),
                                                   keys_[seat], verifier_, random_.fork())});
  }
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients_.push_back({.key = key_of("sim client", options.seed, i), .core = nullptr});
    begin_client(i);
  }
  // Watchers come before the first input.
  at({}, [this] {
    for (std::size_t seat = 0; seat < seat_count(); ++seat) {
      if (!is_up(seat)) start_core(seat);
    }
  });
}

AgreedTime World::wall() const {
  return AgreedTime(kWallAtStart +
                    static_cast<std::uint64_t>(now_.time_since_epoch().count() / 1000) -
                    static_cast<std::uint64_t>(clocks_back_.count() / 1000));
}

Now World::now_of(const Core& core) const {
  const auto shown = static_cast<std::int64_t>(wall().value) + core.clock_offset_ms;
  return {now_, AgreedTime(static_cast<std::uint64_t>(shown))};
}

// ---- Events ----

void World::schedule(Instant time, Action run) {
  std::size_t action = actions_.size();
  if (free_actions_.empty()) {
    actions_.push_back(std::move(run));
  } else {
    action = free_actions_.back();
    free_actions_.pop_back();
    actions_[action] = std::move(run);
  }
  events_.push({std::max(time, now_), ++event_count_, action});
}

void World::at(Duration delay, std::function<void()> what) {
  schedule(now_ + delay, [what = std::move(what)] { what(); });
}

bool World::run_until(const std::function<bool()>& is_done, Duration limit) {
  const Instant end = now_ + limit;
  while (!is_done()) {
    if (events_.empty() || events_.top().time > end) {
      now_ = end;
      return is_done();
    }
    const Event event = events_.top();
    events_.pop();
    // A timer that fires and changes nothing would go on for ever.
    at_this_instant_ = now_ == event.time ? at_this_instant_ + 1 : 0;
    CHECK(at_this_instant_ < kEventsAtOnceMax);
    now_ = event.time;
    Action run = std::move(actions_[event.action]);
    free_actions_.push_back(event.action);
    run();
  }
  return true;
}

void World::note(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  for (const std::uint64_t value :
       {a, b, c, static_cast<std::uint64_t>(now_.time_since_epoch().count())}) {
    trace_ = (trace_ ^ value) * 0x9e3779b97f4a7c15U;
    trace_ ^= trace_ >> 29;
  }
}

void World::tell(const std::string& what) {
  if (story_max_ == 0) return;
  char time[32];
  std::snprintf(time, sizeof time, "%9.4f s  ",
                static_cast<double>(now_.time_since_epoch().count()) / 1e6);
  story_.push_back(time + what);
  if (story_.size() > story_max_) story_.pop_front();
}

// ---- Lives ----

std::unique_ptr<StateMachine> World::make_ledger(std::size_t seat) {
  auto out = std::make_unique<Ledger>();
  out->watch([this, seat](const Execution& execution) {
    if (watchers_.execution) watchers_.execution(seat, execution);
  });
  return out;
}

void World::start_core(std::size_t index) {
  Core& core = cores_[index];
  ++core.life;
  core.machine = options_.make_machine ? options_.make_machine() : make_ledger(core.seat);
  PersistentState state;
  for (const auto& [key, value] : core.disk) state.records.emplace_back(key, value);
  core.replica = std::make_unique<Replica>(
      Identity{ReplicaId(static_cast<std::uint16_t>(core.seat)), core.key}, verifier_,
      options_.settings, *core.machine, state, random_.fork());
  core.wake_at.reset();
  core.sync_begins = core.sync_ends = now_;
  core.syncing = 0;
  Effects effects;
  core.replica->start(now_of(core), effects);
  perform(index, std::move(effects));
}

void World::crash(std::size_t seat) {
  tell("replica " + std::to_string(seat) + " crashes");
  for (Core& core : cores_) {
    if (core.seat != seat) continue;
    core.replica.reset();
    ++core.life;
  }
  note(1, seat, 0);
  tell_links(seat, false);
}

void World::restart(std::size_t seat) {
  tell("replica " + std::to_string(seat) + " starts");
  note(2, seat, 0);
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    if (cores_[i].seat == seat && !cores_[i].replica) start_core(i);
  }
  tell_links(seat, true);
}

void World::tell_links(std::size_t seat, bool is_up) {
  if (!options_.has_link_hints) return;
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    if (cores_[i].seat == seat) continue;
    schedule(now_ + latency(), [this, i, seat, is_up] {
      if (!cores_[i].replica) return;
      Effects effects;
      cores_[i].replica->on_link(now_of(cores_[i]), ReplicaId(static_cast<std::uint16_t>(seat)),
                                 is_up, effects);
      perform(i, std::move(effects));
    });
  }
}

void World::roll_back(std::size_t seat) {
  if (is_up(seat)) crash(seat);
  tell("replica " + std::to_string(seat) + " is rolled back");
  cores_[seat].disk = cores_[seat].backup.value_or(Disk{});
  restart(seat);
}

void World::wipe(std::size_t seat) {
  if (is_up(seat)) crash(seat);
  tell("replica " + std::to_string(seat) + " is wiped");
  cores_[seat].disk.clear();
  restart(seat);
}

void World::misbehave(std::size_t seat, Mode mode) {
  Core& core = cores_[seat];
  core.misbehaviour.set_mode(mode);
  core.misbehaviour.set_censored(client_id(0));
  core.misbehaviour.set_patience(options_.settings.request_timeout);
  if (mode == Mode::kTwin) {
    cores_.push_back({.seat = seat,
                      .key = core.key,
                      .machine = nullptr,
                      .replica = nullptr,
                      .misbehaviour = core.misbehaviour});
    if (is_up(seat)) start_core(cores_.size() - 1);
  }
  if (mode != Mode::kHonest) misbehave_unasked(seat);
}

void World::misbehave_unasked(std::size_t index) {
  Core& core = cores_[index];
  if (core.misbehaviour.mode() == Mode::kHonest) return;
  for (const Message& message : core.misbehaviour.unasked()) {
    const Shared shared = verify(message);
    for (std::size_t to = 0; to < seat_count() && shared && core.replica; ++to) {
      if (to != core.seat) transmit(index, to, shared, {});
    }
  }
  const bool is_quick = core.misbehaviour.mode() == Mode::kForgeViewChange;
  schedule(now_ + (is_quick ? kViewChangeInterval : kUnaskedInterval),
           [this, index] { misbehave_unasked(index); });
}

// ---- What cores want ----

/// What comes while a sync runs shares the next one.
void World::persist(std::size_t index, std::vector<Write> writes) {
  Core& core = cores_[index];
  if (now_ > core.sync_begins) {
    core.sync_begins = std::max(now_, core.sync_ends);
    const auto longest = static_cast<std::uint64_t>(core.sync_max.count());
    core.sync_ends =
        core.sync_begins + Duration(static_cast<std::int64_t>(random_.between(50, 50 + longest)));
  }
  ++core.syncing;
  schedule(core.sync_ends, [this, index, life = core.life, done = std::move(writes)] {
    Core& again = cores_[index];
    if (again.life != life) return;
    for (const Write& write : done) {
      if (write.value) {
        again.disk[write.key] = to_bytes(write.value->view());
      } else {
        again.disk.erase(write.key);
      }
    }
    --again.syncing;
    note(3, again.seat, done.size());
    Effects effects;
    again.replica->on_durable(now_of(again), 1, effects);
    perform(index, std::move(effects));
  });
}

void World::perform(std::size_t index, Effects effects) {
  Core& core = cores_[index];
  const std::uint64_t life = core.life;
  for (Effect& effect : effects) {
    // Nothing leaves before what was persisted earlier is durable, whichever input it came from.
    const auto when_durable = [&](Action run) {
      if (core.syncing == 0) return run();
      schedule(core.sync_ends, [this, index, life, run = std::move(run)]() mutable {
        if (cores_[index].life == life) run();
      });
    };
    if (auto* written = std::get_if<Persist>(&effect)) {
      persist(index, std::move(written->writes));
    } else if (auto* send = std::get_if<Send>(&effect)) {
      when_durable([this, index, to = send->to, message = std::move(send->message)] {
        leave(index, to, message);
      });
    } else if (auto* broadcast = std::get_if<Broadcast>(&effect)) {
      when_durable(
          [this, index, message = std::move(broadcast->message)] { leave_to_all(index, message); });
    } else if (auto* reply = std::get_if<SendReply>(&effect)) {
      when_durable([this, index, to = reply->to, said = std::move(reply->reply)] {
        reply_to(index, to, said);
      });
    } else if (const auto* executed = std::get_if<Executed>(&effect)) {
      if (watchers_.executed) watchers_.executed(core.seat, *executed);
      if (auto due = at_execution_.extract(core.seat)) schedule(now_, std::move(due.mapped()));
    } else if (const auto* report = std::get_if<Report>(&effect)) {
      if (watchers_.evidence) watchers_.evidence(core.seat, report->evidence);
    }
  }
  if (watchers_.after_input) watchers_.after_input(core.seat);
  wake(index);
}

void World::reply_to(std::size_t index, const ClientId& to, const Reply& said) {
  const auto client = std::ranges::find_if(
      clients_, [&](const SimClient& one) { return one.key.public_key() == to; });
  if (client == clients_.end()) return;
  const auto which = static_cast<std::size_t>(client - clients_.begin());
  const std::size_t seat = cores_[index].seat;
  const auto shown = cores_[index].misbehaviour.edit_reply(said);
  if (!shown || is_lost(seat, seat_count() + which)) return;
  schedule(now_ + latency(), [this, which, seat, reply = *shown] {
    ClientEffects out;
    clients_[which].core->on_reply(now_, ReplicaId(static_cast<std::uint16_t>(seat)), reply, out);
    perform(which, std::move(out));
  });
}

void World::wake(std::size_t index) {
  Core& core = cores_[index];
  if (!core.replica) return;
  const Instant next = std::max(core.replica->next_deadline(), now_);
  if (next == Instant::max() || (core.wake_at && *core.wake_at <= next)) return;
  core.wake_at = next;
  schedule(next, [this, index, next, life = core.life] {
    Core& again = cores_[index];
    if (again.life != life || again.wake_at != next || !again.replica) return;
    again.wake_at.reset();
    Effects effects;
    again.replica->on_time(now_of(again), effects);
    perform(index, std::move(effects));
  });
}

// ---- The network ----

Duration World::latency() {
  return Duration(static_cast<std::int64_t>(
      random_.between(static_cast<std::uint64_t>(network_.latency_min.count()),
                      static_cast<std::uint64_t>(network_.latency_max.count()))));
}

bool World::is_lost(std::size_t from, std::size_t to) {
  return cuts_[from * endpoint_count() + to] > 0 || random_.chance(network_.loss_per_mille, 1000);
}

World::Shared World::verify(const Message& message) {
  Message arrived = message;
  if (options_.has_encoded_messages) {
    auto decoded = decode(group_->instance(), encode(message));
    CHECK(decoded.has_value());
    arrived = std::move(*decoded);
  }
  auto verified = verifier_.message(std::move(arrived));
  ++verified_;
  if (!verified) {
    ++rejected_[verified.error()];
    return nullptr;
  }
  return std::make_shared<const Verified<Message>>(std::move(*verified));
}

/// Who is honest says the same to all: it is judged and verified once.
void World::leave_to_all(std::size_t index, const Message& message) {
  const Core& core = cores_[index];
  const bool is_honest = core.misbehaviour.mode() == Mode::kHonest;
  if (is_honest && watchers_.sent) watchers_.sent(core.seat, message);
  const Shared shared = is_honest ? verify(message) : nullptr;
  for (const ReplicaId to : group_->members()) {
    if (to.value == core.seat) continue;
    if (!is_honest) leave(index, to, message);
    if (shared) transmit(index, to.value, shared, {});
  }
}

void World::leave(std::size_t index, ReplicaId to, const Message& message) {
  Core& core = cores_[index];
  if (watchers_.sent) watchers_.sent(core.seat, message);
  // The two copies of a twin share out whom they talk to.
  if (core.misbehaviour.mode() == Mode::kTwin && (to.value % 2 == 0) != (index == core.seat)) {
    return;
  }
  for (const Misbehaviour::Sent& sent : core.misbehaviour.edit(to, message)) {
    if (const Shared shared = verify(sent.message)) {
      transmit(index, to.value, shared, sent.delay);
    }
  }
}

void World::transmit(std::size_t from_core, std::size_t to_seat, Shared message, Duration delay) {
  const std::size_t from = cores_[from_core].seat;
  if (is_lost(from, to_seat)) return;
  const int copies = random_.chance(network_.duplicate_per_mille, 1000) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    schedule(now_ + delay + latency(), [this, from, to_seat, message] {
      for (std::size_t core = 0; core < cores_.size(); ++core) {
        if (cores_[core].seat == to_seat) deliver(from, core, *message);
      }
    });
  }
}

void World::deliver(std::size_t from_seat, std::size_t to_core, const Verified<Message>& message) {
  Core& core = cores_[to_core];
  if (!core.replica || !core.misbehaviour.hears(*message)) return;
  note(4, from_seat * 1000 + core.seat, message->index());
  if (watchers_.delivered) watchers_.delivered(from_seat, core.seat, *message);
  if (story_max_ > 0) {
    tell(std::to_string(from_seat) + " -> " + std::to_string(core.seat) + " " + describe(*message));
  }
  Effects effects;
  if (options_.loses_superfluous_votes && core.replica->is_superfluous(*message)) return;
  core.replica->on_message(now_of(core), ReplicaId(static_cast<std::uint16_t>(from_seat)), message,
                           effects);
  perform(to_core, std::move(effects));
}

// ---- Clients ----

void World::submit(std::size_t client, Bytes operation, Done done) {
  ClientEffects effects;
  const SubmissionId id =
      clients_[client].core->submit(now_, Buffer(std::move(operation)), effects);
  clients_[client].waiting.emplace(id, std::move(done));
  perform(client, std::move(effects));
}

void World::begin_client(std::size_t client) {
  clients_[client].core = std::make_unique<Client>(
      clients_[client].key, group_, *scheme_, random_.fork(),
      ClientSettings{.reply_timeout = options_.settings.request_timeout / 2,
                     .request_authentication = options_.settings.group.request_authentication});
  for (auto& [id, done] : std::exchange(clients_[client].waiting, {})) {
    done({.id = id, .status = Reply::Status::kNumberForgotten, .result = {}});
  }
}

void World::give_up(std::size_t client) {
  ClientEffects effects;
  clients_[client].core->give_up(now_, effects);
  clients_[client].waiting.clear();
  perform(client, std::move(effects));
}

void World::send_raw(std::size_t client, std::size_t seat, Request request) {
  if (is_lost(seat_count() + client, seat)) return;
  schedule(now_ + latency(), [this, seat, sent = std::move(request)] {
    auto verified = verifier_.request(sent);
    if (!verified) return;
    for (std::size_t i = 0; i < cores_.size(); ++i) {
      Core& core = cores_[i];
      if (core.seat != seat || !core.replica || !core.misbehaviour.hears_request(**verified))
        continue;
      note(5, seat, sent.number.value);
      Effects effects;
      core.replica->on_request(now_of(core), *verified, effects);
      perform(i, std::move(effects));
    }
  });
}

void World::perform(std::size_t index, ClientEffects effects) {
  for (ClientEffect& effect : effects) {
    if (auto* send = std::get_if<SendRequest>(&effect)) {
      send_raw(index, send->to.value, std::move(send->request));
      continue;
    }
    const Finish finish = std::get<Finish>(std::move(effect));
    note(6, index, finish.id.value);
    const auto at = clients_[index].waiting.find(finish.id);
    if (at == clients_[index].waiting.end()) continue;
    const Done done = std::move(at->second);
    clients_[index].waiting.erase(at);
    done(finish);
  }
  wake_client(index);
}

void World::wake_client(std::size_t index) {
  SimClient& client = clients_[index];
  const Instant next = client.core->next_deadline();
  if (next == Instant::max() || (client.wake_at && *client.wake_at <= next)) return;
  client.wake_at = next;
  schedule(next, [this, index, next] {
    if (clients_[index].wake_at != next) return;
    clients_[index].wake_at.reset();
    ClientEffects effects;
    clients_[index].core->on_time(now_, effects);
    perform(index, std::move(effects));
  });
}

}  // namespace rosebud::pbft::sim
