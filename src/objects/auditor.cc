#include "objects/auditor.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace rosebud::objects {
namespace {

constexpr std::size_t kScanned = 16;
constexpr unsigned kDoublingsMax = 5;

std::uint64_t front_of(const crypto::Digest& key) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = (out << 8) | key.bytes[i];
  return out;
}

/// Somewhere in the range, evenly by its first 64 bits.
crypto::Digest random_key_in(const wire::KeyRange& range, Random& random) {
  const std::uint64_t low = front_of(range.first);
  const std::uint64_t high = front_of(range.last);
  crypto::Digest out;
  std::uint64_t front = high - low == ~std::uint64_t{0} ? random.next() : random.between(low, high);
  for (std::size_t i = 8; i-- > 0; front >>= 8) out.bytes[i] = static_cast<std::uint8_t>(front);
  return std::clamp(out, range.first, range.last);
}

/// In epochs of seconds, as in tests and demonstrations, a complaint is there before they end.
AuditorSettings paced(AuditorSettings settings, std::uint64_t epoch_seconds) {
  if (epoch_seconds == 0) return settings;
  const Duration epoch = std::chrono::seconds(epoch_seconds);
  settings.interval = std::min(settings.interval, epoch / 16);
  settings.again_after = std::min(settings.again_after, epoch / 8);
  settings.answer_timeout = std::min(settings.answer_timeout, epoch / 4);
  settings.check_interval = std::min(settings.check_interval, epoch / 8);
  settings.complain_again = std::min(settings.complain_again, epoch);
  return settings;
}

}  // namespace

void Auditor::begin_epoch(Instant now, const Verifier& verifier) {
  std::erase_if(suspects_, [&](const auto& one) {
    const membership::Configuration& next = verifier.configuration();
    return !membership::stays_as_it_is(one.first, configuration(), next) ||
           !membership::may_accuse(
               next, {.accused = one.first, .accuser = self_, .block = one.second.block});
  });
  verifier_ = verifier;
  settings_ = paced(usual_, configuration().settings().epoch_seconds);
  // What was asked in the epoch before is asked again: an answer that is on its way says nothing of
  // this one's groups. So is what the service wanted to be checked; its members begin to look, and
  // to say what they found, anew in each epoch, and name now what is to be checked in this one.
  own_.reset();
  if (check_) check_at(check_->about, now);
  check_.reset();
  stalled_.clear();
  arcs_.clear();
  const auto self = configuration().node_index(self_);
  if (self) {
    for (routing::Arc& arc : configuration().arcs_of(*self)) {
      if (arc.group.size() > 1) arcs_.push_back(std::move(arc));
    }
  }
  const bool is_on = settings_.interval > Duration::zero() && !arcs_.empty();
  next_own_ = is_on ? now + settings_.interval : Instant::max();
}

void Auditor::check(Instant now, const std::vector<wire::Accusation>& accusations) {
  std::map<wire::Accusation, Check> wanted;
  for (const wire::Accusation& one : accusations) {
    if (one.accused == self_ || wanted.size() >= kChecksMax) continue;
    const auto known = checks_.find(one);
    wanted.emplace(one, known == checks_.end() ? Check{.next_at = now} : known->second);
  }
  checks_ = std::move(wanted);
  if (check_ && !checks_.contains(check_->about)) check_.reset();
  order_.clear();
  std::set<wire::NodeKey> accusers;
  for (const auto& [about, check] : checks_) {
    order_.emplace(check.next_at, about);
    accusers.insert(about.accuser);
  }
  std::erase_if(stalled_, [&](const auto& one) { return !accusers.contains(one.first); });
}

void Auditor::check_at(const wire::Accusation& about, Instant at) {
  const auto check = checks_.find(about);
  if (check == checks_.end()) return;
  order_.erase({check->second.next_at, about});
  check->second.next_at = at;
  order_.emplace(at, about);
}

/// The check that is under way came to nothing before anybody was asked for a proof.
void Auditor::stall_check(Instant now, bool is_accusers_fault) {
  const wire::Accusation about = check_->about;
  check_.reset();
  if (!is_accusers_fault) return check_at(about, now + settings_.check_interval);
  Stalled& stalled = stalled_[about.accuser];
  stalled.until = now + settings_.check_interval * (1U << std::min(stalled.times, kDoublingsMax));
  ++stalled.times;
  check_at(about, stalled.until);
}

// ---- Beginning ----

Auditor::Task Auditor::begin(Instant now, const wire::Accusation& about, Stage stage) {
  return {.number = ++tasks_,
          .about = about,
          .stage = stage,
          .deadline = now + settings_.answer_timeout};
}

void Auditor::on_time(Instant now, bool is_complete, AuditorEffects& out) {
  for (Slot* slot : {&own_, &check_}) {
    if (!*slot || now < (*slot)->deadline) continue;
    if ((*slot)->stage == Stage::kAsked) {
      // Who is not there at all is found out by probes (design 8.2).
      settle(now, *slot, (*slot)->is_heard ? Result::kFailed : Result::kNothing, out);
    } else if (slot == &check_) {
      stall_check(now, check_->stage == Stage::kFetching);
    } else {
      own_.reset();
    }
  }
  if (!own_ && now >= next_own_) {
    next_own_ = now + settings_.interval;
    // In turns: those who owe a proof shall not keep the others from being asked.
    was_again_ = is_complete && !was_again_ && begin_again(now, out);
    if (is_complete && !was_again_) begin_own(now, out);
  }
  if (!check_) begin_check(now, out);
}

/// Somebody who did not show a block, and had time since: the one that has waited longest.
bool Auditor::begin_again(Instant now, AuditorEffects& out) {
  const auto first =
      std::ranges::min_element(suspects_, {}, [](const auto& one) { return one.second.next_at; });
  if (first == suspects_.end() || now < first->second.next_at) return false;
  const auto& [node, suspect] = *first;
  own_ = begin(now, {.accused = node, .accuser = self_, .block = suspect.block}, Stage::kLoading);
  out.loads.push_back({.tag = {own_->number}, .block = suspect.block});
  return true;
}

void Auditor::begin_own(Instant now, AuditorEffects& out) {
  const routing::Arc& arc = arcs_[random_.below(arcs_.size())];
  const std::uint32_t member = arc.group[random_.below(arc.group.size())];
  const wire::NodeKey& node = configuration().nodes()[member].key;
  if (node == self_) return;
  own_ = begin(now, {.accused = node, .accuser = self_, .block = {}}, Stage::kScanning);
  const crypto::Digest from = random_key_in(arc.range, random_);
  if (arc.range.first < from) own_->rest = {arc.range.first, routing::key_before(from)};
  out.scans.push_back({.tag = {own_->number}, .range = {from, arc.range.last}, .limit = kScanned});
}

void Auditor::begin_check(Instant now, AuditorEffects& out) {
  // Suppose an accuser did not show its block: all that it says waits until it is asked again.
  for (;;) {
    if (order_.empty() || now < order_.begin()->first) return;
    const auto stalled = stalled_.find(order_.begin()->second.accuser);
    if (stalled == stalled_.end() || stalled->second.until <= now) break;
    check_at(wire::Accusation(order_.begin()->second), stalled->second.until);
  }
  const wire::Accusation about = order_.begin()->second;
  check_at(about, Instant::max());
  const bool is_own = about.accuser == self_;
  check_ = begin(now, about, is_own ? Stage::kLoading : Stage::kFetching);
  if (is_own) {
    out.loads.push_back({.tag = {check_->number}, .block = about.block});
  } else {
    send(*check_, about.accuser, wire::FetchObject{about.block}, out);
  }
}

// ---- Having the bytes ----

Auditor::Slot* Auditor::slot_of(const AuditStep& tag, Stage stage) {
  for (Slot* slot : {&own_, &check_}) {
    if (*slot && (*slot)->number == tag.number && (*slot)->stage == stage) return slot;
  }
  return nullptr;
}

void Auditor::on_scanned(const AuditStep& tag, const wire::Scanned* scanned, AuditorEffects& out) {
  Slot* slot = slot_of(tag, Stage::kScanning);
  if (!slot) return;
  Task& task = **slot;
  std::vector<wire::ObjectId> blocks;
  for (const wire::IndexEntry& entry :
       scanned ? scanned->entries : std::vector<wire::IndexEntry>{}) {
    // A record may be newer here than there at any moment; whoever reads it asks all.
    if (entry.id.type == wire::ObjectType::kBlock && !entry.is_damaged) blocks.push_back(entry.id);
  }
  if (!blocks.empty()) {
    task.about.block = blocks[random_.below(blocks.size())];
    task.stage = Stage::kLoading;
    out.loads.push_back({.tag = {task.number}, .block = task.about.block});
  } else if (scanned && task.rest) {
    out.scans.push_back({.tag = {task.number}, .range = *task.rest, .limit = kScanned});
    task.rest.reset();
  } else {
    slot->reset();
  }
}

/// Only such can be asked of others: what nobody holds may be collected at any moment.
bool Auditor::has_live_hold(const wire::StoredObject& object) const {
  return std::ranges::any_of(object.holds, [&](const wire::Hold& hold) {
    return verifier_->hold(object.id, object.content.size(), hold).has_value();
  });
}

void Auditor::on_loaded(Instant now, const AuditStep& tag, const wire::StoredObject* held,
                        AuditorEffects& out) {
  Slot* slot = slot_of(tag, Stage::kLoading);
  if (!slot) return;
  const wire::ObjectId block = (*slot)->about.block;
  const bool is_whole = held && !held->is_damaged &&
                        crypto::sha256(held->content.view()) == block.placement &&
                        has_live_hold(*held);
  if (is_whole) return ask(now, *slot, held->content.view(), out);
  if (slot == &check_) return stall_check(now, false);
  // What this replica has no more, it cannot ask of others.
  const auto suspect = suspects_.find(own_->about.accused);
  if (suspect != suspects_.end() && suspect->second.block == block) suspects_.erase(suspect);
  own_.reset();
}

crypto::Digest Auditor::next_challenge() {
  return crypto::Hasher("rosebud audit challenge 1")
      .update(secret_.view())
      .update_u64(++challenges_)
      .finish();
}

void Auditor::send(Task& task, const wire::NodeKey& to, wire::RequestBody body,
                   AuditorEffects& out) {
  task.nonce = wire::Nonce(random_.next());
  out.requests.push_back({.to = to, .nonce = task.nonce, .body = std::move(body)});
}

void Auditor::ask(Instant now, Slot& slot, ByteView bytes, AuditorEffects& out) {
  Task& task = *slot;
  const crypto::Digest challenge = next_challenge();
  task.expected = wire::audit_proof({.cluster = configuration().cluster(),
                                     .asker = self_,
                                     .prover = task.about.accused,
                                     .challenge = challenge},
                                    bytes);
  task.stage = Stage::kAsked;
  task.deadline = now + settings_.answer_timeout;
  ++statistics_.asked;
  send(task, task.about.accused, wire::AuditBlock{.id = task.about.block, .challenge = challenge},
       out);
}

// ---- Answers ----

bool Auditor::on_answer(Instant now, const wire::NodeKey& from, const wire::Answer& answer,
                        AuditorEffects& out) {
  // Of both, before one of them takes it: who answers this one's own question and not the check, or
  // the other way round, is there.
  for (Slot* slot : {&own_, &check_}) {
    if (*slot && (*slot)->stage == Stage::kAsked && (*slot)->about.accused == from) {
      (*slot)->is_heard = true;
    }
  }
  for (Slot* slot : {&own_, &check_}) {
    if (!*slot) continue;
    Task& task = **slot;
    const bool is_asked = task.stage == Stage::kAsked;
    const bool is_from = from == (is_asked ? task.about.accused : task.about.accuser);
    const bool is_waiting = is_asked || task.stage == Stage::kFetching;
    if (!is_waiting || !is_from || answer.context.nonce != task.nonce) continue;
    if (is_asked) {
      settle(now, *slot, result_of(task, answer), out);
      return true;
    }
    const auto* found = std::get_if<wire::ObjectFound>(&answer.body);
    if (found && verifier_->is_object(task.about.block, found->object) &&
        has_live_hold(found->object)) {
      stalled_.erase(task.about.accuser);
      ask(now, *slot, found->object.content.view(), out);
    } else {
      stall_check(now, true);  // only checks fetch
    }
    return true;
  }
  return false;
}

Auditor::Result Auditor::result_of(const Task& task, const wire::Answer& answer) const {
  // It has entered what this node has not: perhaps it keeps the block no more.
  if (answer.context.configuration > configuration().number()) return Result::kNothing;
  if (const auto* proof = std::get_if<wire::BlockProof>(&answer.body)) {
    return proof->proof == task.expected ? Result::kProven : Result::kFalse;
  }
  const auto* absent = std::get_if<wire::ObjectAbsent>(&answer.body);
  const auto* refused = std::get_if<wire::Refused>(&answer.body);
  const bool is_incomplete = absent && absent->complete_for < configuration().number().epoch;
  const bool is_full = refused && refused->reason == wire::RefusalReason::kNoSpace;
  return is_incomplete || is_full ? Result::kExcused : Result::kFailed;
}

// ---- What becomes of it ----

void Auditor::settle(Instant now, Slot& slot, Result result, AuditorEffects& out) {
  const Task task = *slot;
  const bool is_own = &slot == &own_;
  slot.reset();
  if (result == Result::kProven) ++statistics_.proven;
  if (result == Result::kFailed) ++statistics_.failed;
  if (result == Result::kFalse) {
    ++statistics_.false_ones;
    out.reports.push_back({task.about.accused, Observation::kFalseProof});
  }
  if (is_own) {
    settle_own(now, task, result, out);
  } else {
    settle_check(now, task, result, out);
  }
}

void Auditor::settle_own(Instant now, const Task& task, Result result, AuditorEffects& out) {
  const auto known = suspects_.find(task.about.accused);
  const bool is_known = known != suspects_.end() && known->second.block == task.about.block;
  if (result == Result::kProven) {
    if (is_known) suspects_.erase(known);
    return;
  }
  // Suppose an excuse ended the suspicion: who has one each third time would owe a proof for ever.
  if (result == Result::kNothing || result == Result::kExcused) {
    if (is_known) known->second.next_at = now + settings_.again_after;
    return;
  }
  const bool is_false = result == Result::kFalse;
  // It has its pause, in which it may fetch the block, also where chance asked it again.
  if (is_known && !is_false && now < known->second.next_at) return;
  Suspect* suspect = suspect_of(task, is_false);
  if (!suspect) return;
  suspect->failures = is_false ? settings_.failures_max : suspect->failures + 1;
  suspect->next_at = now + settings_.again_after;
  if (suspect->failures < settings_.failures_max || now < suspect->complain_at) return;
  suspect->complain_at = now + settings_.complain_again;
  ++statistics_.complaints;
  out.complaints.push_back(task.about);
  // Once or twice a correct one has none either, and fetches it.
  if (!is_false) out.reports.push_back({task.about.accused, Observation::kNoProof});
}

/// Where the failure counts; nothing: it is suspected of another block, or has to wait. A wrong
/// proof counts always: it takes the place of what was suspected of this one, or of the least that
/// somebody is suspected of.
Auditor::Suspect* Auditor::suspect_of(const Task& task, bool is_false) {
  const auto known = suspects_.find(task.about.accused);
  if (known == suspects_.end()) {
    if (suspects_.size() >= kSuspectsMax) {
      if (!is_false) return nullptr;
      suspects_.erase(std::ranges::min_element(suspects_, {}, [](const auto& one) {
        return std::tuple(one.second.is_false, one.second.failures);
      }));
    }
    return &suspects_
                .emplace(task.about.accused,
                         Suspect{.block = task.about.block, .is_false = is_false})
                .first->second;
  }
  Suspect& suspect = known->second;
  if (is_false && !suspect.is_false) suspect = {.is_false = true};  // complained of at once
  if (is_false) suspect.block = task.about.block;
  return suspect.block == task.about.block ? &suspect : nullptr;  // one block at a time
}

void Auditor::settle_check(Instant now, const Task& task, Result result, AuditorEffects& out) {
  const auto at = checks_.find(task.about);
  if (at == checks_.end()) return;
  check_at(task.about, now + settings_.check_interval);
  Check& check = at->second;
  if (result == Result::kNothing || result == Result::kExcused) return;
  const bool is_failure = result == Result::kFailed;
  check.failures = is_failure ? check.failures + 1 : 0;
  if (is_failure && check.failures < settings_.failures_max) return;
  out.checked.push_back({.about = task.about,
                         .outcome = result == Result::kProven  ? wire::AuditOutcome::kProven
                                    : result == Result::kFalse ? wire::AuditOutcome::kFalse
                                                               : wire::AuditOutcome::kWithheld});
}

Instant Auditor::next_deadline() const {
  Instant out = own_ ? own_->deadline : next_own_;
  if (check_) return std::min(out, check_->deadline);
  return order_.empty() ? out : std::min(out, order_.begin()->first);
}

void Auditor::check_invariants() const {
  CHECK(suspects_.size() <= kSuspectsMax);
  CHECK(checks_.size() <= kChecksMax);
  CHECK(order_.size() == checks_.size());
  for (const auto& [about, check] : checks_) CHECK(order_.contains({check.next_at, about}));
}

Auditor::Statistics Auditor::statistics() const {
  Statistics out = statistics_;
  out.suspects = suspects_.size();
  return out;
}

}  // namespace rosebud::objects
