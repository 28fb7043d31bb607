#include "replication/replica_driver.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <span>

#include "crypto/random.h"

namespace rosebud::replication {

namespace asio = boost::asio;

namespace {

/// What the second gate takes, about: a signature, or an agreement on a key with a client that is
/// not known; a MAC, with a microsecond for so many bytes; a message with certificates.
constexpr Duration kSignatureCost = std::chrono::microseconds(40);
constexpr Duration kMacCost = std::chrono::microseconds(1);
constexpr std::size_t kHashedInMicrosecond = 1024;
constexpr Duration kCertificatesCost = 64 * kSignatureCost;
/// What takes no longer is verified where it is: a thread of the pool wakes up no sooner, and the
/// waking costs more than a signature.
constexpr Duration kVerifiedOnLoopMax = 6 * kSignatureCost;
/// Votes that change nothing are verified so often at most, one of each member.
constexpr auto kPutAsideTime = std::chrono::milliseconds(100);
/// Messages that wait for the disk, and bytes of records that wait for a commit.
constexpr std::size_t kWaitingMax = 65'536;
constexpr std::size_t kWaitingBytesMax = 128U << 20;
/// In one job of a pool, if one message has not more.
constexpr Duration kVerifiedTogetherMax = 32 * kSignatureCost;
/// Signed requests of a batch in one piece of it.
constexpr std::size_t kRequestsTogetherMax = 32;

}  // namespace

pbft::Now read_now() {
  using namespace std::chrono;
  return {.instant = Instant(duration_cast<Duration>(steady_clock::now().time_since_epoch())),
          .wall = pbft::AgreedTime(static_cast<std::uint64_t>(
              duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()))};
}

struct ReplicaDriver::Incoming {
  std::optional<pbft::ReplicaId> from;  // nothing: a client's
  std::variant<pbft::Message, pbft::Request> what;
  Permit permit;
  std::function<void(bool, const pbft::ClientId&)> on_verified;
};

struct ReplicaDriver::Lane {
  std::deque<Incoming> waiting;
  bool is_busy = false;  // a job of it is on a pool
};

/// About how long the second gate will take. No more is looked at than it takes to see that it is
/// more than one job should have.
Duration ReplicaDriver::cost_of(const Incoming& one) const {
  const auto cost_of_request = [this](const pbft::Request& request) {
    if (!sessions_ || !sessions_->knows(request.client)) return kSignatureCost;
    return kMacCost + std::chrono::microseconds(request.operation.size() / kHashedInMicrosecond);
  };
  const auto* message = std::get_if<pbft::Message>(&one.what);
  if (!message) return cost_of_request(std::get<pbft::Request>(one.what));
  if (const auto* proposal = std::get_if<pbft::PrePrepare>(message)) {
    Duration out = kSignatureCost;
    for (const auto& request : proposal->batch->batch().requests) {
      out += cost_of_request(request);
      if (out >= kVerifiedTogetherMax) break;
    }
    return out;
  }
  const bool has_proofs = std::holds_alternative<pbft::ViewChange>(*message) ||
                          std::holds_alternative<pbft::NewView>(*message) ||
                          std::holds_alternative<pbft::Committed>(*message);
  return has_proofs ? kCertificatesCost : kSignatureCost;
}

/// What became of one at the second gate; neither: it did not pass.
struct ReplicaDriver::Checked {
  std::optional<pbft::ReplicaId> from;
  std::optional<pbft::Verified<pbft::Message>> message;
  std::optional<pbft::Verified<pbft::Request>> request;
  std::optional<pbft::MessageCheck> rest;  // of a message of which not all is checked yet
  Permit permit;
  pbft::ClientId client;
  std::function<void(bool, const pbft::ClientId&)> on_verified;
};

struct ReplicaDriver::Outgoing {
  std::variant<pbft::Send, pbft::Broadcast, pbft::SendReply> what;
};

Result<std::unique_ptr<ReplicaDriver>, Explained> ReplicaDriver::open(
    asio::io_context& io, pbft::Identity identity, const pbft::Verifier& verifier,
    const pbft::Settings& settings, pbft::StateMachine& machine, disk::RecordStore& store,
    unsigned worker_threads, Events events) {
  auto records = store.read_all();
  if (!records) return fail(records.error());
  std::unique_ptr<ReplicaDriver> out(
      new ReplicaDriver(io, store, worker_threads, verifier, std::move(events)));
  out->replica_ = std::make_unique<pbft::Replica>(
      std::move(identity), verifier, settings, machine,
      pbft::PersistentState{.records = std::move(*records)}, crypto::random_from_system());
  out->sessions_ = out->replica_->sessions();
  return out;
}

ReplicaDriver::ReplicaDriver(asio::io_context& io, disk::RecordStore& store,
                             unsigned worker_threads, const pbft::Verifier& verifier, Events events)
    : io_(io),
      verifier_(verifier),
      events_(std::move(events)),
      put_aside_timer_(io),
      timer_(io),
      workers_(worker_threads),
      writer_(std::make_unique<RecordWriter>(
          store, [this](const Status<Explained>& status, std::uint64_t count) {
            post_back([this, status, count] { on_committed(status, count); });
          })) {}

ReplicaDriver::~ReplicaDriver() { stop(); }

void ReplicaDriver::start() {
  pbft::Effects effects;
  replica_->start(read_now(), effects);
  perform(std::move(effects));
}

void ReplicaDriver::stop() {
  is_stopped_ = true;
  timer_.cancel();
  put_aside_timer_.cancel();
  writer_.reset();
  workers_.join();
  client_workers_.join();
}

template <typename What>
void ReplicaDriver::post_back(What what) {
  asio::post(io_, [alive = std::weak_ptr(alive_), what = std::move(what)]() mutable {
    if (!alive.expired()) what();
  });
}

// ---- What comes in ----

/// A disk that hangs must not fill the memory: what comes then is lost, as on a bad network.
bool ReplicaDriver::is_disk_behind() const {
  return order_.waiting_count() > kWaitingMax || writer_->waiting_bytes() > kWaitingBytesMax;
}

bool ReplicaDriver::take_message(pbft::ReplicaId from, ByteView bytes, Permit permit) {
  if (is_stopped_ || is_disk_behind()) return true;
  auto message = pbft::decode(verifier_.group().instance(), bytes);
  if (!message) return false;
  ++statistics_.messages_in;
  verify_later(
      from.value,
      {.from = from, .what = std::move(*message), .permit = std::move(permit), .on_verified = {}});
  return true;
}

bool ReplicaDriver::take_request(std::uint64_t source, ByteView bytes, Permit permit,
                                 std::function<void(bool, const pbft::ClientId&)> on_verified) {
  if (is_stopped_ || is_disk_behind()) return true;
  wire::Reader in(bytes);
  pbft::Request request = pbft::read_request(in);
  if (!in.done()) return false;
  ++statistics_.requests_in;
  verify_later(kFirstClient + source, {.from = {},
                                       .what = std::move(request),
                                       .permit = std::move(permit),
                                       .on_verified = std::move(on_verified)});
  return true;
}

void ReplicaDriver::run_for_client(std::function<std::function<void()>()> work) {
  if (is_stopped_) return;
  asio::post(client_workers_, [this, work = std::move(work)] { post_back(work()); });
}

// ---- Verifying ----

/// What comes in one turn of the loop is looked at together.
void ReplicaDriver::verify_later(Source source, Incoming one) {
  lanes_[source].waiting.push_back(std::move(one));
  if (!std::exchange(is_verifying_posted_, true)) post_back([this] { verify_together(); });
}

void ReplicaDriver::verify_together() {
  is_verifying_posted_ = false;
  if (is_stopped_) return;
  verify_lanes(lanes_.begin(), lanes_.lower_bound(kFirstClient), member_jobs_);
  verify_lanes(lanes_.lower_bound(kFirstClient), lanes_.end(), client_jobs_);
}

/// What takes little is verified here, in the order of the lanes; else on a pool, a job of each
/// lane.
void ReplicaDriver::verify_lanes(Lanes::iterator from, Lanes::iterator to, std::size_t& jobs) {
  Duration cost{};
  for (auto at = from; at != to && cost <= kVerifiedOnLoopMax; ++at) {
    if (at->second.is_busy) continue;
    for (const Incoming& one : at->second.waiting) {
      cost += cost_of(one);
      if (cost > kVerifiedOnLoopMax) break;
    }
  }
  if (cost == Duration::zero()) return;
  const bool is_here = jobs == 0 && cost <= kVerifiedOnLoopMax;
  std::vector<Checked> checked;
  for (auto at = from; at != to;) {
    const auto next = std::next(at);
    if (!at->second.is_busy) {
      std::vector<Incoming> some = take_some(at->second);
      if (is_here) {
        for (Incoming& one : some) checked.push_back(check(std::move(one)));
      } else if (!some.empty()) {
        at->second.is_busy = true;
        ++jobs;
        verify_on_pool(at->first, std::move(some));
      }
      if (at->second.waiting.empty() && !at->second.is_busy) lanes_.erase(at);
    }
    at = next;
  }
  if (!checked.empty()) feed(std::move(checked));
}

/// As much as one job may hold: others wait for no more.
std::vector<ReplicaDriver::Incoming> ReplicaDriver::take_some(Lane& lane) {
  std::vector<Incoming> out;
  for (Duration cost{}; !lane.waiting.empty() && cost < kVerifiedTogetherMax;) {
    Incoming one = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    const auto* message = std::get_if<pbft::Message>(&one.what);
    if (message && replica_->is_superfluous(*message)) {
      put_aside(std::move(one));
      continue;
    }
    cost += cost_of(one);
    // What follows is of the view that it begins: till then that seems superfluous.
    const bool is_new_view = message && std::holds_alternative<pbft::NewView>(*message);
    out.push_back(std::move(one));
    if (is_new_view) break;
  }
  return out;
}

void ReplicaDriver::verify_on_pool(Source source, std::vector<Incoming> some) {
  asio::post(pool_of(source), [this, source, some = std::move(some)]() mutable {
    std::vector<Checked> checked;
    checked.reserve(some.size());
    for (Incoming& one : some) checked.push_back(check(std::move(one)));
    verify_rest(source, std::move(checked));
  });
}

/// A batch of thousands takes a fifth of a second: others have their turn between its pieces. Only
/// the last one of a job may be so long (take_some).
void ReplicaDriver::verify_rest(Source source, std::vector<Checked> checked) {
  if (checked.back().rest) {
    return asio::post(pool_of(source), [this, source, checked = std::move(checked)]() mutable {
      go_on(checked.back());
      verify_rest(source, std::move(checked));
    });
  }
  post_back([this, source, checked = std::move(checked)]() mutable {
    end_job(source);
    feed(std::move(checked));
  });
}

void ReplicaDriver::end_job(Source source) {
  --(source < kFirstClient ? member_jobs_ : client_jobs_);
  const auto at = lanes_.find(source);
  at->second.is_busy = false;
  if (at->second.waiting.empty()) {
    lanes_.erase(at);
  } else if (!std::exchange(is_verifying_posted_, true)) {
    post_back([this] { verify_together(); });
  }
}

/// Of four replicas one vote in three comes when the others were enough.
void ReplicaDriver::put_aside(Incoming one) {
  const auto* ballot = std::get_if<pbft::Ballot>(&std::get<pbft::Message>(one.what));
  if (!ballot) return;  // a request that waits
  const pbft::Vote& vote = ballot->vote;
  if (vote.replica != *one.from) return;  // handed on: its signer says it itself
  one.permit.reset();
  const bool is_first = put_aside_.empty();
  put_aside_.insert_or_assign(vote.replica, std::move(one));
  if (!is_first) return;
  put_aside_timer_.expires_after(kPutAsideTime);
  put_aside_timer_.async_wait(
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) verify_put_aside();
      });
}

void ReplicaDriver::verify_put_aside() {
  std::vector<Checked> checked;
  for (auto& [signer, one] : std::exchange(put_aside_, {}))
    checked.push_back(check(std::move(one)));
  feed(std::move(checked));
}

/// On any thread.
ReplicaDriver::Checked ReplicaDriver::check(Incoming one) const {
  Checked out{.from = one.from,
              .message = {},
              .request = {},
              .rest = {},
              .permit = std::move(one.permit),
              .client = {},
              .on_verified = std::move(one.on_verified)};
  if (auto* message = std::get_if<pbft::Message>(&one.what)) {
    out.rest.emplace(verifier_, std::move(*message));
    go_on(out);
    return out;
  }
  auto& request = std::get<pbft::Request>(one.what);
  out.client = request.client;
  if (auto verified = verifier_.request(std::move(request))) out.request = std::move(*verified);
  if (out.request && sessions_) sessions_->look_at(**out.request);
  return out;
}

/// With one piece of a message; on any thread.
void ReplicaDriver::go_on(Checked& one) const {
  // Under session keys only their form is judged there.
  if (!one.rest->step(sessions_ ? pbft::kBatchRequestsMax : kRequestsTogetherMax)) return;
  if (auto verified = std::move(*one.rest).take()) one.message = std::move(*verified);
  one.rest.reset();
  if (one.message && sessions_) sessions_->look_at(**one.message);
}

void ReplicaDriver::feed(std::vector<Checked> checked) {
  if (is_stopped_) return;
  pbft::Effects effects;
  for (Checked& one : checked) feed_one(std::move(one), effects);
  perform(std::move(effects));
}

void ReplicaDriver::feed_one(Checked one, pbft::Effects& out) {
  if (one.on_verified) one.on_verified(one.request.has_value(), one.client);
  if (one.message) {
    replica_->on_message(read_now(), *one.from, *one.message, out);
  } else if (one.request) {
    replica_->on_request(read_now(), *one.request, out);
  } else {
    ++statistics_.rejected;
  }
}

void ReplicaDriver::on_link(pbft::ReplicaId peer, bool is_up) {
  if (is_stopped_) return;
  pbft::Effects effects;
  replica_->on_link(read_now(), peer, is_up, effects);
  perform(std::move(effects));
}

// ---- What goes out ----

void ReplicaDriver::perform(pbft::Effects effects) {
  const auto send = [this](Outgoing one) { leave(std::move(one)); };
  for (pbft::Effect& effect : effects) {
    if (auto* persist = std::get_if<pbft::Persist>(&effect)) {
      RecordWriter::Writes writes;
      writes.reserve(persist->writes.size());
      for (pbft::Write& write : persist->writes)
        writes.push_back({.key = std::move(write.key), .value = std::move(write.value)});
      order_.persist();
      writer_->submit(std::move(writes));
    } else if (auto* one = std::get_if<pbft::Send>(&effect)) {
      order_.add({std::move(*one)}, send);
    } else if (auto* all = std::get_if<pbft::Broadcast>(&effect)) {
      order_.add({std::move(*all)}, send);
    } else if (auto* reply = std::get_if<pbft::SendReply>(&effect)) {
      order_.add({std::move(*reply)}, send);
    } else if (const auto* executed = std::get_if<pbft::Executed>(&effect)) {
      ++statistics_.batches_executed;
      statistics_.requests_executed += executed->requests;
    } else if (const auto* report = std::get_if<pbft::Report>(&effect)) {
      events_.on_evidence(report->evidence);
    }
  }
  events_.on_change();
  wake_at(replica_->next_deadline());
}

void ReplicaDriver::leave(Outgoing one) {
  if (const auto* reply = std::get_if<pbft::SendReply>(&one.what))
    return events_.reply(reply->to, reply->reply);
  if (const auto* to_one = std::get_if<pbft::Send>(&one.what))
    return events_.send(to_one->to, Buffer(pbft::encode(to_one->message)));
  const Buffer bytes(pbft::encode(std::get<pbft::Broadcast>(one.what).message));
  for (const pbft::ReplicaId member : verifier_.group().members()) {
    if (member != replica_->id()) events_.send(member, bytes);
  }
}

void ReplicaDriver::on_committed(const Status<Explained>& status, std::uint64_t count) {
  if (is_stopped_) return;
  if (!status) {
    is_stopped_ = true;
    return events_.on_disk_failure(status.error());
  }
  ++statistics_.commits;
  order_.on_durable(count, [this](Outgoing one) { leave(std::move(one)); });
  pbft::Effects effects;
  replica_->on_durable(read_now(), count, effects);
  perform(std::move(effects));
}

/// The deadline is later after most inputs: a timer that goes off too early then costs less than
/// one that is set anew each time.
void ReplicaDriver::wake_at(Instant deadline) {
  if (is_stopped_ || deadline >= timer_at_) return;
  timer_at_ = deadline;
  timer_.expires_after(std::max(deadline - read_now().instant, Duration::zero()));
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (error || alive.expired() || is_stopped_) return;
    timer_at_ = Instant::max();
    const pbft::Now now = read_now();
    if (now.instant < replica_->next_deadline()) return wake_at(replica_->next_deadline());
    pbft::Effects effects;
    replica_->on_time(now, effects);
    perform(std::move(effects));
  });
}

}  // namespace rosebud::replication
