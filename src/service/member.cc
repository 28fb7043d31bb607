#include "service/member.h"

#include <algorithm>

#include "base/check.h"
#include "service/planted_bugs.h"

namespace rosebud::service {
wire::SignedBytes announce(const membership::Configuration& current,
                           const crypto::SecretKey& node_key, const EpochSecret& secret,
                           const crypto::SignatureScheme& scheme) {
  const wire::NodeKey node = node_key.public_key();
  return wire::sign(
      scheme, node_key,
      Announcement{.cluster = current.cluster(),
                   .number = {current.number().generation, current.number().epoch.next()},
                   .node = node,
                   .epoch_key = secret.key.public_key(),
                   .commitment = commitment_of(node, secret.share)});
}

Member::Member(wire::NodeKey self, std::shared_ptr<const membership::Configuration> configuration,
               std::optional<EpochSecret> secret, const MemberSettings& settings,
               const crypto::SignatureScheme& scheme, Random random)
    : self_(self),
      configuration_(std::move(configuration)),
      secret_(std::move(secret)),
      settings_(settings),
      scheme_(scheme),
      random_(random) {
  for (const membership::Node& node : configuration_->nodes()) {
    if (node.key != self_) probed_.emplace(node.key, Probed{});
  }
}

// ---- What it wants ordered ----

std::optional<Operation> Member::wish(Instant now, std::uint64_t wall_ms, const Machine& machine) {
  if (machine.state().phase != phase_) {
    phase_ = machine.state().phase;
    waited_since_.clear();
  }
  switch (phase_) {
    case Phase::kRunning:
      return wish_while_running(wall_ms, machine);
    case Phase::kAnnouncing:
      return wish_for_announcements(now, machine);
    case Phase::kRevealing:
      return wish_for_shares(now, machine);
    case Phase::kSealed:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Operation> Member::wish_while_running(std::uint64_t wall_ms,
                                                    const Machine& machine) const {
  const State& state = machine.state();
  // What it found comes first: it may be the reason for the end, and would be lost with it.
  for (const auto& [node, probed] : probed_) {
    const bool is_lost = probed.failed >= settings_.failed_probes;
    if (is_lost && !has_said(state.unreachable, node, self_)) {
      return Reachability{.node = node, .is_reachable = false};
    }
    const bool is_doubted = has_said(state.unreachable, node, self_) ||
                            state.carried.wishes.inactive_since_ms.contains(node);
    if (probed.is_answered && is_doubted && !has_said(state.reachable, node, self_)) {
      return Reachability{.node = node, .is_reachable = true};
    }
  }
  if (auto verdict = wish_for_verdicts(machine)) return verdict;
  if (machine.may_prepare(std::max(wall_ms, machine.now_ms()))) return PrepareEpoch{};
  return std::nullopt;
}

/// Like reachability: said once, and taken back when it is otherwise.
std::optional<Operation> Member::wish_for_verdicts(const Machine& machine) const {
  const State& state = machine.state();
  for (const wire::NodeKey& accused : machine.cases()) {
    if (accused == self_) continue;
    const auto found = checked_.verdict(machine.groups(), state.carried.complaints, accused);
    if (!found) continue;
    const bool is_doubted = has_said(state.withheld, accused, self_) ||
                            state.carried.wishes.withholding_since_ms.contains(accused);
    bool is_said = false;
    switch (*found) {
      case wire::AuditOutcome::kProven:
        is_said = has_said(state.shown, accused, self_) || !is_doubted;
        break;
      case wire::AuditOutcome::kWithheld:
        is_said = has_said(state.withheld, accused, self_);
        break;
      case wire::AuditOutcome::kFalse:
        is_said = has_said(state.shown_false, accused, self_);
        break;
    }
    if (!is_said) return Verdict{.accused = accused, .outcome = *found};
  }
  return std::nullopt;
}

bool Member::is_overdue(Instant now, const wire::NodeKey& node) {
  const Instant since = waited_since_.try_emplace(node, now).first->second;
  return now >= since + settings_.patience;
}

std::optional<Operation> Member::wish_for_announcements(Instant now, const Machine& machine) {
  const State& state = machine.state();
  if (is_planted(Bug::kShareOpenedEarly) && secret_ && machine.is_share_missing(self_)) {
    return Reveal{.node = self_, .share = secret_->share};
  }
  std::optional<Operation> complaint;
  for (const State::Candidate& one : state.candidates) {
    if (one.announcement) continue;
    // Suppose a candidate announces a key that somebody else has: asked for again and again, it
    // would be refused for ever. It has announced nothing.
    const auto held = announcements_.find(one.node);
    if (held != announcements_.end() &&
        machine.is_usable(*Announcement::decode(held->second.statement))) {
      return Announce{held->second};
    }
    if (is_overdue(now, one.node) && !complaint && !has_said(state.unannounced, one.node, self_)) {
      complaint = NoAnnouncement{one.node};
    }
  }
  // It may be asked again, when too few are left: then it has as much time as before.
  if (complaint) waited_since_[std::get<NoAnnouncement>(*complaint).candidate] = now;
  return complaint;
}

std::optional<Operation> Member::wish_for_shares(Instant now, const Machine& machine) {
  if (secret_ && machine.is_share_missing(self_)) {
    return Reveal{.node = self_, .share = secret_->share};
  }
  std::optional<Operation> complaint;
  for (const membership::ServiceMember& member : configuration_->service()) {
    const wire::NodeKey& node = configuration_->nodes()[member.node].key;
    if (!machine.is_share_missing(node)) continue;
    if (is_overdue(now, node) && !complaint && !has_said(machine.state().unrevealed, node, self_)) {
      complaint = NoReveal{node};
    }
  }
  return complaint;
}

// ---- Announcements ----

std::vector<wire::NodeKey> Member::to_ask(Instant now, const Machine& machine) {
  std::vector<wire::NodeKey> out;
  if (machine.state().phase != Phase::kAnnouncing) return out;
  for (const State::Candidate& one : machine.state().candidates) {
    if (one.announcement || announcements_.contains(one.node)) continue;
    Instant& at = ask_at_[one.node];
    if (now < at) continue;
    at = now + settings_.ask_interval;
    out.push_back(one.node);
  }
  return out;
}

bool Member::on_announcement(const wire::SignedBytes& announcement) {
  const auto decoded = Announcement::decode(announcement.statement);
  const wire::ConfigurationNumber next{configuration_->number().generation,
                                       configuration_->number().epoch.next()};
  if (!decoded || decoded->cluster != configuration_->cluster() || decoded->number != next ||
      !configuration_->node_index(decoded->node) || announcements_.contains(decoded->node)) {
    return false;
  }
  if (!wire::is_signed_by<Announcement>(scheme_, decoded->node, announcement)) return false;
  announcements_.emplace(decoded->node, announcement);
  return true;
}

void Member::forget_announcement(const wire::NodeKey& node) { announcements_.erase(node); }

// ---- Probes ----

/// Spread over the interval, so that no member sends all at once and no node hears of all together.
std::vector<wire::NodeKey> Member::to_probe(Instant now) {
  std::vector<wire::NodeKey> out;
  const auto interval = static_cast<std::uint64_t>(settings_.probe_interval.count());
  for (auto& [node, probed] : probed_) {
    if (probed.due == Instant{}) {
      probed.due = now + Duration(static_cast<std::int64_t>(random_.below(interval + 1)));
    }
    if (now < probed.due) continue;
    probed.due = now + settings_.probe_interval;
    out.push_back(node);
  }
  return out;
}

void Member::on_probe(const wire::NodeKey& node, bool is_answered) {
  const auto at = probed_.find(node);
  if (at == probed_.end()) return;
  at->second.is_answered = is_answered;
  at->second.failed = is_answered ? 0 : at->second.failed + 1;
}

// ---- The next description ----

SignatureShares* Member::shares_of(const Machine& machine) {
  if (machine.state().phase != Phase::kSealed) return nullptr;
  if (!signatures_) signatures_.emplace(*configuration_, draft(machine));
  return &*signatures_;
}

std::optional<membership::SeatSignature> Member::sign(const Machine& machine) {
  SignatureShares* shares = shares_of(machine);
  if (!shares || !secret_) return std::nullopt;
  const auto& service = configuration_->service();
  const auto seat = std::ranges::find_if(service, [this](const membership::ServiceMember& one) {
    return configuration_->nodes()[one.node].key == self_;
  });
  CHECK(seat != service.end());
  const membership::SeatSignature own{
      .seat = static_cast<std::uint16_t>(seat - service.begin()),
      .signature = scheme_.sign(secret_->key, membership::DescriptionHeader::kTag,
                                shares->description().header)};
  shares->add(own, scheme_);
  return own;
}

bool Member::on_signature(const Machine& machine, const membership::SeatSignature& signature) {
  SignatureShares* shares = shares_of(machine);
  return shares && shares->add(signature, scheme_);
}

const membership::SignedDescription* Member::description() const {
  return signatures_ && signatures_->is_enough() ? &signatures_->description() : nullptr;
}

}  // namespace rosebud::service
