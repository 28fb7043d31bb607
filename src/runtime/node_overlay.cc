// How a node takes part in the overlay (design 11), and what it tells of it.
#include <nlohmann/json.hpp>

#include "crypto/random.h"
#include "runtime/node_internal.h"

namespace rosebud::runtime {
namespace {

/// Lookups whose answers nobody has fetched yet.
constexpr std::size_t kLookupsKept = 1024;

std::string digits(routing::Point point) {
  wire::Writer out;
  out.u64(point);
  return to_hex(out.bytes());
}

}  // namespace

/// Storage does without it: a node whose port is taken for datagrams says so and serves all the
/// same.
void Node::Impl::open_overlay(const std::string& host, std::uint16_t port) {
  auto made = std::make_unique<overlay::Overlay>(io_, key_, crypto::ed25519(),
                                                 crypto::random_from_system().next());
  if (const auto listening = made->listen(host, port); !listening) {
    log_error("the node takes no part in the overlay: lookups do not know of it",
              {{"node", own_.name}, {"reason", listening.error().text()}});
    return;
  }
  overlay_ = std::move(made);
}

void Node::Impl::enter_overlay() {
  if (!overlay_) return;
  std::vector<overlay::Member> members;
  members.reserve(configuration_->nodes().size());
  for (const membership::Node& node : configuration_->nodes()) {
    members.push_back({node.key, node.address});
  }
  overlay_->enter(configuration_->cluster(), members);
}

net::HttpResponse Node::Impl::overlay_picture() const {
  const overlay::Picture picture = overlay_ ? overlay_->picture() : overlay::Picture{};
  nlohmann::json peers = nlohmann::json::array();
  for (const auto& peer : picture.peers) {
    const auto index = configuration_->node_index(peer.key);
    nlohmann::json one = {{"key", to_hex(peer.key.view())},
                          {"at", digits(peer.at)},
                          {"alive", peer.state.is_alive()},
                          {"incarnation", peer.state.incarnation()},
                          {"slice", peer.slice},
                          {"self", peer.is_self},
                          {"successor", peer.is_successor},
                          {"predecessor", peer.is_predecessor}};
    if (index) {
      const membership::Node& node = configuration_->nodes()[*index];
      one["name"] = node.name;
      one["org"] = configuration_->organisations()[node.organisation].name;
      one["address"] = node.address;
    }
    peers.push_back(std::move(one));
  }
  return {.body = nlohmann::json{{"node", own_.name},
                                 {"taking_part", picture.is_taking_part},
                                 {"slices", picture.slices},
                                 {"peers", std::move(peers)}}
                      .dump() +
                  "\n"};
}

/// The answer is fetched with the number that this returns: a lookup takes as long as it takes.
net::HttpResponse Node::Impl::begin_lookup(const std::string& point) {
  const auto bytes = from_hex(point);
  if (!bytes || bytes->size() != 8) {
    return {.status = 400, .content_type = "text/plain", .body = "key is 16 hexadecimal digits\n"};
  }
  const std::uint64_t id = ++last_lookup_;
  lookups_[id];
  if (lookups_.size() > kLookupsKept) lookups_.erase(lookups_.begin());
  const auto done = [this, id](const overlay::LookupAnswer& answer) {
    if (const auto at = lookups_.find(id); at != lookups_.end()) at->second = answer;
  };
  wire::Reader in(*bytes);
  if (overlay_) {
    overlay_->lookup(in.u64(), done);
  } else {
    done({});
  }
  return {.body = nlohmann::json{{"id", id}}.dump() + "\n"};
}

net::HttpResponse Node::Impl::lookup_answer(std::uint64_t id) {
  const auto at = lookups_.find(id);
  if (at == lookups_.end()) {
    return {.status = 404, .content_type = "text/plain", .body = "there is no such lookup\n"};
  }
  if (!at->second) return {.body = "{}\n"};  // not yet
  const overlay::LookupAnswer answer = *at->second;
  lookups_.erase(at);
  nlohmann::json out = {{"found", answer.is_found},
                        {"hops", answer.hops},
                        {"waits", answer.waits},
                        {"microseconds", answer.time.count()}};
  if (const auto index = answer.owner ? configuration_->node_index(*answer.owner) : std::nullopt) {
    const membership::Node& node = configuration_->nodes()[*index];
    out["owner"] = node.name;
    out["org"] = configuration_->organisations()[node.organisation].name;
    out["address"] = node.address;
  }
  return {.body = out.dump() + "\n"};
}

}  // namespace rosebud::runtime
