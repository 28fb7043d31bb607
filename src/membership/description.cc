#include "membership/description.h"

#include <algorithm>

#include "base/check.h"
#include "membership/full_members.h"
#include "membership/header_chain.h"
#include "membership/placing.h"
#include "membership/recovery.h"

namespace rosebud::membership {
namespace {

/// Where a node of `before` is after the change, or one that comes.
class PlaceAfter {
 public:
  PlaceAfter(const Configuration& before, const PlacedNodes& change)
      : before_(before), change_(change) {
    for (const auto& [place, node] : change.at) place_of_.emplace(node.key, place);
  }
  std::optional<std::size_t> operator()(const wire::NodeKey& key) const {
    if (const auto at = place_of_.find(key); at != place_of_.end()) return at->second;
    const auto place = before_.node_index(key);
    const bool is_there = place && *place < change_.count && !change_.at.contains(*place);
    return is_there ? std::optional<std::size_t>(*place) : std::nullopt;
  }

 private:
  const Configuration& before_;
  const PlacedNodes& change_;
  std::map<wire::NodeKey, std::size_t> place_of_;
};

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
    case kNoPredecessor:
      return "the body of the epoch description says what changes, and the configuration before is "
             "not known";
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

/// What header and members say; the rest is for the caller to fill in. Nothing: they contradict
/// each other.
template <typename PlaceOf>
std::optional<ConfigurationParts> parts_of(const DescriptionHeader& header,
                                           const Settings& settings,
                                           std::vector<Organisation> organisations,
                                           const PlaceOf& place_of) {
  // Who follows headers alone believes the header.
  if (settings.service_faults != header.service_faults) return std::nullopt;
  auto service = service_of(header.seats, place_of);
  if (!service || service->empty()) return std::nullopt;
  return ConfigurationParts{.cluster = header.cluster,
                            .number = header.number,
                            .start = header.start,
                            .end = header.end,
                            .randomness = header.randomness,
                            .settings = settings,
                            .organisations = std::move(organisations),
                            .nodes = {},
                            .signed_description = {},
                            .service = std::move(*service),
                            .header_hash = DescriptionHeader::hash_of(header.encode()),
                            .service_state = header.state,
                            .recovery = {}};
}

}  // namespace

Result<std::shared_ptr<const Configuration>, DescriptionError> configuration_of(
    const DescriptionHeader& header, const SignedDescription& description,
    const Configuration& before) {
  if (DescriptionBody::hash_of(description.body) != header.body) {
    return fail(DescriptionError::kBodyMismatch);
  }
  // From here on it is what the service signed; a failure means that more than F members are
  // faulty, or that this version does not know what they know.
  auto body = DescriptionBody::decode(description.body);
  const auto change = body ? in_their_places(before, body->nodes) : std::nullopt;
  if (!change) return fail(DescriptionError::kImpossible);
  auto parts =
      parts_of(header, body->settings, std::move(body->organisations), PlaceAfter(before, *change));
  if (!parts) return fail(DescriptionError::kImpossible);
  parts->signed_description = Buffer(description.encode());
  parts->recovery = shared(std::move(body->recovery));
  auto made = Configuration::make(std::move(*parts), before, *change);
  if (!made || (*made)->root() != header.members_root) return fail(DescriptionError::kImpossible);
  return std::move(*made);
}

Result<std::shared_ptr<const Configuration>, DescriptionError> configuration_of(
    const DescriptionHeader& header, FullMembers members) {
  const auto place_of = [&](const wire::NodeKey& key) -> std::optional<std::size_t> {
    const auto at = std::ranges::find(members.nodes, key, &Node::key);
    if (at == members.nodes.end()) return std::nullopt;
    return static_cast<std::size_t>(at - members.nodes.begin());
  };
  auto parts = parts_of(header, members.settings, std::move(members.organisations), place_of);
  if (!parts) return fail(DescriptionError::kImpossible);
  parts->nodes = std::move(members.nodes);
  auto made = Configuration::make(std::move(*parts));
  if (!made || (*made)->root() != header.members_root) return fail(DescriptionError::kImpossible);
  return std::move(*made);
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
  auto made = configuration_of(appended.headers.front(), *description, current);
  if (!made) return made;
  if (const auto problem = problem_of_succession(current, **made, scheme)) return fail(*problem);
  return made;
}

std::vector<Seat> seats_of(const Configuration& configuration) {
  std::vector<Seat> out;
  for (const ServiceMember& member : configuration.service()) {
    out.push_back({.node = configuration.nodes()[member.node].key,
                   .epoch_key = member.epoch_key,
                   .commitment = member.commitment});
  }
  return out;
}

NextEpoch same_again(const Configuration& current) {
  return {.start = current.start(),
          .end = current.end(),
          .randomness = current.randomness(),
          .body = {.settings = current.settings(),
                   .organisations = current.organisations(),
                   .nodes = {}},
          .service = seats_of(current)};
}

SignedDescription draft_description(const Configuration& current, const NextEpoch& next) {
  return draft_description(current, next, current.number().generation);
}

SignedDescription draft_description(const Configuration& current, const NextEpoch& next,
                                    wire::Generation generation) {
  const auto change = in_their_places(current, next.body.nodes);
  CHECK(change.has_value());
  SignedDescription out{.body = next.body.encode()};
  const DescriptionHeader header{
      .cluster = current.cluster(),
      .number = {generation, current.number().epoch.next()},
      .start = next.start,
      .end = next.end,
      .previous = current.header_hash(),
      .members_root = current.root_after(
          {.settings = next.body.settings, .organisations = next.body.organisations}, *change),
      .state = next.state,
      .body = DescriptionBody::hash_of(out.body),
      .randomness = next.randomness,
      .service_faults = next.body.settings.service_faults,
      .seats = next.service};
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
