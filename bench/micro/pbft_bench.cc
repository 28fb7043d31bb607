// PBFT alone: four replicas in one thread, without signatures, sockets and disks. What is left is
// the protocol and what it keeps.
#include <benchmark/benchmark.h>

#include <deque>

#include "crypto/believes_everything.h"
#include "pbft/replica.h"

namespace rosebud::pbft {
namespace {

const crypto::BelievesEverything kNoSignatures;

class Null final : public StateMachine {
 public:
  Outcome execute(AgreedTime, const ClientId&, ByteView) override { return {}; }
  std::vector<Buffer> snapshot() const override { return {}; }
  bool restore(const std::vector<Buffer>&) override { return true; }
};

class Group4 {
 public:
  static constexpr std::size_t kReplicas = 4;

  explicit Group4(std::size_t clients) : clients_(clients) {
    std::vector<std::optional<crypto::PublicKey>> seats;
    for (auto& key : keys_) {
      key = crypto::SecretKey::generate();
      seats.emplace_back(key.public_key());
    }
    group_ = std::make_shared<const Group>(InstanceId{}, seats);
    verifier_.emplace(group_, settings_.group, kNoSignatures);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      for (std::size_t at = 0; at < 8; ++at)
        clients_[i].bytes[at] = static_cast<std::uint8_t>(i >> (8 * at));
    }
    for (std::size_t seat = 0; seat < kReplicas; ++seat) {
      replicas_[seat] =
          std::make_unique<Replica>(Identity{id(seat), keys_[seat]}, *verifier_, settings_,
                                    machines_[seat], PersistentState{}, Random(seat));
    }
    for (std::size_t seat = 0; seat < kReplicas; ++seat) {
      Effects out;
      replicas_[seat]->start(now_, out);
      perform(seat, std::move(out));
    }
    drain();
    for (std::size_t i = 0; i < clients_.size(); ++i) ask(clients_[i], 1);
    flush();
  }

  /// Delivers messages until so many more requests were executed everywhere where they arrive.
  void run(std::uint64_t requests) {
    const std::uint64_t until = answered_ + requests;
    while (answered_ < until) {
      if (queue_.empty()) flush();
      deliver_next();
    }
  }
  std::uint64_t answered() const { return answered_; }

 private:
  struct Sent {
    std::size_t from;
    std::size_t to;
    std::shared_ptr<const Verified<Message>> message;
  };
  static ReplicaId id(std::size_t seat) { return ReplicaId(static_cast<std::uint16_t>(seat)); }

  void ask(const ClientId& client, std::uint64_t number) {
    asked_.push_back({.client = client,
                      .number = RequestNumber(now_.wall.value * 1000 + number),
                      .operation = {},
                      .signature = {}});
  }
  /// What clients ask goes to the primary together, as it comes over sockets.
  void flush() {
    Effects out;
    for (Request& request : std::exchange(asked_, {}))
      replicas_[0]->on_request(now_, *verifier_->request(std::move(request)), out);
    perform(0, std::move(out));
  }

  void deliver_next() {
    const Sent one = std::move(queue_.front());
    queue_.pop_front();
    Effects out;
    replicas_[one.to]->on_message(now_, id(one.from), *one.message, out);
    perform(one.to, std::move(out));
  }
  void drain() {
    while (!queue_.empty()) deliver_next();
  }

  /// What is persisted is durable at once.
  void perform(std::size_t from, Effects effects) {
    std::uint64_t persists = 0;
    for (Effect& effect : effects) {
      if (auto* one = std::get_if<Send>(&effect)) {
        queue_.push_back({from, one->to.value, verified(std::move(one->message))});
      } else if (auto* all = std::get_if<Broadcast>(&effect)) {
        const auto message = verified(std::move(all->message));
        for (std::size_t to = 0; to < kReplicas; ++to) {
          if (to != from) queue_.push_back({from, to, message});
        }
      } else if (const auto* reply = std::get_if<SendReply>(&effect); reply && from == 0) {
        ++answered_;
        ask(reply->to, reply->reply.number.value + 1 - now_.wall.value * 1000);
      } else if (std::holds_alternative<Persist>(effect)) {
        ++persists;
      }
    }
    if (persists == 0) return;
    Effects more;
    replicas_[from]->on_durable(now_, persists, more);
    perform(from, std::move(more));
  }
  std::shared_ptr<const Verified<Message>> verified(Message message) const {
    return std::make_shared<const Verified<Message>>(*verifier_->message(std::move(message)));
  }

  Settings settings_;
  Now now_{Instant{}, AgreedTime(1'700'000'000'000)};
  std::array<crypto::SecretKey, kReplicas> keys_;
  std::array<Null, kReplicas> machines_;
  std::shared_ptr<const Group> group_;
  std::optional<Verifier> verifier_;
  std::array<std::unique_ptr<Replica>, kReplicas> replicas_;
  std::vector<ClientId> clients_;
  std::vector<Request> asked_;
  std::deque<Sent> queue_;
  std::uint64_t answered_ = 0;
};

/// Null requests, so many in flight, ordered and executed by four replicas.
void pbft(benchmark::State& state) {
  Group4 group(static_cast<std::size_t>(state.range(0)));
  constexpr std::uint64_t kRequests = 4096;
  for (auto _ : state) group.run(kRequests);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRequests));
}
BENCHMARK(pbft)->Arg(64)->Arg(512)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rosebud::pbft
