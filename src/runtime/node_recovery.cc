// How a node takes part in a recovery by the organisations (design 8.6, docs/adr/0013): it states
// what it holds, once for a generation, and from then on follows no epoch of a lower one; and it
// enters a generation whose parent may lie before what it has entered, or behind.
#include "membership/recovery.h"
#include "runtime/node_internal.h"
#include "service/draw.h"

namespace rosebud::runtime {
namespace {

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
  if (promise_.is_too_far(call->generation, configuration_->number().generation)) {
    return fail("that generation is more than " + std::to_string(kGenerationsAheadMax) +
                " after the one that the node is in, or has stated something for");
  }
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
/// may be it, or behind it.
bool Node::Impl::hold(std::shared_ptr<const membership::Configuration> next) {
  if (const auto added = epoch_files_.add(*next); !added) {
    log_error("a new epoch cannot be written down",
              {{"node", own_.name}, {"reason", added.error().text()}});
    return false;
  }
  auto& newest = held_[next->number().generation];
  if (!newest || newest->number() < next->number()) newest = std::move(next);
  return true;
}

/// What an ordinary epoch of that generation has to follow: the newest that is held of it, or what
/// this node has entered.
const membership::Configuration& Node::Impl::known_in(wire::Generation generation) const {
  const auto at = held_.find(generation);
  if (at != held_.end() && at->second->number() > configuration_->number()) return *at->second;
  return *configuration_;
}

/// Verified, up to the parent: as much of it as this node may lack. Empty when descriptions between
/// are missing, or when it is not looked for on the disk now (look_back.h).
LookBack::Chain Node::Impl::chain_to_parent(const membership::DescriptionHeader& header,
                                            const Buffer& description) {
  const auto is_parent = [&](const auto& one) { return one->header_hash() == header.previous; };
  if (is_parent(configuration_)) return {configuration_};
  if (const auto at = std::ranges::find_if(recent_, is_parent); at != recent_.end()) return {*at};
  return look_back_.chain_to_parent(header, description);
}

/// Whether it is on the way from the genesis to what this node has entered.
bool Node::Impl::is_own(const membership::Configuration& one) const {
  return one.number().epoch <= configuration_->number().epoch &&
         one.number() == generation_starts_.at_epoch(one.number().epoch);
}

/// True when it is entered now, or held if the promise keeps it out. Requires: nothing of its
/// generation is.
bool Node::Impl::learn_recovery(const membership::DescriptionHeader& header,
                                const Buffer& description) {
  const auto chain = chain_to_parent(header, description);
  if (chain.empty()) return false;
  auto next = membership::apply(*chain.back(), description.view(), scheme_);
  if (!next) {
    ++metrics_.rejected["description"];
    return false;
  }
  if (!promise_.may_enter(header.number)) return hold(std::move(*next));
  // On disk before anything is given up, and before what is entered on the way, which must not be
  // the end of the chain after a crash.
  if (const auto added = epoch_files_.add(**next); !added) {
    log_error("a new generation cannot be written down; it is not entered",
              {{"node", own_.name}, {"reason", added.error().text()}});
    return false;
  }
  auto fork = chain.rbegin();
  while (fork != chain.rend() && !is_own(**fork)) ++fork;
  if (fork == chain.rend()) return false;  // the genesis is on both ways
  if ((*fork)->number() != configuration_->number()) go_back_to(*fork);
  // Nothing is answered in between: no request is looked at before the last of them was entered.
  for (auto at = fork.base(); at != chain.end(); ++at) enter_written(*at);
  enter_written(std::move(*next));
  std::erase_if(held_,
                [&](const auto& one) { return one.second->number() <= configuration_->number(); });
  return true;
}

/// What this node has entered after it is abandoned.
void Node::Impl::go_back_to(const std::shared_ptr<const membership::Configuration>& parent) {
  log_info("abandons epochs that followed the one from which the organisations recovered",
           {{"node", own_.name},
            {"from", std::to_string(configuration_->number().epoch.value)},
            {"to", std::to_string(parent->number().epoch.value)}});
  std::erase_if(recent_, [&](const auto& one) { return one->number() >= parent->number(); });
  generation_starts_.go_back_to(parent->number());
  configuration_ = parent;
  if (replica_) replica_->go_back_to(parent);
}

// ---- Handing on ----

wire::ConfigurationNumber Node::Impl::newest_known() const {
  if (held_.empty()) return configuration_->number();
  return std::max(configuration_->number(), held_.rbegin()->second->number());
}

/// What is held may be of several branches, and whoever is asked knows one of them: each has its
/// turn by chance.
wire::ConfigurationNumber Node::Impl::known_to_ask_after() {
  std::vector<wire::ConfigurationNumber> ends;
  for (const auto& [generation, one] : held_) ends.push_back(one->number());
  const wire::Generation own = configuration_->number().generation;
  if (!held_.contains(own)) ends.push_back(configuration_->number());
  return ends[random_.below(ends.size())];
}

}  // namespace rosebud::runtime
