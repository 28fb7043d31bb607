#include "runtime/service_host.h"

#include <boost/asio/post.hpp>

#include "adversary/double_vote.h"
#include "crypto/random.h"
#include "membership/description.h"
#include "pbft/records.h"
#include "runtime/log.h"
#include "service/instance.h"

namespace rosebud::runtime {

namespace asio = boost::asio;

namespace {

template <typename Map>
std::vector<wire::NodeKey> keys_of(const Map& map) {
  std::vector<wire::NodeKey> out;
  for (const auto& [key, value] : map) out.push_back(key);
  return out;
}

}  // namespace

ServiceHost::ServiceHost(asio::io_context& io, crypto::SecretKey key,
                         const crypto::SignatureScheme& scheme, ServiceFiles files,
                         EvidenceFiles evidence, Events events)
    : io_(io),
      key_(key),
      scheme_(scheme),
      files_(std::move(files)),
      evidence_(std::move(evidence)),
      events_(std::move(events)),
      participant_(std::move(key), scheme, crypto::SecretKey::generate, {},
                   crypto::random_from_system()),
      timer_(io) {}

ServiceHost::~ServiceHost() { close_group(); }

void ServiceHost::begin(std::shared_ptr<const membership::Configuration> configuration,
                        std::shared_ptr<const membership::Configuration> previous, bool is_member) {
  close_group();
  const wire::ConfigurationNumber number = configuration->number();
  files_.remove_old(number);
  service::Entered entered{
      .configuration = configuration,
      .previous = std::move(previous),
      .secret = is_member ? secret_of(*configuration) : std::nullopt,
      .next_secret = files_.secret({number.generation, number.epoch.next()}),
      .state = state_of(*configuration),
      .has_next_state = files_.has_state({number.generation, number.epoch.next()})};
  feed([&](service::Effects& out) {
    participant_.begin(replication::read_now(), std::move(entered), out);
  });
}

/// Of the first epoch of a generation the number was not known when the key was made.
std::optional<crypto::SecretKey> ServiceHost::secret_of(
    const membership::Configuration& configuration) const {
  const wire::ConfigurationNumber number = configuration.number();
  auto out = files_.secret(number);
  if (out || !configuration.recovery()) return out;
  out = files_.secret({.generation = number.generation, .epoch = {}});
  if (out && !is_kept(files_.keep_secret(number, *out), "a key for a seat")) out.reset();
  return out;
}

/// A recovery brings with it what was handed to its parent.
std::optional<Buffer> ServiceHost::state_of(const membership::Configuration& configuration) const {
  const wire::ConfigurationNumber number = configuration.number();
  auto out = files_.state(number, configuration.service_state());
  if (out || !configuration.recovery() || configuration.recovery()->state.empty()) return out;
  const Bytes& state = configuration.recovery()->state;
  if (is_kept(files_.keep_state(number, state), "the service's state")) out = Buffer(state);
  return out;
}

void ServiceHost::stop() {
  is_stopped_ = true;
  timer_.cancel();
  close_group();
}

template <typename Input>
void ServiceHost::feed(Input input) {
  if (is_stopped_) return;
  service::Effects effects;
  input(effects);
  perform(std::move(effects));
  wake();
}

// ---- What comes in ----

bool ServiceHost::take(const wire::NodeKey& from, const Buffer& bytes, replication::Permit permit) {
  const auto notice = service::decode_notice(bytes);
  if (!notice) return false;
  const membership::Configuration& configuration = participant_.configuration();
  if (const auto* order = std::get_if<service::Order>(&*notice)) {
    const auto seat = service::seat_of(configuration, from);
    if (!seat) return false;
    return !driver_ || driver_->take_message(*seat, order->message, std::move(permit));
  }
  if (const auto* ask = std::get_if<service::Ask>(&*notice)) {
    const auto source = configuration.node_index(from);
    if (!source) return false;
    return !driver_ || driver_->take_request(*source, ask->request, std::move(permit), {});
  }
  bool is_sense = true;
  feed([&](service::Effects& out) {
    is_sense = participant_.on_notice(replication::read_now(), from, *notice, machine_.get(), out);
  });
  return is_sense;
}

void ServiceHost::on_link(const wire::NodeKey& node, bool is_up) {
  if (!driver_) return;
  const auto seat = service::seat_of(participant_.configuration(), node);
  if (seat) driver_->on_link(*seat, is_up);
}

void ServiceHost::hand_in(service::HandInId id, const service::Operation& operation) {
  feed([&](service::Effects& out) {
    participant_.hand_in(replication::read_now(), id, operation, out);
  });
}

void ServiceHost::complain(const wire::Accusation& about) {
  feed([&](service::Effects& out) {
    participant_.complain(replication::read_now(), about, machine_.get(), out);
  });
}

void ServiceHost::on_checked(const wire::Accusation& about, wire::AuditOutcome outcome) {
  feed([&](service::Effects& out) {
    participant_.on_checked(replication::read_now(), about, outcome, machine_.get(), out);
  });
}

// ---- What goes out ----

void ServiceHost::perform(service::Effects effects) {
  for (const service::Effect& effect : effects) {
    if (perform_one(effect)) continue;
    participant_.on_failed(effect);
    return;  // what follows speaks of it
  }
}

bool ServiceHost::perform_one(const service::Effect& effect) {
  if (const auto* one = std::get_if<service::SendNotice>(&effect)) {
    send(*one);
  } else if (const auto* secret = std::get_if<service::KeepSecret>(&effect)) {
    return is_kept(files_.keep_secret(secret->number, secret->key), "a key for a seat");
  } else if (const auto* old = std::get_if<service::EraseSecrets>(&effect)) {
    // They sign nothing any more here, whether they are gone or not.
    (void)is_kept(files_.erase_secrets(old->below), "the erasure of old keys");
  } else if (const auto* state = std::get_if<service::KeepState>(&effect)) {
    return is_kept(files_.keep_state(state->number, state->state), "the service's state");
  } else if (const auto* group = std::get_if<service::OpenGroup>(&effect)) {
    return open_group(*group);
  } else if (const auto* next = std::get_if<service::Learn>(&effect)) {
    // It ends the group that it came from.
    asio::post(io_, [this, alive = std::weak_ptr(alive_), description = next->description] {
      if (!alive.expired() && !is_stopped_) events_.learn(description);
    });
  } else if (const auto* answered = std::get_if<service::HandedIn>(&effect)) {
    events_.handed_in(answered->id, answered->answer);
  } else if (const auto* check = std::get_if<service::Check>(&effect)) {
    asio::post(io_, [this, alive = std::weak_ptr(alive_), accusations = check->accusations] {
      if (!alive.expired() && !is_stopped_) events_.check(accusations);
    });
  }
  return true;
}

bool ServiceHost::is_kept(const rosebud::Status<Explained>& kept, std::string_view what) {
  if (kept) return true;
  log_error("the disk did not take what the configuration service needs",
            {{"what", std::string(what)}, {"reason", kept.error().text()}});
  return false;
}

void ServiceHost::send(const service::SendNotice& one) {
  if (one.to != key_.public_key()) {
    Buffer bytes = service::encode(one.notice);
    if (bytes.size() <= service::kNoticeSizeMax) events_.send(one.to, std::move(bytes));
    return;
  }
  const auto source = participant_.configuration().node_index(one.to);
  if (const auto* ask = std::get_if<service::Ask>(&one.notice); ask && driver_ && source)
    (void)driver_->take_request(*source, ask->request, {}, {});
}

// ---- The replica of its seat ----

/// What cannot be opened leaves nothing behind: it is tried again, and the records of a store that
/// is still open cannot be opened.
bool ServiceHost::open_group(const service::OpenGroup& wanted) {
  if (const auto opened = try_to_open(wanted); !opened) {
    close_group();
    return is_kept(opened, "the records of its seat");
  }
  seen_ = {};
  log_info("has a seat in the configuration service",
           {{"epoch", std::to_string(participant_.configuration().number().epoch.value)},
            {"seat", std::to_string(wanted.seat.value)}});
  if (driver_->replica().has_unreadable_records()) {
    log_error("the records of the seat make no sense and are erased: is the disk failing?",
              {{"epoch", std::to_string(participant_.configuration().number().epoch.value)}});
  }
  driver_->start();
  return true;
}

rosebud::Status<Explained> ServiceHost::try_to_open(const service::OpenGroup& wanted) {
  const membership::Configuration& configuration = participant_.configuration();
  auto group = service::group_of(configuration);
  wire::Writer owner;
  owner.raw(group->instance().view())
      .raw(wanted.key.public_key().view())
      .raw(as_bytes(pbft::records::kFormat));
  auto store = disk::RecordStore::open(files_.records(configuration.number()), owner.bytes());
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  machine_ = std::make_unique<service::Machine>(participant_.shared_configuration(), wanted.carried,
                                                scheme_);
  const pbft::Settings settings = service::replica_settings();
  auto driver = replication::ReplicaDriver::open(
      io_, {.self = wanted.seat, .key = wanted.key}, pbft::Verifier(group, settings.group, scheme_),
      settings, *machine_, *store_, 1,
      {.send = [this, key = wanted.key](pbft::ReplicaId to,
                                        const Buffer& message) { send_order(key, to, message); },
       .reply =
           [this](const pbft::ClientId& to, const pbft::Reply& reply) {
             const service::Reply answer{Buffer(pbft::encode(reply))};
             if (to == key_.public_key()) return take_reply(to, answer);
             send({to, answer});
           },
       .on_evidence = [this](const pbft::Evidence& evidence) { keep_evidence(evidence); },
       .on_change =
           [this] {
             if (!driver_ || driver_->replica().executed() == seen_ || is_look_posted_) return;
             is_look_posted_ = true;
             asio::post(io_, [this, alive = std::weak_ptr(alive_)] {
               if (!alive.expired()) look_at_machine();
             });
           },
       .on_disk_failure = events_.on_disk_failure});
  if (!driver) return fail(driver.error());
  driver_ = std::move(*driver);
  // The process may have ended between the records and the file.
  for (const auto& [seat, evidence] : driver_->replica().evidence()) keep_evidence(evidence);
  return {};
}

void ServiceHost::close_group() {
  driver_.reset();
  store_.reset();
  machine_.reset();
}

void ServiceHost::send_order(const crypto::SecretKey& epoch_key, pbft::ReplicaId to,
                             const Buffer& message) {
  const membership::Configuration& configuration = participant_.configuration();
  const wire::NodeKey& node = service::node_of(configuration, to);
  const auto other = is_double_voting_ ? adversary::other_vote(service::instance_of(configuration),
                                                               epoch_key, scheme_, message)
                                       : std::nullopt;
  // Half of the others count the one vote, half the other one.
  const bool is_other_first = other && to.value % 2 == 1;
  if (is_other_first) send({node, service::Order{*other}});
  send({node, service::Order{message}});
  if (other && !is_other_first) send({node, service::Order{*other}});
}

/// A file that cannot be written is written at the next start in this epoch: the records have it.
void ServiceHost::keep_evidence(const pbft::Evidence& evidence) {
  const auto against = service::MemberEvidence::of(participant_.configuration(), evidence);
  if (!evidence_.is_wanted(against)) return;
  if (!is_kept(evidence_.keep(against), "evidence against a member")) return;
  log_error("a member of the configuration service signed two votes that contradict each other",
            {{"epoch", std::to_string(against.number.epoch.value)},
             {"seat", std::to_string(evidence.first.replica.value)},
             {"node", against.name},
             {"organisation", against.organisation},
             {"file", evidence_.path_of(against).string()}});
}

/// Later: it comes from within the replica.
void ServiceHost::take_reply(const wire::NodeKey& from, const service::Reply& reply) {
  asio::post(io_, [this, alive = std::weak_ptr(alive_), from, reply] {
    if (alive.expired()) return;
    feed([&](service::Effects& out) {
      (void)participant_.on_notice(replication::read_now(), from, reply, machine_.get(), out);
    });
  });
}

void ServiceHost::look_at_machine() {
  is_look_posted_ = false;
  if (!driver_) return;
  seen_ = driver_->replica().executed();
  feed([&](service::Effects& out) {
    participant_.on_executed(replication::read_now(), *machine_, out);
  });
}

void ServiceHost::wake() {
  const Instant deadline = participant_.next_deadline();
  if (is_stopped_ || deadline >= timer_at_) return;
  timer_at_ = deadline;
  timer_.expires_after(std::max(deadline - replication::read_now().instant, Duration::zero()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || is_stopped_) return;
    timer_at_ = Instant::max();
    feed([&](service::Effects& out) {
      participant_.on_time(replication::read_now(), machine_.get(), out);
    });
  });
}

ServiceHost::Status ServiceHost::status() const {
  Status out;
  if (participant_.has_seat())
    out.seat = service::seat_of(participant_.configuration(), key_.public_key())->value;
  out.is_waiting_for_state = participant_.is_waiting_for_state();
  if (!driver_) return out;
  const pbft::Replica& replica = driver_->replica();
  const service::State& state = machine_->state();
  out.group = {.phase = state.phase,
               .view = replica.view().value,
               .is_primary = replica.is_primary(),
               .may_vote = replica.may_vote(),
               .executed = replica.executed().value,
               .inactive = state.carried.wishes.inactive_since_ms.size(),
               .admissions = state.carried.wishes.admissions.size(),
               .complained_of = keys_of(state.carried.complaints),
               .withholding = keys_of(state.carried.wishes.withholding_since_ms),
               .convicted = keys_of(state.carried.wishes.false_since_ms),
               .rejected = driver_->statistics().rejected,
               .evidence = replica.evidence().size()};
  return out;
}

}  // namespace rosebud::runtime
