#include "client/session.h"

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "client/newest_file.h"
#include "crypto/key_file.h"
#include "crypto/random.h"
#include "crypto/remembering_scheme.h"
#include "membership/admission.h"
#include "membership/description.h"
#include "membership/lease.h"
#include "runtime/node_links.h"
#include "runtime/statement_file.h"

namespace rosebud::client {
namespace {

namespace asio = boost::asio;

Instant read_clock() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

std::uint64_t wall_seconds() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

class LiveSession final : public Session {
 public:
  LiveSession(std::shared_ptr<const membership::Configuration> first,
              std::shared_ptr<const membership::Configuration> configuration,
              std::filesystem::path state, crypto::SecretKey key, wire::SignedBytes admission,
              wire::AdmissionStatement statement, bool is_stale_allowed)
      : first_(std::move(first)),
        configuration_(std::move(configuration)),
        state_(std::move(state)),
        key_(std::move(key)),
        admission_(std::move(admission)),
        statement_(std::move(statement)),
        is_stale_allowed_(is_stale_allowed),
        tls_(key_),
        timer_(io_),
        core_(objects::Verifier(configuration_, scheme_), crypto::random_from_system(),
              {.unreachable_grace = kUnreachableGrace}),
        links_(io_, tls_,
               wire::Hello{.cluster = configuration_->cluster(),
                           .configuration = configuration_->number(),
                           .role = wire::Role::kClient,
                           .admission = admission_},
               {.on_answer =
                    [this](const wire::NodeKey& from, wire::Answer answer) {
                      if (const auto* found = std::get_if<wire::Descriptions>(&answer.body)) {
                        collect(answer.context.nonce, found->descriptions);
                        learn(found->descriptions);
                        learn_lease(found->lease);
                        return note_newest(from, answer.context.configuration);
                      }
                      if (const auto* said = std::get_if<wire::HandedIn>(&answer.body)) {
                        return note_handed_in(from, said->answer);
                      }
                      feed([&](objects::ClientEffects& out) {
                        core_.on_answer(read_clock(), from, std::move(answer), out);
                      });
                    },
                .on_unreachable =
                    [this](const wire::NodeKey& node, const net::LinkProblem& problem) {
                      {
                        const std::lock_guard lock(mutex_);
                        problems_[node] = problem;
                      }
                      feed([&](objects::ClientEffects& out) {
                        core_.on_unreachable(read_clock(), node, out);
                      });
                    }}),
        work_(asio::make_work_guard(io_)) {
    links_.set_configuration(*configuration_);
    feed([this](objects::ClientEffects& out) { tell_fresh_until(out); });
    thread_ = std::thread([this] { io_.run(); });
  }

  ~LiveSession() override {
    asio::post(io_, [this] {
      links_.close();
      timer_.cancel();
      io_.stop();
    });
    thread_.join();
    if (is_newer_than_kept_) keep_newest(state_, *configuration_);
  }

  std::shared_ptr<const membership::Configuration> configuration() const override {
    const std::lock_guard lock(mutex_);
    return configuration_;
  }
  const crypto::SecretKey& key() const override { return key_; }
  const crypto::SignatureScheme& scheme() const override { return scheme_; }

  void write_block(const wire::ObjectId& id, Buffer bytes, Duration timeout, Done done) override {
    wire::Hold hold = make_hold(id, bytes.size());
    // Asking first costs one small message; worth it where the bytes are many.
    const bool is_offered_first = bytes.size() >= kOfferFrom;
    start(std::move(done),
          [=, this, bytes = std::move(bytes), hold = std::move(hold)](auto& out) mutable {
            return core_.write_block(read_clock(), id, std::move(bytes), std::move(hold),
                                     is_offered_first, read_clock() + timeout, out);
          });
  }
  void read_block(const wire::ObjectId& id, Duration timeout, Done done) override {
    start(std::move(done), [=, this](auto& out) {
      return core_.read_block(read_clock(), id, read_clock() + timeout, out);
    });
  }
  void write_record(const wire::ObjectId& id, wire::SignedRecord record, Duration timeout,
                    Done done) override {
    wire::Hold hold = record_hold(id);
    start(std::move(done),
          [=, this, record = std::move(record), hold = std::move(hold)](auto& out) mutable {
            return core_.write_record(read_clock(), id, std::move(record), std::move(hold),
                                      read_clock() + timeout, out);
          });
  }
  void read_record(const wire::ObjectId& id, Duration timeout, Done done) override {
    start(std::move(done), [=, this](auto& out) {
      return core_.read_record(read_clock(), id, read_clock() + timeout, out);
    });
  }

  std::shared_ptr<const membership::Configuration> learn_newest(Duration timeout) override {
    const auto end = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    newest_said_.clear();
    while (!is_newest_known() && std::chrono::steady_clock::now() < end) {
      asio::post(io_, [this] {
        ask_all({.configuration = configuration_->number(), .nonce = wire::Nonce(random_.next())},
                wire::GetDescriptions{.after = configuration_->number()});
      });
      heard_.wait_until(lock, std::min(end, std::chrono::steady_clock::now() + kAskAgain),
                        [this] { return is_newest_known(); });
    }
    return configuration_;
  }

  std::optional<std::uint8_t> hand_in(const Bytes& operation, Duration timeout) override {
    const auto end = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    handed_in_said_.clear();
    std::optional<std::uint8_t> out;
    while (!(out = agreed_answer()) && std::chrono::steady_clock::now() < end) {
      asio::post(io_, [this, operation] {
        ask_all({.configuration = configuration_->number(), .nonce = wire::Nonce(random_.next())},
                wire::HandIn{operation});
      });
      heard_.wait_until(lock, std::min(end, std::chrono::steady_clock::now() + kAskAgain),
                        [this] { return agreed_answer().has_value(); });
    }
    return out;
  }

  std::vector<Buffer> descriptions_after(const wire::ConfigurationNumber& after,
                                         Duration timeout) override {
    const auto end = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    collected_.clear();
    while (collected_.empty() && std::chrono::steady_clock::now() < end) {
      asio::post(io_, [this, after] {
        const wire::Nonce nonce(random_.next());
        {
          const std::lock_guard held(mutex_);
          collecting_ = nonce;
        }
        ask_all({.configuration = configuration_->number(), .nonce = nonce},
                wire::GetDescriptions{.after = after});
      });
      heard_.wait_until(lock, std::min(end, std::chrono::steady_clock::now() + kAskAgain),
                        [this] { return !collected_.empty(); });
    }
    return std::exchange(collected_, {});
  }

  std::vector<Observed> observations() const override {
    const std::lock_guard lock(mutex_);
    std::vector<Observed> out;
    for (const auto& [what, count] : observed_) {
      out.push_back({.node = name_of(what.first), .observation = what.second, .count = count});
    }
    return out;
  }
  std::vector<std::string> problems() const override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [node, problem] : problems_)
      out.push_back(name_of(node) + ": " + problem.text());
    return out;
  }
  std::string staleness() const override {
    const std::lock_guard lock(mutex_);
    const auto until = membership::usable_until(*configuration_, leased_until_);
    if (!until || until->value > wall_seconds()) return {};
    return ": the time of epoch " + std::to_string(configuration_->number().epoch.value) +
           " has been over for " + std::to_string(wall_seconds() - until->value) + " s";
  }
  std::optional<std::string> refusal() const override {
    const std::lock_guard lock(mutex_);
    std::optional<std::string> out;
    std::size_t refused = 0;
    for (const auto& [node, problem] : problems_) {
      if (!problem.is_refusal()) continue;
      ++refused;
      out = problem.refusal;
    }
    return refused > configuration_->f() ? out : std::nullopt;
  }

 private:
  static constexpr std::size_t kOfferFrom = 16U << 10;
  /// Holds kept for the next version of their record, of about 1 KB each.
  static constexpr std::size_t kRecordHoldsMax = 16'384;
  /// Longer than nodes that start at the same moment take; short enough for whoever types a command
  /// while no cluster runs.
  static constexpr Duration kUnreachableGrace = std::chrono::seconds(3);

  /// Nodes that have not said what was asked are asked again so often.
  static constexpr Duration kAskAgain = std::chrono::seconds(1);
  /// No time is further away: microseconds of all times fit.
  static constexpr std::int64_t kFarSeconds = 1'000'000'000;
  /// Answers of the service that end the asking: done, already so, refused (service::Answer).
  static constexpr std::uint8_t kNotNow = 2;

  // ---- What F+1 members of the service say alike: one of them is correct ----

  /// The members of the service, and some others: they know what follows when those are gone.
  void ask_all(const wire::MessageContext& context, const wire::RequestBody& body) {
    std::vector<wire::NodeKey> some;
    for (const membership::Node& node : configuration_->nodes()) some.push_back(node.key);
    random_.shuffle(some);
    if (some.size() > configuration_->quorum()) some.resize(configuration_->quorum());
    for (const auto& member : configuration_->service()) {
      const wire::NodeKey& key = configuration_->nodes()[member.node].key;
      if (std::ranges::find(some, key) == some.end()) some.push_back(key);
    }
    for (const wire::NodeKey& node : some) links_.send(node, {.context = context, .body = body});
  }
  void collect(wire::Nonce nonce, const std::vector<Buffer>& descriptions) {
    const std::lock_guard lock(mutex_);
    if (nonce != collecting_ || !collected_.empty()) return;
    collected_ = descriptions;
    heard_.notify_all();
  }
  void note_newest(const wire::NodeKey& node, const wire::ConfigurationNumber& number) {
    const std::lock_guard lock(mutex_);
    newest_said_[node] = number;
    heard_.notify_all();
  }
  void note_handed_in(const wire::NodeKey& node, std::uint8_t answer) {
    const std::lock_guard lock(mutex_);
    if (answer != kNotNow) handed_in_said_[node] = answer;
    heard_.notify_all();
  }
  bool is_newest_known() const {
    const auto is_it = [this](const auto& said) {
      return is_seated(said.first) && said.second <= configuration_->number();
    };
    return std::ranges::count_if(newest_said_, is_it) >
           static_cast<std::ptrdiff_t>(configuration_->settings().service_faults);
  }
  bool is_seated(const wire::NodeKey& node) const {
    return std::ranges::any_of(configuration_->service(), [&](const auto& member) {
      return configuration_->nodes()[member.node].key == node;
    });
  }
  /// That it is done and that it was done already is the same to who asks several nodes.
  std::optional<std::uint8_t> agreed_answer() const {
    std::array<std::size_t, 2> counts{};  // done, refused
    for (const auto& [node, answer] : handed_in_said_) {
      if (is_seated(node)) ++counts[answer > kNotNow ? 1 : 0];
    }
    for (const std::size_t which : {0U, 1U}) {
      if (counts[which] > configuration_->settings().service_faults)
        return which == 0 ? std::uint8_t{0} : std::uint8_t{3};
    }
    return std::nullopt;
  }

  template <typename Begin>
  void start(Done done, Begin begin) {
    asio::post(io_, [this, done = std::move(done), begin = std::move(begin)]() mutable {
      objects::ClientEffects effects;
      look_at_clock(effects);
      const objects::OperationId id = begin(effects);
      waiting_.emplace(id, std::move(done));
      perform(std::move(effects));
    });
  }

  template <typename Input>
  void feed(Input input) {
    objects::ClientEffects effects;
    look_at_clock(effects);
    input(effects);
    perform(std::move(effects));
  }

  void perform(objects::ClientEffects effects) {
    for (objects::ClientEffect& effect : effects) {
      if (auto* request = std::get_if<objects::SendRequest>(&effect)) {
        links_.send(request->to, request->request);
      } else if (auto* finish = std::get_if<objects::Finish>(&effect)) {
        const auto at = waiting_.find(finish->operation);
        if (at == waiting_.end()) continue;
        const Done done = std::move(at->second);
        waiting_.erase(at);
        done(std::move(finish->result));
      } else if (const auto* report = std::get_if<objects::Report>(&effect)) {
        const std::lock_guard lock(mutex_);
        ++observed_[{report->peer, report->observation}];
      } else if (const auto* learnt = std::get_if<objects::LearnDescriptions>(&effect)) {
        learn(learnt->descriptions);
      } else if (std::holds_alternative<objects::AskFreshness>(effect)) {
        ask_all({.configuration = configuration_->number(), .nonce = wire::Nonce(random_.next())},
                wire::GetDescriptions{.after = configuration_->number()});
      }
    }
    const Instant next = core_.next_deadline();
    if (next == Instant::max() || next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_after(std::max(next - read_clock(), Duration::zero()));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      timer_at_ = Instant::max();
      feed([&](objects::ClientEffects& out) { core_.on_time(read_clock(), out); });
    });
  }

  /// In order, as far as they go. Where some are missing between, any member has them.
  void learn(const std::vector<Buffer>& descriptions) {
    const auto now = configuration_->number();
    const auto detour_before = detour_;
    for (const Buffer& description : descriptions) {
      auto next = membership::apply(*configuration_, description.view(), scheme_);
      if (!next) next = by_detour(description, next.error());
      if (!next && next.error() == membership::DescriptionError::kNotNewer) continue;
      if (!next && next.error() == membership::DescriptionError::kGap) return ask_for_missing();
      if (!next) return;
      {
        const std::lock_guard lock(mutex_);
        configuration_ = std::move(*next);
        leased_until_.reset();
      }
      links_.set_configuration(*configuration_);
      feed([&](objects::ClientEffects& out) {
        core_.on_configuration(read_clock(), objects::Verifier(configuration_, scheme_), out);
        tell_fresh_until(out);
      });
    }
    if (detour_ && detour_ != detour_before) return ask_for_missing();
    if (now == configuration_->number()) return;
    is_newer_than_kept_ = true;
    // Four come with an answer: who is far behind asks on.
    if (descriptions.size() >= wire::kDescriptionsMax) return ask_for_missing();
    keep_newest(state_, *configuration_);
    is_newer_than_kept_ = false;
  }

  /// A recovery may abandon what this client knows (design 8.6), and its parent is not kept here.
  /// Then the way from the genesis is followed until it leads to something newer.
  Result<std::shared_ptr<const membership::Configuration>, membership::DescriptionError> by_detour(
      const Buffer& description, membership::DescriptionError error) {
    using enum membership::DescriptionError;
    if (!detour_ && error == kOtherHistory && is_of_higher_generation(description))
      detour_ = first_;
    if (!detour_) return fail(error);
    auto next = membership::apply(*detour_, description.view(), scheme_);
    if (!next) return fail(kNotNewer);  // it is asked for again, in order
    detour_ = std::move(*next);
    if (detour_->number() <= configuration_->number()) return fail(kNotNewer);
    return std::exchange(detour_, nullptr);
  }
  bool is_of_higher_generation(const Buffer& description) const {
    const auto header = membership::header_in(description);
    return header && header->number.generation > configuration_->number().generation;
  }

  /// Of the configuration in force; others are passed over.
  void learn_lease(const Buffer& lease) {
    const auto said = membership::stated_end(lease.view());
    if (!said || said <= leased_until_) return;
    const auto until = membership::check_lease(*configuration_, lease.view(), scheme_);
    if (!until) return;
    {
      const std::lock_guard lock(mutex_);
      leased_until_ = until;
    }
    feed([this](objects::ClientEffects& out) { tell_fresh_until(out); });
  }
  void tell_fresh_until(objects::ClientEffects& out) {
    told_fresh_until_ = fresh_until();
    core_.on_fresh_until(read_clock(), told_fresh_until_, out);
  }
  /// A machine that slept, or whose clock was set: the clock of operations has not noticed.
  void look_at_clock(objects::ClientEffects& out) {
    const Instant now = read_clock();
    if ((now < fresh_until()) != (now < told_fresh_until_)) tell_fresh_until(out);
  }
  /// By the clock of operations.
  Instant fresh_until() const {
    const auto until = membership::usable_until(*configuration_, leased_until_);
    if (is_stale_allowed_ || !until) return Instant::max();
    const auto left =
        static_cast<std::int64_t>(until->value) - static_cast<std::int64_t>(wall_seconds());
    return read_clock() + std::chrono::seconds(std::clamp(left, -kFarSeconds, kFarSeconds));
  }

  void ask_for_missing() {
    const auto after = (detour_ ? detour_ : configuration_)->number();
    const auto& nodes = configuration_->nodes();
    for (std::size_t i = 0; i <= configuration_->f(); ++i) {
      links_.send(nodes[random_.below(nodes.size())].key,
                  {.context = {.configuration = configuration_->number(),
                               .nonce = wire::Nonce(random_.next())},
                   .body = wire::GetDescriptions{.after = after}});
    }
  }

  /// One hold serves all versions of a record (design 5): signed once, verified once by everybody.
  wire::Hold record_hold(const wire::ObjectId& id) {
    const std::lock_guard lock(mutex_);
    if (record_holds_.size() >= kRecordHoldsMax) record_holds_.clear();
    auto at = record_holds_.find(id);
    if (at == record_holds_.end())
      at = record_holds_.emplace(id, make_hold(id, wire::kRecordValueSizeMax)).first;
    return at->second;
  }

  wire::Hold make_hold(const wire::ObjectId& id, std::uint64_t size) {
    // Serials grow with time, so that a later run of this client never falls behind an earlier one.
    const std::uint64_t now =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                       std::chrono::system_clock::now().time_since_epoch())
                                       .count());
    std::uint64_t serial = last_serial_.load();
    std::uint64_t next = 0;
    do {
      next = std::max(serial + 1, now);
    } while (!last_serial_.compare_exchange_weak(serial, next));
    const wire::HoldTree tree({wire::hold_leaf(id, size)});
    const wire::HoldStatement statement{.cluster = statement_.cluster,
                                        .holder = key_.public_key(),
                                        .organisation = statement_.organisation,
                                        .serial = next,
                                        .expiry = statement_.not_after,
                                        .root = tree.root(),
                                        .count = 1};
    return {
        .statement = wire::sign(scheme_, key_, statement), .admission = admission_, .size = size};
  }

  std::string name_of(const wire::NodeKey& node) const {
    const auto index = configuration_->node_index(node);
    return index ? configuration_->nodes()[*index].name : "?";
  }

  std::shared_ptr<const membership::Configuration> first_;          // the genesis
  std::shared_ptr<const membership::Configuration> configuration_;  // changes under the mutex
  /// On the way from the genesis to a generation that abandoned what this client knows.
  std::shared_ptr<const membership::Configuration> detour_;
  std::filesystem::path state_;  // folder of this client's own things
  bool is_newer_than_kept_ = false;
  crypto::SecretKey key_;
  crypto::RememberingScheme scheme_{crypto::ed25519()};
  wire::SignedBytes admission_;
  wire::AdmissionStatement statement_;
  bool is_stale_allowed_ = false;
  std::optional<Timestamp> leased_until_;      // of the configuration; changes under the mutex
  Instant told_fresh_until_ = Instant::max();  // what the core knows
  asio::io_context io_;
  net::TlsContext tls_;
  asio::steady_timer timer_;
  Instant timer_at_ = Instant::max();
  Random random_ = crypto::random_from_system();
  objects::Client core_;
  runtime::NodeLinks links_;
  std::map<objects::OperationId, Done> waiting_;
  std::atomic<std::uint64_t> last_serial_{0};
  mutable std::mutex mutex_;
  std::condition_variable heard_;  // with the mutex
  std::map<wire::NodeKey, wire::ConfigurationNumber> newest_said_;
  std::map<wire::NodeKey, std::uint8_t> handed_in_said_;
  wire::Nonce collecting_;
  std::vector<Buffer> collected_;  // what came first for that
  std::map<std::pair<wire::NodeKey, objects::Observation>, std::uint64_t> observed_;
  std::map<wire::NodeKey, net::LinkProblem> problems_;
  std::map<wire::ObjectId, wire::Hold> record_holds_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace

objects::OperationResult Session::wait(const std::function<void(Done)>& begin) {
  std::promise<objects::OperationResult> promise;
  auto future = promise.get_future();
  begin([&promise](objects::OperationResult result) { promise.set_value(std::move(result)); });
  return future.get();
}

Result<std::unique_ptr<Session>, Explained> Session::open(const ClusterFile& file) {
  auto genesis = runtime::read_genesis(file.genesis);
  if (!genesis) return fail(genesis.error());
  const auto first = membership::verify_genesis(*genesis, file.cluster, crypto::ed25519());
  if (!first) return fail(first.error());
  auto configuration = newest_kept(file.state, *first);
  auto key = crypto::read_secret_key(file.key);
  if (!key) return fail(key.error());
  auto admission = runtime::read_statement(file.admission);
  if (!admission) return fail(admission.error());
  auto statement = membership::check_admission(*configuration, *admission, key->public_key(),
                                               wire::Role::kClient, Timestamp(wall_seconds()),
                                               crypto::ed25519());
  // The newest epoch that was kept may say that the organisation is revoked, and it has come back
  // since: nodes know, and say so.
  const auto own = wire::AdmissionStatement::decode(admission->statement);
  if (!statement && statement.error() == membership::AdmissionError::kRevokedOrganisation && own)
    statement = *own;
  if (!statement) {
    const bool is_early = statement.error() == membership::AdmissionError::kNotYetValid;
    return fail(Explained{
        .what = std::string(membership::text_of(statement.error())) + " (" +
                file.admission.string() + ")",
        .cause = is_early ? "this machine's clock is behind: see `date`" : "",
        .next =
            "ask an organisation of the cluster for a new statement: rosebud org admit-client"});
  }
  return std::make_unique<LiveSession>(*first, std::move(configuration), file.state,
                                       std::move(*key), std::move(*admission),
                                       std::move(*statement), file.is_stale_allowed);
}

ExitCode code_of(const Explained& explained) {
  switch (explained.trouble) {
    case Trouble::kLocal:
      return ExitCode::kUsage;
    case Trouble::kNotFound:
      return ExitCode::kNotFound;
    case Trouble::kIntegrity:
      return ExitCode::kIntegrity;
  }
  return ExitCode::kUsage;
}

Failure failure_of(const objects::OperationResult& result, const std::string& doing,
                   const Session& session) {
  using enum objects::Outcome;
  const std::string counts = std::to_string(result.answered) + " of " +
                             std::to_string(result.group_size) + " replicas answered, " +
                             std::to_string(result.needed) + " are needed";
  std::string problems;
  for (const std::string& problem : session.problems())
    problems += (problems.empty() ? "" : ", ") + problem;
  if (const auto refusal = session.refusal()) {
    return {ExitCode::kDenied,
            {.what = doing + " was denied: " + *refusal,
             .cause = "the cluster's nodes do not let this client in",
             .next = "ask your organisation for a new admission statement"}};
  }
  switch (result.outcome) {
    case kDone:
      break;
    case kNotFound:
      return {ExitCode::kNotFound,
              {.what = doing + ": not found",
               .cause =
                   "no replica of its group keeps it; the id is wrong, or it was never stored here",
               .next = "check the id and the cluster"}};
    case kSuperseded:
      return {ExitCode::kConflict,
              {.what = doing + ": superseded by a newer version",
               .cause = "the same key has written elsewhere",
               .next = "read the newer version, then set again"}};
    case kNoQuorum:
      return {
          ExitCode::kNoQuorum,
          // With both, people see that they may be on the wrong side of a broken network.
          {.what = doing + ": no quorum: " + counts + session.staleness(),
           .cause = problems.empty() ? "too many replicas are silent or refuse" : problems,
           .next = result.answered == 0 && !problems.empty()
                       ? "is the cluster running? `rosebud dev up` starts a development cluster "
                         "again; see `rosebud dev status`"
                       : "see `rosebud status`, and try again when enough nodes are back"}};
    case kUnknown:
      return {ExitCode::kTimeout,
              {.what = doing + ": the outcome is unknown: " + counts + ", " +
                       std::to_string(result.confirmed) + " confirmed in time",
               .cause = "replicas were slow or disagreed",
               .next = "run the same command again: it sends exactly the same once more"}};
    case kDenied: {
      const std::string why =
          result.refusal ? std::string(wire::name_of(*result.refusal)) : "refused";
      const bool is_quota = result.refusal == wire::RefusalReason::kQuota;
      return {ExitCode::kDenied,
              {.what = doing + " was denied: " + (is_quota ? "no space for you (quota)" : why),
               .cause = {},
               .next = is_quota ? "release something, or ask your organisation for a larger quota"
                                : "see `rosebud status`"}};
    }
    case kNoSpace:
      return {.code = ExitCode::kNoQuorum,
              .explained = {.what = doing + ": no space: more than f replicas are full",
                            .cause = "their disks have less free space than their reserve",
                            .next = "make room on the nodes that `rosebud status` shows"},
              .is_full = true};
    case kStale:
      return {
          ExitCode::kNoQuorum,
          {.what = doing + ": no node shows that the newest epoch known here is still in force" +
                   session.staleness(),
           .cause = "the configuration service is making the next one or out of reach, this "
                    "clock is wrong, or only nodes of a past epoch answer",
           .next = "try again in a minute (what was sent may be written; the same command sends "
                   "the same); check the clock, and `rosebud doctor`; --allow-stale relies on it "
                   "all the same"}};
    case kCancelled:
      return {ExitCode::kUsage, {.what = doing + ": cancelled"}};
  }
  return {ExitCode::kUsage, {.what = doing + ": done"}};
}

}  // namespace rosebud::client
