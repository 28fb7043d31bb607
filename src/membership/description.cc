#include "membership/description.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::membership {
namespace {

std::optional<DescriptionError> problem_of_link(const Configuration& current,
                                                const DescriptionHeader& header) {
  using enum DescriptionError;
  if (header.cluster != current.cluster()) return kOtherCluster;
  if (header.number.generation != current.number().generation) return kOtherGeneration;
  if (header.number.epoch <= current.number().epoch) return kNotNewer;
  if (header.number.epoch != current.number().epoch.next()) return kGap;
  if (header.previous != current.header_hash()) return kOtherHistory;
  return std::nullopt;
}

/// Bad signatures are not counted rather than refused: who hands a description on may have spoilt
/// one, and enough others make it true.
bool has_quorum(const Configuration& current, const SignedDescription& description,
                const crypto::SignatureScheme& scheme) {
  const auto is_valid = [&](const SeatSignature& one) {
    return one.seat < current.service().size() &&
           scheme.verify(current.service()[one.seat].epoch_key, DescriptionHeader::kTag,
                         description.header, one.signature);
  };
  return std::cmp_greater_equal(std::ranges::count_if(description.signatures, is_valid),
                                current.service_quorum());
}

std::optional<std::vector<ServiceMember>> service_of(const std::vector<Seat>& seats,
                                                     const std::vector<Node>& nodes) {
  std::vector<ServiceMember> out;
  for (const Seat& seat : seats) {
    const auto node = std::ranges::find(nodes, seat.node, &Node::key);
    if (node == nodes.end()) return std::nullopt;
    out.push_back({.node = static_cast<std::uint32_t>(node - nodes.begin()),
                   .epoch_key = seat.epoch_key,
                   .commitment = seat.commitment});
  }
  return out;
}

/// A node that moved on the ring would take data with it that nobody planned to move, and could
/// choose its place by leaving and returning (design 3.3).
bool stay_in_place(const Configuration& current, const std::vector<Node>& nodes) {
  return std::ranges::all_of(nodes, [&](const Node& node) {
    const auto before = current.node_index(node.key);
    return !before || current.nodes()[*before].admission_randomness == node.admission_randomness;
  });
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
      return "the epoch description is of another recovery generation";
    case kNotNewer:
      return "the epoch description is not newer than the configuration in force";
    case kGap:
      return "epoch descriptions between the configuration in force and this one are missing";
    case kOtherHistory:
      return "the epoch description follows another configuration than the one in force";
    case kTooFewSignatures:
      return "the epoch description has too few valid signatures of the configuration service";
    case kBodyMismatch:
      return "the body of the epoch description is not the one that was signed";
    case kImpossible:
      return "the epoch description was signed, but contradicts itself or its predecessor";
  }
  return "unknown";
}

Result<std::shared_ptr<const Configuration>, DescriptionError> apply(
    const Configuration& current, ByteView signed_description,
    const crypto::SignatureScheme& scheme) {
  const auto description = SignedDescription::decode(signed_description);
  if (!description) return fail(DescriptionError::kMalformed);
  auto header = DescriptionHeader::decode(description->header);
  if (!header) return fail(DescriptionError::kMalformed);
  if (const auto problem = problem_of_link(current, *header)) return fail(*problem);
  if (!has_quorum(current, *description, scheme)) return fail(DescriptionError::kTooFewSignatures);
  if (DescriptionBody::hash_of(description->body) != header->body) {
    return fail(DescriptionError::kBodyMismatch);
  }

  // From here on it is what the service signed; a failure means that more than F members are
  // faulty, or that this version does not know what they know.
  auto body = DescriptionBody::decode(description->body);
  if (!body || body->root() != header->members_root) return fail(DescriptionError::kImpossible);
  auto service = service_of(header->seats, body->nodes);
  if (!service || service->empty()) return fail(DescriptionError::kImpossible);
  if (header->start < current.start()) return fail(DescriptionError::kImpossible);
  if (!stay_in_place(current, body->nodes)) return fail(DescriptionError::kImpossible);
  auto made = Configuration::make({.cluster = header->cluster,
                                   .number = header->number,
                                   .start = header->start,
                                   .end = header->end,
                                   .randomness = header->randomness,
                                   .settings = body->settings,
                                   .organisations = std::move(body->organisations),
                                   .nodes = std::move(body->nodes),
                                   .signed_description = Buffer::copy_of(signed_description),
                                   .service = std::move(*service),
                                   .header_hash = DescriptionHeader::hash_of(description->header)});
  if (!made) return fail(DescriptionError::kImpossible);
  return std::move(*made);
}

NextEpoch same_again(const Configuration& current) {
  return {.start = current.start(),
          .end = current.end(),
          .randomness = current.randomness(),
          .body = {.settings = current.settings(),
                   .organisations = current.organisations(),
                   .nodes = current.nodes()},
          .service = current.service()};
}

SignedDescription draft_description(const Configuration& current, const NextEpoch& next) {
  SignedDescription out{.body = next.body.encode()};
  DescriptionHeader header{.cluster = current.cluster(),
                           .number = {current.number().generation, current.number().epoch.next()},
                           .start = next.start,
                           .end = next.end,
                           .previous = current.header_hash(),
                           .members_root = next.body.root(),
                           .state = next.state,
                           .body = DescriptionBody::hash_of(out.body),
                           .randomness = next.randomness};
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
