#include "membership/recovery.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "membership/header_chain.h"
#include "membership/lease.h"
#include "membership/parts_internal.h"

namespace rosebud::membership {
namespace {

constexpr std::uint8_t kLayout = 1;

using Statements = std::map<wire::NodeKey, RecoveryStatement>;

/// Those of a recovery, if all are good and name different members.
std::optional<Statements> statements_of(const Configuration& parent, const Configuration& recovered,
                                        const crypto::SignatureScheme& scheme) {
  Statements out;
  for (const wire::SignedBytes& one : recovered.recovery()->statements) {
    auto statement = checked_statement(parent, recovered.number().generation, one, scheme);
    if (!statement) return std::nullopt;
    // Ascending, so that nobody counts twice.
    if (!out.empty() && statement->node <= out.rbegin()->first) return std::nullopt;
    out.emplace(statement->node, std::move(*statement));
  }
  return out;
}

bool is_named(const Configuration& parent, const Statements& statements) {
  return std::ranges::any_of(
      statements, [&](const auto& one) { return one.second.entered == parent.number(); });
}

std::set<wire::NodeKey> nodes_of(const Statements& statements) {
  std::set<wire::NodeKey> out;
  for (const auto& [node, statement] : statements) out.insert(node);
  return out;
}

/// Organisations, settings and nodes stay, but for who is given up and a smaller F: what else is to
/// change is for the recovered service.
bool is_nothing_else_changed(const Configuration& parent, const Configuration& recovered) {
  Settings settings = recovered.settings();
  if (settings.service_faults > parent.settings().service_faults) return false;
  settings.service_faults = parent.settings().service_faults;
  if (settings != parent.settings()) return false;
  if (recovered.organisations() != parent.organisations()) return false;
  return std::ranges::all_of(recovered.nodes(), [&](const Node& node) {
    const auto at = parent.node_index(node.key);
    return at && parent.nodes()[*at] == node;
  });
}

Timestamp end_of(Timestamp start, const Settings& settings) {
  return settings.epoch_seconds == 0 ? Timestamp(0)
                                     : Timestamp(start.value + 3 * settings.epoch_seconds);
}

bool are_seats_as_stated(const Configuration& recovered, const Statements& statements) {
  return std::ranges::all_of(recovered.service(), [&](const ServiceMember& member) {
    const auto at = statements.find(recovered.nodes()[member.node].key);
    return at != statements.end() && at->second.epoch_key == member.epoch_key &&
           at->second.commitment == member.commitment;
  });
}

/// What was handed to the parent's service goes on, or nothing does.
bool is_state_right(const Configuration& parent, const Configuration& recovered) {
  const Bytes& state = recovered.recovery()->state;
  if (recovered.service_state().is_zero()) return state.empty();
  return recovered.service_state() == parent.service_state() &&
         service_state_digest(state) == recovered.service_state();
}

/// Of each group of the parent either 2f+1 members have stated something and 2f+1 stay, or its loss
/// is accepted, and then those who did not state anything are given up: who completes asks the
/// others, all of them (objects/completion.h).
std::optional<DescriptionError> problem_of_groups(const Configuration& parent,
                                                  const Configuration& recovered,
                                                  const std::set<wire::NodeKey>& stated) {
  const std::vector<LackingGroup> lacking = lacking_groups(parent, stated);
  std::set<GroupId> lost;
  for (const LackingGroup& one : lacking) {
    lost.insert(one.id);
    for (const std::uint32_t member : one.members) {
      const wire::NodeKey& key = parent.nodes()[member].key;
      if (!stated.contains(key) && recovered.node_index(key)) {
        return DescriptionError::kLossNotAccepted;
      }
    }
  }
  const std::vector<GroupId>& accepted = recovered.recovery()->losses;
  if (!std::ranges::equal(accepted, lost)) {
    return DescriptionError::kLossNotAccepted;
  }
  for (const auto& arc : parent.ring().arcs()) {
    const auto staying = std::ranges::count_if(arc.group, [&](std::uint32_t member) {
      return recovered.node_index(parent.nodes()[member].key).has_value();
    });
    if (std::cmp_less(staying, parent.quorum()) && !lost.contains(group_id(parent, arc.group))) {
      return DescriptionError::kImpossible;
    }
  }
  return std::nullopt;
}

}  // namespace

// ---- Statements ----

Bytes RecoveryCall::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view()).raw(organisation.view()).u32(generation.value);
  return out.take();
}

std::optional<RecoveryCall> RecoveryCall::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  RecoveryCall out{.cluster = in.fixed<crypto::ClusterId>()};
  out.organisation = in.fixed<crypto::PublicKey>();
  out.generation = wire::Generation(in.u32());
  if (!in.done()) return std::nullopt;
  return out;
}

Bytes RecoveryStatement::encode() const {
  wire::Writer out;
  out.u8(kLayout).raw(cluster.view()).u32(generation.value).raw(node.view()).raw(directory.view());
  wire::write(out, entered);
  out.raw(header_hash.view()).raw(epoch_key.view()).raw(commitment.view());
  return out.take();
}

std::optional<RecoveryStatement> RecoveryStatement::decode(ByteView bytes) {
  wire::Reader in(bytes);
  if (in.u8() != kLayout) return std::nullopt;
  RecoveryStatement out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.generation = wire::Generation(in.u32());
  out.node = in.fixed<wire::NodeKey>();
  out.directory = in.fixed<wire::DirectoryId>();
  out.entered = wire::read_number(in);
  out.header_hash = in.fixed<crypto::Digest>();
  out.epoch_key = in.fixed<crypto::PublicKey>();
  out.commitment = in.fixed<crypto::Digest>();
  if (!in.done()) return std::nullopt;
  return out;
}

std::optional<RecoveryStatement> checked_statement(const Configuration& parent,
                                                   wire::Generation generation,
                                                   const wire::SignedBytes& statement,
                                                   const crypto::SignatureScheme& scheme) {
  auto out = RecoveryStatement::decode(statement.statement);
  if (!out || out->cluster != parent.cluster() || out->generation != generation) {
    return std::nullopt;
  }
  const auto node = parent.node_index(out->node);
  if (!node || parent.nodes()[*node].directory != out->directory) return std::nullopt;
  if (out->entered > parent.number()) return std::nullopt;
  const bool is_of_another = out->entered == parent.number() &&  //
                             out->header_hash != parent.header_hash();
  if (is_of_another || out->commitment.is_zero()) return std::nullopt;
  if (!wire::is_signed_by<RecoveryStatement>(scheme, out->node, statement)) return std::nullopt;
  return out;
}

// ---- Groups ----

GroupId group_id(const Configuration& configuration, std::span<const std::uint32_t> group) {
  std::vector<wire::NodeKey> keys;
  for (const std::uint32_t node : group) keys.push_back(configuration.nodes()[node].key);
  std::ranges::sort(keys);
  crypto::Hasher hasher("rosebud group id 1");
  for (const wire::NodeKey& key : keys) hasher.update(key.view());
  return *GroupId::from(hasher.finish().view().first(GroupId::kSize));
}

std::vector<LackingGroup> lacking_groups(const Configuration& parent,
                                         const std::set<wire::NodeKey>& stated) {
  std::map<GroupId, LackingGroup> out;
  for (const auto& arc : parent.ring().arcs()) {
    const auto count = static_cast<std::size_t>(std::ranges::count_if(
        arc.group, [&](std::uint32_t node) { return stated.contains(parent.nodes()[node].key); }));
    if (count >= parent.quorum()) continue;
    const GroupId id = group_id(parent, arc.group);
    auto& group = out[id];
    group.id = id;
    group.members.assign(arc.group.begin(), arc.group.end());
    group.stated_count = count;
    group.share += width_of(arc.range);
  }
  std::vector<LackingGroup> all;
  for (auto& [id, group] : out) all.push_back(std::move(group));
  return all;
}

// ---- The description ----

crypto::Digest recovery_randomness(const Configuration& parent, wire::Generation generation) {
  return crypto::Hasher("rosebud recovery randomness 1")
      .update(parent.cluster().view())
      .update_u64(generation.value)
      .update(parent.header_hash().view())
      .update(parent.randomness().view())
      .finish();
}

crypto::Digest service_state_digest(ByteView handed_over) {
  return crypto::tagged_hash("rosebud service state 1", handed_over);
}

std::optional<DescriptionError> problem_of_recovery(const Configuration& parent,
                                                    const Configuration& recovered,
                                                    const crypto::SignatureScheme& scheme) {
  using enum DescriptionError;
  if (!recovered.recovery()) return kImpossible;
  if (!is_nothing_else_changed(parent, recovered)) return kImpossible;
  if (recovered.randomness() != recovery_randomness(parent, recovered.number().generation)) {
    return kImpossible;
  }
  if (recovered.end() != end_of(recovered.start(), recovered.settings())) return kImpossible;
  if (!is_state_right(parent, recovered)) return kImpossible;
  const auto statements = statements_of(parent, recovered, scheme);
  if (!statements || !is_named(parent, *statements)) return kNotAsStated;
  if (!are_seats_as_stated(recovered, *statements)) return kNotAsStated;
  return problem_of_groups(parent, recovered, nodes_of(*statements));
}

SignedDescription draft_recovery(const Configuration& parent, const RecoveryPlan& plan) {
  NextEpoch next{.start = plan.start,
                 .end = end_of(plan.start, parent.settings()),
                 .randomness = recovery_randomness(parent, plan.generation),
                 .state = plan.state.empty() ? crypto::Digest{} : service_state_digest(plan.state),
                 .body = {.settings = plan.settings,
                          .organisations = parent.organisations(),
                          .nodes = {},
                          .recovery = Recovery{.statements = plan.statements,
                                               .losses = plan.losses,
                                               .state = plan.state}},
                 .service = {}};
  for (const wire::NodeKey& key : plan.given_up) next.body.nodes.remove(parent, key);
  Statements statements;
  for (const wire::SignedBytes& one : plan.statements) {
    const auto statement = RecoveryStatement::decode(one.statement);
    if (statement) statements.emplace(statement->node, *statement);
  }
  std::ranges::sort(next.body.recovery->statements, {}, [](const wire::SignedBytes& one) {
    const auto statement = RecoveryStatement::decode(one.statement);
    return statement ? statement->node : wire::NodeKey{};
  });
  std::ranges::sort(next.body.recovery->losses);
  for (const wire::NodeKey& seat : plan.seats) {
    const auto statement = statements.find(seat);
    CHECK(statement != statements.end());
    next.service.push_back({.node = seat,
                            .epoch_key = statement->second.epoch_key,
                            .commitment = statement->second.commitment});
  }
  return draft_description(parent, next, plan.generation);
}

Result<std::shared_ptr<const Configuration>, DescriptionError> check_proposal(
    const Configuration& parent, const SignedDescription& proposal, Timestamp now,
    const crypto::SignatureScheme& scheme) {
  const auto header = DescriptionHeader::decode(proposal.header);
  // Many statements and losses may be more than one description takes.
  if (!header || proposal.body.size() > kDescriptionBodySizeMax) {
    return fail(DescriptionError::kMalformed);
  }
  if (const auto problem = HeaderChain(parent).problem_of_next(*header)) return fail(*problem);
  if (header->number.generation == parent.number().generation) {
    return fail(DescriptionError::kImpossible);
  }
  if (header->start.value > now.value + kClockBoundSeconds) {
    return fail(DescriptionError::kStartsTooLate);
  }
  auto made = configuration_of(*header, proposal, parent);
  if (!made) return made;
  if (const auto problem = problem_of_succession(parent, **made, scheme)) return fail(*problem);
  return made;
}

bool is_signed_by_organisations_of(const SignedDescription& parent,
                                   const SignedDescription& recovery,
                                   const crypto::SignatureScheme& scheme) {
  const auto header = DescriptionHeader::decode(parent.header);
  if (!header || DescriptionBody::hash_of(parent.body) != header->body) return false;
  const auto body = DescriptionBody::decode(parent.body);
  if (!body) return false;
  ChainTip tip = ChainTip::of(*header, parent.header);
  tip.authorities = authorities_in(body->organisations);
  const SignedHeader next{.header = recovery.header, .signatures = recovery.signatures};
  const auto appended = HeaderChain(std::move(tip)).append(std::span(&next, 1), scheme);
  return !appended.problem &&
         appended.headers.front().number.generation > header->number.generation;
}

std::optional<SeatSignature> sign_recovery(const Configuration& parent, ByteView header,
                                           const crypto::SecretKey& authority,
                                           const crypto::SignatureScheme& scheme) {
  const auto index = parent.organisation_index(authority.public_key());
  if (!index || parent.organisations()[*index].is_revoked) return std::nullopt;
  return SeatSignature{.seat = static_cast<std::uint16_t>(*index),
                       .signature = scheme.sign(authority, kRecoveryHeaderTag, header)};
}

std::size_t authorities_needed(const Configuration& parent) {
  return more_than_two_thirds(static_cast<std::size_t>(
      std::ranges::count(parent.organisations(), false, &Organisation::is_revoked)));
}

}  // namespace rosebud::membership
