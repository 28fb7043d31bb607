#include "runtime/node_links.h"

namespace rosebud::runtime {
namespace {

Status<std::string> judge(ByteView frame) {
  const auto answer = wire::HelloAnswer::decode(frame);
  if (!answer) return fail(std::string());
  if (answer->verdict == wire::HelloVerdict::kWelcome) return {};
  return fail(std::string(wire::text_of(answer->verdict)));
}

}  // namespace

NodeLinks::NodeLinks(boost::asio::io_context& io, net::TlsContext& tls, wire::Hello hello,
                     Events events)
    : hello_(std::move(hello)),
      links_(io, tls, {},
             {.judge = judge,
              .on_frame =
                  [take = std::move(events.on_answer)](const wire::NodeKey& node, Bytes header,
                                                       Buffer bulk) {
                    auto message = wire::decode(header, std::move(bulk));
                    auto* answer = message ? std::get_if<wire::Answer>(&*message) : nullptr;
                    // What a node sends us and is no answer is a fault of the node: start again.
                    if (!answer) return false;
                    take(node, std::move(*answer));
                    return true;
                  },
              .on_up =
                  [this, tell = std::move(events.on_reached)](const wire::NodeKey& node) {
                    // Dialled before it was cut off.
                    if (cut_off_.contains(node)) return links_.drop(node);
                    if (tell) tell(node);
                  },
              .on_down = std::move(events.on_unreachable)}) {}

void NodeLinks::set_configuration(const membership::Configuration& configuration) {
  hello_.configuration = configuration.number();
  links_.set_hello(hello_.encode());
  std::map<crypto::PublicKey, std::string> peers;
  for (const membership::Node& node : configuration.nodes()) peers[node.key] = node.address;
  links_.add_peers(peers);
}

void NodeLinks::cut_off(std::set<wire::NodeKey> nodes) {
  const std::set<wire::NodeKey> before = std::exchange(cut_off_, std::move(nodes));
  for (const wire::NodeKey& node : cut_off_) links_.drop(node);
  for (const wire::NodeKey& node : before) {
    if (!cut_off_.contains(node)) links_.retry_now(node);
  }
}

void NodeLinks::send(const wire::NodeKey& to, const wire::Request& request) {
  if (cut_off_.contains(to)) return;
  wire::EncodedMessage message = wire::encode(request);
  links_.send(to, std::move(message.header), std::move(message.bulk));
}

}  // namespace rosebud::runtime
