#include "overlay/overlay.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <set>

#include "net/connection.h"

namespace rosebud::overlay {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;
using routing::Address;
using routing::Now;
using routing::PeerIndex;
using routing::PeerState;

/// Datagrams that are taken before others have their turn on the loop.
constexpr int kTakenAtOnce = 64;
/// The delta of the table is folded into a base of its own beyond.
constexpr std::size_t kDeltaMax = 512;
constexpr Duration kTidyInterval = std::chrono::seconds(10);
/// A host name that leads nowhere is not asked for again before.
constexpr Duration kResolveInterval = std::chrono::seconds(30);

Now read_clocks() {
  const auto since = [](auto clock) {
    return std::chrono::duration_cast<Duration>(clock.time_since_epoch());
  };
  return {Instant(since(std::chrono::steady_clock::now())),
          since(std::chrono::system_clock::now())};
}

Address address_of(const udp::endpoint& endpoint) {
  const auto& ip = endpoint.address();
  const auto bytes =
      ip.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, ip.to_v4()) : ip.to_v6();
  Address out{.port = endpoint.port()};
  std::ranges::copy(bytes.to_bytes(), out.ip.begin());
  return out;
}

/// For a socket of that protocol; nothing when it cannot reach the address.
std::optional<udp::endpoint> endpoint_of(const Address& address, bool is_v4_socket) {
  const asio::ip::address_v6 v6(address.ip);
  if (!is_v4_socket) return udp::endpoint(v6, address.port);
  if (!address.is_v4()) return std::nullopt;
  return udp::endpoint(asio::ip::make_address_v4(asio::ip::v4_mapped, v6), address.port);
}

/// Nothing when the host is a name.
std::optional<Address> numeric(const std::string& text) {
  const auto parts = net::parse_address(text);
  if (!parts) return std::nullopt;
  error_code error;
  const auto ip = asio::ip::make_address(parts->first, error);
  if (error) return std::nullopt;
  return address_of({ip, parts->second});
}

}  // namespace

routing::Point point_of(const crypto::PublicKey& key) {
  return crypto::sha256(key.view()).leading_bits();
}

class Overlay::Impl {
 public:
  Impl(asio::io_context& io, const crypto::SecretKey& key, const crypto::SignatureScheme& scheme,
       std::uint64_t seed, Duration join_time)
      : io_(io),
        socket_(io),
        timer_(io),
        resolver_(io),
        key_(key),
        scheme_(scheme),
        random_(seed),
        join_time_(join_time) {}
  ~Impl() { *is_over_ = true; }

  Status<Explained> listen(const std::string& host, std::uint16_t port);
  void enter(const crypto::ClusterId& cluster, const std::vector<Member>& members);
  void lookup(routing::Point key, std::function<void(const LookupAnswer&)> done);
  Picture picture() const;
  Counters counters() const;
  void leave();

  std::uint16_t port_ = 0;
  std::set<crypto::PublicKey> cut_off_;

 private:
  /// What belongs to one roster.
  struct Part {
    crypto::Digest roster_digest;
    std::shared_ptr<const routing::Roster> roster;
    std::shared_ptr<const routing::Rules> rules;
    std::vector<std::string> addresses;         // by index
    std::map<std::uint32_t, Address> resolved;  // of host names
    std::map<std::uint32_t, Instant> resolve_at;
    PeerIndex self;
    std::unique_ptr<Seals> seals;
    std::unique_ptr<routing::Peer> peer;
    std::optional<Instant> join_until;
  };
  struct Asked {
    std::function<void(const LookupAnswer&)> done;
    Instant since;
  };

  std::vector<PeerState> known_states(const routing::Roster& roster) const;
  void make_peer(std::vector<PeerState> states);
  void take_part(Now now, Part next);
  void receive_later();
  void receive();
  void on_time();
  void tidy(Now now);
  void carry_out(Now now);
  void flush(Now now);
  std::optional<Address> address_of_peer(Now now, PeerIndex peer);
  void resolve(Now now, PeerIndex peer);
  void arm();

  asio::io_context& io_;
  udp::socket socket_;
  bool is_v4_ = true;  // the socket
  asio::steady_timer timer_;
  udp::resolver resolver_;
  crypto::SecretKey key_;
  const crypto::SignatureScheme& scheme_;
  Random random_;
  Duration join_time_;
  std::optional<Part> part_;
  routing::Effects effects_;
  std::vector<Outgoing> outgoing_;
  std::map<routing::LookupId, Asked> asked_;
  std::uint64_t next_lookup_ = 1;
  Instant tidy_at_;
  std::optional<Instant> armed_for_;
  Counters counters_;  // of what rosters before refused and rejected too
  std::array<std::uint8_t, kDatagramSizeMax + 1> buffer_{};
  std::shared_ptr<bool> is_over_ = std::make_shared<bool>(false);
};

// ---- Socket ----

Status<Explained> Overlay::Impl::listen(const std::string& host, std::uint16_t port) {
  error_code error;
  const auto found =
      udp::resolver(io_).resolve(host, std::to_string(port), udp::resolver::passive, error);
  if (!error && found.empty()) error = asio::error::host_not_found;
  if (!error) {
    const udp::endpoint endpoint = found.begin()->endpoint();
    is_v4_ = endpoint.address().is_v4();
    socket_.open(endpoint.protocol(), error);
    if (!error) socket_.bind(endpoint, error);
    if (!error) socket_.non_blocking(true, error);
    if (!error) port_ = socket_.local_endpoint(error).port();
  }
  if (error) {
    return fail(Explained{
        .what =
            "cannot listen on UDP " + host + ":" + std::to_string(port) + ": " + error.message(),
        .cause = error == asio::error::address_in_use ? "another process uses this port" : "",
        .next = "stop the other process, or give the node another address"});
  }
  receive_later();
  return {};
}

void Overlay::Impl::receive_later() {
  socket_.async_wait(udp::socket::wait_read, [this, is_over = is_over_](const error_code& error) {
    if (*is_over || error) return;
    receive();
    receive_later();
  });
}

void Overlay::Impl::receive() {
  const Now now = read_clocks();
  for (int i = 0; i < kTakenAtOnce; ++i) {
    udp::endpoint from;
    error_code error;
    const std::size_t size = socket_.receive_from(asio::buffer(buffer_), from, 0, error);
    if (error == asio::error::would_block || error == asio::error::try_again) break;
    if (error) continue;  // an earlier datagram's address refused it
    ++counters_.datagrams_in;
    counters_.bytes_in += size;
    if (!part_) continue;
    const auto opened =
        part_->seals->open(now, address_of(from), ByteView(buffer_).first(size), outgoing_);
    if (!opened || cut_off_.contains(part_->roster->key(opened->from))) continue;
    part_->peer->on_datagram(now, opened->from, opened->message, effects_);
  }
  carry_out(now);
}

/// Where the table says that it is; a host name when it has been looked up.
std::optional<Address> Overlay::Impl::address_of_peer(Now now, PeerIndex peer) {
  const Address listed = part_->peer->table().address(peer);
  if (listed.port != 0) return listed;
  const auto found = part_->resolved.find(peer.value);
  resolve(now, peer);  // now and then again: names move
  if (found == part_->resolved.end()) return std::nullopt;
  return found->second;
}

void Overlay::Impl::resolve(Now now, PeerIndex peer) {
  Instant& at = part_->resolve_at[peer.value];
  if (now.time < at) return;
  at = now.time + kResolveInterval;
  const auto parts = net::parse_address(part_->addresses[peer.value]);
  if (!parts) return;
  resolver_.async_resolve(
      parts->first, std::to_string(parts->second),
      [this, is_over = is_over_, of = part_->roster_digest, peer](
          const error_code& error, const udp::resolver::results_type& found) {
        if (*is_over || error || found.empty() || !part_ || part_->roster_digest != of) return;
        part_->resolved[peer.value] = address_of(found.begin()->endpoint());
      });
}

void Overlay::Impl::flush(Now now) {
  for (const routing::Effects::Send& one : effects_.sends()) {
    if (cut_off_.contains(part_->roster->key(one.to))) continue;
    const auto address = address_of_peer(now, one.to);
    if (!address) {
      ++counters_.unsent;
      continue;
    }
    part_->seals->send(now, one.to, *address, effects_.bytes(one), outgoing_);
  }
  for (const Outgoing& one : outgoing_) {
    const auto to = endpoint_of(one.to, is_v4_);
    error_code error = asio::error::address_family_not_supported;
    if (to) socket_.send_to(asio::buffer(one.datagram), *to, 0, error);
    if (error) {
      ++counters_.unsent;  // as if the network had lost it
      continue;
    }
    ++counters_.datagrams_out;
    counters_.bytes_out += one.datagram.size();
  }
  outgoing_.clear();
}

// ---- Rosters ----

/// What is known of those that stay; others are taken for alive until somebody finds out.
std::vector<PeerState> Overlay::Impl::known_states(const routing::Roster& roster) const {
  std::map<crypto::PublicKey, PeerState> before;
  if (part_) {
    for (std::uint32_t i = 0; i < part_->roster->size(); ++i) {
      before.emplace(part_->roster->key(PeerIndex(i)), part_->peer->table().state(PeerIndex(i)));
    }
    before[part_->roster->key(part_->self)] = part_->peer->state();
  }
  std::vector<PeerState> out;
  for (std::uint32_t i = 0; i < roster.size(); ++i) {
    const auto found = before.find(roster.key(PeerIndex(i)));
    out.push_back(found != before.end() ? found->second : PeerState::alive(1));
  }
  return out;
}

void Overlay::Impl::make_peer(std::vector<PeerState> states) {
  PeerState& own = states[part_->self.value];
  if (!own.is_alive()) own = own.returned();
  routing::Table table(part_->roster, std::make_shared<const routing::Snapshot>(std::move(states)));
  part_->peer =
      std::make_unique<routing::Peer>(part_->rules, part_->self, std::move(table), random_.next());
}

void Overlay::Impl::enter(const crypto::ClusterId& cluster, const std::vector<Member>& members) {
  std::map<crypto::PublicKey, std::string> texts;
  std::vector<routing::Member> peers;
  for (const Member& one : members) {
    texts[one.key] = one.address;
    peers.push_back({point_of(one.key), one.key, numeric(one.address).value_or(Address{})});
  }
  const crypto::PublicKey own = key_.public_key();
  const bool is_alone = members.size() < 2 || !texts.contains(own);
  Part next;
  if (!is_alone) {
    next.roster = std::make_shared<const routing::Roster>(std::move(peers));
    crypto::Hasher hasher("rosebud overlay roster 1");
    hasher.update(cluster.view());
    for (std::uint32_t i = 0; i < next.roster->size(); ++i) {
      const crypto::PublicKey& key = next.roster->key(PeerIndex(i));
      hasher.update(key.view());
      next.addresses.push_back(texts[key]);
      if (key == own) next.self = PeerIndex(i);
    }
    next.roster_digest = hasher.finish();
    const bool is_same =
        part_ && part_->roster_digest == next.roster_digest && part_->addresses == next.addresses;
    if (is_same) return;
  }
  if (part_) {
    counters_.refusals += part_->seals->refusals();
    counters_.rejected += part_->peer->rejected_count();
  }
  const auto unanswered = std::exchange(asked_, {});
  effects_.clear();
  const Now now = read_clocks();
  if (is_alone) {
    part_.reset();
  } else {
    take_part(now, std::move(next));
  }
  for (const auto& [id, asked] : unanswered) asked.done({.time = now.time - asked.since});
}

void Overlay::Impl::take_part(Now now, Part next) {
  const bool was_taking_part = part_ && !part_->join_until;
  auto states = known_states(*next.roster);
  const auto settings = routing::Settings::for_peers(routing::Timing::kEager, next.roster->size());
  next.rules = std::make_shared<const routing::Rules>(
      routing::Rules{settings, routing::Slices(next.roster, settings.slices, settings.units)});
  next.seals = std::make_unique<Seals>(next.roster, next.self, key_, scheme_, next.roster_digest,
                                       random_.next(), now);
  part_ = std::move(next);
  make_peer(std::move(states));
  if (was_taking_part) {
    part_->peer->start(now, effects_);
  } else {
    // Of anybody: who does not answer is followed by another one.
    const std::uint32_t others = part_->roster->size() - 1;
    const auto drawn = static_cast<std::uint32_t>(random_.below(others));
    const PeerIndex contact(drawn < part_->self.value ? drawn : drawn + 1);
    part_->join_until = now.time + join_time_;
    part_->peer->join(now, contact, std::nullopt, effects_);
  }
  carry_out(now);
}

// ---- Time ----

void Overlay::Impl::arm() {
  if (!part_) return;
  Instant next = std::min(part_->peer->next_deadline(), tidy_at_);
  if (part_->join_until) next = std::min(next, *part_->join_until);
  if (armed_for_ == next) return;
  armed_for_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
  timer_.async_wait([this, is_over = is_over_](const error_code& error) {
    if (*is_over || error) return;
    armed_for_.reset();
    on_time();
  });
}

void Overlay::Impl::on_time() {
  if (!part_) return;
  const Now now = read_clocks();
  if (part_->join_until && now.time >= *part_->join_until) {
    // Nobody who takes part answered: they begin now like this one, or it cannot hear them.
    part_->join_until.reset();
    auto states = known_states(*part_->roster);
    make_peer(std::move(states));
    part_->peer->start(now, effects_);
  }
  part_->peer->on_time(now, effects_);
  if (now.time >= tidy_at_) tidy(now);
  carry_out(now);
}

void Overlay::Impl::tidy(Now now) {
  tidy_at_ = now.time + kTidyInterval;
  part_->seals->forget_idle(now);
  const routing::Table& table = part_->peer->table();
  if (table.delta().size() <= kDeltaMax) return;
  std::vector<PeerIndex> changed;
  for (const routing::Change& one : table.delta()) changed.push_back(one.peer);
  part_->peer->rebase(table.folded(), changed);
}

void Overlay::Impl::carry_out(Now now) {
  flush(now);
  if (effects_.has_joined && part_) part_->join_until.reset();
  // They may ask for something else: by then nothing of this one is left.
  const std::vector<routing::LookupDone> done = std::exchange(effects_.lookups, {});
  effects_.clear();
  arm();
  for (const routing::LookupDone& one : done) {
    const auto at = asked_.find(one.id);
    if (at == asked_.end()) continue;
    const Asked asked = std::move(at->second);
    asked_.erase(at);
    asked.done({.is_found = one.is_found,
                .owner = part_ ? std::optional(part_->roster->key(one.owner)) : std::nullopt,
                .hops = one.hops,
                .waits = one.waits,
                .time = now.time - asked.since});
  }
}

void Overlay::Impl::lookup(routing::Point key, std::function<void(const LookupAnswer&)> done) {
  if (!part_) return done({});
  const Now now = read_clocks();
  const routing::LookupId id(next_lookup_++);
  asked_.emplace(id, Asked{std::move(done), now.time});
  part_->peer->lookup(now, id, key, effects_);
  carry_out(now);
}

void Overlay::Impl::leave() {
  if (part_ && socket_.is_open()) {
    const Now now = read_clocks();
    part_->peer->leave(now, effects_);
    flush(now);
    effects_.clear();
  }
  part_.reset();
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

// ---- Looking on ----

Picture Overlay::Impl::picture() const {
  Picture out;
  if (!part_) return out;
  const routing::Peer& peer = *part_->peer;
  out.is_taking_part = !part_->join_until;
  out.slices = part_->rules->slices.count();
  for (std::uint32_t i = 0; i < part_->roster->size(); ++i) {
    const PeerIndex index(i);
    const bool is_self = index == part_->self;
    out.peers.push_back({.key = part_->roster->key(index),
                         .at = part_->roster->at(index),
                         .state = is_self ? peer.state() : peer.table().state(index),
                         .slice = part_->rules->slices.slice_of(index).value,
                         .is_self = is_self,
                         .is_successor = peer.successor() == index,
                         .is_predecessor = peer.predecessor() == index});
  }
  return out;
}

Counters Overlay::Impl::counters() const {
  Counters out = counters_;
  if (!part_) return out;
  out.refusals += part_->seals->refusals();
  out.rejected += part_->peer->rejected_count();
  return out;
}

// ---- The outside ----

Overlay::Overlay(asio::io_context& io, const crypto::SecretKey& key,
                 const crypto::SignatureScheme& scheme, std::uint64_t seed, Duration join_time)
    : impl_(std::make_unique<Impl>(io, key, scheme, seed, join_time)) {}
Overlay::~Overlay() = default;
Status<Explained> Overlay::listen(const std::string& host, std::uint16_t port) {
  return impl_->listen(host, port);
}
std::uint16_t Overlay::port() const { return impl_->port_; }
void Overlay::enter(const crypto::ClusterId& cluster, const std::vector<Member>& members) {
  impl_->enter(cluster, members);
}
void Overlay::cut_off(std::vector<crypto::PublicKey> peers) {
  impl_->cut_off_ = {peers.begin(), peers.end()};
}
void Overlay::lookup(routing::Point key, std::function<void(const LookupAnswer&)> done) {
  impl_->lookup(key, std::move(done));
}
Picture Overlay::picture() const { return impl_->picture(); }
Counters Overlay::counters() const { return impl_->counters(); }
void Overlay::leave() { impl_->leave(); }

}  // namespace rosebud::overlay
