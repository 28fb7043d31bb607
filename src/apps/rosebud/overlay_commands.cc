// lookup, ring: whose a key is, and who is there, as one node of the overlay sees it.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "apps/rosebud/commands.h"
#include "apps/rosebud/dev_nodes.h"
#include "apps/rosebud/ring_drawing.h"
#include "crypto/random.h"
#include "fs/cid.h"
#include "routing/types.h"

namespace rosebud::apps {
namespace {

struct OverlayOptions {
  std::string folder;
  std::string node;          // of a development cluster; empty: the first that runs
  std::uint16_t port = 0;    // of any node's admin listener; 0: not named
  std::string key;           // of lookup
  std::uint64_t random = 0;  // lookups of random keys
  bool is_watching = false;  // of ring
};

/// The admin listener of the node that is asked.
std::uint16_t port_of(const Globals& globals, const OverlayOptions& options) {
  if (options.port != 0) return options.port;
  const auto nodes = nodes_in(folder_of(globals, options.folder));
  for (const DevNode& node : nodes) {
    if (!options.node.empty() && node.name != options.node) continue;
    const auto port = pid_of(node) ? number_in(node.folder / "admin.port") : std::nullopt;
    if (port) return static_cast<std::uint16_t>(*port);
    if (options.node.empty()) continue;
    stop(ExitCode::kUsage, {.what = options.node + " does not run",
                            .cause = "it was stopped, or it has ended",
                            .next = "see rosebud dev status"});
  }
  if (!options.node.empty()) {
    stop(ExitCode::kUsage, {.what = "there is no node " + options.node,
                            .cause = "it has another name, or it was removed",
                            .next = "see their names: rosebud dev status"});
  }
  stop(ExitCode::kUsage, {.what = "no node of this cluster runs here",
                          .cause = "it was stopped",
                          .next = "start it: rosebud dev up"});
}

nlohmann::json ask(std::uint16_t port, const std::string& method, const std::string& target) {
  const std::string body = or_stop(admin_request(port, method, target));
  auto out = nlohmann::json::parse(body, nullptr, false);
  if (!out.is_object()) {
    stop(ExitCode::kUsage, {.what = "the node's answer makes no sense",
                            .cause = "another program listens on its admin port",
                            .next = "name the node's own: admin.port in its folder"});
  }
  return out;
}

// ---- lookup ----

/// An id of a block, 64 hexadecimal digits, or any text, which is hashed.
routing::Point point_named(const std::string& key) {
  if (const auto cid = fs::Cid::parse(key)) return cid->digest.leading_bits();
  const auto bytes = from_hex(key);
  if (bytes && bytes->size() == crypto::Digest::kSize)
    return crypto::Digest::from(*bytes)->leading_bits();
  return crypto::sha256(as_bytes(key)).leading_bits();
}

nlohmann::json look_up(const Globals& globals, std::uint16_t port, routing::Point key) {
  const auto id = ask(port, "POST", fmt::format("/v1/lookups?key={:016x}", key))["id"];
  const auto until = std::chrono::steady_clock::now() + globals.timeout();
  while (true) {
    auto out = ask(port, "GET", fmt::format("/v1/lookups?id={}", id.get<std::uint64_t>()));
    if (!out.empty()) return out;
    if (std::chrono::steady_clock::now() > until) {
      stop(ExitCode::kNoQuorum, {.what = "the lookup did not end in time",
                                 .cause = "nobody whom the node asks answers",
                                 .next = "see whom it knows: rosebud ring"});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void lookup_one(const Globals& globals, const OverlayOptions& options, std::uint16_t port) {
  const routing::Point key = point_named(options.key);
  nlohmann::json found = look_up(globals, port, key);
  found["key"] = fmt::format("{:016x}", key);
  if (!found["found"].get<bool>()) {
    stop(ExitCode::kNoQuorum, {.what = "nobody was found whose key this is",
                               .cause = "the node takes no part in the overlay yet, or nobody whom "
                                        "it asked answered",
                               .next = "see whom it knows: rosebud ring"});
  }
  const auto hops = found["hops"].get<unsigned>();
  const auto waits = found["waits"].get<unsigned>();
  print(globals, found,
        fmt::format("{} of {} at {}: {}, {:.2f} ms{}", found.value("owner", "?"),
                    found.value("org", "?"), found.value("address", "?"),
                    hops == 0   ? "the node's own"
                    : hops == 1 ? "1 hop"
                                : fmt::format("{} hops", hops),
                    found["microseconds"].get<double>() / 1000,
                    waits == 0 ? "" : fmt::format(" ({} did not answer)", waits)));
}

void lookup_many(const Globals& globals, const OverlayOptions& options, std::uint16_t port) {
  Random random = crypto::random_from_system();
  std::uint64_t first_try = 0;
  std::uint64_t found = 0;
  std::vector<double> times;
  for (std::uint64_t i = 0; i < options.random; ++i) {
    const nlohmann::json one = look_up(globals, port, random.next());
    const bool is_found = one["found"].get<bool>();
    found += is_found ? 1 : 0;
    first_try += is_found && one["hops"].get<unsigned>() <= 1 && one["waits"].get<unsigned>() == 0;
    times.push_back(one["microseconds"].get<double>() / 1000);
  }
  std::ranges::sort(times);
  const auto at = [&](double part) {
    return times[std::min(times.size() - 1,
                          static_cast<std::size_t>(part * static_cast<double>(times.size())))];
  };
  const double of = static_cast<double>(options.random);
  print(globals,
        {{"lookups", options.random},
         {"found", found},
         {"first_try", first_try},
         {"p50_ms", at(0.5)},
         {"p99_ms", at(0.99)}},
        fmt::format("{} lookups: {:.2f} % found, {:.2f} % at the first try, p50 {:.2f} ms, p99 "
                    "{:.2f} ms",
                    options.random, 100 * static_cast<double>(found) / of,
                    100 * static_cast<double>(first_try) / of, at(0.5), at(0.99)));
}

void lookup(const Globals& globals, const OverlayOptions& options) {
  if (options.key.empty() == (options.random == 0)) {
    stop(ExitCode::kUsage, {.what = "whose key is to be looked up?",
                            .cause = "a lookup is of one key, or of random ones",
                            .next = "rosebud lookup KEY, or rosebud lookup --random 100"});
  }
  const std::uint16_t port = port_of(globals, options);
  options.random != 0 ? lookup_many(globals, options, port) : lookup_one(globals, options, port);
}

// ---- ring ----

/// Organisations have the letters A, B, .. in the order of their names; beyond 26 all have 'o'.
std::map<std::string, char> letters_of(const nlohmann::json& peers) {
  std::map<std::string, char> out;
  for (const auto& peer : peers) out[peer.value("org", "?")] = 'o';
  if (out.size() > 26) return out;
  char next = 'A';
  for (auto& [organisation, letter] : out) letter = next++;
  return out;
}

std::string text_of(const nlohmann::json& ring) {
  constexpr std::size_t kListed = 64;
  const auto& peers = ring["peers"];
  const auto letters = letters_of(peers);
  std::vector<RingMark> marks;
  std::size_t alive = 0;
  for (const auto& peer : peers) {
    alive += peer["alive"].get<bool>() ? 1 : 0;
    marks.push_back({.at = std::stoull(peer["at"].get<std::string>(), nullptr, 16),
                     .letter = letters.at(peer.value("org", "?")),
                     .is_alive = peer["alive"].get<bool>(),
                     .is_self = peer["self"].get<bool>()});
  }
  std::string out = fmt::format("{} sees {} peers: {} alive, {} dead; {} slice{}\n\n{}\n",
                                ring["node"].get<std::string>(), peers.size(), alive,
                                peers.size() - alive, ring["slices"].get<unsigned>(),
                                ring["slices"].get<unsigned>() == 1 ? "" : "s", draw_ring(marks));
  std::size_t listed = 0;
  for (std::size_t i = 0; i < peers.size() && listed < kListed; ++i, ++listed) {
    const auto& peer = peers[i];
    out += fmt::format("  {}  {} {:<16} {:<12} {}{}\n", peer["at"].get<std::string>(),
                       marks[i].is_self    ? '@'
                       : marks[i].is_alive ? marks[i].letter
                                           : 'x',
                       visible(peer.value("name", "?")), visible(peer.value("org", "?")),
                       marks[i].is_alive
                           ? fmt::format("alive, life {}", peer["incarnation"].get<unsigned>())
                           : "dead",
                       peer["self"].get<bool>()          ? "   this node"
                       : peer["successor"].get<bool>()   ? "   successor"
                       : peer["predecessor"].get<bool>() ? "   predecessor"
                                                         : "");
  }
  if (peers.size() > kListed)
    out += fmt::format("  and {} more (--json lists all)\n", peers.size() - kListed);
  out += ring["taking_part"].get<bool>() ? "" : "it does not take part yet: it fetches the table\n";
  return out;
}

void ring(const Globals& globals, const OverlayOptions& options) {
  const std::uint16_t port = port_of(globals, options);
  while (true) {
    const nlohmann::json now = ask(port, "GET", "/v1/overlay");
    print(globals, now,
          globals.is_json ? ""
          : now["peers"].empty()
              ? "this node takes no part in the overlay: it is no member, or the only one"
              : text_of(now));
    if (!options.is_watching) return;
    flush_output();
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

void add_node_options(CLI::App* command, OverlayOptions& options) {
  command->add_option("--node", options.node,
                      "The node that is asked; default: the first that runs");
  command->add_option("--admin-port", options.port,
                      "Its admin port, for one that is no development cluster's");
  command->add_option("--dir", options.folder, "Folder of the cluster");
}

}  // namespace

void add_overlay_commands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<OverlayOptions>();
  auto* look = app.add_subcommand(
      "lookup", "Whose a key is: asks a node, which asks the owner by its table in one hop");
  look->add_option("KEY", options->key,
                   "An id, 64 hexadecimal digits, or any text, which is hashed");
  look->add_option("--random", options->random, "So many random keys instead, and how it went")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}));
  add_node_options(look, *options);
  look->callback([&globals, options] { lookup(globals, *options); });

  auto* draw = app.add_subcommand("ring", "Draws the ring of the overlay as a node sees it");
  draw->add_flag("--watch", options->is_watching, "Again every two seconds, until stopped");
  add_node_options(draw, *options);
  draw->callback([&globals, options] { ring(globals, *options); });
}

}  // namespace rosebud::apps
