#include "pbft/state_transfer.h"

#include <algorithm>

namespace rosebud::pbft {

StateTransfer::StateTransfer(const Group& group, ReplicaId self, const Settings& settings,
                             Certificate target, Random random)
    : instance_(group.instance()), self_(self), settings_(settings), random_(random) {
  retarget(std::move(target));
}

void StateTransfer::retarget(Certificate target) {
  target_ = std::move(target);
  sources_.clear();
  for (const Endorsement& one : target_.endorsements) {
    if (one.replica != self_) sources_.push_back(one.replica);
  }
  random_.shuffle(sources_);
  manifest_.reset();
  manifest_asked_.reset();
  missing_.clear();
}

ReplicaId StateTransfer::next_source(const std::vector<bool>& is_link_down) {
  for (std::size_t passed_over = 0; passed_over < sources_.size(); ++passed_over) {
    const ReplicaId out = sources_[turn_++ % sources_.size()];
    if (!is_link_down[out.value]) return out;
  }
  return sources_[turn_++ % sources_.size()];
}

std::vector<StateTransfer::Ask> StateTransfer::ask(Instant now, const CheckpointStore& known,
                                                   const std::vector<bool>& is_link_down) {
  std::vector<Ask> out;
  if (sources_.empty()) return out;
  const bool has_links =
      std::ranges::any_of(sources_, [&](ReplicaId source) { return !is_link_down[source.value]; });
  const auto is_over = [&](const Asked& one) {
    return now >= one.until || (has_links && is_link_down[one.from.value]);
  };
  if (!manifest_) {
    if (!manifest_asked_ || is_over(*manifest_asked_)) {
      manifest_asked_ = Asked{next_source(is_link_down), now + settings_.fetch_timeout};
      out.push_back({manifest_asked_->from, FetchManifest{target_.digest}});
    }
    return out;
  }
  std::erase_if(in_flight_, [&](const auto& one) { return is_over(one.second); });
  std::vector<crypto::Digest> found;
  for (const crypto::Digest& digest : missing_) {
    if (in_flight_.size() >= settings_.chunks_in_flight_max) break;
    if (in_flight_.contains(digest)) continue;
    if (const Buffer* chunk = known.find_chunk(digest)) {
      chunks_[digest] = *chunk;
      found.push_back(digest);
      continue;
    }
    const Asked asked{next_source(is_link_down), now + settings_.fetch_timeout};
    in_flight_[digest] = asked;
    out.push_back({asked.from, FetchChunk{digest}});
  }
  for (const crypto::Digest& digest : found) missing_.erase(digest);
  return out;
}

Instant StateTransfer::next_deadline() const {
  if (!manifest_) return manifest_asked_ ? manifest_asked_->until : Instant{};
  Instant out = Instant::max();
  for (const auto& [digest, asked] : in_flight_) out = std::min(out, asked.until);
  return out;
}

void StateTransfer::on_manifest(const Buffer& manifest) {
  if (manifest_) return;
  if (Manifest::digest(instance_, manifest.view()) != target_.digest &&
      !is_planted(Bug::kTransferWithoutDigest)) {
    return;
  }
  auto decoded = Manifest::decode(manifest.view());
  if (!decoded || decoded->number != target_.number) return;
  manifest_ = std::move(decoded);
  encoded_ = manifest;
  const std::map<crypto::Digest, Buffer> fetched = std::exchange(chunks_, {});
  for (const auto* list : {&manifest_->client_table, &manifest_->service}) {
    for (const crypto::Digest& digest : *list) {
      const auto at = fetched.find(digest);
      if (at == fetched.end()) {
        missing_.insert(digest);
      } else {
        chunks_.insert(*at);
      }
    }
  }
  std::erase_if(in_flight_, [this](const auto& one) { return !missing_.contains(one.first); });
}

void StateTransfer::on_chunk(const Buffer& chunk) {
  crypto::Digest digest = chunk_digest(instance_, chunk.view());
  if (is_planted(Bug::kTransferWithoutDigest) && !in_flight_.empty() &&
      !in_flight_.contains(digest)) {
    digest = in_flight_.begin()->first;
  }
  // Asked for before the target changed: the next manifest may name it too.
  const bool is_asked_for = in_flight_.erase(digest) > 0;
  if (missing_.erase(digest) == 0 && !(is_asked_for && !manifest_)) return;
  chunks_[digest] = chunk;
}

bool StateTransfer::is_complete() const { return manifest_ && missing_.empty(); }

Checkpoint StateTransfer::take() {
  CHECK(is_complete());
  Checkpoint out{.manifest = std::move(*manifest_), .encoded = encoded_, .digest = target_.digest};
  for (const auto* list : {&out.manifest.client_table, &out.manifest.service}) {
    for (const crypto::Digest& digest : *list) out.chunks[digest] = chunks_.at(digest);
  }
  return out;
}

}  // namespace rosebud::pbft
