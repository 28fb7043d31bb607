#include "net/connection.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "net/acceptor.h"
#include "net/tls_stream.h"

namespace rosebud::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kLengthsSize = 8;
/// Frames up to this size are gathered into one write of about as much.
constexpr std::size_t kGatherBytes = 64U << 10;
/// A sender that goes beyond has a bug.
constexpr std::size_t kSentHeaderSizeMax = FrameLimits{}.header_size_max;
constexpr std::size_t kSentBulkSizeMax = 64U << 20;
/// What one read takes at most: a record of TLS. Small frames are cut out of it without another
/// wait.
constexpr std::size_t kReadBuffer = 16U << 10;
/// A frame that comes in takes memory in steps of this size, as its bytes arrive: whoever announces
/// two megabytes and sends one byte costs no more than a step.
constexpr std::size_t kReadStep = 64U << 10;
/// How long a frame may come slower than it must when others wait for its room.
constexpr Duration kGrace = std::chrono::seconds(2);

std::uint32_t number_at(const std::uint8_t* bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
         (std::uint32_t{bytes[2]} << 8) | bytes[3];
}

void append_number(Bytes& out, std::size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(number >> shift));
}

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

class TlsConnection;

/// A moment by which something must be over. Setting and clearing it is two stores: its timer is
/// left to run, and looks when it fires.
class Deadline {
 public:
  /// `late` is called on the executor when the moment passed. `alive` guards what it touches.
  Deadline(const asio::any_io_executor& executor, std::function<void()> late)
      : timer_(executor), late_(std::move(late)) {}

  void set(Duration time, const std::weak_ptr<void>& alive) {
    due_ = Clock::now() + time;
    if (!is_running_ || due_ < runs_until_) run(alive);
  }
  void clear() { due_ = Clock::time_point::max(); }
  bool is_set() const { return due_ != Clock::time_point::max(); }
  void stop() {
    clear();
    timer_.cancel();
  }

 private:
  using Clock = asio::steady_timer::clock_type;

  void run(const std::weak_ptr<void>& alive) {
    is_running_ = true;
    runs_until_ = due_;
    timer_.expires_at(due_);
    timer_.async_wait([this, alive](const error_code& error) {
      const auto owner = alive.lock();
      if (error || !owner) return;  // set to run earlier, or stopped
      is_running_ = false;
      if (due_ == Clock::time_point::max()) return;
      if (Clock::now() < due_) return run(alive);
      late_();
    });
  }

  asio::steady_timer timer_;
  std::function<void()> late_;
  Clock::time_point due_ = Clock::time_point::max();
  Clock::time_point runs_until_{};
  bool is_running_ = false;
};

/// Memory for frames that are not whole yet, shared by the connections of a listener.
struct ReadingRoom {
  std::size_t bytes_max = 0;
  std::size_t bytes = 0;
  std::set<TlsConnection*> holders;
  std::deque<std::weak_ptr<TlsConnection>> waiting;  // each connection at most once

  bool has(std::size_t size) const { return bytes == 0 || bytes + size <= bytes_max; }
  void take(TlsConnection& by, std::size_t size);
  void give_back(TlsConnection& by, std::size_t size);
  /// Ends those whose frames come slower than they must, now that others wait for their room.
  void end_slow_holders();
};

class TlsConnection final : public Connection {
 public:
  TlsConnection(TlsStream stream, const FrameLimits& limits,
                std::shared_ptr<ReadingRoom> room = nullptr)
      : stream_(std::move(stream)),
        limits_(limits),
        room_(std::move(room)),
        deadline_(stream_.executor(), [this] { end(CloseReason::kTooSlow); }),
        write_deadline_(stream_.executor(), [this] { end(CloseReason::kTooSlow); }),
        writable_(stream_.executor()),
        readable_(stream_.executor()),
        room_timer_(stream_.executor()) {
    writable_.expires_at(asio::steady_timer::time_point::max());
    readable_.expires_at(asio::steady_timer::time_point::max());
  }
  ~TlsConnection() override { leave_room(); }
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  /// TLS with a deadline. True when the other end showed a key.
  asio::awaitable<bool> handshake() {
    auto self = shared();
    deadline_.set(limits_.handshake_time, self);
    const error_code error = co_await stream_.handshake();
    deadline_.clear();
    if (error) co_return false;
    const auto key = stream_.peer_key();
    if (!key) co_return false;
    peer_ = *key;
    co_return true;
  }
  /// Why there was no handshake.
  CloseReason failure() const { return closed_by_.value_or(CloseReason::kHandshake); }
  /// Let go of with the connection.
  void hold(std::shared_ptr<void> place) { place_ = std::move(place); }

  const crypto::PublicKey& peer() const override { return peer_; }
  std::string remote_address() const override {
    error_code error;
    const auto endpoint = stream_.socket().remote_endpoint(error);
    return error ? "?" : endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
  }

  void start(Events events) override {
    events_ = std::move(events);
    auto self = shared();
    // Out of memory, say: then it ends, rather than stay without anybody who reads it.
    const auto end_if_thrown = [self](const std::exception_ptr& thrown) {
      if (thrown) self->end(CloseReason::kLocal);
    };
    asio::co_spawn(stream_.executor(), [self] { return self->read_frames(); }, end_if_thrown);
    asio::co_spawn(stream_.executor(), [self] { return self->write_frames(); }, end_if_thrown);
  }

  bool send(Bytes header, Buffer bulk) override {
    if (is_closed_) return false;
    const std::size_t size = kLengthsSize + header.size() + bulk.size();
    // The limits are of what comes in: answers are longer than requests may be.
    CHECK(header.size() <= kSentHeaderSizeMax);
    CHECK(bulk.size() <= kSentBulkSizeMax);
    if (queued_bytes_ + size > limits_.queue_bytes_max) return false;
    queued_bytes_ += size;
    queue_.push_back({std::move(header), std::move(bulk)});
    // Once for all that is sent before the writer comes to run.
    if (std::exchange(is_writer_waiting_, false)) writable_.cancel();
    return true;
  }
  std::size_t queued_bytes() const override { return queued_bytes_; }
  bool is_closed() const { return is_closed_; }

  void pause_reading() override { is_paused_ = true; }
  void resume_reading() override {
    is_paused_ = false;
    readable_.cancel();
  }
  void limit_frames(std::size_t header_size_max, std::size_t bulk_size_max) override {
    limits_.header_size_max = header_size_max;
    limits_.bulk_size_max = bulk_size_max;
  }
  void close() override { end(CloseReason::kLocal); }

  void end(CloseReason reason) {
    if (is_closed_) return;
    is_closed_ = true;
    closed_by_ = reason;
    leave_room();
    error_code ignored;
    stream_.socket().close(ignored);
    deadline_.stop();
    write_deadline_.stop();
    writable_.cancel();
    readable_.cancel();
    room_timer_.cancel();
    // Not from within the caller's own call of close() or send().
    asio::post(stream_.executor(), [self = shared(), reason] {
      auto on_closed = std::move(self->events_.on_closed);
      self->events_ = {};
      if (on_closed) on_closed(reason);
    });
  }

  /// There may be room for its frame.
  void look_for_room() {
    is_waiting_for_room_ = false;
    room_timer_.cancel();
  }
  void end_if_slow() {
    if (frame_received_ == room_taken_) return;  // whole: it waits for us
    const auto time = asio::steady_timer::clock_type::now() - frame_begun_ - kGrace;
    if (time < Duration::zero()) return;
    const auto due = static_cast<std::size_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count() *
        static_cast<std::int64_t>(limits_.bytes_per_second_min) / 1000);
    if (frame_received_ < due) end(CloseReason::kTooSlow);
  }

 private:
  struct Outgoing {
    Bytes header;
    Buffer bulk;
  };

  std::shared_ptr<TlsConnection> shared() {
    return std::static_pointer_cast<TlsConnection>(shared_from_this());
  }

  Duration time_for(std::size_t size) const {
    return limits_.frame_time + std::chrono::seconds(size / limits_.bytes_per_second_min);
  }

  /// A peer that leaves its answers lying is not listened to.
  bool is_read_from() const { return !is_paused_ && queued_bytes_ <= limits_.unread_bytes_max; }

  /// Waits until a frame of `size` may be held. The deadline rests meanwhile: others have the room.
  asio::awaitable<void> take_room(std::size_t size) {
    error_code error;
    while (!room_->has(size) && !is_closed_) {
      deadline_.clear();
      room_->end_slow_holders();
      if (room_->has(size)) break;
      if (!is_waiting_for_room_) room_->waiting.push_back(shared());
      is_waiting_for_room_ = true;
      room_timer_.expires_after(kGrace);
      co_await room_timer_.async_wait(into(error));
    }
    if (is_closed_) co_return;
    room_->take(*this, size);
    room_taken_ = size;
  }
  void leave_room() {
    if (room_taken_ > 0) room_->give_back(*this, std::exchange(room_taken_, 0));
  }

  // ---- Reading ----

  ByteView buffered() const { return ByteView(in_).subspan(in_begin_, in_end_ - in_begin_); }

  /// One read of whatever has come, behind what is buffered. Requires: room for it.
  asio::awaitable<error_code> read_some() {
    if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
    if (in_.empty()) in_.resize(kReadBuffer);
    if (in_end_ == in_.size()) {
      std::copy(in_.begin() + static_cast<std::ptrdiff_t>(in_begin_), in_.end(), in_.begin());
      in_end_ -= std::exchange(in_begin_, 0);
    }
    error_code error;
    in_end_ += co_await stream_.read_some(std::span(in_).subspan(in_end_), error);
    co_return error;
  }

  struct Lengths {
    std::size_t header = 0;
    std::size_t bulk = 0;
    std::size_t sum() const { return header + bulk; }
  };
  Lengths lengths() const {
    const std::uint8_t* at = buffered().data();
    return {number_at(at), number_at(at + 4)};
  }
  bool is_oversize(const Lengths& size) const {
    return size.header > limits_.header_size_max || size.bulk > limits_.bulk_size_max ||
           (is_first_ && size.sum() > limits_.first_frame_size_max);
  }

  Bytes cut(std::size_t size) {
    const ByteView front = buffered().first(std::min(size, buffered().size()));
    in_begin_ += front.size();
    return to_bytes(front);
  }

  asio::awaitable<error_code> read_header(Bytes& header, std::size_t size) {
    error_code error;
    header.reserve(size);  // address space; a page is taken when it is written
    while (header.size() < size && !error) {
      const std::size_t at = header.size();
      header.resize(std::min(size, at + kReadStep));
      error = co_await read_part(std::span(header).subspan(at));
    }
    co_return error;
  }

  /// All of a part whose first bytes may be buffered. Its pages take memory as its bytes come.
  asio::awaitable<error_code> read_part(std::span<std::uint8_t> part) {
    error_code error;
    const ByteView front = buffered().first(std::min(part.size(), buffered().size()));
    std::ranges::copy(front, part.begin());
    in_begin_ += front.size();
    frame_received_ += front.size();
    for (std::size_t at = front.size(); at < part.size() && !error;) {
      const std::size_t came = co_await stream_.read_some(part.subspan(at), error);
      at += came;
      frame_received_ += came;
    }
    co_return error;
  }

  /// Hands over every frame that is whole in the buffer: many for one read and one wake-up.
  /// False: the connection ended.
  asio::awaitable<bool> deliver_buffered() {
    error_code error;
    while (buffered().size() >= kLengthsSize) {
      const Lengths size = lengths();
      if (is_oversize(size)) {
        end(CloseReason::kOversize);
        co_return false;
      }
      if (buffered().size() - kLengthsSize < size.sum()) co_return true;
      in_begin_ += kLengthsSize;
      is_first_ = false;
      deadline_.clear();
      Bytes header = cut(size.header);
      Bytes bulk = cut(size.bulk);
      while (!is_read_from() && !is_closed_) co_await readable_.async_wait(into(error));
      if (is_closed_) co_return false;
      events_.on_frame(std::move(header), bulk.empty() ? Buffer() : Buffer(std::move(bulk)));
      if (is_closed_) co_return false;
    }
    co_return true;
  }

  asio::awaitable<void> read_frames() {
    const auto self = shared();
    error_code error;
    while (!is_closed_) {
      while (!is_read_from() && !is_closed_) co_await readable_.async_wait(into(error));
      if (is_closed_) co_return;
      // The wait for a first byte may be long; from then on the frame is due.
      if (buffered().empty()) error = co_await read_some();
      if (error) co_return end(CloseReason::kRemote);
      bool goes_on = co_await deliver_buffered();
      if (goes_on && !buffered().empty()) goes_on = co_await read_begun(self);
      if (!goes_on) co_return;
    }
  }

  /// More of the frame that begins in the buffer; a large one to its end. False: the connection
  /// ended.
  asio::awaitable<bool> read_begun(std::shared_ptr<TlsConnection> self) {
    const auto ended = [this](CloseReason reason) {
      end(reason);
      return false;
    };
    // Once for each frame: who sends a byte now and then gains nothing.
    if (!deadline_.is_set()) deadline_.set(limits_.frame_time, self);
    const bool fits =
        buffered().size() < kLengthsSize || kLengthsSize + lengths().sum() <= kReadBuffer;
    if (fits) {
      const error_code error = co_await read_some();
      if (error) co_return ended(CloseReason::kRemote);
      co_return true;
    }
    const Lengths size = lengths();  // within the limits: deliver_buffered() looked
    in_begin_ += kLengthsSize;
    is_first_ = false;
    if (room_ && size.sum() > kReadStep) co_await take_room(size.sum());
    if (is_closed_) co_return false;
    deadline_.set(time_for(size.sum()), self);
    frame_begun_ = asio::steady_timer::clock_type::now();
    frame_received_ = 0;
    const auto bulk = std::make_shared_for_overwrite<std::uint8_t[]>(size.bulk);
    Bytes header;
    error_code error = co_await read_header(header, size.header);
    if (!error) error = co_await read_part({bulk.get(), size.bulk});
    if (error) co_return ended(CloseReason::kRemote);
    deadline_.clear();
    while (is_paused_ && !is_closed_) co_await readable_.async_wait(into(error));
    if (is_closed_) co_return false;
    leave_room();
    events_.on_frame(std::move(header), Buffer(bulk, {bulk.get(), size.bulk}));
    co_return !is_closed_;
  }

  // ---- Writing ----

  asio::awaitable<void> write_frames() {
    const auto self = shared();
    error_code error;
    Bytes gathered;
    while (!is_closed_) {
      if (queue_.empty()) {
        is_writer_waiting_ = true;
        co_await writable_.async_wait(into(error));
        continue;
      }
      gathered.clear();
      Buffer bulk;
      std::size_t sent = 0;
      // Small frames go out together; a large bulk ends the gathering and is written from where it
      // lies.
      while (!queue_.empty() && gathered.size() < kGatherBytes && bulk.empty()) {
        Outgoing frame = std::move(queue_.front());
        queue_.pop_front();
        append_number(gathered, frame.header.size());
        append_number(gathered, frame.bulk.size());
        gathered.insert(gathered.end(), frame.header.begin(), frame.header.end());
        sent += kLengthsSize + frame.header.size() + frame.bulk.size();
        if (frame.bulk.size() <= kGatherBytes / 4) {
          gathered.insert(gathered.end(), frame.bulk.data(), frame.bulk.data() + frame.bulk.size());
        } else {
          bulk = std::move(frame.bulk);
        }
      }
      // Who does not take what it asked for is not kept, nor is what waits for it.
      write_deadline_.set(time_for(sent), self);
      error = co_await stream_.write(gathered, bulk.view());
      write_deadline_.clear();
      queued_bytes_ -= sent;
      if (error) co_return end(CloseReason::kRemote);
      if (is_read_from()) readable_.cancel();
    }
  }

  TlsStream stream_;
  FrameLimits limits_;
  std::shared_ptr<ReadingRoom> room_;
  std::size_t room_taken_ = 0;
  asio::steady_timer::time_point frame_begun_{};
  std::size_t frame_received_ = 0;
  Bytes in_;  // read and not yet handed over: [in_begin_, in_end_)
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  bool is_first_ = true;         // no frame came yet
  Deadline deadline_;            // of what is read
  Deadline write_deadline_;      // of what is written
  asio::steady_timer writable_;  // never expires: cancelled when there is something to write
  asio::steady_timer readable_;
  asio::steady_timer room_timer_;
  Events events_;
  crypto::PublicKey peer_;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  bool is_paused_ = false;
  bool is_closed_ = false;
  std::optional<CloseReason> closed_by_;
  bool is_waiting_for_room_ = false;
  bool is_writer_waiting_ = false;
  std::shared_ptr<void> place_;  // of one that was accepted
};

void ReadingRoom::take(TlsConnection& by, std::size_t size) {
  bytes += size;
  holders.insert(&by);
}

void ReadingRoom::give_back(TlsConnection& by, std::size_t size) {
  bytes -= size;
  holders.erase(&by);
  // All of them look again, in their order; who does not fit queues anew.
  for (const auto& one : std::exchange(waiting, {})) {
    if (const auto connection = one.lock()) connection->look_for_room();
  }
}

void ReadingRoom::end_slow_holders() {
  const std::vector<TlsConnection*> now(holders.begin(), holders.end());
  for (TlsConnection* holder : now) holder->end_if_slow();
}

void prepare(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

/// Who is counted as one: an IPv4 address, or the network of an IPv6 address, since every host has
/// 2^64 of those.
std::string place_of(const asio::ip::address& address) {
  if (!address.is_v6() || address.to_v6().is_v4_mapped()) return address.to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string();
}

/// What a listener and its connections share; they may outlive it by a moment.
struct ListenerState {
  struct Handshake {
    std::string address;
    std::weak_ptr<TlsConnection> connection;
  };
  using Own = std::deque<std::weak_ptr<TlsConnection>>;

  ListenerOptions options;
  std::shared_ptr<ReadingRoom> room = std::make_shared<ReadingRoom>();
  std::map<std::uint64_t, Handshake> handshakes;  // in the order in which they came
  std::uint64_t last_handshake = 0;
  std::map<std::string, std::size_t> strangers_by_address;
  std::size_t strangers = 0;
  std::map<crypto::PublicKey, Own> members;  // the oldest first
  std::size_t members_connections = 0;
  bool is_closed = false;

  void make_way_for_a_handshake();
  bool has_place_for_stranger(const std::string& address) const;
};

/// Suppose the oldest of all gave way: somebody with one address who dials again and again would
/// end every handshake that takes a while. So he ends his own, as long as he has more of them than
/// others.
void ListenerState::make_way_for_a_handshake() {
  if (handshakes.empty() || handshakes.size() < options.handshakes_max) return;
  std::map<std::string_view, std::size_t> by_address;
  for (const auto& [number, one] : handshakes) ++by_address[one.address];
  const auto crowd = [&](const auto& entry) { return by_address.at(entry.second.address); };
  const auto oldest = std::ranges::max_element(handshakes, {}, crowd);
  const auto connection = oldest->second.connection.lock();
  handshakes.erase(oldest);
  if (connection) connection->end(CloseReason::kTooMany);
}

bool ListenerState::has_place_for_stranger(const std::string& address) const {
  const std::size_t for_members = std::min(options.places_for_members, options.connections_max);
  const auto from_there = strangers_by_address.find(address);
  return strangers < options.connections_max - for_members &&
         strangers + members_connections < options.connections_max &&
         (from_there == strangers_by_address.end() ||
          from_there->second < options.connections_per_address_max);
}

/// Of somebody whom the listener does not know: free when the last user of the connection lets go.
struct StrangersPlace {
  std::shared_ptr<ListenerState> state;
  std::string address;
  StrangersPlace(std::shared_ptr<ListenerState> of, std::string from)
      : state(std::move(of)), address(std::move(from)) {
    ++state->strangers;
    ++state->strangers_by_address[address];
  }
  ~StrangersPlace() {
    --state->strangers;
    if (--state->strangers_by_address[address] == 0) state->strangers_by_address.erase(address);
  }
  StrangersPlace(const StrangersPlace&) = delete;
  StrangersPlace& operator=(const StrangersPlace&) = delete;
};

struct MembersPlace {
  std::shared_ptr<ListenerState> state;
  crypto::PublicKey key;
  MembersPlace(std::shared_ptr<ListenerState> of, const std::shared_ptr<TlsConnection>& connection)
      : state(std::move(of)), key(connection->peer()) {
    ++state->members_connections;
    state->members[key].push_back(connection);
  }
  ~MembersPlace() {
    --state->members_connections;
    const auto at = state->members.find(key);
    std::erase_if(at->second, [](const auto& one) { return one.expired(); });
    if (at->second.empty()) state->members.erase(at);
  }
  MembersPlace(const MembersPlace&) = delete;
  MembersPlace& operator=(const MembersPlace&) = delete;
};

/// After its handshake. False: there is no place for it.
bool take_in(const std::shared_ptr<ListenerState>& state,
             const std::shared_ptr<TlsConnection>& connection, const std::string& address) {
  if (!state->options.is_member || !state->options.is_member(connection->peer())) {
    if (!state->has_place_for_stranger(address)) return false;
    connection->hold(std::make_shared<StrangersPlace>(state, address));
    return true;
  }
  const auto own = state->members.find(connection->peer());
  if (own != state->members.end() && own->second.size() >= kConnectionsPerMember) {
    // It stays in the list until its last user lets go.
    for (const auto& one : own->second) {
      const auto oldest = one.lock();
      if (!oldest || oldest->is_closed()) continue;
      oldest->end(CloseReason::kTooMany);
      break;
    }
  } else if (state->strangers + state->members_connections >= state->options.connections_max) {
    return false;
  }
  connection->hold(std::make_shared<MembersPlace>(state, connection));
  return true;
}

class TcpListener final : public Listener {
 public:
  TcpListener(asio::io_context& io, TlsContext& tls, const ListenerOptions& options,
              const FrameLimits& limits, std::function<void(ConnectionPointer)> on_connection,
              std::function<void(std::string, CloseReason)> on_refused)
      : io_(io),
        tls_(tls),
        limits_(limits),
        on_connection_(std::move(on_connection)),
        on_refused_(std::move(on_refused)),
        acceptor_(io, [this](tcp::socket socket) { take(std::move(socket)); }) {
    state_->options = options;
    state_->room->bytes_max = options.unfinished_bytes_max;
  }
  ~TcpListener() override { state_->is_closed = true; }

  error_code open() {
    error_code error;
    const auto address = asio::ip::make_address(state_->options.host, error);
    if (error) return error;
    constexpr int kBacklog = 1024;
    return acceptor_.open({address, state_->options.port}, kBacklog);
  }
  std::uint16_t port() const override { return acceptor_.port(); }

 private:
  void take(tcp::socket socket) {
    error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    prepare(socket);
    const auto connection = std::make_shared<TlsConnection>(
        TlsStream(std::move(socket), tls_, TlsSide::kServer), limits_, state_->room);
    state_->make_way_for_a_handshake();
    const std::uint64_t number = ++state_->last_handshake;
    const std::string address = place_of(remote.address());
    state_->handshakes.emplace(number, ListenerState::Handshake{address, connection});
    asio::co_spawn(
        io_,
        [connection, number, address, state = state_, done = on_connection_,
         refused = on_refused_]() -> asio::awaitable<void> {
          const bool is_good = co_await connection->handshake();
          state->handshakes.erase(number);
          if (state->is_closed) co_return;
          const bool is_in = is_good && take_in(state, connection, address);
          if (is_in) co_return done(connection);
          // Dropped: the socket closes with it.
          if (refused) refused(address, is_good ? CloseReason::kTooMany : connection->failure());
        },
        asio::detached);
  }

  asio::io_context& io_;
  TlsContext& tls_;
  FrameLimits limits_;
  std::function<void(ConnectionPointer)> on_connection_;
  std::function<void(std::string, CloseReason)> on_refused_;
  std::shared_ptr<ListenerState> state_ = std::make_shared<ListenerState>();
  Acceptor acceptor_;  // last: it stops before what it uses goes
};

using Dialed = Result<ConnectionPointer, CloseReason>;

asio::awaitable<Dialed> connect(asio::io_context& io, TlsContext& tls, std::string address,
                                std::optional<crypto::PublicKey> expected, FrameLimits limits) {
  const auto where = parse_address(address);
  if (!where) co_return fail(CloseReason::kUnreachable);
  error_code error;
  std::vector<tcp::endpoint> endpoints;
  // Names are looked up one after the other: a name of somebody whose server never answers must not
  // hold up those who are reached by a number.
  if (const auto number = asio::ip::make_address(where->first, error); !error) {
    endpoints.emplace_back(number, where->second);
  } else {
    tcp::resolver resolver(io);
    const auto found =
        co_await resolver.async_resolve(where->first, std::to_string(where->second), into(error));
    for (const auto& one : found) endpoints.push_back(one.endpoint());
  }
  // Connecting shares the handshake's time: a black hole answers neither.
  const auto socket = std::make_shared<tcp::socket>(io);
  const auto is_late = std::make_shared<bool>(false);
  asio::steady_timer timer(io, limits.handshake_time);
  timer.async_wait([socket, is_late](const error_code& cancelled) {
    error_code ignored;
    if (cancelled) return;
    *is_late = true;
    socket->close(ignored);
  });
  bool is_connected = false;
  for (const tcp::endpoint& endpoint : endpoints) {
    if (is_connected || *is_late) break;
    socket->close(error);
    co_await socket->async_connect(endpoint, into(error));
    is_connected = !error;
  }
  timer.cancel();
  if (!is_connected || *is_late) co_return fail(CloseReason::kUnreachable);
  prepare(*socket);
  const auto connection =
      std::make_shared<TlsConnection>(TlsStream(std::move(*socket), tls, TlsSide::kClient), limits);
  if (!co_await connection->handshake()) co_return fail(connection->failure());
  if (expected && connection->peer() != *expected) {
    connection->close();
    co_return fail(CloseReason::kWrongKey);
  }
  co_return connection;
}

}  // namespace

std::string_view name_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::kLocal:
      return "local";
    case CloseReason::kRemote:
      return "remote";
    case CloseReason::kOversize:
      return "oversize";
    case CloseReason::kTooSlow:
      return "too_slow";
    case CloseReason::kHandshake:
      return "handshake";
    case CloseReason::kWrongKey:
      return "wrong_key";
    case CloseReason::kUnreachable:
      return "unreachable";
    case CloseReason::kTooMany:
      return "too_many";
  }
  return "unknown";
}

Result<std::unique_ptr<Listener>, Explained> listen(
    asio::io_context& io, TlsContext& tls, const ListenerOptions& options,
    const FrameLimits& limits, std::function<void(ConnectionPointer)> on_connection,
    std::function<void(std::string, CloseReason)> on_refused) {
  auto listener = std::make_unique<TcpListener>(io, tls, options, limits, std::move(on_connection),
                                                std::move(on_refused));
  if (const error_code error = listener->open()) {
    const std::string where = options.host + ":" + std::to_string(options.port);
    return fail(Explained{
        .what = "cannot listen on " + where + ": " + error.message(),
        .cause = error == asio::error::address_in_use     ? "another process uses this port"
                 : error == asio::error::invalid_argument ? "this machine listens at a number, not "
                                                            "at a name"
                                                          : "",
        .next = error == asio::error::invalid_argument
                    ? "set listen = \"0.0.0.0:" + std::to_string(options.port) +
                          "\" in the node's configuration"
                    : "choose another address in the node's configuration, or stop the other "
                      "process"});
  }
  return listener;
}

void dial(asio::io_context& io, TlsContext& tls, const std::string& address,
          const std::optional<crypto::PublicKey>& expected, const FrameLimits& limits,
          std::function<void(Dialed)> done) {
  asio::co_spawn(io, connect(io, tls, address, expected, limits),
                 [done = std::move(done)](const std::exception_ptr& thrown, Dialed dialed) {
                   done(thrown ? Dialed(fail(CloseReason::kUnreachable)) : std::move(dialed));
                 });
}

std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  const std::string_view port_text = address.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || host.empty())
    return std::nullopt;
  return std::pair(std::string(host), port);
}

}  // namespace rosebud::net
