#include <algorithm>
#include <set>

#include "membership/parts_internal.h"

namespace rosebud::membership {

void write(wire::Writer& out, const Settings& settings) {
  out.u32(settings.faults)
      .u32(settings.cap)
      .u32(settings.service_faults)
      .u8(settings.has_leases ? 1 : 0)
      .u64(settings.epoch_seconds)
      .u64(settings.service_term_seconds)
      .u64(settings.evict_after_seconds)
      .u32(settings.read_settle_ms)
      .u32(settings.hedge_ms)
      .u64(settings.hold_seconds_max)
      .u64(settings.client_quota_floor_bytes);
}

Settings read_settings(wire::Reader& in) {
  Settings out;
  out.faults = in.u32();
  out.cap = in.u32();
  out.service_faults = in.u32();
  const std::uint8_t has_leases = in.u8();
  if (has_leases > 1) in.fail();
  out.has_leases = has_leases == 1;
  out.epoch_seconds = in.u64();
  out.service_term_seconds = in.u64();
  out.evict_after_seconds = in.u64();
  out.read_settle_ms = in.u32();
  out.hedge_ms = in.u32();
  out.hold_seconds_max = in.u64();
  out.client_quota_floor_bytes = in.u64();
  return out;
}

void write(wire::Writer& out, const Organisation& organisation) {
  out.text(organisation.name).raw(organisation.authority.view()).u64(organisation.quota_bytes);
}

Organisation read_organisation(wire::Reader& in) {
  Organisation out;
  out.name = in.text(wire::kNameSizeMax);
  out.authority = in.fixed<crypto::PublicKey>();
  out.quota_bytes = in.u64();
  return out;
}

void write(wire::Writer& out, const Node& node) {
  out.text(node.name)
      .raw(node.key.view())
      .u32(node.organisation)
      .raw(node.directory.view())
      .text(node.address)
      .u64(node.capacity_bytes)
      .u32(node.position_count);
}

Node read_node(wire::Reader& in) {
  Node out;
  out.name = in.text(wire::kNameSizeMax);
  out.key = in.fixed<wire::NodeKey>();
  out.organisation = in.u32();
  out.directory = in.fixed<wire::DirectoryId>();
  out.address = in.text(kAddressSizeMax);
  out.capacity_bytes = in.u64();
  out.position_count = in.u32();
  return out;
}

std::optional<Explained> problem_of_service(const ConfigurationParts& parts,
                                            const Members& members) {
  const std::size_t faults = parts.settings.service_faults;
  const auto wrong = [](std::string what) { return Explained{.what = std::move(what)}; };
  if (parts.service.size() < 2 * faults + 1 || parts.service.size() > 3 * faults + 1) {
    return wrong("the configuration service has " + std::to_string(parts.service.size()) +
                 " members; F = " + std::to_string(faults) + " needs " +
                 std::to_string(2 * faults + 1) + " to " + std::to_string(3 * faults + 1));
  }
  // One key in two seats would count twice, and an epoch key that signs other things could not be
  // erased.
  std::set<crypto::PublicKey> keys;
  for (const Organisation& organisation : parts.organisations) keys.insert(organisation.authority);
  std::set<std::uint32_t> nodes;
  std::vector<std::size_t> seats_of(parts.organisations.size());
  for (const ServiceMember& member : parts.service) {
    if (member.node >= members.nodes().size()) return wrong("a service member is no node");
    const Node& node = members.nodes()[member.node];
    if (!nodes.insert(member.node).second) {
      return wrong("node '" + node.name + "' has two seats of the configuration service");
    }
    if (!keys.insert(member.epoch_key).second || members.index_of(member.epoch_key)) {
      return wrong("the epoch key of node '" + node.name + "' is used elsewhere");
    }
    if (++seats_of[node.organisation] > std::max<std::size_t>(faults, 1)) {
      return wrong("organisation '" + parts.organisations[node.organisation].name +
                   "' has more than F seats of the configuration service");
    }
  }
  return std::nullopt;
}

std::size_t fillable_seats(const Settings& settings, const std::vector<std::uint32_t>& nodes_of) {
  std::size_t seats = 0;
  for (const std::uint32_t count : nodes_of) {
    seats += std::min<std::size_t>(count, settings.cap);
  }
  return std::min<std::size_t>(seats, 3 * std::size_t{settings.faults} + 1);
}

}  // namespace rosebud::membership
