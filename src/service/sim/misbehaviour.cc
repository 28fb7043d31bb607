#include "service/sim/misbehaviour.h"

#include <algorithm>

#include "membership/description.h"
#include "pbft/request.h"
#include "service/instance.h"
#include "service/sim/cluster.h"

namespace rosebud::service::sim {
namespace {

constexpr Duration kLate = std::chrono::seconds(6);

template <typename T>
bool is(const Notice& notice) {
  return std::holds_alternative<T>(notice);
}

template <typename T>
bool asks_for(const Notice& notice) {
  const auto operation = operation_in(notice);
  return operation && std::holds_alternative<T>(*operation);
}

bool is_proposal(const membership::Configuration& epoch, const Notice& notice) {
  const auto* order = std::get_if<Order>(&notice);
  const auto message =
      order ? pbft::decode(instance_of(epoch), order->message.view()) : std::nullopt;
  return message && std::holds_alternative<pbft::PrePrepare>(*message);
}

/// A state that can be read, and that nobody handed over.
Buffer false_state() {
  Carried out;
  out.early_ends_ms = {1};
  return Buffer(out.encode());
}

}  // namespace

std::string_view name_of(Conduct conduct) {
  switch (conduct) {
    case Conduct::kCorrect:
      return "correct";
    case Conduct::kMute:
      return "mute";
    case Conduct::kSpoiler:
      return "spoiler";
    case Conduct::kLiar:
      return "liar";
    case Conduct::kLateAnnouncer:
      return "late-announcer";
    case Conduct::kTwoFaced:
      return "two-faced";
    case Conduct::kKeyThief:
      return "key-thief";
    case Conduct::kWithholder:
      return "withholder";
    case Conduct::kHoarder:
      return "hoarder";
    case Conduct::kAccuser:
      return "accuser";
    case Conduct::kReviver:
      return "reviver";
    case Conduct::kComplainer:
      return "complainer";
    case Conduct::kHurrier:
      return "hurrier";
    case Conduct::kImpostor:
      return "impostor";
    case Conduct::kStaller:
      return "staller";
    case Conduct::kHollow:
      return "hollow";
    case Conduct::kSlanderer:
      return "slanderer";
    case Conduct::kRewriter:
      return "rewriter";
  }
  return "unknown";
}

std::optional<Operation> operation_in(const Notice& notice) {
  const auto* ask = std::get_if<Ask>(&notice);
  if (!ask) return std::nullopt;
  wire::Reader in(ask->request.view());
  return decode_operation(pbft::read_request(in).operation.view());
}

// ---- What it makes of what a correct one would say ----

std::optional<Leaving> Misbehaviour::edit(const membership::Configuration& epoch,
                                          const Notice& notice) {
  bool is_kept = false;
  switch (conduct_) {
    case Conduct::kMute:
      return std::nullopt;
    case Conduct::kSpoiler:
      return spoilt(notice);
    case Conduct::kLiar:
      return Leaving{.bytes = encode(lie_about(notice))};
    case Conduct::kLateAnnouncer:
      return Leaving{.delay = is<Announced>(notice) ? kLate : Duration{}, .bytes = encode(notice)};
    case Conduct::kTwoFaced:
    case Conduct::kKeyThief:
      return Leaving{.bytes = encode(announced_otherwise(epoch, notice))};
    case Conduct::kWithholder:
      is_kept = asks_for<Reveal>(notice);
      break;
    case Conduct::kHoarder:
      is_kept = is<Announced>(notice) || is<Signed>(notice) || asks_for<Announce>(notice);
      break;
    case Conduct::kStaller:
      is_kept = is_proposal(epoch, notice);
      break;
    case Conduct::kCorrect:
    case Conduct::kAccuser:
    case Conduct::kReviver:
    case Conduct::kComplainer:
    case Conduct::kHurrier:
    case Conduct::kImpostor:
    case Conduct::kHollow:
    case Conduct::kSlanderer:
    case Conduct::kRewriter:
      break;
  }
  return is_kept ? std::nullopt : std::optional(Leaving{.bytes = encode(notice)});
}

Leaving Misbehaviour::spoilt(const Notice& notice) {
  Bytes bytes = to_bytes(encode(notice).view());
  if (random_.chance(1, 3)) {
    bytes[random_.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << random_.below(8));
  }
  return {.bytes = Buffer(std::move(bytes))};
}

Notice Misbehaviour::lie_about(Notice notice) {
  if (auto* probed = std::get_if<Probed>(&notice)) probed->number = random_.next();
  if (auto* one = std::get_if<Signed>(&notice)) one->signature.signature.bytes[0] ^= 1;
  if (auto* one = std::get_if<Announced>(&notice)) one->announcement.signature.bytes[0] ^= 1;
  if (auto* found = std::get_if<StateFound>(&notice)) {
    found->state = random_.chance(1, 2) ? false_state() : Buffer(Bytes{1, 2, 3});
  }
  return notice;
}

Notice Misbehaviour::announced_otherwise(const membership::Configuration& epoch, Notice notice) {
  auto* one = std::get_if<Announced>(&notice);
  auto announcement = one ? Announcement::decode(one->announcement.statement) : std::nullopt;
  if (!announcement) return notice;
  announcement->epoch_key = conduct_ == Conduct::kKeyThief
                                ? epoch.service()[random_.below(epoch.service().size())].epoch_key
                                : fresh_key().public_key();
  one->announcement = wire::sign(crypto::model_scheme(), key_, *announcement);
  return notice;
}

// ---- What it asks for by itself ----

std::optional<Notice> Misbehaviour::unasked(const membership::Configuration& epoch,
                                            const Machine* machine, std::uint64_t wall_ms) {
  const auto operation = wish(epoch, machine);
  if (!operation) return std::nullopt;
  last_number_ = std::max(last_number_ + 1, wall_ms * 1000);
  wire::Writer bytes;
  pbft::write(bytes,
              pbft::sign_request(instance_of(epoch), crypto::model_scheme(), key_,
                                 pbft::RequestNumber(last_number_), Buffer(encode(*operation))));
  return Ask{Buffer(bytes.take())};
}

std::optional<Operation> Misbehaviour::wish(const membership::Configuration& epoch,
                                            const Machine* machine) {
  switch (conduct_) {
    case Conduct::kAccuser:
      return Reachability{.node = some_node(epoch), .is_reachable = false};
    case Conduct::kReviver:
      return Reachability{.node = some_node(epoch), .is_reachable = true};
    case Conduct::kComplainer:
      return complaint(epoch, machine);
    case Conduct::kHurrier:
      return hurry(epoch);
    case Conduct::kSlanderer:
      return slander(epoch, machine);
    case Conduct::kImpostor:
      return random_.chance(1, 2) ? false_announcement(epoch, machine) : false_reveal(epoch);
    default:
      return std::nullopt;
  }
}

std::optional<Operation> Misbehaviour::complaint(const membership::Configuration& epoch,
                                                 const Machine* machine) {
  if (random_.chance(1, 2)) return NoReveal{some_member(epoch)};
  return NoAnnouncement{some_candidate(epoch, machine)};
}

std::optional<wire::ObjectId> some_block(const membership::Configuration& epoch,
                                         const wire::NodeKey& one, const wire::NodeKey& other,
                                         Random& random) {
  std::vector<wire::KeyRange> shared;
  for (const routing::Arc& arc : epoch.ring().arcs()) {
    const auto has = [&](const wire::NodeKey& key) {
      const auto node = epoch.node_index(key);
      return node && std::ranges::find(arc.group, *node) != arc.group.end();
    };
    if (has(one) && has(other)) shared.push_back(arc.range);
  }
  if (shared.empty()) return std::nullopt;
  return wire::ObjectId::block(shared[random.below(shared.size())].last);
}

/// Of whomever the others talk about, so that there are more of them, or of anybody.
std::optional<Operation> Misbehaviour::slander(const membership::Configuration& epoch,
                                               const Machine* machine) {
  wire::NodeKey accused = some_node(epoch);
  if (machine && random_.chance(1, 2)) {
    for (const auto& [node, of_it] : machine->state().carried.complaints) {
      if (random_.chance(1, 2)) accused = node;
    }
  }
  if (random_.chance(1, 2)) {
    return Verdict{.accused = accused,
                   .outcome = random_.chance(1, 2) ? wire::AuditOutcome::kFalse
                                                   : wire::AuditOutcome::kWithheld};
  }
  const auto block = some_block(epoch, key_.public_key(), accused, random_);
  if (!block) return std::nullopt;
  return Complain{.accused = accused, .block = *block};
}

/// Its share is opened as soon as the epoch has begun, whoever may hear it.
std::optional<Operation> Misbehaviour::hurry(const membership::Configuration& epoch) {
  const auto key = keys_.find(epoch.number());
  if (key == keys_.end() || random_.chance(1, 2)) return PrepareEpoch{};
  return Reveal{.node = key_.public_key(), .share = share_of(key->second)};
}

/// Of itself, with another key than before or with somebody's; or of somebody else.
Operation Misbehaviour::false_announcement(const membership::Configuration& epoch,
                                           const Machine* machine) {
  const wire::NodeKey node =
      random_.chance(1, 2) ? key_.public_key() : some_candidate(epoch, machine);
  Announcement announcement{
      .cluster = epoch.cluster(),
      .number = {epoch.number().generation, epoch.number().epoch.next()},
      .node = node,
      .epoch_key = random_.chance(1, 4) ? some_node(epoch) : fresh_key().public_key(),
      .commitment = commitment_of(node, share_of(fresh_key()))};
  if (random_.chance(1, 8)) announcement.number.epoch = epoch.number().epoch;
  return Announce{wire::sign(crypto::model_scheme(), key_, announcement)};
}

Operation Misbehaviour::false_reveal(const membership::Configuration& epoch) {
  return Reveal{.node = random_.chance(1, 2) ? key_.public_key() : some_member(epoch),
                .share = share_of(fresh_key())};
}

std::optional<Buffer> Misbehaviour::rewritten(const membership::Configuration& before) {
  const auto seat = seat_of(before, key_.public_key());
  const auto key = keys_.find(before.number());
  if (conduct_ != Conduct::kRewriter || !seat || key == keys_.end()) return std::nullopt;
  membership::NextEpoch next = membership::same_again(before);
  next.randomness = share_of(fresh_key());
  // With the same keys in the same seats it would be refused for them already.
  for (membership::Seat& member : next.service) {
    member.epoch_key = fresh_key().public_key();
  }
  const membership::SeatKey signer{.seat = seat->value, .key = key->second};
  return Buffer(membership::make_description(before, next, {&signer, 1}, crypto::model_scheme()));
}

// ---- Whom it means ----

const wire::NodeKey& Misbehaviour::some_node(const membership::Configuration& epoch) {
  return epoch.nodes()[random_.below(epoch.nodes().size())].key;
}

const wire::NodeKey& Misbehaviour::some_member(const membership::Configuration& epoch) {
  return epoch.nodes()[epoch.service()[random_.below(epoch.service().size())].node].key;
}

wire::NodeKey Misbehaviour::some_candidate(const membership::Configuration& epoch,
                                           const Machine* machine) {
  if (!machine || machine->state().candidates.empty()) return some_node(epoch);
  const auto& candidates = machine->state().candidates;
  return candidates[random_.below(candidates.size())].node;
}

crypto::SecretKey Misbehaviour::fresh_key() {
  return key_named("of a liar " + std::to_string(random_.next()));
}

}  // namespace rosebud::service::sim
