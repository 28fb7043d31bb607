#include "replication/replica_driver.h"

#include <boost/asio/post.hpp>
#include <chrono>

namespace rosebud::replication {

namespace asio = boost::asio;

namespace {

/// Few are verified where they are: a thread of the pool wakes up no sooner, and the waking costs
/// more than a signature.
constexpr std::size_t kVerifiedOnLoopMax = 8;
/// Votes that change nothing are verified so often at most, one of each member.
constexpr auto kPutAsideTime = std::chrono::milliseconds(100);
/// Messages that wait for the disk, and bytes of records that wait for a commit.
constexpr std::size_t kWaitingMax = 65'536;
constexpr std::size_t kWaitingBytesMax = 128U << 20;
/// Parts of a turn's messages for the pool.
constexpr std::size_t kVerifiedTogetherMax = 64;

Random random_from_system() {
  std::uint64_t seed = 0;
  crypto::fill_random({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  return Random(seed);
}

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
  std::function<void(const pbft::ClientId&)> on_genuine;
};

/// What became of one at the second gate; neither: it did not pass.
struct ReplicaDriver::Checked {
  std::optional<pbft::ReplicaId> from;
  std::optional<pbft::Verified<pbft::Message>> message;
  std::optional<pbft::Verified<pbft::Request>> request;
  Permit permit;
  std::function<void(const pbft::ClientId&)> on_genuine;
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
      pbft::PersistentState{.records = std::move(*records)}, random_from_system());
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
            asio::post(io_, [this, status, count] { on_committed(status, count); });
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
}

// ---- What comes in ----

/// A disk that hangs must not fill the memory: what comes then is lost, as on a bad network.
bool ReplicaDriver::is_disk_behind() const {
  return order_.waiting_count() > kWaitingMax || writer_->waiting_bytes() > kWaitingBytesMax;
}

bool ReplicaDriver::take_message(pbft::ReplicaId from, ByteView bytes, Permit permit) {
  if (is_disk_behind()) return true;
  auto message = pbft::decode(verifier_.group().instance(), bytes);
  if (!message) return false;
  ++statistics_.messages_in;
  verify_later(
      {.from = from, .what = std::move(*message), .permit = std::move(permit), .on_genuine = {}});
  return true;
}

bool ReplicaDriver::take_request(ByteView bytes, Permit permit,
                                 std::function<void(const pbft::ClientId&)> on_genuine) {
  if (is_disk_behind()) return true;
  wire::Reader in(bytes);
  pbft::Request request = pbft::read_request(in);
  if (!in.done()) return false;
  ++statistics_.requests_in;
  verify_later({.from = {},
                .what = std::move(request),
                .permit = std::move(permit),
                .on_genuine = std::move(on_genuine)});
  return true;
}

/// What came in one turn of the loop is verified together.
void ReplicaDriver::verify_later(Incoming one) {
  unverified_.push_back(std::move(one));
  if (unverified_.size() == 1) asio::post(io_, [this] { verify_together(); });
}

void ReplicaDriver::verify_together() {
  if (is_stopped_) return;
  std::vector<Incoming> all;
  for (Incoming& one : std::exchange(unverified_, {})) {
    const auto* message = std::get_if<pbft::Message>(&one.what);
    if (message && replica_->is_superfluous(*message)) {
      put_aside(std::move(one));
    } else {
      all.push_back(std::move(one));
    }
  }
  if (all.size() <= kVerifiedOnLoopMax && verified_.is_idle()) {
    std::vector<Checked> checked;
    for (Incoming& one : all) checked.push_back(check(verifier_, std::move(one)));
    return feed(std::move(checked));
  }
  for (std::size_t at = 0; at < all.size(); at += kVerifiedTogetherMax) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to =
        all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), at + kVerifiedTogetherMax));
    asio::post(workers_, [this, place = verified_.take_place(),
                          some = std::vector<Incoming>(std::make_move_iterator(from),
                                                       std::make_move_iterator(to))]() mutable {
      std::vector<Checked> checked;
      checked.reserve(some.size());
      for (Incoming& one : some) checked.push_back(check(verifier_, std::move(one)));
      asio::post(io_, [this, place, checked = std::move(checked)]() mutable {
        std::vector<std::vector<Checked>> next;
        verified_.put(place, std::move(checked),
                      [&](std::vector<Checked> one) { next.push_back(std::move(one)); });
        for (auto& one : next) feed(std::move(one));
      });
    });
  }
}

/// Of four replicas one vote in three comes when the others were enough.
void ReplicaDriver::put_aside(Incoming one) {
  const pbft::Vote& vote = std::get<pbft::Ballot>(std::get<pbft::Message>(one.what)).vote;
  if (vote.replica != *one.from) return;  // handed on: its signer says it itself
  one.permit.reset();
  const bool is_first = put_aside_.empty();
  put_aside_.insert_or_assign(vote.replica, std::move(one));
  if (!is_first) return;
  put_aside_timer_.expires_after(kPutAsideTime);
  put_aside_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) verify_put_aside();
  });
}

void ReplicaDriver::verify_put_aside() {
  std::vector<Checked> checked;
  for (auto& [signer, one] : std::exchange(put_aside_, {}))
    checked.push_back(check(verifier_, std::move(one)));
  feed(std::move(checked));
}

/// On any thread.
ReplicaDriver::Checked ReplicaDriver::check(const pbft::Verifier& verifier, Incoming one) {
  Checked out{.from = one.from,
              .message = {},
              .request = {},
              .permit = std::move(one.permit),
              .on_genuine = std::move(one.on_genuine)};
  if (auto* message = std::get_if<pbft::Message>(&one.what)) {
    if (auto verified = verifier.message(std::move(*message))) out.message = std::move(*verified);
  } else if (auto verified = verifier.request(std::move(std::get<pbft::Request>(one.what)))) {
    out.request = std::move(*verified);
  }
  return out;
}

void ReplicaDriver::feed(std::vector<Checked> checked) {
  if (is_stopped_) return;
  pbft::Effects effects;
  for (Checked& one : checked) feed_one(std::move(one), effects);
  perform(std::move(effects));
}

void ReplicaDriver::feed_one(Checked one, pbft::Effects& out) {
  if (one.message) {
    replica_->on_message(read_now(), *one.from, *one.message, out);
  } else if (one.request) {
    one.on_genuine((*one.request)->client);
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
}

void ReplicaDriver::wake_at(Instant deadline) {
  if (is_stopped_ || deadline == timer_at_) return;
  timer_at_ = deadline;
  if (deadline == Instant::max()) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max(deadline - read_now().instant, Duration::zero()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || is_stopped_) return;
    timer_at_ = Instant::max();
    pbft::Effects effects;
    replica_->on_time(read_now(), effects);
    perform(std::move(effects));
  });
}

}  // namespace rosebud::replication
