// One client of a group, to which the fuzzer is all replicas: replies in any order, of other
// requests, with any view and floor; links that break; time that jumps.
//
// What is judged beside the client, from its effects and what it was told:
//  1. It believes a result that F+1 replicas gave alike to the request under way, their last word
//     each; and takes numbers that 2F+1 have answered.
//  2. Each submission ends at most once, in order; one request is under way at a time.
//  3. Numbers grow as long as nothing says that they were far ahead.
//  4. No replica alone makes it believe in another primary.
//  5. One input has bounded effects, and what waits is what was submitted and has not ended.
#include <array>
#include <chrono>
#include <optional>

#include "crypto/believes_everything.h"
#include "pbft/client.h"
#include "script.h"

namespace {

using namespace rosebud;
using namespace rosebud::pbft;
using fuzz::require;
using std::chrono::milliseconds;

constexpr std::uint16_t kSeats = 4;
constexpr std::size_t kWeakQuorum = 2;
constexpr std::size_t kQuorum = 3;
constexpr std::size_t kWaitingMax = 6;

const crypto::BelievesEverything kScheme;

crypto::SecretKey key_of(std::uint8_t number) {
  FixedBytes<32, struct crypto::SeedTag> seed;
  seed.bytes[0] = number;
  return crypto::SecretKey::from_seed(seed);
}

std::shared_ptr<const Group> make_group() {
  std::vector<std::optional<crypto::PublicKey>> seats;
  for (std::uint8_t i = 0; i < kSeats; ++i) seats.emplace_back(key_of(i).public_key());
  return std::make_shared<const Group>(InstanceId{}, std::move(seats));
}

class Play {
 public:
  Play(ByteView input, RequestAuthentication authentication)
      : script_(input),
        client_(key_of(9), make_group(), kScheme, Random(1),
                {.request_authentication = authentication}) {}

  void run() {
    while (!script_.is_over()) {
      step();
      judge();
    }
  }

 private:
  Instant now() const { return Instant(time_); }

  void step() {
    switch (script_.below(8)) {
      case 0:
        if (unfinished_ == kWaitingMax) return;
        ++unfinished_;
        ++submitted_;
        require(
            client_.submit(now(), Buffer::copy_of(script_.bytes(3)), effects_).value == submitted_,
            "submissions are numbered");
        return;
      case 1:
      case 2:
      case 3:
        return reply();
      case 4: {
        time_ += script_.rarely(16) ? Duration(std::chrono::hours(24 * 365))
                                    : Duration(milliseconds(script_.byte() * 10));
        const bool is_early = now() < client_.next_deadline();
        client_.on_time(now(), effects_);
        return require(!is_early || effects_.empty(), "a call before its time does nothing");
      }
      case 5:
        return client_.on_link(now(), ReplicaId(static_cast<std::uint16_t>(script_.below(5))),
                               script_.byte() % 2 == 0, effects_);
      case 6:
        if (client_.is_idle() || !script_.rarely(4)) return;
        // Nobody is told: it has ended for who gives it up.
        end_current(SubmissionId(last_ended_ + 1));
        return client_.give_up(now(), effects_);
      default:
        client_.on_reply(now(), ReplicaId(kSeats), some_reply(), effects_);
        require(effects_.empty(), "who is no member says nothing");
    }
  }

  Reply some_reply() {
    Reply out;
    out.view = View(script_.byte() % 4);
    out.status = static_cast<Reply::Status>(script_.byte() % 4);
    out.result = Buffer::copy_of(ByteView(Bytes(1, script_.byte() % 2)));
    if (current_) {
      out.number = current_->number;
      out.operation = operation_digest(current_->operation.view());
    }
    if (script_.rarely(8)) out.number = RequestNumber(script_.byte());
    if (script_.rarely(8)) out.operation.bytes[0] ^= 1;
    out.floor = RequestNumber(std::uint64_t{script_.byte()} << 20);
    out.time = AgreedTime(script_.byte());
    if (script_.rarely(32)) {
      are_numbers_absurd_ = true;
      out.floor = RequestNumber(~std::uint64_t{0} - script_.byte());
      out.time = AgreedTime(~std::uint64_t{0} / 1000 + script_.byte());
    }
    return out;
  }

  void reply() {
    const std::size_t from = script_.below(kSeats);
    const Reply said = some_reply();
    const bool is_of_current = current_ && said.number == current_->number &&
                               said.operation == operation_digest(current_->operation.view());
    if (is_of_current) {
      said_[from] = said;
      if (said.view != View{}) has_claimed_view_[from] = true;
    }
    client_.on_reply(now(), ReplicaId(static_cast<std::uint16_t>(from)), said, effects_);
    require(is_of_current || effects_.empty(), "a reply to something else says nothing");
  }

  std::size_t alike(Reply::Status status, const Buffer* result) const {
    return static_cast<std::size_t>(std::ranges::count_if(said_, [&](const auto& one) {
      return one && one->status == status && (!result || one->result == *result);
    }));
  }

  void end_current(SubmissionId id) {
    require(id.value == last_ended_ + 1 && id.value <= submitted_, "each ends once, in order");
    last_ended_ = id.value;
    --unfinished_;
    current_.reset();
    said_ = {};
  }

  void begin(const Request& request) {
    if (current_) {
      require(current_->number == kNumbersQuestion && request.number != kNumbersQuestion,
              "one request at a time");
      require(alike(Reply::Status::kNumberForgotten, nullptr) >= kQuorum, "numbers of 2F+1");
    }
    if (request.number != kNumbersQuestion) {
      require(are_numbers_absurd_ || request.number > last_number_, "numbers grow");
      last_number_ = request.number;
    }
    current_ = request;
    said_ = {};
  }

  void judge() {
    require(effects_.size() <= 2 * kSeats + 1, "bounded effects");
    for (const ClientEffect& effect : effects_) {
      if (const auto* sent = std::get_if<SendRequest>(&effect)) {
        require(sent->to.value < kSeats, "requests go to members");
        if (!current_ || !(*current_ == sent->request)) begin(sent->request);
        continue;
      }
      const auto& finish = std::get<Finish>(effect);
      require(current_.has_value(), "what ends was under way");
      require(alike(finish.status, &finish.result) >= kWeakQuorum, "F+1 have said so");
      if (finish.status == Reply::Status::kNumberAhead) last_number_ = {};
      end_current(finish.id);
    }
    effects_.clear();
    require(client_.is_idle() == (unfinished_ == 0), "it works as long as something waits");
    require(client_.is_idle() || client_.waiting_count() + 1 == unfinished_, "what waits");
    require(client_.is_idle() == (client_.next_deadline() == Instant::max()), "it asks again");
    if (std::ranges::count(has_claimed_view_, true) < std::ptrdiff_t{kWeakQuorum})
      require(client_.believed_primary() == ReplicaId(0), "one replica alone moves no view");
  }

  fuzz::Script script_;
  Client client_;
  Duration time_{};
  ClientEffects effects_;
  std::uint64_t submitted_ = 0;
  std::uint64_t last_ended_ = 0;
  std::size_t unfinished_ = 0;
  std::optional<Request> current_;
  std::array<std::optional<Reply>, kSeats> said_;  // of the request under way, the last of each
  std::array<bool, kSeats> has_claimed_view_{};
  RequestNumber last_number_;
  bool are_numbers_absurd_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Play(ByteView(data + 1, size - 1),
       data[0] % 2 == 0 ? RequestAuthentication::kSignature : RequestAuthentication::kSessionKeys)
      .run();
  return 0;
}
