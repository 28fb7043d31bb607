// Virtual time, and in it the replica of one seat, as replication/replica_driver.h runs one: what
// it says leaves when everything that it persisted before is on disk.
#pragma once

#include <algorithm>
#include <functional>
#include <map>

#include "pbft/replica.h"
#include "service/instance.h"

namespace rosebud::service {

/// Actions in the order of (time, number).
class Agenda {
 public:
  using Action = std::move_only_function<void()>;

  Instant now() const { return now_; }
  void at(Instant time, Action action) {
    actions_.emplace(std::pair(std::max(time, now_), ++count_), std::move(action));
  }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  /// When all that happens now has happened.
  void post(Action action) { at(now_, std::move(action)); }

  /// True when `is_done` was, within `limit`.
  bool run_until(const std::function<bool()>& is_done, Duration limit) {
    const Instant end = now_ + limit;
    while (!is_done()) {
      if (actions_.empty() || actions_.begin()->first.first > end) {
        now_ = end;
        return is_done();
      }
      auto next = actions_.extract(actions_.begin());
      now_ = next.key().first;
      next.mapped()();
    }
    return true;
  }

 private:
  Instant now_ = Instant(std::chrono::seconds(1));
  std::uint64_t count_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, Action> actions_;
};

/// The replica of a seat, as replication/replica_driver.h runs one.
class SeatReplica {
 public:
  struct Events {
    std::function<void(pbft::ReplicaId, const Buffer&)> send;
    std::function<void(const pbft::ClientId&, const pbft::Reply&)> reply;
    std::function<void()> on_change;
    std::function<pbft::Now()> now;
  };

  SeatReplica(Agenda& agenda, pbft::Identity identity, std::shared_ptr<const pbft::Group> group,
              pbft::StateMachine& machine, std::map<Bytes, Bytes>& records, Random random,
              Events events)
      : agenda_(agenda),
        records_(records),
        random_(random.fork()),
        events_(std::move(events)),
        verifier_(std::move(group), replica_settings().group, crypto::model_scheme()),
        replica_(std::move(identity), verifier_, replica_settings(), machine, recovered(records),
                 random.fork()) {}

  void start() {
    feed([this](pbft::Effects& out) { replica_.start(events_.now(), out); });
  }
  const pbft::Replica& replica() const { return replica_; }

  /// False: no message.
  bool take_message(pbft::ReplicaId from, ByteView bytes) {
    auto message = pbft::decode(verifier_.group().instance(), bytes);
    if (!message) return false;
    const auto verified = verifier_.message(std::move(*message));
    if (!verified) return true;
    later([this, from, verified = *verified](pbft::Effects& out) {
      replica_.on_message(events_.now(), from, verified, out);
    });
    return true;
  }
  bool take_request(ByteView bytes) {
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
  void on_link(pbft::ReplicaId peer, bool is_up) {
    feed([this, peer, is_up](pbft::Effects& out) {
      replica_.on_link(events_.now(), peer, is_up, out);
    });
  }

 private:
  static pbft::PersistentState recovered(const std::map<Bytes, Bytes>& records) {
    pbft::PersistentState out;
    for (const auto& [key, value] : records) out.records.emplace_back(key, value);
    return out;
  }

  /// Signatures are verified in a turn of their own.
  template <typename Input>
  void later(Input input) {
    agenda_.post([this, alive = std::weak_ptr(alive_), input = std::move(input)] {
      if (!alive.expired()) feed(input);
    });
  }
  template <typename Input>
  void feed(Input input) {
    pbft::Effects effects;
    input(effects);
    for (pbft::Effect& effect : effects) perform(std::move(effect));
    events_.on_change();
    wake();
  }

  /// Nothing leaves before what was persisted earlier is on disk, whichever input it came from.
  void perform(pbft::Effect effect) {
    if (auto* persist = std::get_if<pbft::Persist>(&effect)) return write(std::move(*persist));
    if (agenda_.now() >= synced_at_) return leave(effect);
    agenda_.at(synced_at_, [this, alive = std::weak_ptr(alive_), effect = std::move(effect)] {
      if (!alive.expired()) leave(effect);
    });
  }
  void write(pbft::Persist persist) {
    if (agenda_.now() > sync_begins_) {
      sync_begins_ = std::max(agenda_.now(), synced_at_);
      synced_at_ = sync_begins_ + Duration(static_cast<std::int64_t>(random_.between(50, 3000)));
    }
    agenda_.at(synced_at_, [this, alive = std::weak_ptr(alive_), persist = std::move(persist)] {
      if (alive.expired()) return;
      for (const pbft::Write& one : persist.writes) {
        if (one.value) records_[one.key] = to_bytes(one.value->view());
        if (!one.value) records_.erase(one.key);
      }
    });
  }
  void leave(const pbft::Effect& effect) {
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
  void wake() {
    const Instant next = replica_.next_deadline();
    if (next == Instant::max() || next == wake_at_) return;
    wake_at_ = next;
    agenda_.at(next, [this, next, alive = std::weak_ptr(alive_)] {
      if (alive.expired() || wake_at_ != next) return;
      wake_at_ = Instant::max();
      feed([this](pbft::Effects& out) { replica_.on_time(events_.now(), out); });
    });
  }

  Agenda& agenda_;
  std::map<Bytes, Bytes>& records_;
  Random random_;
  Events events_;
  pbft::Verifier verifier_;
  pbft::Replica replica_;
  Instant sync_begins_;
  Instant synced_at_;
  Instant wake_at_ = Instant::max();
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace rosebud::service
