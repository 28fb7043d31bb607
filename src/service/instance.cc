#include "service/instance.h"

#include "base/check.h"
#include "membership/description.h"

namespace rosebud::service {

pbft::InstanceId instance_of(const membership::Configuration& configuration) {
  const crypto::Digest digest = crypto::Hasher("rosebud service instance 1")
                                    .update(configuration.cluster().view())
                                    .update_u64(configuration.number().generation.value)
                                    .update_u64(configuration.number().epoch.value)
                                    .update(configuration.header_hash().view())
                                    .finish();
  return *pbft::InstanceId::from(digest.view());
}

static_assert(membership::kSeatsMax <= pbft::kSeatsMax);

std::shared_ptr<const pbft::Group> group_of(const membership::Configuration& configuration) {
  CHECK(!configuration.service().empty());
  const std::size_t faults = configuration.settings().service_faults;
  std::vector<std::optional<crypto::PublicKey>> seats(3 * faults + 1);
  for (std::size_t seat = 0; seat < configuration.service().size(); ++seat) {
    seats.at(seat) = configuration.service()[seat].epoch_key;
  }
  return std::make_shared<const pbft::Group>(instance_of(configuration), std::move(seats));
}

pbft::Settings replica_settings() {
  pbft::Settings out;
  out.group.checkpoint_interval = 16;
  out.group.window = 32;
  out.instances_in_flight_max = 4;
  return out;
}

std::optional<pbft::ReplicaId> seat_of(const membership::Configuration& configuration,
                                       const wire::NodeKey& node) {
  const auto& service = configuration.service();
  for (std::uint16_t seat = 0; seat < service.size(); ++seat) {
    if (configuration.nodes()[service[seat].node].key == node) return pbft::ReplicaId(seat);
  }
  return std::nullopt;
}

const wire::NodeKey& node_of(const membership::Configuration& configuration, pbft::ReplicaId seat) {
  return configuration.nodes()[configuration.service().at(seat.value).node].key;
}

}  // namespace rosebud::service
