// The key-value store of key_value.h in a group of four in one process, without disks or sockets,
// of which one says nothing at all. A real driver also makes `Persist` durable before anything that
// follows it leaves, and calls on_time() at next_deadline(): replicated/ has one.
#include "key_value.h"

#include <cstdio>
#include <deque>
#include <functional>

#include "pbft/client.h"
#include "pbft/replica.h"

using namespace rosebud;
using namespace rosebud::pbft;

// ---- A driver as small as can be ----

int main() {
  std::vector<crypto::SecretKey> keys(4);
  std::vector<std::optional<crypto::PublicKey>> seats;
  for (auto& key : keys) {
    key = crypto::SecretKey::generate();
    seats.emplace_back(key.public_key());
  }
  const auto group = std::make_shared<const Group>(InstanceId{}, seats);
  const Verifier verifier(group, {}, crypto::ed25519());
  const Now now{Instant{}, AgreedTime(1'700'000'000'000)};

  std::vector<KeyValue> machines(4);
  std::vector<std::unique_ptr<Replica>> replicas(4);
  Client client(crypto::SecretKey::generate(), group, crypto::ed25519(), Random(1));
  std::deque<std::function<void()>> network;
  const auto id = [](std::size_t seat) { return ReplicaId(static_cast<std::uint16_t>(seat)); };

  std::function<void(ClientEffects)> perform_client;
  std::function<void(std::size_t, const Effects&)> perform = [&](std::size_t from,
                                                                 const Effects& effects) {
    if (from == 3) return;  // it says nothing
    const auto send = [&](ReplicaId to, const Message& message) {
      if (to == id(from)) return;
      network.emplace_back([&, from, to, message] {
        Effects out;
        replicas[to.value]->on_message(now, id(from), *verifier.message(message), out);
        perform(to.value, out);
      });
    };
    std::uint64_t persists = 0;
    for (const Effect& effect : effects) {
      if (std::holds_alternative<Persist>(effect)) ++persists;
      if (const auto* one = std::get_if<Send>(&effect)) send(one->to, one->message);
      if (const auto* all = std::get_if<Broadcast>(&effect)) {
        for (const ReplicaId to : group->members()) send(to, all->message);
      }
      if (const auto* said = std::get_if<SendReply>(&effect)) {
        ClientEffects out;
        client.on_reply(now.instant, id(from), said->reply, out);
        perform_client(std::move(out));
      }
    }
    if (persists == 0) return;
    Effects more;  // nothing is written here: it is as good as on disk
    replicas[from]->on_durable(now, persists, more);
    perform(from, more);
  };
  perform_client = [&](ClientEffects effects) {
    for (const ClientEffect& effect : effects) {
      if (const auto* done = std::get_if<Finish>(&effect)) {
        std::printf("answer: '%s'\n", std::string(as_text(done->result.view())).c_str());
      } else if (const auto* ask = std::get_if<SendRequest>(&effect)) {
        network.emplace_back([&, asked = *ask] {
          Effects out;
          replicas[asked.to.value]->on_request(now, *verifier.request(asked.request), out);
          perform(asked.to.value, out);
        });
      }
    }
  };

  for (std::size_t seat = 0; seat < 4; ++seat) {
    replicas[seat] = std::make_unique<Replica>(Identity{id(seat), keys[seat]}, verifier, Settings{},
                                               machines[seat], PersistentState{}, Random(seat));
  }
  for (std::size_t seat = 0; seat < 4; ++seat) {
    Effects out;
    replicas[seat]->start(now, out);
    perform(seat, out);
  }
  for (const char* operation : {"set colour red", "set colour blue", "get colour"}) {
    ClientEffects out;
    client.submit(now.instant, Buffer::copy_of(as_bytes(operation)), out);
    perform_client(std::move(out));
  }
  while (!network.empty()) {
    network.front()();
    network.pop_front();
  }
}
