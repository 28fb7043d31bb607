// How a node learns of epochs and hands descriptions on (design 9.2, 9.3).
//
// Every message says its sender's epoch. Whoever hears of a newer one asks its sender, applies what
// comes in order, makes it durable, and tells a few others, who ask in turn. Now and then everybody
// asks somebody, so that nobody stays behind where nothing is said.
#include <boost/asio/post.hpp>

#include "runtime/node_internal.h"

namespace rosebud::runtime {
namespace {

namespace asio = boost::asio;

/// How many others are told of a new epoch at once: all of a small cluster; of a large one a few,
/// who tell a few.
constexpr std::size_t kTold = 16;
constexpr Duration kAskSomebodyInterval = std::chrono::seconds(5);
/// A peer that is ahead is not asked again before its answer had time to come.
constexpr Duration kAskAgainInterval = std::chrono::milliseconds(500);
constexpr std::size_t kRecent = 64;
/// Of one answer.
constexpr std::size_t kDescriptionBytesMax = 1U << 20;

}  // namespace

void Node::Impl::hear_of(const wire::NodeKey& from, const wire::ConfigurationNumber& number) {
  if (number <= newest_known() || !known_nodes_.contains(from)) return;
  const Instant now = read_clock();
  Instant& again = ask_again_at_[from];
  if (now < again) return;
  again = now + kAskAgainInterval;
  ask_for_descriptions(from);
}

void Node::Impl::ask_for_descriptions(const wire::NodeKey& node) {
  links_->send(node, wire::Request{.context = {.configuration = configuration_->number(),
                                               .nonce = wire::Nonce(random_.next())},
                                   .body = wire::GetDescriptions{.after = known_to_ask_after()}});
}

/// Answered from the files: the core remembers only so many.
void Node::Impl::answer_descriptions(objects::ConnectionId to, const wire::MessageContext& context,
                                     const wire::ConfigurationNumber& after) {
  wire::Descriptions out{.lease = service_->lease()};
  std::size_t bytes = 0;
  // Who comes with nothing but the cluster id begins with what that is the hash of.
  if (after == wire::ConfigurationNumber{})
    out.descriptions.push_back(first_->signed_description());
  for (wire::ConfigurationNumber next = generation_starts_.following(after);
       next <= configuration_->number() && out.descriptions.size() < wire::kDescriptionsMax &&
       bytes < kDescriptionBytesMax;
       next = generation_starts_.at_epoch(next.epoch.next())) {
    auto description = epoch_files_.find(next);
    if (!description) break;
    bytes += description->size();
    out.descriptions.push_back(std::move(*description));
  }
  send_answer(to, {.context = {.configuration = configuration_->number(), .nonce = context.nonce},
                   .body = std::move(out)});
}

void Node::Impl::take_answer(const wire::NodeKey& from, wire::Answer answer) {
  link_problems_.erase(from);
  if (const auto* refused = std::get_if<wire::Refused>(&answer.body)) learn(refused->descriptions);
  if (const auto* found = std::get_if<wire::Descriptions>(&answer.body)) {
    const wire::ConfigurationNumber before = newest_known();
    learn(found->descriptions);
    if (!found->lease.empty()) service_->learn_lease(found->lease);
    if (before < newest_known()) ask_again_at_.erase(from);  // there may be more
  }
  if (std::holds_alternative<wire::HandedIn>(answer.body)) take_admission_answer(from, answer);
  hear_of(from, answer.context.configuration);
  feed([&](objects::Effects& out) {
    replica_->on_answer(read_clock(), from, std::move(answer), out);
  });
}

void Node::Impl::learn(const std::vector<Buffer>& descriptions) {
  const wire::ConfigurationNumber before = configuration_->number();
  for (const Buffer& description : descriptions) {
    const auto header = membership::header_in(description);
    const membership::Configuration& known =
        header ? known_in(header->number.generation) : *configuration_;
    if (header && header->number.generation > known.number().generation) {
      if (!learn_recovery(*header, description)) break;
      continue;
    }
    auto next = membership::apply(known, description.view(), scheme_);
    if (!next) {
      if (next.error() == membership::DescriptionError::kNotNewer) continue;
      ++metrics_.rejected["description"];
      break;
    }
    const bool is_taken =
        promise_.may_enter((*next)->number()) ? enter(std::move(*next)) : hold(std::move(*next));
    if (!is_taken) return;
  }
  if (before < configuration_->number()) tell_others();
}

/// What follows in its own folder: a tool may have put it there. A few at a time, so that others
/// have their turn.
void Node::Impl::learn_from_files() {
  std::vector<Buffer> found;
  const wire::Generation own = configuration_->number().generation;
  for (wire::ConfigurationNumber next = known_in(own).number();
       found.size() < wire::kDescriptionsMax;) {
    next.epoch = next.epoch.next();
    auto description = epoch_files_.find(next);
    if (!description) break;
    found.push_back(std::move(*description));
  }
  const wire::ConfigurationNumber before = newest_known();
  const wire::ConfigurationNumber before_of_own = known_in(own).number();
  learn(found);
  // Each by itself: one that leads nowhere does not keep the others out.
  for (const wire::ConfigurationNumber& one : epoch_files_.numbers()) {
    if (one.generation <= configuration_->number().generation) continue;
    if (const auto description = epoch_files_.find(one)) learn({*description});
  }
  const bool is_more = newest_known() != before || known_in(own).number() != before_of_own;
  if (!is_more || is_stopping_) return;
  asio::post(io_, [this] { learn_from_files(); });
}

/// Durable first: after a restart it must not serve an epoch that it has left.
bool Node::Impl::enter(std::shared_ptr<const membership::Configuration> next) {
  if (const auto added = epoch_files_.add(*next); !added) {
    log_error("a new epoch cannot be written down; it is not entered",
              {{"node", own_.name}, {"reason", added.error().text()}});
    return false;
  }
  enter_written(std::move(next));
  return true;
}

/// Requires: it is written down.
void Node::Impl::enter_written(std::shared_ptr<const membership::Configuration> next) {
  use(std::move(next));
  const bool is_new_here = !replica_ && is_named_in(*configuration_);
  log_info(is_new_here ? "admitted" : "entered",
           {{"node", own_.name},
            {"generation", std::to_string(configuration_->number().generation.value)},
            {"epoch", std::to_string(configuration_->number().epoch.value)},
            {"nodes", std::to_string(configuration_->nodes().size())}});
  links_->set_configuration(*configuration_);
  end_revoked_clients();
  if (is_new_here) {
    open_replica(recent_);
    feed([&](objects::Effects& out) { replica_->start(read_clock(), out); });
  } else {
    feed([&](objects::Effects& out) {
      replica_->on_configuration(read_clock(), objects::Verifier(configuration_, scheme_), out);
    });
  }
  service_->begin(configuration_, previous_, is_named_in(*configuration_) && !is_bound());
  enter_overlay();
  if (replica_ && is_replaced_in(*configuration_)) end_as_replaced();
}

/// Who was admitted by an organisation that has gone is told so when it dials again.
void Node::Impl::end_revoked_clients() {
  std::vector<net::ConnectionPointer> revoked;
  for (const auto& [id, from] : incoming_) {
    if (from.is_greeted && from.role == wire::Role::kClient &&
        !configuration_->has_say(from.organisation)) {
      revoked.push_back(from.connection);
    }
  }
  for (const net::ConnectionPointer& one : revoked) one->close();
}

void Node::Impl::use(std::shared_ptr<const membership::Configuration> configuration) {
  previous_ = std::exchange(configuration_, std::move(configuration));
  if (previous_) objects::remember(recent_, previous_, kRecent);
  generation_starts_.add(*configuration_);
  // One that is no member any more keeps the name it had: it still answers former peers.
  for (const membership::Node& node : configuration_->nodes()) known_nodes_[node.key] = node.name;
  if (!is_named_in(*configuration_)) return;
  own_ = configuration_->nodes()[*configuration_->node_index(key_.public_key())];
  organisation_ = configuration_->organisations()[own_.organisation].name;
}

/// Asking says one's own epoch, so one that is behind asks in turn.
void Node::Impl::tell(const wire::NodeKey& node) {
  const Instant now = read_clock();
  Instant& again = tell_again_at_[node];
  if (now < again) return;
  again = now + kAskAgainInterval;
  ask_for_descriptions(node);
}

void Node::Impl::tell_others() {
  std::vector<wire::NodeKey> others;
  for (const membership::Node& node : configuration_->nodes()) {
    if (node.key != key_.public_key()) others.push_back(node.key);
  }
  random_.shuffle(others);
  if (others.size() > kTold) others.resize(kTold);
  for (const wire::NodeKey& node : others) ask_for_descriptions(node);
}

void Node::Impl::ask_somebody_later() {
  epochs_timer_.expires_after(kAskSomebodyInterval);
  epochs_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || is_stopping_) return;
    const auto& nodes = configuration_->nodes();
    const membership::Node& somebody = nodes[random_.below(nodes.size())];
    if (somebody.key != key_.public_key()) ask_for_descriptions(somebody.key);
    ask_somebody_later();
  });
}

}  // namespace rosebud::runtime
