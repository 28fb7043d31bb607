// OpenDHT, 2.4: eight nodes of one process each, and the driver as one more. Values are signed by
// the driver's key (RSA of 2048 bits: what is signed with P-256 is never found again) and kept in
// memory by the eight nodes nearest to their key; every answer's signature is verified.
//
// A write first looks up what is there, to give the next sequence number (putSigned). A read ends
// when the lookup ends: only then have all nodes been asked that may hold a newer value.
#include <opendht.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "driver.h"

namespace rosebud::peers {
namespace {

/// As open as OpenDHT allows: its limits would be what is measured.
dht::DhtRunner::Config configuration() {
  dht::DhtRunner::Config config;
  auto& node = config.dht_config.node_config;
  node.max_req_per_sec = -1;
  node.max_peer_req_per_sec = -1;
  node.max_searches = -1;
  node.max_store_size = -1;
  node.max_store_keys = -1;
  return config;
}

/// OpenDHT leaves its sockets' buffers at the kernel's default, where what arrives at once with
/// many lookups under way is lost and asked for again a second later; and it does not show its
/// sockets.
void widen_receive_buffers() {
  constexpr int kAnySocket = 256;
  const int bytes = 4 << 20;  // as much as the kernel grants
  for (int fd = 3; fd < kAnySocket; ++fd)
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);  // nothing on other files
}

void run(dht::DhtRunner& node, std::uint16_t port, dht::DhtRunner::Config config,
         const Options& options) {
  node.run("127.0.0.1", "", std::to_string(port).c_str(), config);
  widen_receive_buffers();
  for (const auto known : options.ports)
    if (known != port) node.bootstrap("127.0.0.1", std::to_string(known));
}

class OpenDht : public System {
 public:
  explicit OpenDht(const Options& options) {
    auto config = configuration();
    config.dht_config.id = dht::crypto::generateIdentity("driver", {}, 2048);
    // One node to the others, whichever driver runs: they would ask those that are gone for a
    // while.
    config.dht_config.node_config.node_id = dht::InfoHash::get("the driver");
    run(node_, options.own_port, std::move(config), options);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (node_.getNodesStats(AF_INET).good_nodes < options.ports.size()) {
      if (std::chrono::steady_clock::now() > deadline) throw Failure{"not all nodes answer"};
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  ~OpenDht() override { node_.join(); }

  void write(std::size_t record, Bytes value, load::Ended ended) override {
    auto signed_value = std::make_shared<dht::Value>(std::move(value));
    signed_value->id = 1;
    node_.putSigned(key_of(record), signed_value, [ended = std::move(ended)](bool is_stored) {
      ended(is_stored ? "" : "not_stored");
    });
  }

  void read(std::size_t record, load::Ended ended) override {
    auto is_found = std::make_shared<bool>(false);  // on OpenDHT's own thread alone
    node_.get(
        key_of(record),
        [is_found](const std::vector<std::shared_ptr<dht::Value>>& values) {
          *is_found = *is_found || !values.empty();
          return true;
        },
        [is_found, ended = std::move(ended)](bool) { ended(*is_found ? "" : "not_found"); });
  }

 private:
  /// A driver's own: a value of another owner under the same key could not be replaced.
  dht::InfoHash key_of(std::size_t record) const {
    return dht::InfoHash::get(node_.getId().toString() + std::to_string(record));
  }

  dht::DhtRunner node_;
};

[[noreturn]] void serve(std::uint16_t port, const Options& options) {
  dht::DhtRunner node;
  run(node, port, configuration(), options);
  for (;;) ::pause();
}

}  // namespace
}  // namespace rosebud::peers

int main(int argc, char** argv) {
  using namespace rosebud::peers;
  return drive(argc, argv,
               {.open = [](const Options& options) { return std::make_unique<OpenDht>(options); },
                .serve = serve});
}
