#include "service/sealing.h"

#include <algorithm>

#include "base/check.h"
#include "service/planted_bugs.h"

namespace rosebud::service {
namespace {

/// Placed by the R of the epoch that admits them.
membership::DescriptionBody placed(membership::DescriptionBody next,
                                   const crypto::Digest& randomness) {
  for (auto& [key, node] : next.nodes.added) node.admission_randomness = randomness;
  return next;
}

/// Whether the node is in as its own organisation states. Suppose another one stated the same of a
/// key that was out: its statement, with another time, would say which of the owner's are old.
bool is_in_by(const wire::AdmissionStatement& statement, const Machine& machine) {
  const membership::DescriptionBody& next = machine.state().next;
  const auto* node = membership::node_after(machine.configuration(), next.nodes, statement.subject);
  return is_in_as_stated(statement, node) &&
         next.organisations[node->organisation].authority == statement.organisation;
}

Timestamp start_of(const Machine& machine) {
  if (is_planted(Bug::kStartIsNotAgreed)) {
    const membership::Configuration& current = machine.configuration();
    return Timestamp(current.start().value + current.settings().epoch_seconds);
  }
  return std::max(machine.configuration().start(), Timestamp(machine.state().prepared_ms / 1000));
}

/// Who is out, or came back with an empty directory, is complained of no more, and complains no
/// more. That somebody shows nothing is handed over only where 2F+1 said it in this epoch.
void forget_complaints_of_others(const Machine& machine, Carried& out) {
  const auto is_another = [&](const auto& one) {
    return !membership::stays_as_it_is(one.first, machine.configuration(),
                                       machine.state().next.nodes);
  };
  // It may have been cut off, or without room, and be well again: who checks says so anew.
  const auto is_said_now = [&](const wire::NodeKey& key) {
    const Said& withheld = machine.state().withheld;
    const auto at = withheld.find(key);
    return at != withheld.end() && at->second.size() >= machine.configuration().service_quorum();
  };
  std::erase_if(out.complaints, is_another);
  for (auto& [accused, of_it] : out.complaints) std::erase_if(of_it, is_another);
  std::erase_if(out.complaints, [](const auto& one) { return one.second.empty(); });
  std::erase_if(out.wishes.withholding_since_ms, [&](const auto& one) {
    return is_another(one) || (!is_said_now(one.first) && !is_planted(Bug::kWithholdingKept));
  });
  std::erase_if(out.wishes.false_since_ms, is_another);
}

}  // namespace

Carried handed_over(const Machine& machine) {
  const State& state = machine.state();
  CHECK(state.phase == Phase::kSealed);
  Carried out = state.carried;
  out.wishes =
      left_over(machine.configuration(), state.carried.wishes, state.next, state.prepared_ms);
  forget_complaints_of_others(machine, out);
  out.seated_since_ms.clear();
  if (is_planted(Bug::kEarlyEndsForgotten)) out.early_ends_ms.clear();
  if (is_planted(Bug::kDecreesForgotten)) out.enacted_s.clear();
  for (const State::Candidate& one : state.candidates) {
    const auto before = state.carried.seated_since_ms.find(one.node);
    const bool was_seated =
        before != state.carried.seated_since_ms.end() && !is_planted(Bug::kTermsBeginAnew);
    out.seated_since_ms[one.node] = was_seated ? before->second : state.prepared_ms;
  }
  std::erase_if(out.stated_s, [&](const auto& one) {
    return membership::node_after(machine.configuration(), state.next.nodes, one.first) == nullptr;
  });
  for (const wire::SignedBytes& one : state.carried.wishes.admissions) {
    const auto statement = wire::AdmissionStatement::decode(one.statement);
    if (!statement || !is_in_by(*statement, machine)) continue;
    std::uint64_t& stated_s = out.stated_s[statement->subject];
    stated_s = std::max(stated_s, statement->not_before.value);
  }
  return out;
}

membership::SignedDescription draft(const Machine& machine) {
  const State& state = machine.state();
  const membership::Configuration& current = machine.configuration();
  const crypto::Digest randomness = next_randomness(current, state.shares);
  const std::uint64_t length = state.next.settings.epoch_seconds;
  const Timestamp start = start_of(machine);
  membership::NextEpoch next{
      .start = start,
      // An outage of the service does not stop the store at once (design 7).
      .end = length == 0 ? Timestamp(0) : Timestamp(start.value + 3 * length),
      .randomness = randomness,
      .state = Carried::digest(handed_over(machine).encode()),
      .body = placed(state.next,
                     is_planted(Bug::kPlacedByOldRandomness) ? current.randomness() : randomness),
      .service = {}};
  for (const State::Candidate& one : state.candidates) {
    CHECK(one.announcement.has_value());
    next.service.push_back({.node = one.node,
                            .epoch_key = one.announcement->epoch_key,
                            .commitment = one.announcement->commitment});
  }
  return membership::draft_description(current, next);
}

bool SignatureShares::add(const membership::SeatSignature& share,
                          const crypto::SignatureScheme& scheme) {
  auto& signatures = description_.signatures;
  const auto at =
      std::ranges::lower_bound(signatures, share.seat, {}, &membership::SeatSignature::seat);
  if (share.seat >= signers_.service().size()) return false;
  if (at != signatures.end() && at->seat == share.seat) return false;
  if (!is_planted(Bug::kSignatureNotVerified) &&
      !scheme.verify(signers_.service()[share.seat].epoch_key, membership::DescriptionHeader::kTag,
                     description_.header, share.signature)) {
    return false;
  }
  signatures.insert(at, share);
  return true;
}

}  // namespace rosebud::service
