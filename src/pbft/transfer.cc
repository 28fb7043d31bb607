// Fetching a stable checkpoint that this replica did not reach by itself, and letting others fetch.
#include "pbft/records.h"
#include "pbft/replica.h"

namespace rosebud::pbft {

// ---- Giving ----

void Replica::on(Now now, ReplicaId from, const FetchManifest& message, Effects& out) {
  const Buffer* manifest = checkpoints_.find_manifest(message.checkpoint);
  if (!manifest || !may_give(now, from, manifest->size())) return;
  out.push_back(Send{from, ManifestFound{*manifest}});
}

void Replica::on(Now now, ReplicaId from, const FetchChunk& message, Effects& out) {
  const Buffer* chunk = checkpoints_.find_chunk(message.chunk);
  if (!chunk || !may_give(now, from, chunk->size())) return;
  out.push_back(Send{from, ChunkFound{*chunk}});
}

// ---- Taking ----

void Replica::on_transfer_timeout(Now now, Effects& out) {
  if (!transfer_ && transfer_at_ && now.instant >= *transfer_at_) {
    CHECK(ahead_);
    transfer_at_.reset();
    transfer_.emplace(group(), identity_.self, settings_, *ahead_, random_.fork());
  }
  if (transfer_ && now.instant >= transfer_->next_deadline()) go_on_with_transfer(now, out);
}

void Replica::go_on_with_transfer(Now now, Effects& out) {
  for (StateTransfer::Ask& ask : transfer_->ask(now.instant, checkpoints_, is_link_down_)) {
    out.push_back(Send{ask.from, std::move(ask.message)});
  }
  if (transfer_->is_complete()) install(now, out);
}

void Replica::on(Now now, ReplicaId, const ManifestFound& message, Effects& out) {
  if (!transfer_) return;
  transfer_->on_manifest(message.manifest);
  go_on_with_transfer(now, out);
}

void Replica::on(Now now, ReplicaId, const ChunkFound& message, Effects& out) {
  if (!transfer_) return;
  transfer_->on_chunk(message.chunk);
  go_on_with_transfer(now, out);
}

/// The state of the target takes the place of the own one.
void Replica::install(Now now, Effects& out) {
  const Certificate certificate = transfer_->target();
  Checkpoint checkpoint = transfer_->take();
  transfer_.reset();
  if (!take_over(checkpoint)) return;
  ++transfers_;
  const SequenceNumber number = certificate.number;
  std::vector<Write> writes{records::checkpoint(number, checkpoint.encoded, {})};
  for (const auto& [digest, chunk] : checkpoint.chunks) {
    writes.push_back(records::chunk(digest, chunk));
  }
  // What it computed beyond from another state is worth nothing.
  while (checkpoints_.newest() && checkpoints_.newest()->manifest.number >= number) {
    const auto forgotten = checkpoints_.remove(checkpoints_.newest()->manifest.number);
    for (const SequenceNumber n : forgotten.numbers) {
      if (n != number) writes.push_back(records::erase_checkpoint(n));
    }
    for (const auto& digest : forgotten.chunks) {
      if (!checkpoint.chunks.contains(digest)) writes.push_back(records::erase_chunk(digest));
    }
  }
  checkpoints_.add(std::move(checkpoint));
  persist(std::move(writes), out);
  answer_what_is_done(out);
  make_stable(now, certificate, out);
  execute_ready(now, out);
  status_at_ = now.instant;  // what lies above is asked for at once
}

/// Sets the state to that of the checkpoint. False, and nothing changed, when it makes no sense.
bool Replica::take_over(const Checkpoint& checkpoint) {
  ClientTable clients(settings_.group, hash_secret_);
  if (!clients.restore(checkpoint.client_table()) || !machine_.restore(checkpoint.service())) {
    return false;
  }
  clients_ = std::move(clients);
  executed_ = checkpoint.manifest.number;
  clock_.restore(checkpoint.manifest.time);
  is_stopped_ = checkpoint.manifest.is_stopped;
  return true;
}

/// Suppose a request that the new state contains went on waiting: nobody would ever order it, and
/// this replica would leave one view after the other. Its client may be one reply short: those that
/// executed it are F+1 only together with this one when others are down.
void Replica::answer_what_is_done(Effects& out) {
  pending_.remove_if([&](const Request& request) {
    if (!is_done(request)) return false;
    const ClientTable::Entry* last = clients_.find(request.client);
    if (last && last->number == request.number &&
        last->operation == operation_digest(request.operation.view())) {
      Reply reply = reply_to(request);
      reply.result = last->result;
      out.push_back(SendReply{request.client, std::move(reply)});
    }
    return true;
  });
  if (is_stopped_) pending_.clear();
  if (is_stopped_) unready_.clear();
}

}  // namespace rosebud::pbft
