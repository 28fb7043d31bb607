#include "service/sim/seat.h"

namespace rosebud::service::sim {
namespace {

pbft::PersistentState recovered(const std::map<Bytes, Bytes>& records) {
  pbft::PersistentState out;
  for (const auto& [key, value] : records) out.records.emplace_back(key, value);
  return out;
}

}  // namespace

SeatReplica::SeatReplica(Agenda& agenda, pbft::Identity identity,
                         std::shared_ptr<const pbft::Group> group, pbft::StateMachine& machine,
                         std::map<Bytes, Bytes>& records, Random random, Events events)
    : agenda_(agenda),
      records_(records),
      random_(random.fork()),
      events_(std::move(events)),
      verifier_(std::move(group), replica_settings().group, crypto::model_scheme()),
      replica_(std::move(identity), verifier_, replica_settings(), machine, recovered(records),
               random.fork()) {}

/// Signatures are verified in a turn of their own.
template <typename Input>
void SeatReplica::later(Input input) {
  agenda_.post([this, alive = std::weak_ptr(alive_), input = std::move(input)] {
    if (!alive.expired()) feed(input);
  });
}

template <typename Input>
void SeatReplica::feed(Input input) {
  pbft::Effects effects;
  input(effects);
  for (pbft::Effect& effect : effects) perform(std::move(effect));
  events_.on_change();
  wake();
}

void SeatReplica::start() {
  feed([this](pbft::Effects& out) { replica_.start(events_.now(), out); });
}

bool SeatReplica::take_message(pbft::ReplicaId from, ByteView bytes) {
  auto message = pbft::decode(verifier_.group().instance(), bytes);
  if (!message) return false;
  const auto verified = verifier_.message(std::move(*message));
  if (!verified) return true;
  later([this, from, verified = *verified](pbft::Effects& out) {
    replica_.on_message(events_.now(), from, verified, out);
  });
  return true;
}

bool SeatReplica::take_request(ByteView bytes) {
  wire::Reader in(bytes);
  pbft::Request request = pbft::read_request(in);
  if (!in.done()) return false;
  const auto verified = verifier_.request(std::move(request));
  if (!verified) return true;
  later([this, verified = *verified](pbft::Effects& out) {
    replica_.on_request(events_.now(), verified, out);
  });
  return true;
}

void SeatReplica::on_link(pbft::ReplicaId peer, bool is_up) {
  feed([this, peer, is_up](pbft::Effects& out) {
    replica_.on_link(events_.now(), peer, is_up, out);
  });
}

/// Nothing leaves before what was persisted earlier is on disk, whichever input it came from.
void SeatReplica::perform(pbft::Effect effect) {
  if (auto* persist = std::get_if<pbft::Persist>(&effect)) return write(std::move(*persist));
  if (syncing_ == 0) return leave(effect);
  agenda_.at(synced_at_, [this, alive = std::weak_ptr(alive_), effect = std::move(effect)] {
    if (!alive.expired()) leave(effect);
  });
}

void SeatReplica::write(pbft::Persist persist) {
  if (agenda_.now() > sync_begins_) {
    sync_begins_ = std::max(agenda_.now(), synced_at_);
    synced_at_ = sync_begins_ + Duration(static_cast<std::int64_t>(random_.between(50, 3000)));
  }
  ++syncing_;
  agenda_.at(synced_at_, [this, alive = std::weak_ptr(alive_), persist = std::move(persist)] {
    if (alive.expired()) return;
    for (const pbft::Write& one : persist.writes) {
      if (one.value) records_[one.key] = to_bytes(one.value->view());
      if (!one.value) records_.erase(one.key);
    }
    --syncing_;
    feed([this](pbft::Effects& out) { replica_.on_durable(events_.now(), 1, out); });
  });
}

void SeatReplica::leave(const pbft::Effect& effect) {
  if (const auto* reply = std::get_if<pbft::SendReply>(&effect)) {
    events_.reply(reply->to, reply->reply);
  } else if (const auto* one = std::get_if<pbft::Send>(&effect)) {
    events_.send(one->to, Buffer(pbft::encode(one->message)));
  } else if (const auto* all = std::get_if<pbft::Broadcast>(&effect)) {
    const Buffer bytes(pbft::encode(all->message));
    for (const pbft::ReplicaId member : verifier_.group().members()) {
      if (member != replica_.id()) events_.send(member, bytes);
    }
  }
}

void SeatReplica::wake() {
  const Instant next = replica_.next_deadline();
  if (next == Instant::max() || next == wake_at_) return;
  wake_at_ = next;
  agenda_.at(next, [this, next, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || wake_at_ != next) return;
    wake_at_ = Instant::max();
    feed([this](pbft::Effects& out) { replica_.on_time(events_.now(), out); });
  });
}

}  // namespace rosebud::service::sim
