// The parts of a running node; for the files of runtime/ alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <mutex>
#include <utility>

#include "adversary/misbehaviour.h"
#include "crypto/remembering_scheme.h"
#include "disk/directory.h"
#include "disk/group_commit.h"
#include "net/admin_http.h"
#include "overlay/overlay.h"
#include "runtime/cut_file.h"
#include "runtime/epoch_files.h"
#include "runtime/generation_starts.h"
#include "runtime/log.h"
#include "runtime/look_back.h"
#include "runtime/node.h"
#include "runtime/node_links.h"
#include "runtime/recovery_promise.h"
#include "runtime/service_host.h"

namespace rosebud::runtime {

inline Timestamp wall_time() {
  return Timestamp(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count()));
}

inline Instant read_clock() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

/// A connection from a client or another node.
struct Incoming {
  net::ConnectionPointer connection;
  bool is_greeted = false;
  bool is_refused = false;  // by the answer to its hello
  wire::Role role = wire::Role::kClient;
  std::string name;
  crypto::PublicKey organisation;        // of a client: who admitted it
  std::size_t bytes_in_work = 0;         // of requests not yet verified or queued in the core
  std::size_t notice_bytes_in_work = 0;  // that the service's replica has not looked at yet

  bool is_over_limits() const;
  void resume_reading();
};

struct OperationMetrics {
  std::map<std::string, std::uint64_t, std::less<>> requests;  // by name of the request
  std::map<std::string, std::uint64_t, std::less<>> refusals;  // by reason
  std::map<std::string, std::uint64_t, std::less<>>
      rejected;  // frames and hellos that did not pass a gate
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

/// A request whose hash and signatures the pool is to check.
struct Unverified {
  objects::Sender sender;
  std::size_t size = 0;
  wire::Request request;
};

/// What another thread hands to the loop: one wake-up for all that comes before the loop looks.
template <typename T>
class HandedOver {
 public:
  /// True when the loop must be told: nothing was waiting. Thread-safe.
  [[nodiscard]] bool add(T one) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(one));
    return waiting_.size() == 1;
  }
  std::vector<T> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<T> waiting_;
};

class Node::Impl {
 public:
  Impl(NodeOptions options, crypto::SecretKey key, std::optional<wire::SignedBytes> admission,
       membership::Node own, std::vector<std::shared_ptr<const membership::Configuration>> chain,
       EpochFiles epoch_files, RecoveryPromise promise, disk::DataDirectory directory,
       std::unique_ptr<disk::Store> store, objects::RecoveredNotes notes);
  ~Impl();

  Status<Explained> listen();
  void run();
  void stop();

  // node_admin.cc
  net::HttpResponse admin(const net::HttpRequest& request);
  std::string metrics_text() const;
  std::string status_json() const;
  net::HttpResponse misbehave(const std::string& query);
  net::HttpResponse look_at_cut();
  net::HttpResponse state_for_recovery_as_asked(const std::string& query);

  // node_epochs.cc
  void hear_of(const wire::NodeKey& from, const wire::ConfigurationNumber& number);
  void ask_for_descriptions(const wire::NodeKey& node);
  void answer_descriptions(objects::ConnectionId to, const wire::MessageContext& context,
                           const wire::ConfigurationNumber& after);
  void take_answer(const wire::NodeKey& from, wire::Answer answer);
  void learn(const std::vector<Buffer>& descriptions);
  void learn_from_files();
  void end_revoked_clients();
  bool enter(std::shared_ptr<const membership::Configuration> next);
  void enter_written(std::shared_ptr<const membership::Configuration> next);
  void use(std::shared_ptr<const membership::Configuration> configuration);
  void tell(const wire::NodeKey& node);
  void tell_others();
  void ask_somebody_later();

  // node_recovery.cc
  bool is_bound() const;
  Result<wire::SignedBytes, std::string> state_for_recovery(const wire::SignedBytes& signed_call);
  Buffer state_handed_over() const;
  bool hold(std::shared_ptr<const membership::Configuration> next);
  const membership::Configuration& known_in(wire::Generation generation) const;
  LookBack::Chain chain_to_parent(const membership::DescriptionHeader& header,
                                  const Buffer& description);
  bool is_own(const membership::Configuration& one) const;
  bool learn_recovery(const membership::DescriptionHeader& header, const Buffer& description);
  void go_back_to(const std::shared_ptr<const membership::Configuration>& parent);
  wire::ConfigurationNumber newest_known() const;
  wire::ConfigurationNumber known_to_ask_after();
  ServiceFiles service_files() const { return {options_.key, options_.data / "service"}; }

  // node_joining.cc
  bool is_named_in(const membership::Configuration& configuration) const;
  bool is_replaced_in(const membership::Configuration& configuration) const;
  void end_as_replaced();
  void ask_to_be_admitted();
  void ask_to_be_admitted_later(Duration wait);
  void take_admission_answer(const wire::NodeKey& from, const wire::Answer& answer);

  // node_service.cc
  void open_service();
  void send_notice(const wire::NodeKey& to, Buffer notice);
  void take_notice(objects::ConnectionId id, Incoming& from, const wire::MessageContext& context,
                   const wire::Notice& notice);
  void complain(const wire::Accusation& about);
  void give_back(objects::ConnectionId id, std::size_t size);
  std::optional<service::Answer> answer_without_group(const Incoming& from,
                                                      const service::Operation& operation) const;
  void take_hand_in(objects::ConnectionId id, const Incoming& from,
                    const wire::MessageContext& context, const wire::HandIn& request);
  void answer_hand_in(service::HandInId id, service::Answer answer);

  // node_overlay.cc
  void open_overlay(const std::string& host, std::uint16_t port);
  void enter_overlay();
  net::HttpResponse overlay_picture() const;
  net::HttpResponse begin_lookup(const std::string& point);
  net::HttpResponse lookup_answer(std::uint64_t id);

  // node.cc
  void greet(const net::ConnectionPointer& connection);
  void on_frame(objects::ConnectionId id, Bytes header, Buffer bulk);
  void on_hello(objects::ConnectionId id, Incoming& from, const Bytes& header);
  void on_request(objects::ConnectionId id, Incoming& from, wire::Request request);
  void reject(objects::ConnectionId id, std::string_view why);
  void open_replica(const objects::History& history);
  void perform(objects::Effects effects);
  void send_answer(objects::ConnectionId to, const wire::Answer& answer);
  std::size_t queued_bytes() const;
  void verify_later(Unverified one);
  void verify_together();
  void verify_on_pool(std::vector<Unverified> some);
  void take_verified(const objects::Sender& sender, std::size_t size,
                     const wire::MessageContext& context,
                     Result<objects::Verified<wire::Request>, wire::RefusalReason> verified);
  void run_load(const objects::Load& load);
  void feed_loaded();
  void run_scan(const objects::Scan& scan);
  void run_persist(objects::Persist persist);
  [[noreturn]] void end_for_a_fresh_start();
  [[noreturn]] void end_with_damaged_index();
  void feed_persisted();
  Status<Explained> take_cut();
  void wake_at(Instant deadline);
  void on_unreachable(const wire::NodeKey& node, const net::LinkProblem& problem);
  void begin_load(objects::Load load);
  void drain(Instant deadline);
  template <typename Input>
  void feed(Input input) {
    if (!replica_) return;
    objects::Effects effects;
    input(effects);
    perform(std::move(effects));
    feed_loaded();
  }

  NodeOptions options_;
  crypto::SecretKey key_;
  std::optional<wire::SignedBytes> admission_;            // with which it asks to be admitted
  std::pair<wire::NodeKey, wire::Nonce> asked_to_admit_;  // whose answer counts, to what
  crypto::RememberingScheme scheme_{crypto::ed25519()};
  std::shared_ptr<const membership::Configuration> configuration_;
  std::shared_ptr<const membership::Configuration> previous_;  // nothing at the genesis
  EpochFiles epoch_files_;
  RecoveryPromise promise_;
  /// Verified and written down; the promise keeps them out. The newest of each generation.
  std::map<wire::Generation, std::shared_ptr<const membership::Configuration>> held_;
  GenerationStarts generation_starts_;
  std::shared_ptr<const membership::Configuration> first_;  // the genesis
  LookBack look_back_;
  membership::Node own_;     // as the newest configuration says in which it is; before: as it asks
  objects::History recent_;  // before the one in force: what a node that is admitted completes from
  std::string organisation_;
  Random random_;
  std::map<wire::NodeKey, std::string> known_nodes_;  // members of this and of earlier epochs
  std::map<wire::NodeKey, Instant> ask_again_at_;     // of those who were ahead
  std::map<wire::NodeKey, Instant> tell_again_at_;    // of those who were behind
  disk::DataDirectory directory_;
  std::unique_ptr<disk::Store> store_;
  objects::RecoveredNotes notes_;  // until the replica takes them
  boost::asio::io_context io_;
  boost::asio::thread_pool workers_;
  std::unique_ptr<disk::GroupCommitter> committer_;
  net::TlsContext tls_;
  std::unique_ptr<NodeLinks> links_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::AdminHttp> admin_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer epochs_timer_;
  boost::asio::steady_timer admission_timer_;
  Instant timer_at_ = Instant::max();
  std::unique_ptr<objects::Replica> replica_;  // nothing before it is admitted
  adversary::Misbehaviour misbehaviour_;
  Cut cut_;  // of a node of a development cluster: to whom it sends nothing
  std::unique_ptr<ServiceHost> service_;
  std::unique_ptr<overlay::Overlay> overlay_;  // nothing where its port is taken
  std::uint64_t last_lookup_ = 0;
  std::map<std::uint64_t, std::optional<overlay::LookupAnswer>> lookups_;  // asked for by admin
  std::uint64_t last_hand_in_ = 0;
  std::map<service::HandInId, std::pair<objects::ConnectionId, wire::MessageContext>> handed_in_;

  std::uint64_t last_connection_ = 0;
  std::map<objects::ConnectionId, Incoming> incoming_;
  std::map<std::pair<wire::NodeKey, objects::Observation>, std::uint64_t> observations_;
  OperationMetrics metrics_;
  Instant started_;
  std::size_t bytes_in_work_ = 0;  // of all connections
  std::size_t notice_bytes_in_work_ = 0;
  std::size_t loads_under_way_ = 0;
  std::deque<objects::Load> waiting_loads_;
  std::deque<std::pair<objects::Token, wire::Loaded>> loaded_;  // without waiting; to be fed next
  std::vector<Unverified> unverified_;                          // of this turn of the loop
  HandedOver<std::pair<objects::Token, Status<wire::StorageError>>> persisted_;
  LogLimit refusals_logged_;
  LogLimit problems_logged_;
  std::map<wire::NodeKey, std::string> link_problems_;  // what was logged last; gone with an answer
  bool is_stopping_ = false;
  std::shared_ptr<Impl*> alive_ = std::make_shared<Impl*>(this);
};

}  // namespace rosebud::runtime
