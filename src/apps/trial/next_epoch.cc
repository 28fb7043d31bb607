// An epoch made by hand, with the epoch keys of a development cluster, put into the folder of one
// node: what the configuration service does for real clusters.
#include <algorithm>
#include <set>

#include "apps/trial/commands.h"
#include "crypto/key_file.h"
#include "membership/genesis.h"
#include "runtime/epoch_files.h"
#include "runtime/statement_file.h"

namespace rosebud::trial {
namespace {

using membership::Node;

/// The seats of the first service with keys that lie in the folder.
Result<std::vector<membership::SeatKey>, Explained> read_keys(
    const membership::Configuration& first, const std::filesystem::path& folder) {
  std::vector<membership::SeatKey> out;
  for (const membership::ServiceMember& member : first.service()) {
    auto key = crypto::read_secret_key(folder / (first.nodes()[member.node].name + ".epoch-1.key"));
    if (!key) return fail(key.error());
    out.push_back({.seat = static_cast<std::uint16_t>(out.size()), .key = *key});
  }
  return out;
}

/// Every seat keeps its key and goes to some node, one of each organisation.
bool fill_seats(membership::NextEpoch& next, const std::vector<Node>& nodes) {
  std::set<std::uint32_t> seated;
  std::size_t seat = 0;
  for (std::size_t i = 0; i < nodes.size() && seat < next.service.size(); ++i) {
    if (seated.insert(nodes[i].organisation).second) next.service[seat++].node = nodes[i].key;
  }
  return seat == next.service.size();
}

}  // namespace

Status<Explained> make_next_epoch(const NextEpochOptions& options) {
  auto genesis = runtime::read_genesis(options.genesis);
  if (!genesis) return fail(genesis.error());
  auto first = membership::verify_genesis(*genesis, std::nullopt, crypto::ed25519());
  if (!first) return fail(first.error());
  const auto keys = read_keys(**first, options.keys);
  if (!keys) return fail(keys.error());
  const runtime::EpochFiles files(options.epochs);
  const auto chain = files.load(*first, crypto::ed25519());
  if (!chain) return fail(chain.error());
  const membership::Configuration& current = *chain->back();

  membership::NextEpoch next = membership::same_again(current);
  next.start = current.start().next();
  std::vector<Node> nodes = current.nodes().to_vector();
  for (const std::string& name : options.remove) {
    if (std::erase_if(nodes, [&](const Node& node) { return node.name == name; }) == 0) {
      return fail(Explained{.what = "'" + name + "' is no member"});
    }
  }
  for (const std::string& name : options.add) {
    const auto node = std::ranges::find((*first)->nodes(), name, &Node::name);
    if (node == (*first)->nodes().end()) {
      return fail(Explained{.what = "the genesis has no node '" + name + "'"});
    }
    nodes.push_back(*node);
  }
  next.body.nodes = membership::changes_between(current, nodes);
  if (!fill_seats(next, nodes)) return fail(Explained{.what = "an organisation without nodes"});
  auto last = chain->back();
  for (std::uint32_t i = 0; i < options.count; ++i) {
    auto made = membership::apply(
        *last, membership::make_description(*last, next, *keys, crypto::ed25519()),
        crypto::ed25519());
    if (!made) return fail(Explained{.what = std::string(membership::text_of(made.error()))});
    last = *made;
    if (auto added = files.add(*last); !added) return added;
    next = membership::same_again(*last);
    next.start = last->start().next();
  }
  return {};
}

}  // namespace rosebud::trial
