#include "service/participant.h"

#include <algorithm>

#include "service/instance.h"
#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

/// Members are asked two at a time for a state: one may be gone, or lie.
constexpr std::size_t kAskedForState = 2;

wire::ConfigurationNumber next_of(const wire::ConfigurationNumber& number) {
  return {number.generation, number.epoch.next()};
}

/// In epochs of seconds, as in tests and demonstrations, nobody is waited for longer than they
/// last.
MemberSettings paced(MemberSettings settings, std::uint64_t epoch_seconds) {
  if (epoch_seconds == 0) return settings;
  const Duration epoch = std::chrono::seconds(epoch_seconds);
  settings.patience = std::min(settings.patience, epoch / 4);
  settings.probe_interval = std::min(settings.probe_interval, epoch / 8);
  return settings;
}

std::vector<wire::NodeKey> members_of(const membership::Configuration& configuration) {
  std::vector<wire::NodeKey> out;
  for (const auto& member : configuration.service()) {
    out.push_back(configuration.nodes()[member.node].key);
  }
  return out;
}

}  // namespace

Participant::Participant(crypto::SecretKey node_key, const crypto::SignatureScheme& scheme,
                         std::function<crypto::SecretKey()> make_key, ParticipantSettings settings,
                         Random random)
    : key_(std::move(node_key)),
      scheme_(scheme),
      make_key_(std::move(make_key)),
      settings_(settings),
      random_(random) {}

void Participant::begin(pbft::Now now, Entered entered, Effects& out) {
  entered_ = std::move(entered);
  if (is_planted(Bug::kKeyForgotten)) entered_.next_secret.reset();
  const membership::Configuration& configuration = *entered_.configuration;
  group_ = group_of(configuration);
  seat_ = seat_of(configuration, key_.public_key());
  member_.reset();
  is_open_ = false;
  next_state_.reset();
  leases_.emplace(entered_.configuration, scheme_);
  probing_.clear();
  client_.emplace(key_, group_, scheme_, random_.fork());
  asking_ = Asking::kNothing;
  complaints_.clear();  // the reason may be gone with the epoch
  if (!std::exchange(to_check_, {}).empty()) out.push_back(Check{});
  tick_at_ = ask_for_state_at_ = sign_at_ = own_again_at_ = now.instant;

  const bool has_key =
      seat_ && entered_.secret && entered_.secret->public_key() == group_->key_of(*seat_);
  if (!has_key) entered_.secret.reset();
  // A key that cannot be read is not for this node to erase: it may be readable after a restart.
  if (!is_planted(Bug::kKeyKept)) {
    out.push_back(EraseSecrets{seat_ ? configuration.number() : next_of(configuration.number())});
  }
  if (has_key) {
    member_.emplace(key_.public_key(), entered_.configuration,
                    EpochSecret{.key = *entered_.secret, .share = share_of(*entered_.secret)},
                    paced(settings_.member, configuration.settings().epoch_seconds), scheme_,
                    random_.fork());
    if (configuration.service_state() == crypto::Digest{}) {
      entered_.state = Buffer(Carried{}.encode());
    }
    if (entered_.state) open_group(*entered_.state, out);
  }
  ask_next(now, nullptr, out);
}

bool Participant::is_member(const wire::NodeKey& node) const {
  return seat_of(configuration(), node).has_value();
}

// ---- What others tell ----

bool Participant::on_notice(pbft::Now now, const wire::NodeKey& from, const Notice& notice,
                            const Machine* machine, Effects& out) {
  if (const auto* one = std::get_if<Reply>(&notice)) return on_reply(now, from, *one, machine, out);
  if (const auto* one = std::get_if<StateFound>(&notice)) return on_state_found(from, *one, out);
  if (const auto* one = std::get_if<Signed>(&notice)) return on_signed(from, *one, machine, out);
  if (const auto* one = std::get_if<Probed>(&notice)) {
    on_probed(from, *one);
    return true;
  }
  if (const auto* one = std::get_if<Announced>(&notice)) {
    const auto announcement = Announcement::decode(one->announcement.statement);
    if (!announcement || announcement->node != from) return false;
    // One that comes twice, since it was asked for twice, is no fault.
    if (member_ && member_->on_announcement(one->announcement)) ask_next(now, machine, out);
    return true;
  }
  if (!is_member(from)) return false;
  if (const auto* one = std::get_if<LeaseShare>(&notice)) {
    return on_lease_share(now, from, *one, out);
  }
  if (const auto* one = std::get_if<Leased>(&notice)) return leases_->take(one->lease);
  if (const auto* one = std::get_if<Probe>(&notice)) {
    out.push_back(SendNotice{from, Probed{one->number}});
  } else if (std::holds_alternative<GetAnnouncement>(notice)) {
    wire::SignedBytes announcement = own_announcement(out);
    out.push_back(SendNotice{from, Announced{std::move(announcement)}});
    if (is_planted(Bug::kKeyAnnouncedBeforeDurable)) std::ranges::reverse(out);
  } else if (const auto* wanted = std::get_if<GetState>(&notice)) {
    answer_state(from, *wanted, out);
  }
  return true;
}

/// One secret for one epoch: whoever asks gets the same, after a restart too.
wire::SignedBytes Participant::own_announcement(Effects& out) {
  if (!entered_.next_secret) {
    entered_.next_secret = make_key_();
    out.push_back(
        KeepSecret{.number = next_of(configuration().number()), .key = *entered_.next_secret});
  }
  const EpochSecret secret{.key = *entered_.next_secret, .share = share_of(*entered_.next_secret)};
  return announce(configuration(), key_, secret, scheme_);
}

// ---- What was handed over ----

void Participant::answer_state(const wire::NodeKey& from, const GetState& notice,
                               Effects& out) const {
  for (const auto* state : {&entered_.state, &next_state_}) {
    if (*state && Carried::digest(**state) == notice.digest) {
      out.push_back(SendNotice{from, StateFound{**state}});
      return;
    }
  }
}

void Participant::try_to_open(Instant now, Effects& out) {
  if (now < ask_for_state_at_) return;
  ask_for_state_at_ = now + settings_.ask_interval;
  if (entered_.state) return open_group(*entered_.state, out);
  ask_for_state(out);
}

/// Those who handed it over have it, and members who have begun.
void Participant::ask_for_state(Effects& out) {
  std::vector<wire::NodeKey> some = members_of(configuration());
  if (entered_.previous) {
    const std::vector<wire::NodeKey> before = members_of(*entered_.previous);
    some.insert(some.end(), before.begin(), before.end());
  }
  std::erase(some, key_.public_key());
  random_.shuffle(some);
  if (some.size() > kAskedForState) some.resize(kAskedForState);
  for (const wire::NodeKey& node : some) {
    out.push_back(SendNotice{node, GetState{configuration().service_state()}});
  }
}

bool Participant::on_state_found(const wire::NodeKey& from, const StateFound& notice,
                                 Effects& out) {
  if (!member_ || is_open_) return true;
  const bool is_asked =
      is_member(from) || (entered_.previous && seat_of(*entered_.previous, from).has_value());
  const bool is_right = Carried::digest(notice.state) == configuration().service_state();
  if (!is_asked || (!is_right && !is_planted(Bug::kStateNotCompared))) return false;
  entered_.state = notice.state;
  out.push_back(KeepState{.number = configuration().number(), .state = notice.state});
  open_group(notice.state, out);
  return true;
}

/// Its digest was checked, when it came or when it was kept.
void Participant::open_group(const Buffer& state, Effects& out) {
  auto carried = Carried::decode(state);
  if (!carried) return;  // 2F+1 members signed what this version does not understand
  is_open_ = true;
  out.push_back(OpenGroup{.seat = *seat_, .key = *entered_.secret, .carried = std::move(*carried)});
}

// ---- A member's duties ----

void Participant::on_time(pbft::Now now, const Machine* machine, Effects& out) {
  const bool is_tick = now.instant >= tick_at_;
  // First what somebody waits for: what follows something that cannot be kept is dropped.
  if (is_tick) give_up_old(now, out);
  pbft::ClientEffects effects;
  client_->on_time(now.instant, effects);
  perform(now, std::move(effects), out);
  if (is_tick) {
    tick_at_ = now.instant + Member::kTick;
    if (member_) sign_lease(now, out);
    if (member_ && !is_open_) try_to_open(now.instant, out);
    if (member_ && machine) do_duties(now, *machine, out);
  }
  ask_next(now, machine, out);
}

void Participant::on_executed(pbft::Now now, const Machine& machine, Effects& out) {
  if (!member_) return;
  ask_candidates(now.instant, machine, out);
  choose_checks(machine, out);
  sign(now.instant, machine, out);
  ask_next(now, &machine, out);
}

void Participant::do_duties(pbft::Now now, const Machine& machine, Effects& out) {
  probe(now.instant, out);
  ask_candidates(now.instant, machine, out);
  choose_checks(machine, out);
  sign(now.instant, machine, out);
}

void Participant::probe(Instant now, Effects& out) {
  for (auto at = probing_.begin(); at != probing_.end();) {
    const bool is_over = now >= at->second.until;
    if (is_over) member_->on_probe(at->second.node, false);
    at = is_over ? probing_.erase(at) : std::next(at);
  }
  for (const wire::NodeKey& node : member_->to_probe(now)) {
    const std::uint64_t number = random_.next();
    probing_[number] = {.node = node, .until = now + settings_.probe_timeout};
    out.push_back(SendNotice{node, Probe{number}});
  }
}

void Participant::on_probed(const wire::NodeKey& from, const Probed& notice) {
  const auto at = probing_.find(notice.number);
  if (at == probing_.end() || at->second.node != from) return;
  probing_.erase(at);
  member_->on_probe(from, true);
}

void Participant::ask_candidates(Instant now, const Machine& machine, Effects& out) {
  for (const wire::NodeKey& node : member_->to_ask(now, machine)) {
    if (node != key_.public_key()) {
      out.push_back(SendNotice{node, GetAnnouncement{}});
    } else {
      member_->on_announcement(own_announcement(out));
    }
  }
}

void Participant::choose_checks(const Machine& machine, Effects& out) {
  if (machine.to_check() == to_check_) return;
  to_check_ = machine.to_check();
  member_->keep_checked(to_check_);
  out.push_back(Check{to_check_});
}

void Participant::on_checked(pbft::Now now, const wire::Accusation& about,
                             wire::AuditOutcome outcome, const Machine* machine, Effects& out) {
  // An answer that was on its way when the complaint was over, or the epoch.
  if (!member_ || !std::ranges::binary_search(to_check_, about)) return;
  member_->on_checked(about, outcome);
  ask_next(now, machine, out);
}

void Participant::complain(pbft::Now now, const wire::Accusation& about, const Machine* machine,
                           Effects& out) {
  std::erase_if(complaints_, [&](const Complain& one) { return one.accused == about.accused; });
  if (complaints_.size() >= kComplaintsOfOneMax) return;
  complaints_.push_back({.accused = about.accused, .block = about.block});
  ask_next(now, machine, out);
}

/// What is handed over is on disk before the signature leaves: 2F+1 signed, so F+1 correct members
/// have it.
void Participant::sign(Instant now, const Machine& machine, Effects& out) {
  if (machine.state().phase != Phase::kSealed || now < sign_at_) return;
  sign_at_ = now + settings_.ask_interval;
  if (!next_state_) {
    next_state_ = Buffer(handed_over(machine).encode());
    out.push_back(KeepState{.number = next_of(configuration().number()), .state = *next_state_});
  }
  const bool is_late = is_planted(Bug::kSignedBeforeDurable) && !out.empty();
  const Effects kept = is_late ? std::exchange(out, {}) : Effects{};
  const auto signature = member_->sign(machine);
  for (const wire::NodeKey& other : members_of(configuration())) {
    if (other != key_.public_key()) out.push_back(SendNotice{other, Signed{*signature}});
  }
  out.insert(out.end(), kept.begin(), kept.end());
  learn(out);
}

/// Its own signature may be one of the 2F+1: not before what is handed over is on disk.
void Participant::learn(Effects& out) const {
  const auto* description = next_state_ ? member_->description() : nullptr;
  if (description) out.push_back(Learn{Buffer(description->encode())});
}

bool Participant::on_signed(const wire::NodeKey& from, const Signed& notice, const Machine* machine,
                            Effects& out) {
  const auto seat = seat_of(configuration(), from);
  if (!seat || seat->value != notice.signature.seat) return false;
  // Too early is no fault: it comes again.
  if (!member_ || !machine || machine->state().phase != Phase::kSealed) return true;
  member_->on_signature(*machine, notice.signature);
  learn(out);
  return true;
}

// ---- Leases ----

/// None after what follows may have been signed, by this member before a restart too (design 9.4).
void Participant::sign_lease(pbft::Now now, Effects& out) {
  const bool may_be_over = next_state_ || entered_.has_next_state;
  if (may_be_over && !is_planted(Bug::kLeaseAfterSuccessor)) return;
  const auto until = leases_->due(Timestamp(now.wall.value / 1000));
  if (!until) return;
  const LeaseShare share{.until = *until,
                         .signature = leases_->sign(*until, seat_->value, *entered_.secret)};
  for (const wire::NodeKey& other : members_of(configuration())) {
    if (other != key_.public_key()) out.push_back(SendNotice{other, share});
  }
  add_lease_share(now, share, out);
}

bool Participant::on_lease_share(pbft::Now now, const wire::NodeKey& from, const LeaseShare& notice,
                                 Effects& out) {
  if (seat_of(configuration(), from)->value != notice.signature.seat) return false;
  if (member_) add_lease_share(now, notice, out);
  return true;
}

/// A whole one is for everybody: clients ask any node.
void Participant::add_lease_share(pbft::Now now, const LeaseShare& share, Effects& out) {
  const auto whole = leases_->add(Timestamp(now.wall.value / 1000), share.until, share.signature);
  if (!whole) return;
  for (const membership::Node& node : configuration().nodes()) {
    if (node.key != key_.public_key()) out.push_back(SendNotice{node.key, Leased{*whole}});
  }
}

// ---- What it asks the group for ----

void Participant::hand_in(pbft::Now now, HandInId id, const Operation& operation, Effects& out) {
  // A hostile organisation has no end of things to say; they must not keep out the decree against
  // it.
  const crypto::PublicKey author = author_of(operation);
  const auto of_the_same = std::ranges::count(handed_in_, author, &Waiting::author);
  if (handed_in_.size() >= settings_.hand_ins_max || !is_node() ||
      std::cmp_greater_equal(of_the_same, settings_.hand_ins_of_one_max)) {
    out.push_back(HandedIn{.id = id, .answer = Answer::kNotNow});
    return;
  }
  handed_in_.push_back({.id = id,
                        .author = author,
                        .operation = Buffer(encode(operation)),
                        .until = now.instant + settings_.hand_in_timeout});
  ask_next(now, nullptr, out);
}

void Participant::ask_next(pbft::Now now, const Machine* machine, Effects& out) {
  // One that is no node any more is no client of the group: the answers of others are false.
  if (asking_ != Asking::kNothing || !is_node()) return;
  // They take turns with everything else: nobody who hands in much can keep them back.
  if (!complaints_.empty() && !was_complaint_) return ask_complaint(now, out);
  std::optional<Operation> own;
  if (member_ && machine && now.instant >= own_again_at_) {
    own = member_->wish(now.instant, now.wall.value, *machine);
  }
  const bool is_handed_in = choose_handed_in(now.instant);
  const bool is_own = own && (!is_handed_in || !was_own_);
  if (!is_own && !is_handed_in) {
    if (!complaints_.empty()) ask_complaint(now, out);
    return;
  }
  was_own_ = is_own;
  was_complaint_ = false;
  asking_ = is_own ? Asking::kOwn : Asking::kHandedIn;
  asked_at_ = now.instant;
  ask(now, is_own ? Buffer(encode(*own)) : handed_in_.front().operation, out);
}

void Participant::ask_complaint(pbft::Now now, Effects& out) {
  const Operation complaint = complaints_.front();
  complaints_.pop_front();
  was_complaint_ = true;
  asking_ = Asking::kComplaint;
  asked_at_ = now.instant;
  ask(now, Buffer(encode(complaint)), out);
}

/// Of those whose pause is over the one that has waited longest comes to the front; false: none.
bool Participant::choose_handed_in(Instant now) {
  const auto at =
      std::ranges::find_if(handed_in_, [now](const Waiting& one) { return now >= one.not_before; });
  if (at == handed_in_.end()) return false;
  std::rotate(handed_in_.begin(), at, std::next(at));
  return true;
}

void Participant::ask(pbft::Now now, Buffer operation, Effects& out) {
  pbft::ClientEffects effects;
  client_->submit(now.instant, std::move(operation), effects);
  perform(now, std::move(effects), out);
}

bool Participant::on_reply(pbft::Now now, const wire::NodeKey& from, const Reply& notice,
                           const Machine* machine, Effects& out) {
  const auto seat = seat_of(configuration(), from);
  const auto reply = pbft::decode_reply(notice.reply);
  if (!seat || !reply) return false;
  pbft::ClientEffects effects;
  client_->on_reply(now.instant, *seat, *reply, effects);
  perform(now, std::move(effects), out);
  ask_next(now, machine, out);
  return true;
}

void Participant::perform(pbft::Now now, pbft::ClientEffects effects, Effects& out) {
  for (pbft::ClientEffect& effect : effects) {
    if (const auto* request = std::get_if<pbft::SendRequest>(&effect)) {
      wire::Writer bytes;
      pbft::write(bytes, request->request);
      out.push_back(SendNotice{node_of(configuration(), request->to), Ask{Buffer(bytes.take())}});
    } else if (const auto* finish = std::get_if<pbft::Finish>(&effect)) {
      const bool is_answer =
          finish->status == pbft::Reply::Status::kExecuted && finish->result.size() == 1 &&
          finish->result.view()[0] <= static_cast<std::uint8_t>(Answer::kRefused);
      end_asking(now, is_answer ? static_cast<Answer>(finish->result.view()[0]) : Answer::kNotNow,
                 out);
    }
  }
}

void Participant::end_asking(pbft::Now now, Answer answer, Effects& out) {
  if (asking_ == Asking::kHandedIn) {
    end_handed_in(now, answer, out);
  } else if (asking_ == Asking::kOwn && answer != Answer::kDone) {
    own_again_at_ = now.instant + Member::kTick;
  }
  asking_ = Asking::kNothing;
}

/// Not now, but in the next epoch perhaps: as long as its time is not over it waits, behind others.
void Participant::end_handed_in(pbft::Now now, Answer answer, Effects& out) {
  Waiting one = std::move(handed_in_.front());
  handed_in_.pop_front();
  if (answer != Answer::kNotNow || now.instant >= one.until) {
    out.push_back(HandedIn{.id = one.id, .answer = answer});
    return;
  }
  one.not_before = now.instant + settings_.ask_interval;
  handed_in_.push_back(std::move(one));
}

void Participant::give_up_old(pbft::Now now, Effects& out) {
  const auto is_over = [now](const Waiting& one) { return now.instant >= one.until; };
  const bool is_asked_in_vain =
      asking_ != Asking::kNothing && now.instant >= asked_at_ + settings_.answer_timeout;
  if (is_asked_in_vain || (asking_ == Asking::kHandedIn && is_over(handed_in_.front()))) {
    stop_asking();
  }
  for (const Waiting& one : handed_in_) {
    if (is_over(one)) out.push_back(HandedIn{.id = one.id, .answer = Answer::kNotNow});
  }
  std::erase_if(handed_in_, is_over);
}

/// Nothing may name the key, since it would give the seat to nobody.
void Participant::forget_next_secret() {
  entered_.next_secret.reset();
  if (member_) member_->forget_announcement(key_.public_key());
  if (asking_ == Asking::kOwn) stop_asking();
}

/// Without an answer: what was handed in stays the first.
void Participant::stop_asking() {
  pbft::ClientEffects none;  // it asks for one at a time
  client_->give_up({}, none);
  asking_ = Asking::kNothing;
}

void Participant::on_failed(const Effect& effect) {
  if (std::holds_alternative<KeepSecret>(effect)) forget_next_secret();
  if (const auto* state = std::get_if<KeepState>(&effect)) {
    if (state->number != configuration().number()) return next_state_.reset();
    entered_.state.reset();
    is_open_ = false;
  }
  if (std::holds_alternative<OpenGroup>(effect)) is_open_ = false;
}

Instant Participant::next_deadline() const {
  const bool is_waiting = asking_ != Asking::kNothing || !handed_in_.empty();
  const Instant tick = member_ || is_waiting ? tick_at_ : Instant::max();
  return std::min(tick, client_->next_deadline());
}

}  // namespace rosebud::service
