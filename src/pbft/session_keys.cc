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
                                 const crypto::SignatureScheme& scheme, std::size_t clients_max,
                                 std::uint64_t secret)
    : instance_(group.instance()),
      self_(self),
      key_(std::move(key)),
      scheme_(&scheme),
      clients_max_(clients_max),
      keys_(secret),
      verdicts_(secret) {}

void ReplicaSessions::look_at(const Request& request) noexcept {
  std::size_t agreements = kAgreementsMax;
  (void)is_authentic(request, request.digest(instance_), agreements);
}

void ReplicaSessions::look_at(const Message& message) noexcept {
  if (const auto* request = std::get_if<Request>(&message)) return look_at(*request);
  const auto* proposal = std::get_if<PrePrepare>(&message);
  if (!proposal) return;
  std::size_t agreements = kAgreementsMax;
  for (const Request& request : proposal->batch->batch().requests) {
    (void)is_authentic(request, request.digest(instance_), agreements);
  }
}

bool ReplicaSessions::is_authentic(const Request& request, const crypto::Digest& digest,
                                   std::size_t& agreements) noexcept {
  if (request.macs.size() <= self_.value) return false;
  const Judged judged{digest, request.macs[self_.value]};
  {
    const std::lock_guard lock(mutex_);
    if (const bool* verdict = verdicts_.find(judged)) return *verdict;
  }
  std::optional<crypto::MacKey> key = known_key(request.client);
  const bool is_new = !key;
  if (is_new) {
    if (agreements == 0) return false;
    --agreements;
    key = session_key(instance_, request.client, key_.public_key(), key_, *scheme_);
  }
  const bool is_right = key && crypto::is_valid(judged.second, *key, digest.view());
  // Keys only of who has one: what others invent drives nobody out.
  const std::lock_guard lock(mutex_);
  if (is_right && is_new) remember(request.client, *key);
  remember(judged, is_right);
  return is_right;
}

std::optional<crypto::MacKey> ReplicaSessions::known_key(const ClientId& client) const {
  const std::lock_guard lock(mutex_);
  const crypto::MacKey* key = keys_.find(client);
  return key ? std::optional(*key) : std::nullopt;
}

void ReplicaSessions::remember(const ClientId& client, const crypto::MacKey& key) {
  if (!keys_.emplace(client, key)) return;
  by_age_.push_back(client);
  if (by_age_.size() <= clients_max_) return;
  keys_.erase(by_age_.front());
  by_age_.pop_front();
}

void ReplicaSessions::remember(const Judged& what, bool is_right) {
  if (!verdicts_.emplace(what, is_right)) return;
  verdicts_by_age_.push_back(what);
  if (verdicts_by_age_.size() <= 4 * clients_max_) return;
  verdicts_.erase(verdicts_by_age_.front());
  verdicts_by_age_.pop_front();
}

}  // namespace rosebud::pbft
