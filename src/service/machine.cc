#include "service/machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "membership/admission.h"
#include "membership/changeable_settings.h"
#include "membership/placing.h"
#include "pbft/settings.h"
#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

constexpr std::uint64_t kHourMs = 3'600'000;
constexpr std::uint64_t kDayMs = 24 * kHourMs;
/// A decree is remembered so much longer than it is valid: agreed time begins anew with each group,
/// within the bound of clocks.
constexpr std::uint64_t kForgottenAfterS = 600;

}  // namespace

Machine::Machine(std::shared_ptr<const membership::Configuration> configuration, Carried carried,
                 const crypto::SignatureScheme& scheme)
    : configuration_(std::move(configuration)), scheme_(scheme) {
  CHECK(!configuration_->service().empty());
  state_.carried = std::move(carried);
  for (const membership::ServiceMember& member : configuration_->service()) {
    // Those of the first service sit since the genesis.
    state_.carried.seated_since_ms.try_emplace(configuration_->nodes()[member.node].key,
                                               configuration_->start().value * 1000);
  }
  // Who is in no group with the other any more may have deleted the block since (design 10.5).
  drop_old(state_.carried.complaints, *configuration_, 0);
}

pbft::StateMachine::Outcome Machine::execute(pbft::AgreedTime time, const pbft::ClientId& client,
                                             ByteView operation) {
  now_ms_ = time.value;
  Answer answer = Answer::kRefused;
  const auto decoded = decode_operation(operation);
  if (decoded && is_client(client)) {
    const Asker asker{
        .node = client,
        .is_member = member_of(client) != nullptr || is_planted(Bug::kNonMembersWordCounts)};
    answer = std::visit([&](const auto& one) { return on(asker, one); }, *decoded);
  }
  return {.result = {static_cast<std::uint8_t>(answer)}, .is_stop = state_.phase == Phase::kSealed};
}

bool Machine::is_client(const pbft::ClientId& client) const {
  return configuration_->node_index(client).has_value();
}

std::vector<Buffer> Machine::snapshot() const {
  const Bytes whole = wire::Writer().u64(now_ms_).bytes32(state_.encode()).take();
  std::vector<Buffer> out;
  for (std::size_t at = 0; at < whole.size(); at += pbft::kChunkSizeMax) {
    const std::size_t size = std::min(pbft::kChunkSizeMax, whole.size() - at);
    out.push_back(Buffer::copy_of(ByteView(whole).subspan(at, size)));
  }
  return out;
}

bool Machine::restore(const std::vector<Buffer>& pieces) {
  Bytes whole;
  for (const Buffer& piece : pieces) {
    whole.insert(whole.end(), piece.view().begin(), piece.view().end());
  }
  wire::Reader in(whole);
  const std::uint64_t now_ms = in.u64();
  auto state = State::decode(in.bytes32(whole.size()));
  if (!in.done() || !state) return false;
  if (!membership::in_their_places(*configuration_, state->next.nodes)) return false;
  now_ms_ = now_ms;
  state_ = std::move(*state);
  note_complaints_changed();
  return true;
}

const membership::ServiceMember* Machine::member_of(const wire::NodeKey& node) const {
  const auto index = configuration_->node_index(node);
  const auto& service = configuration_->service();
  const auto at =
      index ? std::ranges::find(service, *index, &membership::ServiceMember::node) : service.end();
  return at == service.end() ? nullptr : &*at;
}

const crypto::PublicKey& Machine::authority_of(std::uint32_t node) const {
  return configuration_->organisations()[configuration_->nodes()[node].organisation].authority;
}

bool Machine::note_said(Said& said, const wire::NodeKey& about, const wire::NodeKey& by) const {
  said[about].insert(by);
  return said[about].size() >= quorum();
}

// ---- While it runs ----

Answer Machine::on(const Asker& asker, const Reachability& operation) {
  if (!asker.is_member || !configuration_->node_index(operation.node)) return Answer::kRefused;
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  Said& said = operation.is_reachable ? state_.reachable : state_.unreachable;
  Said& other = operation.is_reachable ? state_.unreachable : state_.reachable;
  take_back(other, operation.node, asker.node);
  if (has_said(said, operation.node, asker.node)) return Answer::kAlready;
  const bool is_quorum = note_said(said, operation.node, asker.node);
  auto& inactive = state_.carried.wishes.inactive_since_ms;
  if (operation.is_reachable) {
    // F+1: one of them is correct and has its answer.
    if (said[operation.node].size() >= configuration_->settings().service_faults + 1 ||
        is_planted(Bug::kOneRevives)) {
      inactive.erase(operation.node);
    }
  } else if (is_quorum || is_planted(Bug::kOneAccuserIsEnough)) {
    inactive.try_emplace(operation.node, now_ms_);
  }
  return Answer::kDone;
}

/// Limited for each organisation and day, so that nobody tries keys until one lies well.
Answer Machine::count_admission(const wire::AdmissionStatement& statement) {
  if (configuration_->node_index(statement.subject)) return Answer::kDone;  // it has its place
  const std::uint64_t today = now_ms_ / kDayMs;
  Carried::Admitted& counted = state_.carried.admitted[statement.organisation];
  if (counted.day != today) counted = {.day = today};
  if (counted.count >= kAdmissionsPerDay && !is_planted(Bug::kAdmissionsNotCounted)) {
    return Answer::kNotNow;
  }
  ++counted.count;
  return Answer::kDone;
}

Answer Machine::on(const Asker&, const AdmitNode& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const auto decoded = wire::AdmissionStatement::decode(operation.admission.statement);
  if (!decoded || decoded->address.empty()) return Answer::kRefused;
  const auto statement =
      membership::check_admission(*configuration_, operation.admission, decoded->subject,
                                  wire::Role::kNode, Timestamp(now_ms_ / 1000), scheme_);
  if (!statement) return Answer::kRefused;
  auto& wishes = state_.carried.wishes;
  if (wishes.revoked.contains({statement->organisation, statement->subject}) &&
      !is_planted(Bug::kRevokedAdmittedAgain)) {
    return Answer::kRefused;
  }
  // Whose node it is, nobody else moves.
  const auto member = configuration_->node_index(statement->subject);
  if (member && authority_of(*member) != statement->organisation &&
      !is_planted(Bug::kForeignAdmissionAccepted)) {
    return Answer::kRefused;
  }
  const auto retired = wishes.retired_s.find({statement->organisation, statement->subject});
  const bool is_retired = retired != wishes.retired_s.end();
  if (is_retired && statement->not_before.value <= retired->second &&
      !is_planted(Bug::kRetiredComesBack)) {
    return Answer::kRefused;
  }
  if (is_in_as_stated(*statement, *configuration_)) {
    if (!is_retired) return Answer::kAlready;
    // It stays after all; the old retirement is older than what it is in by from now on.
    state_.carried.stated_s[statement->subject] = statement->not_before.value;
    wishes.retired_s.erase(retired);
    return Answer::kDone;
  }
  const auto stated = state_.carried.stated_s.find(statement->subject);
  if (stated != state_.carried.stated_s.end() && statement->not_before.value <= stated->second &&
      !is_planted(Bug::kOlderStatementAccepted)) {
    return Answer::kRefused;
  }
  // A later statement for the same key takes the place of the earlier one.
  for (wire::SignedBytes& one : wishes.admissions) {
    const auto other = wire::AdmissionStatement::decode(one.statement);
    if (!other || other->subject != statement->subject ||
        other->organisation != statement->organisation) {
      continue;
    }
    if (one.statement == operation.admission.statement) return Answer::kAlready;
    if (statement->not_before <= other->not_before) return Answer::kRefused;
    one = operation.admission;
    wishes.retired_s.erase({statement->organisation, statement->subject});
    return Answer::kDone;
  }
  const auto is_of_the_same = [&](const wire::SignedBytes& one) {
    const auto other = wire::AdmissionStatement::decode(one.statement);
    return other && other->organisation == statement->organisation;
  };
  if (wishes.admissions.size() >= kAdmissionsMax ||
      std::cmp_greater_equal(std::ranges::count_if(wishes.admissions, is_of_the_same),
                             kAdmissionsOfOneMax)) {
    return Answer::kNotNow;
  }
  if (const Answer counted = count_admission(*statement); counted != Answer::kDone) return counted;
  wishes.admissions.push_back(operation.admission);
  wishes.retired_s.erase({statement->organisation, statement->subject});
  return Answer::kDone;
}

Answer Machine::on(const Asker&, const RevokeNode& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const auto revocation =
      said_by_organisation<Revocation>(*configuration_, operation.revocation, scheme_);
  if (!revocation) return Answer::kRefused;
  auto& wishes = state_.carried.wishes;
  const OwnedNode revoked{.organisation = revocation->organisation, .node = revocation->node};
  // Whoever asks several nodes to hand it in may come again when it is out already.
  if (wishes.revoked.contains(revoked)) return Answer::kAlready;
  const auto index = configuration_->node_index(revocation->node);
  if (index && authority_of(*index) != revocation->organisation) return Answer::kRefused;
  const auto is_of_the_same = [&](const OwnedNode& one) {
    return one.organisation == revocation->organisation;
  };
  if (std::cmp_greater_equal(std::ranges::count_if(wishes.revoked, is_of_the_same),
                             kRevokedOfOneMax)) {
    return Answer::kNotNow;
  }
  wishes.revoked.insert(revoked);
  return Answer::kDone;
}

/// Newer than whatever the node is in by, or waits to be: else the statement of a machine that has
/// come back since would take it out again.
Answer Machine::on(const Asker&, const RetireNode& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const auto retirement =
      is_planted(Bug::kRetirementNotVerified)
          ? Retirement::decode(operation.retirement.statement)
          : said_by_organisation<Retirement>(*configuration_, operation.retirement, scheme_);
  if (!retirement || retirement->not_before.value > now_ms_ / 1000) return Answer::kRefused;
  auto& wishes = state_.carried.wishes;
  const OwnedNode node{.organisation = retirement->organisation, .node = retirement->node};
  const auto known = wishes.retired_s.find(node);
  if (known != wishes.retired_s.end() && retirement->not_before.value <= known->second) {
    return Answer::kAlready;
  }
  const auto index = configuration_->node_index(retirement->node);
  if (index && authority_of(*index) != retirement->organisation) return Answer::kRefused;
  const auto stated = state_.carried.stated_s.find(retirement->node);
  if (index && stated != state_.carried.stated_s.end() &&
      retirement->not_before.value < stated->second) {
    return Answer::kRefused;
  }
  const auto is_its_own = [&node](const std::optional<wire::AdmissionStatement>& waiting) {
    return waiting && waiting->subject == node.node && waiting->organisation == node.organisation;
  };
  for (const wire::SignedBytes& one : wishes.admissions) {
    const auto waiting = wire::AdmissionStatement::decode(one.statement);
    if (is_its_own(waiting) && retirement->not_before < waiting->not_before)
      return Answer::kRefused;
  }
  const auto is_of_the_same = [&](const auto& one) {
    return one.first.organisation == node.organisation;
  };
  if (known == wishes.retired_s.end() &&
      std::cmp_greater_equal(std::ranges::count_if(wishes.retired_s, is_of_the_same),
                             kRetiredOfOneMax)) {
    return Answer::kNotNow;
  }
  wishes.retired_s[node] = retirement->not_before.value;
  // Else it would be back as soon as it is out.
  std::erase_if(wishes.admissions, [&](const wire::SignedBytes& one) {
    return is_its_own(wire::AdmissionStatement::decode(one.statement));
  });
  return Answer::kDone;
}

/// Once an hour for each organisation: one that is hostile shall not use up the ends of all.
Answer Machine::on(const Asker&, const EndEpoch& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const auto request =
      is_planted(Bug::kEndRequestNotVerified)
          ? EndRequest::decode(operation.request.statement)
          : said_by_organisation<EndRequest>(*configuration_, operation.request, scheme_);
  if (!request || request->number.generation != configuration_->number().generation ||
      request->number.epoch > configuration_->number().epoch) {
    return Answer::kRefused;
  }
  const bool is_over = request->number.epoch < configuration_->number().epoch;
  if ((is_over && !is_planted(Bug::kEndRequestOfAnyEpoch)) || state_.is_end_requested)
    return Answer::kAlready;
  auto& requested_ms = state_.carried.end_requested_ms;
  std::erase_if(requested_ms, [this](const auto& one) { return one.second + kHourMs <= now_ms_; });
  if (requested_ms.contains(request->organisation) && !is_planted(Bug::kEndRequestsNotLimited)) {
    return Answer::kRefused;
  }
  requested_ms[request->organisation] = now_ms_;
  state_.is_end_requested = true;
  return Answer::kDone;
}

// ---- What organisations decide together ----

Answer Machine::on(const Asker&, const Enact& operation) {
  if (state_.phase != Phase::kRunning) return Answer::kNotNow;
  const std::uint64_t now_s = now_ms_ / 1000;
  const crypto::Digest hash = decree_hash(operation.decree.decree);
  auto& enacted_s = state_.carried.enacted_s;
  if (enacted_s.contains(hash)) return Answer::kAlready;
  const auto decree = check_decree(*configuration_, operation.decree, Timestamp(now_s), scheme_);
  if (!decree) return Answer::kRefused;
  std::erase_if(enacted_s,
                [now_s](const auto& one) { return one.second + kForgottenAfterS <= now_s; });
  if (enacted_s.size() >= kEnactedMax) return Answer::kNotNow;
  const Answer out = std::visit([this](const auto& one) { return enact(one); }, decree->what);
  if (out != Answer::kRefused) enacted_s[hash] = decree->not_after.value;
  return out;
}

Answer Machine::enact(const AdmitOrganisation& one) {
  auto& wishes = state_.carried.wishes;
  const auto& organisations = configuration_->organisations();
  const auto is_other_of_that_name = [&one](const auto& name, const auto& authority) {
    return name == one.name && authority != one.authority;
  };
  for (const membership::Organisation& known : organisations) {
    if (is_other_of_that_name(known.name, known.authority)) return Answer::kRefused;
    if (known.authority == one.authority && known.name != one.name) return Answer::kRefused;
  }
  for (const auto& [authority, known] : wishes.organisations_admitted) {
    if (is_other_of_that_name(known.name, authority)) return Answer::kRefused;
  }
  if (configuration_->node_index(one.authority)) return Answer::kRefused;
  const bool is_known = configuration_->organisation_index(one.authority).has_value();
  if (!is_known && organisations.size() + wishes.organisations_admitted.size() >=
                       membership::kOrganisationsMax) {
    return Answer::kRefused;
  }
  wishes.organisations_revoked.erase(one.authority);
  wishes.organisations_admitted.insert_or_assign(one.authority, one);
  return Answer::kDone;
}

Answer Machine::enact(const RevokeOrganisation& one) {
  auto& wishes = state_.carried.wishes;
  const auto& organisations = configuration_->organisations();
  const bool is_any_left = std::ranges::any_of(organisations, [&](const auto& other) {
    return !other.is_revoked && other.authority != one.authority &&
           !wishes.organisations_revoked.contains(other.authority);
  });
  const auto index = configuration_->organisation_index(one.authority);
  if (!index || organisations[*index].name != one.name || !is_any_left) return Answer::kRefused;
  wishes.organisations_admitted.erase(one.authority);
  wishes.organisations_revoked.insert(one.authority);
  return Answer::kDone;
}

/// The key cannot come back as that organisation's.
Answer Machine::enact(const RevokeAnyNode& one) {
  const auto index = configuration_->node_index(one.node);
  if (!index || configuration_->nodes()[*index].name != one.name) return Answer::kRefused;
  state_.carried.wishes.revoked.insert({.organisation = authority_of(*index), .node = one.node});
  return Answer::kDone;
}

/// Suppose two decrees that make sense alone, about two settings, contradict each other: the later
/// one is refused. About the same setting it takes the place of the earlier one.
Answer Machine::enact(const ChangeSetting& one) {
  auto& wishes = state_.carried.wishes;
  const auto changed =
      membership::with_setting(next_settings(*configuration_, wishes), one.name, one.value);
  if (!changed) return Answer::kRefused;
  wishes.settings[one.name] = one.value;
  return Answer::kDone;
}

// ---- The end of the epoch ----

bool Machine::is_time_to_end(std::uint64_t now_ms) const {
  const std::uint64_t length = configuration_->settings().epoch_seconds;
  return length > 0 && now_ms >= (configuration_->start().value + length) * 1000;
}

bool Machine::may_end_early(std::uint64_t now_ms) const {
  const auto& ends = state_.carried.early_ends_ms;
  const auto recent =
      std::ranges::count_if(ends, [now_ms](std::uint64_t end) { return end + kHourMs > now_ms; });
  const bool is_allowed = std::cmp_less(recent, kEarlyEndsPerHour);
  if (!is_allowed && !is_planted(Bug::kEarlyEndsNotLimited)) return false;
  return state_.is_end_requested ||
         is_there_a_reason(*configuration_, state_.carried.wishes, now_ms);
}

bool Machine::may_prepare(std::uint64_t now_ms) const {
  return state_.phase == Phase::kRunning && (is_time_to_end(now_ms) || may_end_early(now_ms));
}

SeatDraw Machine::draw() const {
  const auto& wishes = state_.carried.wishes;
  const auto& next = state_.next.nodes;
  SeatRules rules{.barred = {},
                  .seated_since_ms = state_.carried.seated_since_ms,
                  .now_ms = state_.prepared_ms};
  std::set<wire::NodeKey> leaving;  // who is out of the next epoch cannot sit in it
  std::set<wire::NodeKey> unwanted;
  for (const membership::Node& node : configuration_->nodes()) {
    const bool is_leaving = next.removed.contains(node.key);
    if (is_leaving) leaving.insert(node.key);
    const bool is_false =
        is_convicted(*configuration_, wishes, node.key, next) && !is_planted(Bug::kConvictedSits);
    if (is_leaving || is_false || is_revoked(*configuration_, wishes, node)) {
      unwanted.insert(node.key);
    }
  }
  // Who has to go and stays because it is needed (next_members.h) sits only where it is needed.
  for (const std::set<wire::NodeKey>& going : {unwanted, leaving}) {
    rules.barred = going;
    for (const auto& [node, since] : wishes.inactive_since_ms) rules.barred.insert(node);
    SeatDraw out = draw_seats(*configuration_, rules);
    if (out.seats.size() >= quorum()) return out;
  }
  // Too few that answer for a service at all: then those that do not may come back in time.
  rules.barred = leaving;
  return draw_seats(*configuration_, rules);
}

Answer Machine::on(const Asker& asker, const PrepareEpoch&) {
  if (!asker.is_member) return Answer::kRefused;
  if (state_.phase != Phase::kRunning) return Answer::kAlready;
  drop_old_complaints();
  if (!may_prepare(now_ms_) && !is_planted(Bug::kPreparedBeforeItsTime)) return Answer::kNotNow;
  NextMembers next = next_members(*configuration_, state_.carried.wishes, now_ms_);
  state_.prepared_ms = now_ms_;
  state_.next = {.settings = next_settings(*configuration_, state_.carried.wishes),
                 .organisations = std::move(next.organisations),
                 .nodes = std::move(next.nodes)};
  const SeatDraw drawn = draw();
  // Without a next service no epoch would ever follow: this one goes on.
  if (drawn.seats.size() < quorum()) {
    state_.next = {};
    return Answer::kNotNow;
  }
  state_.phase = Phase::kAnnouncing;
  for (const wire::NodeKey& node : drawn.seats) {
    state_.candidates.push_back({.node = node, .announcement = {}});
  }
  auto& ends = state_.carried.early_ends_ms;
  std::erase_if(ends, [this](std::uint64_t end) { return end + kHourMs <= now_ms_; });
  if (!is_time_to_end(now_ms_)) ends.push_back(now_ms_);
  return Answer::kDone;
}

bool Machine::is_usable(const Announcement& announcement) const {
  if (announcement.cluster != configuration_->cluster() ||
      announcement.number.generation != configuration_->number().generation ||
      announcement.number.epoch != configuration_->number().epoch.next() ||
      announcement.commitment == crypto::Digest{}) {
    return false;
  }
  if (is_planted(Bug::kKeyInUseAnnounced)) return true;
  const crypto::PublicKey& key = announcement.epoch_key;
  const auto is_taken = [&](const State::Candidate& one) {
    return one.node != announcement.node && one.announcement && one.announcement->epoch_key == key;
  };
  const auto is_old = [&key](const membership::ServiceMember& one) { return one.epoch_key == key; };
  return std::ranges::none_of(state_.candidates, is_taken) &&
         std::ranges::none_of(state_.set_aside, is_taken) &&
         std::ranges::none_of(configuration_->service(), is_old) &&
         std::ranges::find(state_.next.organisations, key, &membership::Organisation::authority) ==
             state_.next.organisations.end() &&
         membership::node_after(*configuration_, state_.next.nodes, key) == nullptr;
}

Answer Machine::on(const Asker&, const Announce& operation) {
  if (state_.phase != Phase::kAnnouncing) {
    return state_.phase == Phase::kRunning ? Answer::kNotNow : Answer::kAlready;
  }
  const auto announcement = Announcement::decode(operation.announcement.statement);
  if (!announcement) return Answer::kRefused;
  const auto candidate =
      std::ranges::find(state_.candidates, announcement->node, &State::Candidate::node);
  if (candidate == state_.candidates.end()) return Answer::kRefused;
  if (!wire::is_signed_by<Announcement>(scheme_, announcement->node, operation.announcement) &&
      !is_planted(Bug::kUnsignedAnnouncement)) {
    return Answer::kRefused;
  }
  // The first one counts: what a candidate thinks better of changes nothing.
  if (candidate->announcement && !is_planted(Bug::kSecondAnnouncement)) return Answer::kAlready;
  if (!is_usable(*announcement)) return Answer::kRefused;
  candidate->announcement = *announcement;
  end_announcing();
  return Answer::kDone;
}

Answer Machine::on(const Asker& asker, const NoAnnouncement& operation) {
  if (!asker.is_member) return Answer::kRefused;
  if (state_.phase != Phase::kAnnouncing) return Answer::kNotNow;
  const auto candidate =
      std::ranges::find(state_.candidates, operation.candidate, &State::Candidate::node);
  if (candidate == state_.candidates.end()) return Answer::kRefused;
  if (candidate->announcement) return Answer::kAlready;
  const bool is_quorum = note_said(state_.unannounced, operation.candidate, asker.node);
  const bool is_few = state_.unannounced[operation.candidate].size() >=
                      configuration_->settings().service_faults + 1;
  if (is_quorum || (is_few && is_planted(Bug::kNoAnnouncementByFPlusOne))) {
    replace(operation.candidate);
    end_announcing();
  }
  return Answer::kDone;
}

std::vector<wire::NodeKey> Machine::seats() const {
  std::vector<wire::NodeKey> out;
  for (const State::Candidate& one : state_.candidates) out.push_back(one.node);
  return out;
}

bool Machine::is_everybody_announced() const {
  return std::ranges::all_of(
      state_.candidates, [](const State::Candidate& one) { return one.announcement.has_value(); });
}

/// The next of the draw takes the seat. When there is none, one that withheld its share takes it
/// back; when there is none either, it stays vacant.
void Machine::replace(const wire::NodeKey& candidate) {
  std::erase_if(state_.candidates,
                [&](const State::Candidate& one) { return one.node == candidate; });
  state_.unannounced.erase(candidate);
  state_.passed_over.insert(candidate);
  const auto next = next_in_reserve(*configuration_, draw(), seats(), state_.passed_over);
  if (next) {
    state_.candidates.push_back({.node = *next, .announcement = {}});
  } else if (!give_back_a_seat() && state_.candidates.size() < quorum()) {
    ask_all_again();
  }
}

bool Machine::give_back_a_seat() {
  SeatDraw withholders;
  for (const State::Candidate& one : state_.set_aside) withholders.reserve.push_back(one.node);
  const auto node = next_in_reserve(*configuration_, withholders, seats(), {});
  if (!node) return false;
  const auto at = std::ranges::find(state_.set_aside, *node, &State::Candidate::node);
  state_.candidates.push_back(std::move(*at));
  state_.set_aside.erase(at);
  return true;
}

/// Too few are left for a service: whoever may sit beside those that do is asked once more.
void Machine::ask_all_again() {
  SeatDraw all = draw();
  all.reserve.insert(all.reserve.begin(), all.seats.begin(), all.seats.end());
  state_.passed_over.clear();
  const std::size_t seat_count = 3 * std::size_t{configuration_->settings().service_faults} + 1;
  while (state_.candidates.size() < seat_count) {
    const auto next = next_in_reserve(*configuration_, all, seats(), {});
    if (!next) return;
    state_.unannounced.erase(*next);
    state_.candidates.push_back({.node = *next, .announcement = {}});
  }
}

void Machine::end_announcing() {
  if (!is_everybody_announced() || state_.candidates.size() < quorum()) return;
  state_.phase = Phase::kRevealing;
  end_revealing();
}

bool Machine::is_share_missing(const wire::NodeKey& node) const {
  const membership::ServiceMember* member = member_of(node);
  return member && member->commitment != crypto::Digest{} && !state_.shares.contains(node) &&
         !state_.withholders.contains(node);
}

Answer Machine::on(const Asker&, const Reveal& operation) {
  const membership::ServiceMember* member = member_of(operation.node);
  if (!member) return Answer::kRefused;
  if (commitment_of(operation.node, operation.share) != member->commitment &&
      !is_planted(Bug::kShareNotCompared)) {
    return Answer::kRefused;
  }
  // Not before: who is in and who sits is fixed before anybody can know R (design 8.3).
  if (state_.phase < Phase::kRevealing && !is_planted(Bug::kShareAcceptedEarly)) {
    return Answer::kNotNow;
  }
  if (!is_share_missing(operation.node)) return Answer::kAlready;
  state_.shares[operation.node] = operation.share;
  end_revealing();
  return Answer::kDone;
}

Answer Machine::on(const Asker& asker, const NoReveal& operation) {
  if (!asker.is_member || !member_of(operation.node)) return Answer::kRefused;
  if (state_.phase < Phase::kRevealing) return Answer::kNotNow;
  if (!is_share_missing(operation.node)) return Answer::kAlready;
  const bool is_quorum = note_said(state_.unrevealed, operation.node, asker.node);
  if (is_quorum || is_planted(Bug::kNoRevealByOne)) {
    state_.withholders.insert(operation.node);
    end_revealing();
  }
  return Answer::kDone;
}

void Machine::end_revealing() {
  const bool is_over =
      std::ranges::none_of(configuration_->service(), [this](const membership::ServiceMember& one) {
        return is_share_missing(configuration_->nodes()[one.node].key);
      });
  if (!is_over) return;
  replace_withholders();
  state_.phase = is_everybody_announced() ? Phase::kSealed : Phase::kAnnouncing;
}

/// Whoever withheld its share loses its seat to the next of the draw. Where nobody is there to take
/// it, it keeps it: a vacant seat is a member that is silent for certain (docs/adr/0010).
void Machine::replace_withholders() {
  if (std::exchange(state_.is_withholding_settled, true)) return;
  if (is_planted(Bug::kWithholderKeepsSeat)) return;
  for (const wire::NodeKey& node : seats()) {
    if (!state_.withholders.contains(node)) continue;
    std::vector<wire::NodeKey> others = seats();
    std::erase(others, node);
    state_.passed_over.insert(node);
    const auto next = next_in_reserve(*configuration_, draw(), others, state_.passed_over);
    if (!next) continue;
    const auto at = std::ranges::find(state_.candidates, node, &State::Candidate::node);
    state_.set_aside.push_back(std::exchange(*at, {.node = *next, .announcement = {}}));
  }
}

}  // namespace rosebud::service
