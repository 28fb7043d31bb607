#include "sim/world.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace rosebud::sim {
namespace {

constexpr std::uint16_t kServiceSeats = 4;
constexpr std::uint64_t kEpochSeconds = 3600;

crypto::SecretKey random_key(Random& random) {
  FixedBytes<32, struct crypto::SeedTag> seed;
  for (auto& byte : seed.bytes) byte = static_cast<std::uint8_t>(random.next());
  return crypto::SecretKey::from_seed(seed);
}

}  // namespace

World::World(const WorldOptions& options)
    : random_(options.seed),
      scheme_(options.has_real_signatures ? &crypto::ed25519() : &crypto::model_scheme()),
      has_encoded_messages_(options.has_encoded_messages),
      limits_(options.limits),
      cuts_((options.nodes + options.spares + options.clients) *
            (options.nodes + options.spares + options.clients)),
      has_leases_(options.has_leases) {
  membership::ConfigurationParts parts;
  parts.number = {wire::Generation(0), wire::Epoch(1)};
  parts.start = Timestamp(1'700'000'000);
  parts.settings.faults = options.faults;
  parts.settings.cap = options.faults;
  parts.settings.client_quota_floor_bytes = kQuotaFloor;
  for (std::uint32_t i = 0; i < options.organisations; ++i) {
    authorities_.push_back(random_key(random_));
    parts.organisations.push_back({.name = "org" + std::to_string(i),
                                   .authority = authorities_.back().public_key(),
                                   .quota_bytes = 1ULL << 40});
  }
  nodes_.resize(options.nodes + options.spares);
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].key = random_key(random_);
    nodes_[i].misbehaviour = adversary::Misbehaviour(random_.fork());
    nodes_[i].directory.bytes[0] = static_cast<std::uint8_t>(i + 1);
    nodes_[i].member = {.name = "node" + std::to_string(i),
                        .key = nodes_[i].key.public_key(),
                        .organisation = i % options.organisations,
                        .directory = nodes_[i].directory,
                        .address = "10.0.0." + std::to_string(i) + ":1",
                        .capacity_bytes = 1ULL << 40,
                        .position_count = options.positions};
    endpoint_of_.emplace(nodes_[i].member.key, i);
    if (i < options.nodes) parts.nodes.push_back(nodes_[i].member);
  }
  for (std::uint16_t seat = 0; seat < kServiceSeats; ++seat) {
    service_keys_.push_back({.seat = seat, .key = random_key(random_)});
    parts.service.push_back({.node = seat, .epoch_key = service_keys_[seat].key.public_key()});
  }
  auto made = membership::Configuration::make(std::move(parts));
  CHECK(made.has_value());
  chain_.push_back(*made);
  for (std::uint32_t i = 0; i < options.clients; ++i) {
    SimClient client{.key = random_key(random_)};
    client.core = std::make_unique<objects::Client>(objects::Verifier(chain_.back(), *scheme_),
                                                    random_.fork());
    clients_.push_back(std::move(client));
    admit(i, 1ULL << 40);
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) restart(i);
  if (!has_leases_) return;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    feed_client(i, [&](objects::Client& core, objects::ClientEffects& out) {
      core.on_fresh_until(now_, leased_until(0), out);
    });
    renew_lease_now_and_then(i);
  }
}

void World::admit(std::size_t client, std::uint64_t quota_bytes) {
  const crypto::SecretKey& authority = authorities_[client % authorities_.size()];
  clients_[client].admission =
      wire::sign(*scheme_, authority,
                 wire::AdmissionStatement{.organisation = authority.public_key(),
                                          .subject = clients_[client].key.public_key(),
                                          .role = wire::Role::kClient,
                                          .capacity_bytes = quota_bytes,
                                          .not_after = kExpiry,
                                          .name = "client" + std::to_string(client)});
}

// ---- Events ----

void World::schedule(Instant time, Action run) {
  const std::size_t action = actions_.put(std::move(run));
  events_.push({.time = std::max(time, now_), .number = event_count_++, .action = action});
}

void World::at(Duration delay, std::function<void()> what) {
  schedule(now_ + delay, std::move(what));
}

bool World::run_until(const std::function<bool()>& is_done, Duration limit) {
  const Instant end = now_ + limit;
  while (!is_done()) {
    if (events_.empty() || events_.top().time > end) return false;
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    actions_.take(event.action)();
  }
  return true;
}

void World::run_for(Duration time) {
  const Instant end = now_ + time;
  run_until([] { return false; }, time);
  now_ = end;
}

void World::note(Mark mark, std::uint64_t a, std::uint64_t b) {
  trace_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()) << 4 |
             static_cast<std::uint64_t>(mark));
  trace_.mix(a);
  trace_.mix(b);
}

void World::tell(const std::string& what) {
  if (story_max_ == 0) return;
  char time[32];
  std::snprintf(time, sizeof time, "%10.6f s  ",
                static_cast<double>(now_.time_since_epoch().count()) / 1e6);
  story_.push_back(time + what);
  if (story_.size() > story_max_) story_.pop_front();
}

std::string World::name_of(Endpoint endpoint) const {
  if (endpoint < nodes_.size()) return "node" + std::to_string(endpoint);
  return "client" + std::to_string(endpoint - nodes_.size());
}

Instant World::local(std::size_t node) const {
  return Instant(Duration(now_.time_since_epoch().count() * nodes_[node].clock_per_mille / 1000));
}

Instant World::global(std::size_t node, Instant local) const {
  const std::int64_t rate = nodes_[node].clock_per_mille;
  const std::int64_t shown = local.time_since_epoch().count();
  // The first moment at which the clock shows it. What is far away stays far away.
  constexpr std::int64_t kFar = std::int64_t{1} << 52;
  return Instant(Duration((std::min(shown, kFar) * 1000 + rate - 1) / rate));
}

// ---- Network ----

World::Endpoint World::endpoint_of(const wire::NodeKey& key) const {
  const auto at = endpoint_of_.find(key);
  CHECK(at != endpoint_of_.end());
  return at->second;
}

void World::transmit(Endpoint from, Endpoint to, wire::Message message) {
  if (random_.below(1000) < network_.loss_per_mille) return;
  if (cuts_[from * endpoint_count() + to] > 0) return;
  const auto latency = [&] {
    return Duration(static_cast<std::int64_t>(
        random_.between(static_cast<std::uint64_t>(network_.latency_min.count()),
                        static_cast<std::uint64_t>(network_.latency_max.count()))));
  };
  const bool is_doubled = random_.below(1000) < network_.duplicate_per_mille;
  if (has_encoded_messages_) {
    const wire::EncodedMessage encoded = wire::encode(message);
    auto decoded = wire::decode(encoded.header, encoded.bulk);
    CHECK(decoded.has_value());
    message = std::move(*decoded);
  }
  if (is_doubled) post(from, to, message, latency());
  post(from, to, std::move(message), latency());
}

void World::post(Endpoint from, Endpoint to, wire::Message message, Duration latency) {
  const std::size_t letter = letters_.put({.from = from, .to = to, .message = std::move(message)});
  schedule(now_ + latency, [this, letter] { deliver(letters_.take(letter)); });
}

void World::deliver(Letter letter) {
  const auto [from, to] = std::pair(letter.from, letter.to);
  auto* request = std::get_if<wire::Request>(&letter.message);
  auto* answer = std::get_if<wire::Answer>(&letter.message);
  const wire::MessageContext& context = request ? request->context : answer->context;
  note(request ? Mark::kRequest : Mark::kAnswer,
       from << 40 | to << 16 | (request ? request->body.index() : answer->body.index()),
       context.nonce.value ^ context.configuration.epoch.value);
  if (story_max_ > 0) tell(letter);
  if (to < nodes_.size()) {
    if (!nodes_[to].replica) return;
    if (request) return deliver_request(from, to, std::move(*request));
    CHECK(from < nodes_.size());
    return feed_node(to, [&](objects::Replica& replica, objects::Effects& out) {
      replica.on_answer(local(to), nodes_[from].key.public_key(), std::move(*answer), out);
    });
  }
  CHECK(from < nodes_.size());
  feed_client(to - nodes_.size(), [&](objects::Client& core, objects::ClientEffects& out) {
    core.on_answer(now_, nodes_[from].key.public_key(), std::move(*answer), out);
  });
}

namespace {

/// Enough of a key to tell it from others.
std::string short_name(const crypto::Digest& key) { return to_hex(key.view().first(4)); }

/// What a message is about: " KEY", " FIRST..LAST", or nothing.
template <typename Body>
std::string subject_of(const Body& body) {
  if constexpr (requires { body.id; }) return " " + short_name(body.id.placement);
  if constexpr (requires { body.object; }) return " " + short_name(body.object.id.placement);
  if constexpr (requires { body.range; })
    return " " + short_name(body.range.first) + ".." + short_name(body.range.last);
  return "";
}

std::string describe(const std::vector<wire::StorageWrite>& writes) {
  std::string out;
  for (const wire::StorageWrite& write : writes) {
    if (const auto* put = std::get_if<wire::PutObject>(&write)) {
      out += (put->object.is_damaged ? " damage of " : " ") + short_name(put->object.id.placement);
    } else if (const auto* gone = std::get_if<wire::DeleteObject>(&write)) {
      out += " without " + short_name(gone->id.placement);
    } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
      out += note->name.size() > 8 ? " a note" : " note " + to_hex(note->name);
    }
  }
  return out;
}

}  // namespace

void World::tell(const Letter& letter) {
  const auto* request = std::get_if<wire::Request>(&letter.message);
  const auto* answer = std::get_if<wire::Answer>(&letter.message);
  std::string what(request ? wire::name_of(request->body) : wire::name_of(answer->body));
  if (const auto* refused = answer ? std::get_if<wire::Refused>(&answer->body) : nullptr) {
    what += " (" + std::string(wire::name_of(refused->reason)) + ")";
  }
  const wire::SignedRecord* record = nullptr;
  if (const auto* put = request ? std::get_if<wire::PutRecord>(&request->body) : nullptr) {
    record = &put->record;
  } else if (const auto* held = answer ? std::get_if<wire::RecordHeld>(&answer->body) : nullptr) {
    record = &held->record;
  }
  const auto statement =
      record ? wire::RecordStatement::decode(record->statement.statement) : std::nullopt;
  if (statement) what += " version " + std::to_string(statement->version.value);
  what += request ? std::visit([](const auto& body) { return subject_of(body); }, request->body)
                  : std::visit([](const auto& body) { return subject_of(body); }, answer->body);
  const wire::MessageContext& context = request ? request->context : answer->context;
  const bool is_heard = letter.to >= nodes_.size() || nodes_[letter.to].replica;
  tell(name_of(letter.from) + " -> " + name_of(letter.to) +
       (is_heard ? ": " : ", which is down: ") + what + " in epoch " +
       std::to_string(context.configuration.epoch.value));
}

void World::deliver_request(Endpoint from, std::size_t to, wire::Request request) {
  const bool is_of_node = from < nodes_.size();
  const objects::Sender sender{.connection = objects::ConnectionId(from),
                               .key = is_of_node ? nodes_[from].key.public_key()
                                                 : clients_[from - nodes_.size()].key.public_key(),
                               .role = is_of_node ? wire::Role::kNode : wire::Role::kClient};
  const wire::MessageContext context = request.context;
  if (watcher_) {
    std::visit(
        [&](const auto& body) {
          if constexpr (requires { body.id; })
            asked_about_.insert_or_assign(context.nonce.value, body.id);
        },
        request.body);
  }
  if (auto statement = false_statement(to, request)) {
    return transmit(to, from, std::move(*statement));
  }
  feed_node(to, [&](objects::Replica& replica, objects::Effects& out) {
    auto verified = replica.verifier().request(std::move(request));
    if (verified) {
      replica.on_request(local(to), sender, std::move(*verified), out);
    } else {
      replica.on_rejected(local(to), sender, context, verified.error(), out);
    }
  });
}

/// Who lies says that it is complete where it is not: what it signs, no edited effect could show.
std::optional<wire::Answer> World::false_statement(std::size_t node, const wire::Request& request) {
  const auto* asked = std::get_if<wire::GetCompleteness>(&request.body);
  const SimNode& liar = nodes_[node];
  const adversary::Mode mode = liar.misbehaviour.mode();
  const bool is_lying = mode == adversary::Mode::kLie || mode == adversary::Mode::kEquivocate ||
                        mode == adversary::Mode::kStale;
  if (!asked || !is_lying || !liar.replica) return std::nullopt;
  const wire::CompletenessStatement statement{.cluster = configuration().cluster(),
                                              .configuration = request.context.configuration,
                                              .node = liar.key.public_key(),
                                              .directory = liar.directory,
                                              .first = asked->range.first,
                                              .last = asked->range.last};
  return wire::Answer{request.context,
                      wire::Completeness{wire::sign(*scheme_, liar.key, statement)}};
}

// ---- Epochs ----

std::vector<std::size_t> World::group_of(const membership::Configuration& configuration,
                                         const wire::ObjectId& id) const {
  std::vector<std::size_t> out;
  for (const std::uint32_t node : configuration.group(id.placement)) {
    out.push_back(endpoint_of(configuration.nodes()[node].key));
  }
  return out;
}

bool World::change_membership(const std::vector<std::size_t>& members, Duration spread) {
  membership::NextEpoch next = membership::same_again(configuration());
  next.start = Timestamp(configuration().start().value + kEpochSeconds);
  std::vector<membership::Node> nodes;
  std::size_t seats = 0;
  std::set<std::uint32_t> seated;  // organisations: at most F seats each
  for (const std::size_t node : members) {
    nodes.push_back(nodes_[node].member);
    if (seats < next.service.size() && seated.insert(organisation_of(node)).second) {
      next.service[seats++].node = nodes.back().key;
    }
  }
  if (seats < next.service.size()) return false;
  next.body.nodes = membership::changes_between(configuration(), nodes);
  const Bytes description =
      membership::make_description(configuration(), next, service_keys_, *scheme_);
  auto made = membership::apply(configuration(), description, *scheme_);
  if (!made || (*made)->filled_seats() < (*made)->group_size()) return false;
  chain_.push_back(std::move(*made));
  followed_at_.push_back(now_);
  const std::uint64_t epoch = configuration().number().epoch.value;
  note(Mark::kEpoch, epoch);
  tell("epoch " + std::to_string(epoch) + " with " + std::to_string(members.size()) + " members");
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].is_wiped && is_member(node)) {
      nodes_[node].is_wiped = false;
      nodes_[node].known = chain_.size() - 1;
      restart(node);
    }
    if (is_up(node)) learn_later(node, spread);
  }
  return true;
}

void World::tell_all_clients() {
  for (std::size_t client = 0; client < clients_.size(); ++client) {
    while (clients_[client].known + 1 < chain_.size()) learn_as_client(client);
  }
}

void World::learn_as_client(std::size_t client) {
  const std::size_t known = clients_[client].known++;
  const Buffer description = chain_[known + 1]->signed_description();
  objects::Verifier next = next_verifier(known, description.view());
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    core.on_configuration(now_, std::move(next), out);
    if (has_leases_) core.on_fresh_until(now_, leased_until(known + 1), out);
  });
}

// ---- Leases ----

/// No correct member signs a lease of an epoch after it signed what follows.
Instant World::leased_until(std::size_t known) const {
  return (known < followed_at_.size() ? followed_at_[known] : now_) + kLease;
}

bool World::have_leases_run_out() const {
  return followed_at_.empty() || followed_at_.back() + kLease <= now_;
}

void World::renew_lease_now_and_then(std::size_t client) {
  schedule(now_ + kLease / 8, [this, client] {
    renew_lease(client);
    renew_lease_now_and_then(client);
  });
}

/// Some node tells what it knows: nothing, a lease, or what follows. Those that lie say nothing:
/// they can sign no other lease.
void World::renew_lease(std::size_t client) {
  const std::size_t node = random_.below(nodes_.size());
  const SimNode& asked = nodes_[node];
  const Endpoint self = nodes_.size() + client;
  const bool is_cut =
      cuts_[self * endpoint_count() + node] > 0 || cuts_[node * endpoint_count() + self] > 0;
  if (is_cut || !asked.replica || asked.misbehaviour.mode() != adversary::Mode::kHonest) return;
  if (random_.below(1000) < 2 * network_.loss_per_mille) return;
  if (asked.known < clients_[client].known) return;
  while (clients_[client].known < asked.known) learn_as_client(client);
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    core.on_fresh_until(now_, leased_until(clients_[client].known), out);
  });
}

objects::Verifier World::next_verifier(std::size_t known, ByteView description) const {
  auto next = membership::apply(*chain_[known], description, *scheme_);
  CHECK(next.has_value());
  return {std::move(*next), *scheme_};
}

void World::learn_later(std::size_t node, Duration spread) {
  if (nodes_[node].is_of_the_past) return;
  const Duration delay(
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(spread.count()) + 1)));
  schedule(now_ + delay, [this, node, life = nodes_[node].life] {
    if (nodes_[node].life == life && nodes_[node].replica) learn(node);
  });
}

void World::learn(std::size_t node) {
  SimNode& at = nodes_[node];
  while (at.known + 1 < chain_.size()) {
    const Buffer description = chain_[at.known + 1]->signed_description();
    objects::Verifier next = next_verifier(at.known, description.view());
    ++at.known;
    feed_node(node, [&](objects::Replica& replica, objects::Effects& out) {
      replica.on_configuration(local(node), std::move(next), out);
    });
  }
}

// ---- Nodes ----

void World::crash(std::size_t node) {
  note(Mark::kCrash, node);
  tell(name_of(node) + " crashes");
  nodes_[node].replica.reset();
  ++nodes_[node].life;
  nodes_[node].wake_at.reset();
}

void World::restart(std::size_t node) {
  SimNode& at = nodes_[node];
  CHECK(!at.replica);
  if (at.is_wiped) return;
  note(Mark::kRestart, node);
  tell(name_of(node) + " starts");
  at.started_at = now_;
  const crypto::Digest audit_secret = crypto::tagged_hash(
      "rosebud simulated audit secret",
      as_bytes(name_of(node) + "/" + std::to_string(now_.time_since_epoch().count())));
  at.replica = std::make_unique<objects::Replica>(
      objects::ReplicaIdentity{
          .key = at.key, .directory = at.directory, .audit_secret = audit_secret},
      objects::Verifier(chain_[at.known], *scheme_), *scheme_,
      objects::RecoveredNotes{at.disk.notes()}, random_.fork(), limits_,
      objects::History(chain_.rend() - static_cast<std::ptrdiff_t>(at.known), chain_.rend()));
  feed_node(node, [&](objects::Replica& replica, objects::Effects& out) {
    replica.start(local(node), out);
  });
  if (at.known + 1 < chain_.size()) learn_later(node, std::chrono::seconds(1));
}

void World::back_up(std::size_t node) {
  if (nodes_[node].is_wiped) return;
  nodes_[node].backup = SimNode::Backup{.disk = nodes_[node].disk, .known = nodes_[node].known};
}

void World::roll_back(std::size_t node) {
  SimNode& at = nodes_[node];
  if (!at.backup || at.is_wiped) return;
  if (at.replica) crash(node);
  ++lost_disks_;
  tell(name_of(node) + " gets an old copy of its disk");
  const bool is_full = at.disk.is_full();  // of the device, whatever is copied to it
  at.disk = at.backup->disk;
  at.disk.set_full(is_full);
  at.known = at.backup->known;
  restart(node);
}

void World::return_to_the_past(std::size_t node) {
  CHECK(nodes_[node].backup);
  nodes_[node].is_of_the_past = true;
  roll_back(node);
}

void World::return_to_the_present(std::size_t node) {
  if (is_up(node)) crash(node);
  nodes_[node].is_of_the_past = false;
  restart(node);
}

void World::wipe(std::size_t node) {
  SimNode& at = nodes_[node];
  if (at.replica) crash(node);
  ++lost_disks_;
  tell(name_of(node) + " has an empty directory");
  const bool is_full = at.disk.is_full();
  at.disk = {};
  at.disk.set_full(is_full);
  at.backup.reset();
  at.is_wiped = true;
  ++at.directory.bytes[1];
  at.member.directory = at.directory;
}

void World::perform(std::size_t index, objects::Effects& effects) {
  SimNode& node = nodes_[index];
  node.misbehaviour.edit(effects);
  const auto access = [&] { return Duration(static_cast<std::int64_t>(random_.between(20, 400))); };
  for (objects::Effect& effect : effects) {
    if (auto* answer = std::get_if<objects::SendAnswer>(&effect)) {
      send_answer(index, *answer);
    } else if (auto* request = std::get_if<objects::SendRequest>(&effect)) {
      transmit(index, endpoint_of(request->to), std::move(request->request));
    } else if (const auto* load = std::get_if<objects::Load>(&effect)) {
      feed_later(index, access(),
                 [this, index, what = *load](objects::Replica& replica, objects::Effects& out) {
                   replica.on_loaded(local(index), what.token,
                                     nodes_[index].disk.load(what.id, what.part), out);
                 });
    } else if (const auto* scan = std::get_if<objects::Scan>(&effect)) {
      feed_later(index, access(),
                 [this, index, what = *scan](objects::Replica& replica, objects::Effects& out) {
                   replica.on_scanned(local(index), what.token,
                                      nodes_[index].disk.scan(what.range, what.after, what.limit),
                                      out);
                 });
    } else if (auto* persist = std::get_if<objects::Persist>(&effect)) {
      // Syncs of one disk come one after the other.
      const Duration sync(static_cast<std::int64_t>(
          random_.between(100, static_cast<std::uint64_t>(node.sync_max.count()))));
      node.disk_free_at = std::max(node.disk_free_at, now_) + sync;
      feed_later(index, node.disk_free_at - now_,
                 [this, index, what = std::move(*persist)](objects::Replica& replica,
                                                           objects::Effects& out) {
                   note(Mark::kPersisted, index);
                   watch_deletes(index, what.writes);
                   const auto status = nodes_[index].disk.commit(what.writes);
                   if (story_max_ > 0) {
                     tell(name_of(index) + (status ? " has on disk:" : " cannot write:") +
                          describe(what.writes));
                   }
                   replica.on_persisted(local(index), what.token, status, out);
                 });
    } else if (const auto* report = std::get_if<objects::Report>(&effect)) {
      ++observations_[{endpoint_of(report->peer), report->observation}];
      if (report_watcher_ && node.misbehaviour.mode() == adversary::Mode::kHonest) {
        report_watcher_(index, *report);
      }
    }
  }
  if (node.replica) {
    if (is_time_for_invariants()) node.replica->check_invariants();
    wake_node(index);
  }
}

void World::watch_deletes(std::size_t node, const std::vector<wire::StorageWrite>& writes) {
  if (nodes_[node].misbehaviour.mode() != adversary::Mode::kHonest) return;
  for (const wire::StorageWrite& write : writes) {
    const auto* gone = std::get_if<wire::DeleteObject>(&write);
    if (!gone) continue;
    ++deletes_;
    if (delete_watcher_) delete_watcher_(node, gone->id);
  }
}

void World::send_answer(std::size_t node, objects::SendAnswer& effect) {
  const auto about = asked_about_.find(effect.answer.context.nonce.value);
  const bool is_known = about != asked_about_.end();
  if (watcher_ && nodes_[node].misbehaviour.mode() == adversary::Mode::kHonest) {
    watcher_(node, effect.to.value, effect.answer,
             is_known ? std::optional(about->second) : std::nullopt);
  }
  if (is_known) asked_about_.erase(about);
  transmit(node, static_cast<Endpoint>(effect.to.value), std::move(effect.answer));
}

/// Looking at everything after every input is for builds with costly checks.
bool World::is_time_for_invariants() {
#ifdef ROSEBUD_DCHECKS
  constexpr std::uint64_t kEvery = 1;
#else
  constexpr std::uint64_t kEvery = 16;
#endif
  return ++inputs_ % kEvery == 0;
}

void World::wake_node(std::size_t index) {
  SimNode& node = nodes_[index];
  const Instant next = global(index, node.replica->next_deadline());
  if (node.wake_at && *node.wake_at <= next) return;
  node.wake_at = next;
  schedule(next, [this, index, life = node.life, next] {
    SimNode& again = nodes_[index];
    if (again.life != life || again.wake_at != next) return;
    again.wake_at.reset();
    feed_node(index, [&](objects::Replica& replica, objects::Effects& out) {
      replica.on_time(local(index), out);
    });
  });
}

// ---- Clients ----

void World::perform(std::size_t index, objects::ClientEffects& effects) {
  SimClient& client = clients_[index];
  for (objects::ClientEffect& effect : effects) {
    if (auto* request = std::get_if<objects::SendRequest>(&effect)) {
      transmit(nodes_.size() + index, endpoint_of(request->to), std::move(request->request));
    } else if (const auto* report = std::get_if<objects::Report>(&effect)) {
      ++observations_[{endpoint_of(report->peer), report->observation}];
    } else if (const auto* learnt = std::get_if<objects::LearnDescriptions>(&effect)) {
      for (const Buffer& description : learnt->descriptions) {
        if (client.known + 1 == chain_.size()) break;
        if (chain_[client.known + 1]->signed_description() != description) continue;
        learn_as_client(index);
      }
    } else if (std::holds_alternative<objects::AskFreshness>(effect)) {
      schedule(now_ + network_.latency_max, [this, index] { renew_lease(index); });
    } else if (auto* finish = std::get_if<objects::Finish>(&effect)) {
      note(Mark::kFinish, index, static_cast<std::uint64_t>(finish->result.outcome));
      tell("client" + std::to_string(index) +
           " has its result: " + std::string(objects::name_of(finish->result.outcome)));
      const auto at = client.waiting.find(finish->operation);
      CHECK(at != client.waiting.end());
      const Done done = std::move(at->second);
      client.waiting.erase(at);
      done(finish->result);
    }
  }
  if (is_time_for_invariants()) client.core->check_invariants();
  wake_client(index);
}

void World::wake_client(std::size_t index) {
  SimClient& client = clients_[index];
  const Instant next = client.core->next_deadline();
  if (next == Instant::max() || (client.wake_at && *client.wake_at <= next)) return;
  client.wake_at = next;
  schedule(next, [this, index, next] {
    SimClient& again = clients_[index];
    if (again.wake_at != next) return;
    again.wake_at.reset();
    feed_client(index, [&](objects::Client& core, objects::ClientEffects& out) {
      core.on_time(now_, out);
    });
  });
}

wire::Hold World::make_hold(std::size_t index, const wire::ObjectId& id, std::uint64_t size,
                            Timestamp expiry) {
  SimClient& client = clients_[index];
  const auto admission = wire::AdmissionStatement::decode(client.admission.statement);
  const wire::HoldTree tree({wire::hold_leaf(id, size)});
  const wire::HoldStatement statement{.cluster = configuration().cluster(),
                                      .holder = client.key.public_key(),
                                      .organisation = admission->organisation,
                                      .serial = ++client.serial,
                                      .expiry = expiry,
                                      .root = tree.root(),
                                      .count = 1};
  return {.statement = wire::sign(*scheme_, client.key, statement),
          .admission = client.admission,
          .size = size};
}

wire::SignedRecord World::make_record(std::size_t client, ByteView salt, wire::Version version,
                                      ByteView value) {
  const wire::RecordStatement statement{.cluster = configuration().cluster(),
                                        .owner = clients_[client].key.public_key(),
                                        .salt = to_bytes(salt),
                                        .version = version,
                                        .value_size = static_cast<std::uint32_t>(value.size()),
                                        .value_hash = wire::record_value_hash(value)};
  return {.statement = wire::sign(*scheme_, clients_[client].key, statement),
          .value = Buffer::copy_of(value)};
}

void World::send_raw(std::size_t client, std::size_t node, wire::RequestBody body) {
  transmit(nodes_.size() + client, node,
           wire::Request{.context = {.configuration = configuration_of(client).number(),
                                     .nonce = wire::Nonce(random_.next())},
                         .body = std::move(body)});
}

void World::write_block(std::size_t client, const Buffer& bytes, Duration timeout, Done done) {
  const wire::ObjectId id = wire::ObjectId::block(crypto::sha256(bytes.view()));
  write_block(client, bytes, make_hold(client, id, bytes.size()), random_.chance(1, 2), timeout,
              std::move(done));
}

void World::write_block(std::size_t client, const Buffer& bytes, wire::Hold hold,
                        bool is_offered_first, Duration timeout, Done done) {
  const wire::ObjectId id = wire::ObjectId::block(crypto::sha256(bytes.view()));
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    const auto operation =
        core.write_block(now_, id, bytes, std::move(hold), is_offered_first, now_ + timeout, out);
    clients_[client].waiting.emplace(operation, std::move(done));
  });
}

void World::read_block(std::size_t client, const wire::ObjectId& id, Duration timeout, Done done) {
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    const auto operation = core.read_block(now_, id, now_ + timeout, out);
    clients_[client].waiting.emplace(operation, std::move(done));
  });
}

void World::write_record(std::size_t client, const wire::SignedRecord& record, Duration timeout,
                         Done done) {
  const auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());
  write_record(client, record, make_hold(client, statement->id(), wire::kRecordValueSizeMax),
               timeout, std::move(done));
}

void World::write_record(std::size_t client, const wire::SignedRecord& record, wire::Hold hold,
                         Duration timeout, Done done) {
  const auto statement = wire::RecordStatement::decode(record.statement.statement);
  CHECK(statement.has_value());
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    const auto operation =
        core.write_record(now_, statement->id(), record, std::move(hold), now_ + timeout, out);
    clients_[client].waiting.emplace(operation, std::move(done));
  });
}

void World::read_record(std::size_t client, const wire::ObjectId& id, Duration timeout, Done done) {
  feed_client(client, [&](objects::Client& core, objects::ClientEffects& out) {
    const auto operation = core.read_record(now_, id, now_ + timeout, out);
    clients_[client].waiting.emplace(operation, std::move(done));
  });
}

std::uint64_t World::observations(std::size_t node, objects::Observation what) const {
  const auto at = observations_.find({node, what});
  return at == observations_.end() ? 0 : at->second;
}

}  // namespace rosebud::sim
