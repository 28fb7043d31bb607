// How settings, organisations and nodes and the signatures of a service are laid out, the same
// wherever they stand (docs/format/statements.md). Private to membership/.
#pragma once

#include "membership/description.h"

namespace rosebud::membership {

void write(wire::Writer& out, const Settings& settings);
Settings read_settings(wire::Reader& in);

void write(wire::Writer& out, const Organisation& organisation);
Organisation read_organisation(wire::Reader& in);

/// Without the admission randomness: in the genesis it is the same for all.
void write(wire::Writer& out, const Node& node);
Node read_node(wire::Reader& in);

/// As they stand in a description: with whether they were revoked, and with the randomness of
/// their admission.
void write(wire::Writer& out, const std::vector<Organisation>& organisations);
std::vector<Organisation> read_organisations(wire::Reader& in);
void write_admitted(wire::Writer& out, const Node& node);
Node read_admitted(wire::Reader& in);

/// The longest of each.
inline constexpr std::size_t kOrganisationSizeMax = 2 + wire::kNameSizeMax + 32 + 8 + 1;
inline constexpr std::size_t kNodeSizeMax =
    2 + wire::kNameSizeMax + 32 + 4 + wire::DirectoryId::kSize + 2 + kAddressSizeMax + 8 + 4 + 32;

void write(wire::Writer& out, const std::vector<SeatSignature>& signatures);
std::vector<SeatSignature> read_signatures(wire::Reader& in);

/// Leaves of the Merkle tree over a configuration: settings with how many organisations and nodes
/// there are, which fixes its shape, then each of these with its place.
crypto::Digest leaf_of(const Settings& settings, std::size_t organisation_count,
                       std::size_t node_count);
crypto::Digest leaf_of(const Organisation& organisation, std::size_t place);
crypto::Digest leaf_of(const Node& node, std::size_t place);

/// What is wrong with the configuration service of `parts`, for a person. A service may have up to
/// F vacant seats, and no organisation more than F of them (one at F = 0).
std::optional<Explained> problem_of_service(const ConfigurationParts& parts,
                                            const Members& members);

/// Part of the ring, in units of 2^-32. Widths of neighbouring ranges add up: each ends where the
/// next begins.
std::uint64_t width_of(const wire::KeyRange& range);

/// Most members that a group can have under the cap; less than 3f+1 leaves seats exposed.
/// `nodes_of`: how many each organisation has.
std::size_t fillable_seats(const Settings& settings, const std::vector<std::uint32_t>& nodes_of);

}  // namespace rosebud::membership
