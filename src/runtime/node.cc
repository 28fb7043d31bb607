#include "runtime/node.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <boost/asio/post.hpp>
#include <random>

#include "base/files.h"
#include "crypto/key_file.h"
#include "crypto/random.h"
#include "crypto/signature.h"
#include "membership/admission.h"
#include "runtime/log.h"
#include "runtime/node_internal.h"
#include "runtime/statement_file.h"

namespace rosebud::runtime {
namespace {

namespace asio = boost::asio;

/// Requests of one connection that may be in memory before its reading pauses.
constexpr std::size_t kConnectionBytesInWork = 16U << 20;
/// Answers that may wait for one connection before it is no longer read from.
constexpr std::size_t kUnreadBytesMax = 4U << 20;
/// What is loaded and not yet handled stays below this many blocks; the pool has work with few.
constexpr std::size_t kLoadsUnderWayMax = 16;
/// Of one connection: notices that are not handled yet.
constexpr std::size_t kNoticeBytesInWork = 8U << 20;
/// Few small requests are verified where they are: a thread of the pool wakes up no sooner, and the
/// waking costs more than a signature. Many keep the loop from its other work.
constexpr std::size_t kVerifiedOnLoopMax = 6;
constexpr std::size_t kVerifiedOnLoopBytesMax = 64U << 10;
/// Exit code of a node that wants to be started again.
constexpr int kExitDiskFailed = 1;
/// Of one for which starting again is no help (design 17).
constexpr int kExitDamaged = 6;
/// A stop waits this long for what is under way.
constexpr Duration kDrainTime = std::chrono::seconds(2);

// How memory_bytes is shared out. The sum of all is about the whole.
std::size_t cache_bytes(const NodeOptions& options) { return options.memory_bytes / 8; }
/// At most 64 MiB: the log of what is not yet in sorted files is four times as long, and must fit
/// into the reserve of the disk when the node starts again.
std::size_t write_buffer_bytes(const NodeOptions& options) {
  return std::min<std::size_t>(options.memory_bytes / 8, 64U << 20);
}
std::size_t unfinished_bytes(const NodeOptions& options) { return options.memory_bytes / 16; }
/// Beyond, connections go frame by frame; half as much again beyond, requests are answered "busy"
/// unseen.
std::size_t work_bytes(const NodeOptions& options) { return options.memory_bytes / 8; }
std::size_t operation_bytes(const NodeOptions& options) { return options.memory_bytes / 4; }
std::size_t answer_bytes(const NodeOptions& options) { return options.memory_bytes / 8; }
/// TLS takes about 64 KiB for a connection.
std::size_t connections_in(const NodeOptions& options) {
  return std::min<std::size_t>(options.memory_bytes / 8 / (64U << 10), 4096);
}

/// Raises the limit of open files as far as the system lets, and says how many connections that
/// allows beside the database and the links to `nodes_count` nodes. Without a margin, a flood of
/// connections would take the descriptors that the database needs for its next file.
Result<std::size_t, Explained> connections_for_descriptors(std::size_t nodes_count) {
  constexpr std::size_t kDatabase = 640;
  constexpr std::size_t kConnectionsMin = 64;
  const std::size_t needed = kDatabase + std::min<std::size_t>(nodes_count, 1024) + kConnectionsMin;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 16'384);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < needed) {
    return fail(Explained{
        .what =
            fmt::format("at most {} files may be open, a node needs {}", limit.rlim_cur, needed),
        .cause = "the limit of open files of this user or service is low",
        .next = "raise it: ulimit -n 16384, or LimitNOFILE=16384 of its service"});
  }
  return limit.rlim_cur - needed + kConnectionsMin;
}

/// Connections that have not said hello yet hold a place this long.
constexpr auto kHelloTime = std::chrono::seconds(5);

std::size_t size_of(const wire::Request& request) {
  constexpr std::size_t kHeader = 1024;
  if (const auto* put = std::get_if<wire::PutBlock>(&request.body))
    return kHeader + put->bytes.size();
  if (const auto* put = std::get_if<wire::PutRecord>(&request.body))
    return kHeader + put->record.value.size();
  return kHeader;
}

wire::HelloVerdict verdict_of(membership::AdmissionError error) {
  using enum membership::AdmissionError;
  switch (error) {
    case kMalformed:
      return wire::HelloVerdict::kAdmissionMalformed;
    case kOtherCluster:
      return wire::HelloVerdict::kAdmissionOtherCluster;
    case kUnknownOrganisation:
      return wire::HelloVerdict::kAdmissionUnknownOrganisation;
    case kRevokedOrganisation:
      return wire::HelloVerdict::kAdmissionRevokedOrganisation;
    case kBadSignature:
      return wire::HelloVerdict::kAdmissionBadSignature;
    case kOtherKey:
      return wire::HelloVerdict::kAdmissionOtherKey;
    case kOtherRole:
      return wire::HelloVerdict::kAdmissionOtherRole;
    case kNotYetValid:
      return wire::HelloVerdict::kAdmissionNotYetValid;
    case kExpired:
      return wire::HelloVerdict::kAdmissionExpired;
  }
  return wire::HelloVerdict::kAdmissionMalformed;
}

Result<std::optional<wire::SignedBytes>, Explained> read_admission(const NodeOptions& options) {
  if (options.admission.empty()) return std::optional<wire::SignedBytes>();
  auto statement = read_statement(options.admission);
  if (!statement) return fail(statement.error());
  if (!wire::AdmissionStatement::decode(statement->statement)) {
    return fail(Explained{.what = options.admission.string() + " is no admission statement",
                          .cause = "it was changed, or another file was named",
                          .next = "get one from the organisation: rosebud org admit-node"});
  }
  return std::optional(std::move(*statement));
}

/// How the node stands in the newest configuration that it was a member of with the directory that
/// its statement names; if in none, as it asks to be admitted.
Result<membership::Node, Explained> own_entry(
    const NodeOptions& options,
    const std::vector<std::shared_ptr<const membership::Configuration>>& chain,
    const wire::NodeKey& key, const std::optional<wire::SignedBytes>& admission) {
  const auto statement =
      admission ? wire::AdmissionStatement::decode(admission->statement) : std::nullopt;
  for (auto one = chain.rbegin(); one != chain.rend(); ++one) {
    const auto index = (*one)->node_index(key);
    if (!index) continue;
    const membership::Node& node = (*one)->nodes()[*index];
    if (!statement || statement->directory == node.directory) return node;
  }
  if (statement) {
    if (statement->subject != key) {
      return fail(Explained{
          .what = options.admission.string() + " admits another key than " + options.key.string(),
          .cause = "it is another node's statement, or the key was made again since",
          .next = "have the organisation admit this node by its node.request.json"});
    }
    return membership::Node{.name = statement->name,
                            .key = key,
                            .directory = statement->directory,
                            .address = statement->address,
                            .capacity_bytes = statement->capacity_bytes};
  }
  return fail(Explained{.what = "no node of this cluster has the key in " + options.key.string(),
                        .cause = "the key file is another node's, or the node was not admitted",
                        .next = "name the right key file, or join: rosebud node join --help"});
}

/// Whether the second gate has something to compute.
bool has_signatures(const wire::RequestBody& body) {
  return std::holds_alternative<wire::PutBlock>(body) ||
         std::holds_alternative<wire::OfferBlock>(body) ||
         std::holds_alternative<wire::PutRecord>(body);
}

}  // namespace

// ---- Opening ----

Result<std::unique_ptr<Node>, Explained> Node::open(NodeOptions options) {
  auto key = crypto::read_secret_key(options.key);
  if (!key) return fail(key.error());
  auto genesis = read_genesis(options.genesis);
  if (!genesis) return fail(genesis.error());
  auto first = membership::verify_genesis(*genesis, std::nullopt, crypto::ed25519());
  if (!first) return fail(first.error());
  EpochFiles epoch_files(options.data / "epochs");
  auto promise = RecoveryPromise::load(options.data / "recovery.promise");
  if (!promise) return fail(promise.error());
  // What was written down and not entered is not where it goes on.
  auto chain = epoch_files.load(
      *first, crypto::ed25519(),
      [&](const membership::Configuration& one) { return promise->may_enter(one.number()); });
  if (!chain) return fail(chain.error());
  auto admission = read_admission(options);
  if (!admission) return fail(admission.error());
  auto self = own_entry(options, *chain, key->public_key(), *admission);
  if (!self) return fail(self.error());
  auto directory = disk::DataDirectory::open(
      options.data,
      {.cluster = (*first)->cluster(), .node = key->public_key(), .directory = self->directory},
      disk::IfEmpty::kRefuse);
  if (!directory) return fail(directory.error());
  auto store = disk::Store::open({.path = directory->database_path(),
                                  .reserve_bytes = options.reserve_bytes,
                                  .cache_bytes = cache_bytes(options),
                                  .write_buffer_bytes = write_buffer_bytes(options)});
  if (!store) return fail(store.error());
  auto notes = (*store)->notes(objects::RecoveredNotes::kPrefix);
  if (!notes) {
    return fail(
        Explained{.what = "cannot read what the node noted in " + options.data.string(),
                  .cause = "files of the database are damaged",
                  .next = "have the node's organisation admit it again with a new directory"});
  }
  auto impl = std::make_unique<Impl>(std::move(options), *key, std::move(*admission),
                                     std::move(*self), std::move(*chain), std::move(epoch_files),
                                     std::move(*promise), std::move(*directory), std::move(*store),
                                     objects::RecoveredNotes{std::move(*notes)});
  if (auto listening = impl->listen(); !listening) return fail(listening.error());
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;
const std::string& Node::name() const { return impl_->own_.name; }
const std::string& Node::address() const { return impl_->own_.address; }
std::uint16_t Node::admin_port() const { return impl_->admin_->port(); }
void Node::run() { impl_->run(); }
void Node::stop() { impl_->stop(); }

Node::Impl::Impl(NodeOptions options, crypto::SecretKey key,
                 std::optional<wire::SignedBytes> admission, membership::Node own,
                 std::vector<std::shared_ptr<const membership::Configuration>> chain,
                 EpochFiles epoch_files, RecoveryPromise promise, disk::DataDirectory directory,
                 std::unique_ptr<disk::Store> store, objects::RecoveredNotes notes)
    : options_(std::move(options)),
      key_(std::move(key)),
      admission_(std::move(admission)),
      epoch_files_(std::move(epoch_files)),
      promise_(std::move(promise)),
      first_(chain.front()),
      look_back_(first_, epoch_files_, scheme_, read_clock),
      own_(std::move(own)),
      random_(crypto::random_from_system()),
      directory_(std::move(directory)),
      store_(std::move(store)),
      workers_(options_.worker_threads),
      committer_(std::make_unique<disk::GroupCommitter>(*store_)),
      tls_(key_),
      timer_(io_),
      epochs_timer_(io_),
      admission_timer_(io_),
      misbehaviour_(crypto::random_from_system()),
      started_(read_clock()) {
  for (const auto& one : chain) use(one);
  links_ = std::make_unique<NodeLinks>(
      io_, tls_,
      wire::Hello{.cluster = configuration_->cluster(),
                  .configuration = configuration_->number(),
                  .role = wire::Role::kNode,
                  .admission = admission_.value_or(wire::SignedBytes{})},
      NodeLinks::Events{
          .on_answer = [this](const wire::NodeKey& from,
                              wire::Answer answer) { take_answer(from, std::move(answer)); },
          .on_unreachable = [this](
                                const wire::NodeKey& node,
                                const net::LinkProblem& problem) { on_unreachable(node, problem); },
          .on_reached =
              [this](const wire::NodeKey& node) {
                link_problems_.erase(node);
                service_->on_link(node, true);
              }});
  open_service();
  // Former members too: some of what they keep may be wanted of them.
  constexpr std::size_t kRemembered = 16;
  const std::size_t old = chain.size() - std::min(chain.size(), kRemembered);
  for (std::size_t i = old; i < chain.size(); ++i) links_->set_configuration(*chain[i]);
  const bool was_member =
      !is_replaced_in(*configuration_) &&
      std::ranges::any_of(chain, [this](const auto& one) { return is_named_in(*one); });
  notes_ = std::move(notes);
  if (was_member) open_replica(objects::History(std::next(chain.rbegin()), chain.rend()));
}

void Node::Impl::open_replica(const objects::History& history) {
  objects::ReplicaLimits limits;
  limits.operation_bytes_max = operation_bytes(options_);
  limits.reconcile_interval = std::chrono::seconds(options_.reconcile_seconds);
  limits.scrub_interval = std::chrono::milliseconds(options_.scrub_interval_ms);
  limits.audit_interval = std::chrono::seconds(options_.audit_seconds);
  objects::ReplicaIdentity identity{.key = key_, .directory = directory_.identity().directory};
  crypto::fill_random(identity.audit_secret.bytes);
  replica_ = std::make_unique<objects::Replica>(
      std::move(identity), objects::Verifier(configuration_, scheme_), scheme_, std::move(notes_),
      crypto::random_from_system(), limits, history);
}

Node::Impl::~Impl() {
  // Workers and the committer call into the loop: they end first, then what they posted is dropped
  // with it.
  service_.reset();
  committer_.reset();
  workers_.join();
}

Status<Explained> Node::Impl::listen() {
  const std::string& address = options_.listen.empty() ? own_.address : options_.listen;
  const auto where = net::parse_address(address);
  if (!where) {
    return fail(Explained{.what = "'" + address + "' is no address",
                          .cause = "an address is host:port",
                          .next = "correct 'listen' in the node's configuration"});
  }
  const auto places = connections_for_descriptors(configuration_->nodes().size());
  if (!places) return fail(places.error());
  // Whoever is not through the handshake takes as much memory and a descriptor too.
  const std::size_t sockets_max = std::min(connections_in(options_), *places);
  const std::size_t handshakes_max = sockets_max / 8;
  const std::size_t connections_max = sockets_max - handshakes_max;
  // Strangers never get these, whether they say hello or not: so members can come back.
  const std::size_t for_members = connections_max / 4;
  const std::size_t for_others = connections_max - for_members;
  auto listener = net::listen(
      io_, tls_,
      {.host = where->first,
       .port = where->second,
       .connections_max = connections_max,
       // One machine alone must not keep all others out.
       .connections_per_address_max = for_others - for_others / 4,
       .handshakes_max = handshakes_max,
       .is_member =
           [this](const wire::NodeKey& key) { return configuration_->node_index(key).has_value(); },
       .places_for_members = for_members,
       .unfinished_bytes_max = unfinished_bytes(options_)},
      net::FrameLimits{.header_size_max = wire::kRequestHeaderSizeMax,
                       .unread_bytes_max = kUnreadBytesMax},
      [this](net::ConnectionPointer connection) { greet(connection); },
      [this](const std::string& from, net::CloseReason reason) {
        ++metrics_.rejected[std::string(net::name_of(reason))];
        if (!refusals_logged_.take(read_clock())) return;
        log_info("connection refused",
                 {{"address", from}, {"reason", std::string(net::name_of(reason))}});
      });
  if (!listener) return fail(listener.error());
  listener_ = std::move(*listener);
  open_overlay(where->first, where->second);
  auto admin_listener = net::listen_admin(
      io_, options_.admin_port, [this](const net::HttpRequest& request) { return admin(request); });
  if (!admin_listener) return fail(admin_listener.error());
  admin_ = std::move(*admin_listener);
  if (!options_.admin_port_file.empty()) {
    return replace_file(options_.admin_port_file, std::to_string(admin_->port()) + "\n");
  }
  return {};
}

void Node::Impl::run() {
  log_info(replica_ ? "serving" : "waiting to be admitted",
           {{"node", own_.name},
            {"epoch", std::to_string(configuration_->number().epoch.value)},
            {"address", own_.address}});
  if (const auto cut = take_cut(); !cut)
    log_error("whom to send nothing to is not known", {{"reason", cut.error().text()}});
  feed([&](objects::Effects& out) { replica_->start(read_clock(), out); });
  service_->begin(configuration_, previous_, is_named_in(*configuration_) && !is_bound());
  enter_overlay();
  ask_somebody_later();
  ask_to_be_admitted_later(Duration::zero());
  const auto work = asio::make_work_guard(io_);
  io_.run();
  log_info("stopped", {{"node", own_.name}});
}

void Node::Impl::stop() {
  asio::post(io_, [this] {
    if (is_stopping_) return;
    is_stopping_ = true;
    log_info("stopping", {{"node", own_.name}});
    listener_.reset();
    service_->stop();
    if (overlay_) overlay_->leave();
    links_->close();
    for (auto& [id, from] : incoming_) from.connection->pause_reading();
    drain(read_clock() + kDrainTime);
  });
}

/// Nothing new comes in. What is under way is answered, or the time is over; then everything ends.
void Node::Impl::drain(Instant deadline) {
  const bool is_done = (!replica_ || replica_->statistics().operations == 0) && queued_bytes() == 0;
  if (is_done || read_clock() >= deadline) {
    admin_.reset();
    for (auto& [id, from] : incoming_) from.connection->close();
    timer_.cancel();
    epochs_timer_.cancel();
    admission_timer_.cancel();
    // What is still in the committer becomes durable; its answers have nobody left to go to.
    io_.stop();
    return;
  }
  timer_.expires_after(std::chrono::milliseconds(5));
  timer_.async_wait([this, deadline](const boost::system::error_code& error) {
    if (!error) drain(deadline);
  });
}

/// A line for each new problem with a node: that it was refused there, and why, is seen nowhere
/// else.
void Node::Impl::on_unreachable(const wire::NodeKey& node, const net::LinkProblem& problem) {
  if (!is_stopping_) service_->on_link(node, false);
  std::string& logged = link_problems_[node];
  if (is_stopping_ || logged == problem.text()) return;
  if (!problems_logged_.take(read_clock())) return;
  logged = problem.text();
  const auto index = configuration_->node_index(node);
  log_info("node not reached",
           {{"peer", index ? configuration_->nodes()[*index].name : "?"}, {"reason", logged}});
}

/// A line for what changes: nobody may wonder later why they do not hear of each other.
Status<Explained> Node::Impl::take_cut() {
  auto cut = options_.is_development ? read_cut(options_.data) : Cut{};
  if (!cut) return fail(cut.error());
  const Cut before = std::exchange(cut_, std::move(*cut));
  if (cut_ == before) return {};
  log_info("sends nothing to some others, as a development cluster's node was told to",
           {{"node", own_.name}, {"others", std::to_string(cut_.size())}});
  links_->cut_off(cut_);
  if (overlay_) overlay_->cut_off({cut_.begin(), cut_.end()});
  for (const wire::NodeKey& node : cut_) {
    if (known_nodes_.contains(node))
      on_unreachable(node, {.reason = net::CloseReason::kUnreachable});
  }
  for (const wire::NodeKey& node : before) {
    if (!cut_.contains(node)) link_problems_.erase(node);
  }
  return {};
}

// ---- Connections ----

bool Incoming::is_over_limits() const {
  return bytes_in_work > kConnectionBytesInWork || notice_bytes_in_work > kNoticeBytesInWork;
}

void Incoming::resume_reading() {
  if (bytes_in_work <= kConnectionBytesInWork / 2 && notice_bytes_in_work <= kNoticeBytesInWork / 2)
    connection->resume_reading();
}

void Node::Impl::greet(const net::ConnectionPointer& connection) {
  const objects::ConnectionId id(++last_connection_);
  incoming_.emplace(id, Incoming{.connection = connection});
  connection->start(
      {.on_frame = [this, id](Bytes header,
                              Buffer bulk) { on_frame(id, std::move(header), std::move(bulk)); },
       .on_closed =
           [this, id](net::CloseReason reason) {
             if (reason == net::CloseReason::kOversize || reason == net::CloseReason::kTooSlow) {
               ++metrics_.rejected[std::string(net::name_of(reason))];
             }
             incoming_.erase(id);
           }});
  auto timer = std::make_shared<asio::steady_timer>(io_, kHelloTime);
  timer->async_wait([this, id, timer](const boost::system::error_code&) {
    const auto at = incoming_.find(id);
    if (at != incoming_.end() && !at->second.is_greeted) reject(id, "no_hello");
  });
}

void Node::Impl::reject(objects::ConnectionId id, std::string_view why) {
  ++metrics_.rejected[std::string(why)];
  const auto at = incoming_.find(id);
  if (at != incoming_.end()) at->second.connection->close();
}

void Node::Impl::on_frame(objects::ConnectionId id, Bytes header, Buffer bulk) {
  const auto at = incoming_.find(id);
  if (at == incoming_.end() || is_stopping_) return;
  metrics_.bytes_in += header.size() + bulk.size();
  // One hello each: a refused one was told why, and checking it costs more than sending it.
  if (at->second.is_refused) return reject(id, "frame_after_refusal");
  if (!at->second.is_greeted) return on_hello(id, at->second, header);
  auto message = wire::decode(header, std::move(bulk));
  if (!message) return reject(id, wire::name_of(message.error()));
  auto* request = std::get_if<wire::Request>(&*message);
  if (!request) return reject(id, "not_a_request");
  on_request(id, at->second, std::move(*request));
}

void Node::Impl::on_hello(objects::ConnectionId id, Incoming& from, const Bytes& header) {
  const auto hello = wire::Hello::decode(header);
  if (!hello) return reject(id, "no_hello");
  using enum wire::HelloVerdict;
  const wire::NodeKey& peer = from.connection->peer();
  wire::HelloAnswer answer{.cluster = configuration_->cluster(),
                           .configuration = configuration_->number()};
  if (hello->cluster != configuration_->cluster()) {
    answer.verdict = kOtherCluster;
  } else if (hello->version_min > wire::kProtocolVersion ||
             hello->version < wire::kProtocolVersionMin) {
    answer.verdict = kOtherVersion;
  } else if (hello->role == wire::Role::kNode) {
    // One that was a member may learn what came after; the core grants it nothing else.
    const auto node = known_nodes_.find(peer);
    if (node != known_nodes_.end()) {
      from.name = node->second;
      links_->retry_now(node->first);
    } else if (hello->admission.statement.empty()) {
      answer.verdict = kUnknownNode;
    } else {
      // One that is to be a member: it may learn what there is, and ask (on_request).
      const auto admitted = membership::check_admission(*configuration_, hello->admission, peer,
                                                        wire::Role::kNode, wall_time(), scheme_);
      if (!admitted) answer.verdict = verdict_of(admitted.error());
      if (admitted) from.name = admitted->name;
    }
  } else {
    const auto admitted = membership::check_admission(*configuration_, hello->admission, peer,
                                                      wire::Role::kClient, wall_time(), scheme_);
    if (!admitted) answer.verdict = verdict_of(admitted.error());
    if (admitted) {
      from.name = admitted->name;
      from.organisation = admitted->organisation;
    }
  }
  if (misbehaviour_.mode() == adversary::Mode::kMute || cut_.contains(peer)) return;
  from.connection->send(answer.encode(), {});
  if (answer.verdict != kWelcome) {
    ++metrics_.rejected["hello"];
    from.is_refused = true;
    if (refusals_logged_.take(read_clock())) {
      log_info("hello refused", {{"peer", to_hex(from.connection->peer().view())},
                                 {"address", from.connection->remote_address()},
                                 {"reason", std::string(wire::text_of(answer.verdict))}});
    }
    // Closed by the other side, which has the reason then; or by the timer above.
    return;
  }
  from.role = hello->role;
  from.is_greeted = true;
}

/// The second gate runs on the pool; the connection waits when too much of it is in work.
void Node::Impl::on_request(objects::ConnectionId id, Incoming& from, wire::Request request) {
  const std::size_t size = size_of(request);
  ++metrics_.requests[std::string(wire::name_of(request.body))];
  if (from.role == wire::Role::kNode)
    hear_of(from.connection->peer(), request.context.configuration);
  if (const auto* asked = std::get_if<wire::GetDescriptions>(&request.body)) {
    return answer_descriptions(id, request.context, asked->after);
  }
  const bool is_guest =
      from.role == wire::Role::kNode && !known_nodes_.contains(from.connection->peer());
  if (const auto* notice = std::get_if<wire::Notice>(&request.body); notice && !is_guest) {
    return take_notice(id, from, request.context, *notice);
  }
  if (const auto* handed_in = std::get_if<wire::HandIn>(&request.body)) {
    return take_hand_in(id, from, request.context, *handed_in);
  }
  if (is_guest) return reject(id, "not_allowed");
  if (!replica_ || bytes_in_work_ + size > work_bytes(options_) * 3 / 2) {
    return send_answer(
        id, {.context = {.configuration = configuration_->number(), .nonce = request.context.nonce},
             .body = wire::Refused{.reason = wire::RefusalReason::kBusy, .retry_after_ms = 200}});
  }
  from.bytes_in_work += size;
  bytes_in_work_ += size;
  // Together they may not take more than their share of the memory: then everybody goes frame by
  // frame.
  if (from.is_over_limits() || bytes_in_work_ > work_bytes(options_)) {
    from.connection->pause_reading();
  }
  const objects::Sender sender{.connection = id, .key = from.connection->peer(), .role = from.role};
  if (has_signatures(request.body))
    return verify_later({.sender = sender, .size = size, .request = std::move(request)});
  const wire::MessageContext context = request.context;
  take_verified(sender, size, context, replica_->verifier().request(std::move(request)));
}

/// What came in one turn of the loop is verified together: here, or with one wake-up on the pool.
void Node::Impl::verify_later(Unverified one) {
  unverified_.push_back(std::move(one));
  if (unverified_.size() == 1) asio::post(io_, [this] { verify_together(); });
}

void Node::Impl::verify_together() {
  std::size_t bytes = 0;
  for (const Unverified& one : unverified_) bytes += one.size;
  if (unverified_.size() <= kVerifiedOnLoopMax && bytes <= kVerifiedOnLoopBytesMax) {
    for (Unverified& one : std::exchange(unverified_, {})) {
      const wire::MessageContext context = one.request.context;
      take_verified(one.sender, one.size, context,
                    replica_->verifier().request(std::move(one.request)));
    }
    return;
  }
  const std::size_t part =
      (unverified_.size() + options_.worker_threads - 1) / options_.worker_threads;
  while (!unverified_.empty()) {
    const auto from =
        unverified_.end() - static_cast<std::ptrdiff_t>(std::min(part, unverified_.size()));
    std::vector<Unverified> some(std::make_move_iterator(from),
                                 std::make_move_iterator(unverified_.end()));
    unverified_.erase(from, unverified_.end());
    verify_on_pool(std::move(some));
  }
}

void Node::Impl::verify_on_pool(std::vector<Unverified> some) {
  asio::post(workers_, [this, some = std::move(some), verifier = replica_->verifier()]() mutable {
    struct Checked {
      objects::Sender sender;
      std::size_t size = 0;
      wire::MessageContext context;
      Result<objects::Verified<wire::Request>, wire::RefusalReason> verified;
    };
    std::vector<Checked> checked;
    checked.reserve(some.size());
    for (Unverified& one : some) {
      const wire::MessageContext context = one.request.context;
      checked.push_back({one.sender, one.size, context, verifier.request(std::move(one.request))});
    }
    asio::post(io_, [this, checked = std::move(checked)]() mutable {
      for (Checked& one : checked)
        take_verified(one.sender, one.size, one.context, std::move(one.verified));
    });
  });
}

void Node::Impl::take_verified(
    const objects::Sender& sender, std::size_t size, const wire::MessageContext& context,
    Result<objects::Verified<wire::Request>, wire::RefusalReason> verified) {
  bytes_in_work_ -= size;
  const auto at = incoming_.find(sender.connection);
  if (at == incoming_.end() || is_stopping_) return;
  Incoming& source = at->second;
  source.bytes_in_work -= size;
  source.resume_reading();
  if (!verified) {
    ++metrics_.rejected[std::string(wire::name_of(verified.error()))];
    return feed([&](objects::Effects& out) {
      replica_->on_rejected(read_clock(), sender, context, verified.error(), out);
    });
  }
  feed([&](objects::Effects& out) {
    replica_->on_request(read_clock(), sender, std::move(*verified), out);
  });
}

// ---- Effects ----

void Node::Impl::perform(objects::Effects effects) {
  misbehaviour_.edit(effects);
  for (objects::Effect& effect : effects) {
    if (const auto* answer = std::get_if<objects::SendAnswer>(&effect)) {
      send_answer(answer->to, answer->answer);
    } else if (const auto* request = std::get_if<objects::SendRequest>(&effect)) {
      links_->send(request->to, request->request);
    } else if (const auto* load = std::get_if<objects::Load>(&effect)) {
      run_load(*load);
    } else if (const auto* scan = std::get_if<objects::Scan>(&effect)) {
      run_scan(*scan);
    } else if (auto* persist = std::get_if<objects::Persist>(&effect)) {
      run_persist(std::move(*persist));
    } else if (const auto* report = std::get_if<objects::Report>(&effect)) {
      ++observations_[{report->peer, report->observation}];
    } else if (const auto* complaint = std::get_if<objects::Complain>(&effect)) {
      complain(complaint->about);
    } else if (const auto* checked = std::get_if<objects::Checked>(&effect)) {
      service_->on_checked(checked->about, checked->outcome);
    }
  }
  wake_at(replica_->next_deadline());
}

void Node::Impl::send_answer(objects::ConnectionId to, const wire::Answer& answer) {
  const auto at = incoming_.find(to);
  if (at == incoming_.end() || cut_.contains(at->second.connection->peer())) return;
  if (const auto* refused = std::get_if<wire::Refused>(&answer.body)) {
    ++metrics_.refusals[std::string(wire::name_of(refused->reason))];
  }
  wire::EncodedMessage message = wire::encode(answer);
  // Readers that are slow together must not fill the memory with what waits for them.
  constexpr std::size_t kLarge = 4U << 10;
  const std::size_t size = message.header.size() + message.bulk.size();
  if (size > kLarge && queued_bytes() + size > answer_bytes(options_)) {
    ++metrics_.refusals[std::string(wire::name_of(wire::RefusalReason::kBusy))];
    message = wire::encode(wire::Answer{
        .context = answer.context,
        .body = wire::Refused{.reason = wire::RefusalReason::kBusy, .retry_after_ms = 200}});
  }
  metrics_.bytes_out += message.header.size() + message.bulk.size();
  // A peer that does not take its answers loses them, then its connection.
  if (!at->second.connection->send(std::move(message.header), std::move(message.bulk))) {
    reject(to, "does_not_read");
  }
}

std::size_t Node::Impl::queued_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [id, from] : incoming_) bytes += from.connection->queued_bytes();
  return bytes;
}

/// A few at a time: what is loaded takes memory until the loop has handled it.
void Node::Impl::run_load(const objects::Load& load) {
  // What lies in memory is there sooner than another thread wakes up.
  if (auto loaded = store_->load_cached(load.id, load.part)) {
    loaded_.emplace_back(load.token, std::move(*loaded));
    return;
  }
  if (loads_under_way_ < kLoadsUnderWayMax) return begin_load(load);
  waiting_loads_.push_back(load);
}

/// An input is finished before the next begins: these waited until its effects were performed.
void Node::Impl::feed_loaded() {
  while (!loaded_.empty()) {
    auto [token, loaded] = std::move(loaded_.front());
    loaded_.pop_front();
    objects::Effects effects;
    replica_->on_loaded(read_clock(), token, std::move(loaded), effects);
    perform(std::move(effects));
  }
}

void Node::Impl::begin_load(objects::Load load) {
  ++loads_under_way_;
  asio::post(workers_, [this, load] {
    auto loaded = store_->load(load.id, load.part);
    asio::post(io_, [this, token = load.token, loaded = std::move(loaded)]() mutable {
      --loads_under_way_;
      if (!waiting_loads_.empty()) {
        begin_load(waiting_loads_.front());
        waiting_loads_.pop_front();
      }
      feed([&](objects::Effects& out) {
        replica_->on_loaded(read_clock(), token, std::move(loaded), out);
      });
    });
  });
}

void Node::Impl::run_scan(const objects::Scan& scan) {
  asio::post(workers_, [this, scan] {
    auto scanned = store_->scan(scan.range, scan.after, scan.limit);
    if (scanned == fail(wire::StorageError::kCorrupt)) end_with_damaged_index();
    asio::post(io_, [this, token = scan.token, scanned = std::move(scanned)]() mutable {
      feed([&](objects::Effects& out) {
        replica_->on_scanned(read_clock(), token, std::move(scanned), out);
      });
    });
  });
}

void Node::Impl::run_persist(objects::Persist persist) {
  const auto tell = [this, token = persist.token](Status<wire::StorageError> status) {
    if (!status && store_->is_closed_to_writes()) end_for_a_fresh_start();
    if (persisted_.add({token, status})) asio::post(io_, [this] { feed_persisted(); });
  };
  // The replica answers "busy" to whoever waits for a write that found the queue full.
  if (!committer_->try_submit(std::move(persist.writes), tell)) tell(fail(wire::StorageError::kIo));
}

/// After a write of the database's log failed nobody knows what of it is on the disk; only reading
/// it again tells. A node that went on would answer reads and refuse every write for ever. Its
/// service manager starts it again, and it begins from what is there. Nothing is closed in order:
/// that would write.
void Node::Impl::end_for_a_fresh_start() {
  log_error(
      "the database takes no more writes after an error of its disk; ending, to be started again",
      {{"node", own_.name}});
  std::_Exit(kExitDiskFailed);
}

/// What the index does not show is neither compared with the other replicas nor served; an object
/// that was lost from it would be denied. So this node can never say again that it is complete.
void Node::Impl::end_with_damaged_index() {
  log_error("the index of the stored objects is damaged; ending",
            {{"node", own_.name},
             {"cause", "its disk loses or changes bits"},
             {"next",
              "replace the disk and have the organisation admit the node with a new directory: the "
              "other members have all objects"}});
  std::_Exit(kExitDamaged);
}

void Node::Impl::feed_persisted() {
  for (const auto& [token, status] : persisted_.take()) {
    feed([&](objects::Effects& out) { replica_->on_persisted(read_clock(), token, status, out); });
  }
}

void Node::Impl::wake_at(Instant deadline) {
  if (is_stopping_ || deadline >= timer_at_) return;
  timer_at_ = deadline;
  const auto wait = std::max(deadline - read_clock(), Duration::zero());
  timer_.expires_after(wait);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || is_stopping_) return;
    timer_at_ = Instant::max();
    feed([&](objects::Effects& out) { replica_->on_time(read_clock(), out); });
  });
}

}  // namespace rosebud::runtime
