// BEP 44, mutable items in BitTorrent's DHT, as libtorrent 2.0 does it: eight nodes of one process
// each, and the driver as one more. Items are signed (Ed25519) and kept in memory by the eight
// nodes nearest to their key. libtorrent's tables take in who stores, also a node that only asks
// (dht_read_only) and never answers: so the driver is a whole node.
//
// A write first looks up what is there, to give the next sequence number. A read ends with the
// answer that libtorrent calls authoritative: all nodes were asked that may hold a newer item.
#include <unistd.h>

#include <atomic>
#include <libtorrent/address.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/kademlia/ed25519.hpp>
#include <libtorrent/kademlia/item.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "driver.h"

namespace rosebud::peers {
namespace {

/// No contact outside loopback, many nodes on one address, and no limit that would be what is
/// measured.
lt::session_params settings_of(std::uint16_t port) {
  lt::settings_pack pack;
  pack.set_str(lt::settings_pack::listen_interfaces, "127.0.0.1:" + std::to_string(port));
  pack.set_str(lt::settings_pack::dht_bootstrap_nodes, "");
  for (const int off :
       {lt::settings_pack::enable_lsd, lt::settings_pack::enable_upnp,
        lt::settings_pack::enable_natpmp, lt::settings_pack::dht_restrict_routing_ips,
        lt::settings_pack::dht_restrict_search_ips, lt::settings_pack::dht_enforce_node_id,
        lt::settings_pack::dht_prefer_verified_node_ids,
        lt::settings_pack::dht_ignore_dark_internet})
    pack.set_bool(off, false);
  pack.set_bool(lt::settings_pack::enable_dht, true);
  pack.set_int(lt::settings_pack::recv_socket_buffer_size,
               4 << 20);  // as much as the kernel grants
  pack.set_int(lt::settings_pack::dht_upload_rate_limit, 500'000'000);
  pack.set_int(lt::settings_pack::dht_block_ratelimit, 10'000'000);
  pack.set_int(lt::settings_pack::dht_max_dht_items, 1'000'000);
  pack.set_int(lt::settings_pack::alert_queue_size, 1'000'000);
  pack.set_int(lt::settings_pack::alert_mask, lt::alert_category::dht | lt::alert_category::error);
  return lt::session_params(std::move(pack));
}

void add_nodes(lt::session& session, std::uint16_t own_port, const Options& options) {
  for (const auto port : options.ports)
    if (port != own_port) session.add_dht_node({"127.0.0.1", port});
}

class Bep44 : public System {
 public:
  explicit Bep44(const Options& options) : session_(session_of(options)) {
    std::tie(public_key_, secret_key_) =
        lt::dht::ed25519_create_keypair(lt::dht::ed25519_create_seed());
    add_nodes(session_, options.own_port, options);
    wait_for_nodes(options.ports.size());
    alerts_ = std::thread([this] { take_alerts(); });
  }
  ~Bep44() override {
    is_stopping_ = true;
    alerts_.join();
  }

  void write(std::size_t record, Bytes value, load::Ended ended) override {
    put(puts_, record, std::move(ended));
    session_.dht_put_item(
        public_key_.bytes,
        [this, text = std::string(as_text(value))](lt::entry& item, std::array<char, 64>& signature,
                                                   std::int64_t& number, const std::string& salt) {
          item = text;
          ++number;
          std::vector<char> encoded;
          lt::bencode(std::back_inserter(encoded), item);
          signature = lt::dht::sign_mutable_item(encoded, salt, lt::dht::sequence_number(number),
                                                 public_key_, secret_key_)
                          .bytes;
        },
        salt_of(record));
  }

  void read(std::size_t record, load::Ended ended) override {
    put(gets_, record, std::move(ended));
    session_.dht_get_item(public_key_.bytes, salt_of(record));
  }

 private:
  /// By salt: what waits for an alert. At most one read and one write of a record are under way.
  using Waiting = std::map<std::string, load::Ended>;

  static lt::session_params session_of(const Options& options) {
    auto params = settings_of(options.own_port);
    // One node to the others, whichever driver runs: they would ask those that are gone for a
    // while.
    params.dht_state.nids.emplace_back(lt::make_address("127.0.0.1"),
                                       lt::sha1_hash("the driver's node id"));
    return params;
  }

  static std::string salt_of(std::size_t record) { return std::to_string(record); }

  void put(Waiting& waiting, std::size_t record, load::Ended ended) {
    const std::lock_guard lock(mutex_);
    const bool is_new = waiting.emplace(salt_of(record), std::move(ended)).second;
    CHECK(is_new);
  }

  void end(Waiting& waiting, const std::string& salt, std::string_view failure) {
    std::unique_lock lock(mutex_);
    auto node = waiting.extract(salt);
    lock.unlock();
    if (node) node.mapped()(failure);
  }

  void wait_for_nodes(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (std::size_t seen = 0; seen < count;) {
      if (std::chrono::steady_clock::now() > deadline) throw Failure{"not all nodes answer"};
      session_.post_dht_stats();
      session_.wait_for_alert(std::chrono::milliseconds(100));
      std::vector<lt::alert*> alerts;
      session_.pop_alerts(&alerts);
      for (const lt::alert* alert : alerts) {
        const auto* stats = lt::alert_cast<lt::dht_stats_alert>(alert);
        if (!stats) continue;
        seen = 0;
        for (const auto& bucket : stats->routing_table)
          seen += static_cast<std::size_t>(bucket.num_nodes + bucket.num_replacements);
      }
    }
  }

  void take_alerts() {
    while (!is_stopping_) {
      session_.wait_for_alert(std::chrono::milliseconds(100));
      std::vector<lt::alert*> alerts;
      session_.pop_alerts(&alerts);
      for (const lt::alert* alert : alerts) {
        if (const auto* put = lt::alert_cast<lt::dht_put_alert>(alert)) {
          end(puts_, put->salt, put->num_success > 0 ? "" : "not_stored");
        } else if (const auto* got = lt::alert_cast<lt::dht_mutable_item_alert>(alert)) {
          if (!got->authoritative) continue;
          const bool is_found = got->item.type() == lt::entry::string_t;
          end(gets_, got->salt, is_found ? "" : "not_found");
        }
      }
    }
  }

  lt::dht::public_key public_key_;
  lt::dht::secret_key secret_key_;
  std::mutex mutex_;
  Waiting puts_;
  Waiting gets_;
  std::atomic<bool> is_stopping_ = false;
  lt::session session_;
  std::thread alerts_;
};

[[noreturn]] void serve(std::uint16_t port, const Options& options) {
  lt::session session(settings_of(port));
  add_nodes(session, port, options);
  for (;;) ::pause();
}

}  // namespace
}  // namespace rosebud::peers

int main(int argc, char** argv) {
  using namespace rosebud::peers;
  return drive(argc, argv,
               {.open = [](const Options& options) { return std::make_unique<Bep44>(options); },
                .serve = serve});
}
