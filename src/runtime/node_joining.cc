// How a node becomes a member (design 3.4): it knows its organisation's statement and some nodes,
// asks them to have it admitted, follows the epochs, and opens its replica in the first one that
// names it with its data directory.
#include "runtime/node_internal.h"

namespace rosebud::runtime {
namespace {

namespace asio = boost::asio;

/// Until one has said that it is noted.
constexpr Duration kAskInterval = std::chrono::seconds(1);
/// Then: what was noted may be lost with members that kept it to themselves.
constexpr Duration kAskAgainInterval = std::chrono::seconds(10);

}  // namespace

/// A directory that another incarnation had is not this one (design 6).
bool Node::Impl::is_named_in(const membership::Configuration& configuration) const {
  const auto index = configuration.node_index(key_.public_key());
  return index && configuration.nodes()[*index].directory == directory_.identity().directory;
}

/// Another machine has this node's key now, and another directory: two that speak for one member
/// would be a faulty member.
bool Node::Impl::is_replaced_in(const membership::Configuration& configuration) const {
  return configuration.node_index(key_.public_key()) && !is_named_in(configuration);
}

void Node::Impl::end_as_replaced() {
  log_error("this node was admitted with another data directory; ending",
            {{"node", own_.name},
             {"cause", "another machine has its key, or its disk was replaced"},
             {"next", "stop this one for good; the other one serves"}});
  stop();
}

void Node::Impl::ask_to_be_admitted() {
  const auto& nodes = configuration_->nodes();
  const service::Operation wish = service::AdmitNode{*admission_};
  asked_to_admit_ = {nodes[random_.below(nodes.size())].key, wire::Nonce(random_.next())};
  links_->send(asked_to_admit_.first, {.context = {.configuration = configuration_->number(),
                                                   .nonce = asked_to_admit_.second},
                                       .body = wire::HandIn{service::encode(wish)}});
  ask_to_be_admitted_later(kAskInterval);
}

void Node::Impl::ask_to_be_admitted_later(Duration wait) {
  if (!admission_) return;
  admission_timer_.expires_after(wait);
  admission_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || is_stopping_) return;
    // One that was removed for its silence comes back the same way.
    if (is_named_in(*configuration_)) return ask_to_be_admitted_later(kAskAgainInterval);
    ask_to_be_admitted();
  });
}

/// One answer of the one that was asked, who may lie: another one is asked soon, whatever it says.
void Node::Impl::take_admission_answer(const wire::NodeKey& from, const wire::Answer& answer) {
  if (std::pair(from, answer.context.nonce) != asked_to_admit_) return;
  asked_to_admit_ = {};
  const auto said = static_cast<service::Answer>(std::get<wire::HandedIn>(answer.body).answer);
  if (is_named_in(*configuration_) || said == service::Answer::kNotNow) return;
  if (refusals_logged_.take(read_clock())) {
    const bool is_refused = said == service::Answer::kRefused;
    const bool has_end = configuration_->settings().epoch_seconds > 0;
    log_info(is_refused ? "a node says that it is not admitted"
             : has_end  ? "the admission is noted: it takes effect with the next epoch"
                        : "the admission is noted; epochs of this cluster do not end by time",
             {{"node", own_.name},
              {"cause", is_refused ? "its key was revoked, or a later statement is there" : ""}});
  }
  ask_to_be_admitted_later(kAskAgainInterval);
}

}  // namespace rosebud::runtime
