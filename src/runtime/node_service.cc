// The configuration service in a node (design 8): its notices over the node's links, its
// descriptions into the epochs, and what people hand in.
#include "membership/admission.h"
#include "runtime/node_internal.h"

namespace rosebud::runtime {
namespace {

/// Of the memory: all notices that are not handled yet. Beyond, they are lost, as on a bad network.
constexpr std::size_t kNoticesPart = 16;
constexpr std::size_t kNoticeOverhead = 512;

/// Whether its signatures make it worth being ordered: the group verifies them again, but who is
/// refused here costs only this node.
bool is_signed(const service::AdmitNode& one, const membership::Configuration& configuration,
               Timestamp now, const crypto::SignatureScheme& scheme) {
  const auto statement = wire::AdmissionStatement::decode(one.admission.statement);
  return statement && membership::check_admission(configuration, one.admission, statement->subject,
                                                  wire::Role::kNode, now, scheme);
}
bool is_signed(const service::RevokeNode& one, const membership::Configuration& configuration,
               Timestamp, const crypto::SignatureScheme& scheme) {
  return service::said_by_organisation<service::Revocation>(configuration, one.revocation, scheme)
      .has_value();
}
bool is_signed(const service::RetireNode& one, const membership::Configuration& configuration,
               Timestamp, const crypto::SignatureScheme& scheme) {
  return service::said_by_organisation<service::Retirement>(configuration, one.retirement, scheme)
      .has_value();
}
bool is_signed(const service::EndEpoch& one, const membership::Configuration& configuration,
               Timestamp, const crypto::SignatureScheme& scheme) {
  return service::said_by_organisation<service::EndRequest>(configuration, one.request, scheme)
      .has_value();
}
bool is_signed(const service::Enact& one, const membership::Configuration& configuration,
               Timestamp now, const crypto::SignatureScheme& scheme) {
  return service::check_decree(configuration, one.decree, now, scheme).has_value();
}
/// The rest is for nodes to say.
template <typename Other>
bool is_signed(const Other&, const membership::Configuration&, Timestamp,
               const crypto::SignatureScheme&) {
  return false;
}

}  // namespace

void Node::Impl::open_service() {
  service_ = std::make_unique<ServiceHost>(
      io_, key_, scheme_, service_files(), EvidenceFiles(options_.data / "evidence"),
      ServiceHost::Events{
          .send = [this](const wire::NodeKey& to,
                         Buffer notice) { send_notice(to, std::move(notice)); },
          .learn = [this](Buffer description) { learn({std::move(description)}); },
          .handed_in = [this](service::HandInId id,
                              service::Answer answer) { answer_hand_in(id, answer); },
          .check =
              [this](const std::vector<wire::Accusation>& accusations) {
                feed([&](objects::Effects&) { replica_->check(read_clock(), accusations); });
              },
          .on_disk_failure = [this](const Explained&) { end_for_a_fresh_start(); }});
}

void Node::Impl::send_notice(const wire::NodeKey& to, Buffer notice) {
  if (!misbehaviour_.edit_notice(notice)) return;
  links_->send(to, wire::Request{.context = {.configuration = configuration_->number(),
                                             .nonce = wire::Nonce(random_.next())},
                                 .body = wire::Notice{std::move(notice)}});
}

void Node::Impl::complain(const wire::Accusation& about) {
  const auto accused = configuration_->node_index(about.accused);
  log_info("a member does not show a block that it should hold; the service is told",
           {{"node", own_.name},
            {"member", accused ? configuration_->nodes()[*accused].name : "unknown"},
            {"block", to_hex(about.block.placement.view())}});
  service_->complain(about);
}

/// Of another epoch than this node's: whoever is behind asks for what comes between.
void Node::Impl::take_notice(objects::ConnectionId id, Incoming& from,
                             const wire::MessageContext& context, const wire::Notice& notice) {
  if (from.role != wire::Role::kNode) return reject(id, "not_allowed");
  const wire::NodeKey peer = from.connection->peer();
  if (context.configuration < configuration_->number()) return tell(peer);
  if (context.configuration > configuration_->number()) return;
  const std::size_t size = notice.bytes.size() + kNoticeOverhead;
  if (notice_bytes_in_work_ + size > options_.memory_bytes / kNoticesPart) return;
  notice_bytes_in_work_ += size;
  from.notice_bytes_in_work += size;
  if (from.is_over_limits()) from.connection->pause_reading();
  replication::Permit permit(nullptr, [this, alive = std::weak_ptr(alive_), id, size](void*) {
    if (!alive.expired()) give_back(id, size);
  });
  if (!service_->take(peer, notice.bytes, std::move(permit))) reject(id, "notice");
}

void Node::Impl::give_back(objects::ConnectionId id, std::size_t size) {
  notice_bytes_in_work_ -= size;
  const auto at = incoming_.find(id);
  if (at == incoming_.end()) return;
  at->second.notice_bytes_in_work -= size;
  at->second.resume_reading();
}

/// What it is not worth asking the group for: what is not signed; guests may ask for themselves
/// alone; what is so already is not ordered again for nodes, which repeat it. (An admission that
/// somebody else hands in may take a retirement back.)
std::optional<service::Answer> Node::Impl::answer_without_group(
    const Incoming& from, const service::Operation& operation) const {
  const bool is_worth_it = std::visit(
      [this](const auto& one) { return is_signed(one, *configuration_, wall_time(), scheme_); },
      operation);
  if (!is_worth_it) return service::Answer::kRefused;
  const auto* admit = std::get_if<service::AdmitNode>(&operation);
  const auto statement =
      admit ? wire::AdmissionStatement::decode(admit->admission.statement) : std::nullopt;
  const bool is_guest =
      from.role == wire::Role::kNode && !known_nodes_.contains(from.connection->peer());
  if (is_guest && (!statement || statement->subject != from.connection->peer()))
    return service::Answer::kRefused;
  if (from.role == wire::Role::kNode && statement &&
      service::is_in_as_stated(*statement, *configuration_))
    return service::Answer::kAlready;
  return std::nullopt;
}

void Node::Impl::take_hand_in(objects::ConnectionId id, const Incoming& from,
                              const wire::MessageContext& context, const wire::HandIn& request) {
  const auto operation = service::decode_operation(request.operation);
  if (!operation) {
    return send_answer(
        id, {.context = {.configuration = configuration_->number(), .nonce = context.nonce},
             .body = wire::Refused{.reason = wire::RefusalReason::kMalformed}});
  }
  const service::HandInId number(++last_hand_in_);
  handed_in_[number] = {id, context};
  if (const auto answer = answer_without_group(from, *operation))
    return answer_hand_in(number, *answer);
  service_->hand_in(number, *operation);
}

void Node::Impl::answer_hand_in(service::HandInId id, service::Answer answer) {
  const auto at = handed_in_.find(id);
  if (at == handed_in_.end()) return;
  const auto [connection, context] = at->second;
  handed_in_.erase(at);
  send_answer(connection,
              {.context = {.configuration = configuration_->number(), .nonce = context.nonce},
               .body = wire::HandedIn{static_cast<std::uint8_t>(answer)}});
}

}  // namespace rosebud::runtime
