#include "membership/description.h"

#include <algorithm>

#include "base/check.h"
#include "membership/header_chain.h"
#include "membership/recovery.h"

namespace rosebud::membership {
namespace {

/// The service of a header, with `place_of` to find nodes by their key; nothing: a seat is no node.
template <typename PlaceOf>
std::optional<std::vector<ServiceMember>> service_of(const std::vector<Seat>& seats,
                                                     const PlaceOf& place_of) {
  std::vector<ServiceMember> out;
  for (const Seat& seat : seats) {
    const std::optional<std::size_t> place = place_of(seat.node);
    if (!place) return std::nullopt;
    out.push_back({.node = static_cast<std::uint32_t>(*place),
                   .epoch_key = seat.epoch_key,
                   .commitment = seat.commitment});
  }
  return out;
}

std::optional<std::size_t> place_in(const std::vector<Node>& nodes, const wire::NodeKey& key) {
  const auto at = std::ranges::find(nodes, key, &Node::key);
  if (at == nodes.end()) return std::nullopt;
  return static_cast<std::size_t>(at - nodes.begin());
}

/// What makes `nodes` of those of `before`.
PlacedNodes difference(const SharedVector<Node>& before, const std::vector<Node>& nodes) {
  PlacedNodes out{.at = {}, .count = nodes.size()};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i >= before.size() || before[i] != nodes[i]) out.at.emplace(i, nodes[i]);
  }
  return out;
}

std::shared_ptr<const Recovery> shared(std::optional<Recovery> recovery) {
  return recovery ? std::make_shared<const Recovery>(std::move(*recovery)) : nullptr;
}

}  // namespace

std::string_view text_of(DescriptionError error) {
  using enum DescriptionError;
  switch (error) {
    case kMalformed:
      return "the epoch description is malformed";
    case kOtherCluster:
      return "the epoch description is of another cluster";
    case kOtherGeneration:
      return "the epoch description begins a generation, and which organisations may do so is not "
             "known";
    case kNotNewer:
      return "the epoch description is not newer than the configuration in force";
    case kGap:
      return "epoch descriptions between the configuration in force and this one are missing";
    case kOtherHistory:
      return "the epoch description follows another configuration than the one in force";
    case kTooFewSignatures:
      return "the epoch description has too few valid signatures of the configuration service, or "
             "of the organisations";
    case kBodyMismatch:
      return "the body of the epoch description is not the one that was signed";
    case kImpossible:
      return "the epoch description was signed, but contradicts itself or its predecessor";
    case kNotAsStated:
      return "the recovery is not what the members' statements say";
    case kLossNotAccepted:
      return "the recovery lacks statements of a group that it does not name as lost";
    case kStartsTooLate:
      return "the recovery starts later than this machine's clock allows";
  }
  return "unknown";
}

namespace {

/// `before`: the one that it follows, if that is known; they share what is the same.
Result<std::shared_ptr<const Configuration>, DescriptionError> made_of(
    const DescriptionHeader& header, const SignedDescription& description,
    const Configuration* before) {
  if (DescriptionBody::hash_of(description.body) != header.body) {
    return fail(DescriptionError::kBodyMismatch);
  }
  // From here on it is what the service signed; a failure means that more than F members are
  // faulty, or that this version does not know what they know.
  auto body = DescriptionBody::decode(description.body);
  if (!body) return fail(DescriptionError::kImpossible);
  // Who follows headers alone believes the header.
  if (body->settings.service_faults != header.service_faults) {
    return fail(DescriptionError::kImpossible);
  }
  auto service = service_of(header.seats,
                            [&](const wire::NodeKey& key) { return place_in(body->nodes, key); });
  if (!service || service->empty()) return fail(DescriptionError::kImpossible);
  ConfigurationParts parts{.cluster = header.cluster,
                           .number = header.number,
                           .start = header.start,
                           .end = header.end,
                           .randomness = header.randomness,
                           .settings = body->settings,
                           .organisations = std::move(body->organisations),
                           .nodes = {},
                           .signed_description = Buffer(description.encode()),
                           .service = std::move(*service),
                           .header_hash = DescriptionHeader::hash_of(description.header),
                           .service_state = header.state,
                           .recovery = shared(std::move(body->recovery))};
  if (!before) parts.nodes = std::move(body->nodes);
  auto made = before ? Configuration::make(std::move(parts), *before,
                                           difference(before->nodes(), body->nodes))
                     : Configuration::make(std::move(parts));
  if (!made || (*made)->root() != header.members_root) return fail(DescriptionError::kImpossible);
  return std::move(*made);
}

}  // namespace

Result<std::shared_ptr<const Configuration>, DescriptionError> configuration_of(
    const DescriptionHeader& header, const SignedDescription& description) {
  return made_of(header, description, nullptr);
}

bool keeps_positions(const Configuration& before, const Configuration& after) {
  return after.nodes().all_not_shared(before.nodes(), [&](std::size_t place) {
    const Node& node = after.nodes()[place];
    const auto at = before.node_index(node.key);
    return !at || before.nodes()[*at].admission_randomness == node.admission_randomness;
  });
}

std::optional<DescriptionError> problem_of_succession(const Configuration& before,
                                                      const Configuration& after,
                                                      const crypto::SignatureScheme& scheme) {
  if (!keeps_positions(before, after)) return DescriptionError::kImpossible;
  if (before.number().generation != after.number().generation)
    return problem_of_recovery(before, after, scheme);
  if (after.recovery()) return DescriptionError::kImpossible;
  return std::nullopt;
}

Result<std::shared_ptr<const Configuration>, DescriptionError> apply(
    const Configuration& current, ByteView signed_description,
    const crypto::SignatureScheme& scheme) {
  const auto description = SignedDescription::decode(signed_description);
  if (!description) return fail(DescriptionError::kMalformed);
  const SignedHeader header{.header = description->header, .signatures = description->signatures};
  const auto appended = HeaderChain(current).append(std::span(&header, 1), scheme);
  if (appended.problem) return fail(*appended.problem);
  auto made = made_of(appended.headers.front(), *description, &current);
  if (!made) return made;
  if (const auto problem = problem_of_succession(current, **made, scheme)) return fail(*problem);
  return made;
}

NextEpoch same_again(const Configuration& current) {
  return {.start = current.start(),
          .end = current.end(),
          .randomness = current.randomness(),
          .body = {.settings = current.settings(),
                   .organisations = current.organisations(),
                   .nodes = current.nodes().to_vector()},
          .service = current.service()};
}

SignedDescription draft_description(const Configuration& current, const NextEpoch& next) {
  return draft_description(current, next, current.number().generation);
}

SignedDescription draft_description(const Configuration& current, const NextEpoch& next,
                                    wire::Generation generation) {
  SignedDescription out{.body = next.body.encode()};
  DescriptionHeader header{.cluster = current.cluster(),
                           .number = {generation, current.number().epoch.next()},
                           .start = next.start,
                           .end = next.end,
                           .previous = current.header_hash(),
                           .members_root = next.body.root(),
                           .state = next.state,
                           .body = DescriptionBody::hash_of(out.body),
                           .randomness = next.randomness,
                           .service_faults = next.body.settings.service_faults};
  for (const ServiceMember& member : next.service) {
    CHECK(member.node < next.body.nodes.size());
    header.seats.push_back({.node = next.body.nodes[member.node].key,
                            .epoch_key = member.epoch_key,
                            .commitment = member.commitment});
  }
  out.header = header.encode();
  return out;
}

Bytes make_description(const Configuration& current, const NextEpoch& next,
                       std::span<const SeatKey> keys, const crypto::SignatureScheme& scheme) {
  SignedDescription out = draft_description(current, next);
  for (const SeatKey& one : keys) {
    out.signatures.push_back(
        {.seat = one.seat, .signature = scheme.sign(one.key, DescriptionHeader::kTag, out.header)});
  }
  std::ranges::sort(out.signatures, {}, &SeatSignature::seat);
  return out.encode();
}

}  // namespace rosebud::membership
