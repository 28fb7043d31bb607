#include "pbft/session_keys.h"

namespace rosebud::pbft {

std::optional<crypto::MacKey> session_key(const InstanceId& instance, const ClientId& client,
                                          const crypto::PublicKey& replica,
                                          const crypto::SecretKey& own,
                                          const crypto::SignatureScheme& scheme) noexcept {
  const crypto::PublicKey& other = own.public_key() == client ? replica : client;
  const auto secret = scheme.agree(own, other);
  if (!secret) return std::nullopt;
  const crypto::Digest key = crypto::Hasher("rosebud pbft session 1")
                                 .update(instance.view())
                                 .update(client.view())
                                 .update(replica.view())
                                 .update(secret->view())
                                 .finish();
  return crypto::MacKey::from(key.view());
}

ClientSessions::ClientSessions(const Group& group, const crypto::SecretKey& key,
                               const crypto::SignatureScheme& scheme)
    : instance_(group.instance()), client_(key.public_key()), keys_(group.seat_count()) {
  for (const ReplicaId member : group.members()) {
    keys_[member.value] = session_key(instance_, client_, group.key_of(member), key, scheme);
  }
}

Request ClientSessions::authenticate(RequestNumber number, Buffer operation) const {
  Request out{.client = client_, .number = number, .operation = std::move(operation)};
  const crypto::Digest digest = out.digest(instance_);
  for (const auto& key : keys_) {
    out.macs.push_back(key ? crypto::authenticate(*key, digest.view()) : crypto::Mac{});
  }
  return out;
}

ReplicaSessions::ReplicaSessions(const Group& group, ReplicaId self, crypto::SecretKey key,
                                 const crypto::SignatureScheme& scheme, std::size_t clients_max)
    : instance_(group.instance()),
      self_(self),
      key_(std::move(key)),
      scheme_(&scheme),
      clients_max_(clients_max) {}

bool ReplicaSessions::is_authentic(const Request& request, const crypto::Digest& digest) noexcept {
  if (request.macs.size() <= self_.value) return false;
  const crypto::Mac& mac = request.macs[self_.value];
  if (const auto at = keys_.find(request.client); at != keys_.end()) {
    return crypto::is_valid(mac, at->second, digest.view());
  }
  const auto key = session_key(instance_, request.client, key_.public_key(), key_, *scheme_);
  if (!key || !crypto::is_valid(mac, *key, digest.view())) return false;
  remember(request.client, *key);
  return true;
}

/// Only of who has the key: what others invent drives nobody out.
void ReplicaSessions::remember(const ClientId& client, const crypto::MacKey& key) {
  if (by_age_.size() >= clients_max_) {
    keys_.erase(by_age_.front());
    by_age_.pop_front();
  }
  keys_.emplace(client, key);
  by_age_.push_back(client);
}

}  // namespace rosebud::pbft
