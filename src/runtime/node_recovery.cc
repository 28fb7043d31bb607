// How a node takes part in a recovery by the organisations (design 8.6, docs/adr/0013): it states
// what it holds, once for a generation, and from then on follows no epoch of a lower one; and it
// enters a generation whose parent may lie before what it has entered, or behind.
#include "membership/genesis.h"
#include "runtime/node_internal.h"
#include "service/draw.h"

namespace rosebud::runtime {
namespace {

/// Reading the own chain again costs a verification of each epoch: what leads nowhere must not make
/// a node do that all the time.
constexpr Duration kLookBackInterval = std::chrono::milliseconds(500);

/// A seat's key for the first epoch of a generation, whose number is not known yet.
wire::ConfigurationNumber key_number(wire::Generation generation) { return {generation, {}}; }

}  // namespace

// ---- Stating ----

bool Node::Impl::is_bound() const { return promise_.binds(configuration_->number()); }

/// Asked by its own organisation, or not at all: nobody else may keep it from following the
/// service.
Result<wire::SignedBytes, std::string> Node::Impl::state_for_recovery(
    const wire::SignedBytes& signed_call) {
  const auto call = service::said_by_organisation<membership::RecoveryCall>(*configuration_,
                                                                            signed_call, scheme_);
  const bool is_member = replica_ && is_named_in(*configuration_);
  if (!call || !is_member ||
      call->organisation != configuration_->organisations()[own_.organisation].authority) {
    return fail(std::string("this node's organisation did not sign that"));
  }
  if (call->generation <= configuration_->number().generation)
    return fail(std::string("the node is in that generation already, or in a later one"));
  if (call->generation < promise_.generation())
    return fail(std::string("the node has stated something for a later generation"));
  if (call->generation == promise_.generation()) return *promise_.statement();
  const ServiceFiles files = service_files();
  auto key = files.secret(key_number(call->generation));
  if (!key) {
    key = crypto::SecretKey::generate();
    const auto kept = files.keep_secret(key_number(call->generation), *key);
    if (!kept) return fail(kept.error().text());
  }
  const membership::RecoveryStatement statement{
      .cluster = configuration_->cluster(),
      .generation = call->generation,
      .node = key_.public_key(),
      .directory = directory_.identity().directory,
      .entered = configuration_->number(),
      .header_hash = configuration_->header_hash(),
      .epoch_key = key->public_key(),
      .commitment = service::commitment_of(key_.public_key(), service::share_of(*key))};
  wire::SignedBytes out = wire::sign(crypto::ed25519(), key_, statement);
  // Durable before anybody hears it.
  if (const auto made = promise_.make(out); !made) return fail(made.error().text());
  log_info("stated what it holds for a recovery; it follows no epoch of a lower generation now",
           {{"node", own_.name},
            {"epoch", std::to_string(configuration_->number().epoch.value)},
            {"for_generation", std::to_string(call->generation.value)}});
  // It signs no successor and no lease any more.
  service_->begin(configuration_, previous_, false);
  return out;
}

/// What was handed to the service of the epoch in force, if it is here: a recovery takes it over.
Buffer Node::Impl::state_handed_over() const {
  const auto state =
      service_files().state(configuration_->number(), configuration_->service_state());
  return state && state->size() <= membership::kRecoveredStateSizeMax ? *state : Buffer{};
}

// ---- Entering ----

/// A description that must not be entered is written down all the same: the parent of the recovery
/// may be behind it.
bool Node::Impl::hold(std::shared_ptr<const membership::Configuration> next) {
  if (const auto added = epoch_files_.add(*next); !added) {
    log_error("a new epoch cannot be written down",
              {{"node", own_.name}, {"reason", added.error().text()}});
    return false;
  }
  held_ = std::move(next);
  return true;
}

/// From the genesis to what this node has entered, and on to what it holds.
std::vector<std::shared_ptr<const membership::Configuration>> Node::Impl::chain_on_disk() const {
  const auto genesis = membership::SignedGenesis::decode(genesis_);
  CHECK(genesis.has_value());
  auto first = membership::verify_genesis(*genesis, std::nullopt, scheme_);
  CHECK(first.has_value());
  auto out = epoch_files_.load(std::move(*first), scheme_);
  if (!out) return {};
  return std::move(*out);
}

bool Node::Impl::learn_recovery(const membership::DescriptionHeader& header,
                                const Buffer& description) {
  if (!promise_.may_enter(header.number)) return false;
  std::vector<std::shared_ptr<const membership::Configuration>> chain{configuration_};
  if (header.previous != configuration_->header_hash()) {
    const Instant now = read_clock();
    if (now < look_back_at_) return false;
    look_back_at_ = now + kLookBackInterval;
    chain = chain_on_disk();
  }
  const auto parent =
      std::ranges::find(chain, header.previous, [](const auto& one) { return one->header_hash(); });
  if (parent == chain.end()) return false;  // descriptions between are missing
  auto next = membership::apply(**parent, description.view(), scheme_);
  if (!next) {
    ++metrics_.rejected["description"];
    return false;
  }
  // First on disk: what is entered on the way must not be the end of the chain after a crash.
  if (!epoch_files_.add(**next)) return false;
  held_.reset();
  if ((*parent)->number() < configuration_->number()) {
    go_back_to(*parent);
  } else {
    // Nothing is answered in between: no request is looked at before the last of them was entered.
    for (auto at = chain.begin(); at != std::next(parent); ++at) {
      if ((*at)->number() > configuration_->number() && !enter(*at)) return false;
    }
  }
  return enter(std::move(*next));
}

/// What this node has entered after it is abandoned.
void Node::Impl::go_back_to(const std::shared_ptr<const membership::Configuration>& parent) {
  log_info("abandons epochs that followed the one from which the organisations recovered",
           {{"node", own_.name},
            {"from", std::to_string(configuration_->number().epoch.value)},
            {"to", std::to_string(parent->number().epoch.value)}});
  std::erase_if(recent_, [&](const auto& one) { return one->number() >= parent->number(); });
  std::erase_if(generation_starts_, [&](const auto& one) { return one > parent->number(); });
  configuration_ = parent;
  if (replica_) replica_->go_back_to(parent);
}

// ---- Handing on ----

wire::ConfigurationNumber Node::Impl::newest_known() const {
  return held_ ? held_->number() : configuration_->number();
}

/// Epochs of a chain count on through its generations.
wire::ConfigurationNumber Node::Impl::at_epoch(wire::Epoch epoch) const {
  wire::ConfigurationNumber out{.generation = {}, .epoch = epoch};
  for (const wire::ConfigurationNumber& start : generation_starts_) {
    if (start.epoch <= epoch) out.generation = start.generation;
  }
  return out;
}

/// What somebody needs next who has that one, which may be of a branch that was abandoned.
wire::ConfigurationNumber Node::Impl::following(const wire::ConfigurationNumber& after) const {
  wire::Epoch epoch = std::max(after.epoch.next(), wire::Epoch(2));
  for (const wire::ConfigurationNumber& start : generation_starts_) {
    if (start.generation > after.generation) epoch = std::min(epoch, start.epoch);
  }
  return at_epoch(epoch);
}

}  // namespace rosebud::runtime
