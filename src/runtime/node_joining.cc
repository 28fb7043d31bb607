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
/// After a refusal: the organisation may have to do something first.
constexpr Duration kRefusedInterval = std::chrono::seconds(60);

}  // namespace

/// A directory that another incarnation had is not this one (design 6).
bool Node::Impl::is_named_in(const membership::Configuration& configuration) const {
  const auto index = configuration.node_index(key_.public_key());
  return index && configuration.nodes()[*index].directory == directory_.identity().directory;
}

void Node::Impl::ask_to_be_admitted() {
  const auto& nodes = configuration_->nodes();
  const service::Operation wish = service::AdmitNode{*admission_};
  links_->send(
      nodes[random_.below(nodes.size())].key,
      {.context = {.configuration = configuration_->number(), .nonce = wire::Nonce(random_.next())},
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

void Node::Impl::take_admission_answer(const wire::Answer& answer) {
  const auto said = static_cast<service::Answer>(std::get<wire::HandedIn>(answer.body).answer);
  if (!admission_ || is_named_in(*configuration_)) return;
  if (said == service::Answer::kNotNow) return;
  if (said == service::Answer::kRefused) {
    if (refusals_logged_.take(read_clock())) {
      log_info("not admitted", {{"node", own_.name},
                                {"cause", "its key was revoked, or the statement has expired"},
                                {"next", "ask the organisation for a new statement"}});
    }
    return ask_to_be_admitted_later(kRefusedInterval);
  }
  if (said == service::Answer::kDone) {
    log_info("admission noted: it takes effect with the next epoch", {{"node", own_.name}});
  }
  ask_to_be_admitted_later(kAskAgainInterval);
}

}  // namespace rosebud::runtime
