// A client against everybody: replicas that answer what they like, twice, late, in another epoch or
// in another's name, connections that fail, clocks that jump, epochs. After every input this looks
// at what left the core, and counts beside it:
//
//  1. Every operation ends exactly once, at the latest at its deadline.
//  2. Bytes hash to the id that was asked for; records are signed by their owner, holds valid.
//  3. What needs a quorum had 2f+1 answers of members of the group, each asked by this operation,
//  all of
//     one epoch (design 6).
//  4. Requests go to members of the group, in the newest epoch, under nonces that are never used
//  twice.
//  5. Effects of one input and questions of one operation are bounded; time never stands still.
#include <optional>
#include <set>

#include "objects/write_quorum.h"
#include "world.h"

namespace {

using namespace rosebud;
using namespace rosebud::fuzz;
using namespace rosebud::objects;

constexpr int kStepsMax = 400;
constexpr std::size_t kOperationsMax = 12;
constexpr std::size_t kFaults = 1;
constexpr std::size_t kQuorum = 2 * kFaults + 1;
constexpr std::size_t kGroup = 3 * kFaults + 1;
/// Of one input: every operation asks its group, restarts a phase, and ends.
constexpr std::size_t kEffectsMax = kOperationsMax * (2 * kGroup + 2);

const World& world() {
  static const World made;
  return made;
}

enum class Kind : std::uint8_t { kWriteBlock, kReadBlock, kWriteRecord, kReadRecord };

/// What an answer said, of those that this operation had asked for.
struct Counted {
  wire::NodeKey from;
  std::uint64_t epoch = 0;
  wire::RequestBody asked;
  wire::AnswerBody answer;
};

struct Operation {
  Kind kind = Kind::kWriteBlock;
  wire::ObjectId id;
  std::size_t number = 0;  // names it: no other operation has this object
  Instant deadline;
  Buffer bytes;                              // written
  std::optional<wire::SignedRecord> record;  // written
  std::vector<Counted> counted;
};

struct Asked {
  OperationId operation;
  SendRequest request;
  std::uint64_t epoch = 0;
};

class Run {
 public:
  explicit Run(Script& script)
      : script_(script),
        core_(world().verifier(1), Random(script.byte()),
              {.unreachable_grace = script.rarely(2)
                                        ? std::optional(Duration(std::chrono::seconds(2)))
                                        : std::nullopt}) {}

  void play() {
    for (int step = 0; step < kStepsMax && !script_.is_over(); ++step) this->step();
    for (const auto& [id, operation] : operations_) now_ = std::max(now_, operation.deadline);
    look_at_the_clock();
    require(operations_.empty(), "at its deadline every operation has ended");
  }

 private:
  void step() {
    switch (script_.below(16)) {
      case 0:
      case 1:
      case 2:
        return start();
      case 3:
        return pass_time();
      case 4:
        return fail_connection();
      case 5:
        return script_.rarely(2) ? cancel() : learn_configuration();
      case 6:
        return answer_garbage();
      case 7:
      case 8:
        return answer_all();
      default:
        return answer(script_.below(std::max<std::size_t>(asked_.size(), 1)), script_.byte());
    }
  }

  // ---- Operations ----

  /// Objects are the operation's own, so that every request shows for whom it is.
  void start() {
    if (operations_.size() >= kOperationsMax) return;
    constexpr Duration kTimes[] = {std::chrono::seconds(10), std::chrono::milliseconds(10),
                                   std::chrono::hours(1), Duration::zero()};
    Operation next{.kind = static_cast<Kind>(script_.below(4)), .number = ++started_};
    next.deadline = now_ + script_.one_of(kTimes);
    next.bytes = Buffer::copy_of(as_bytes("block " + std::to_string(next.number)));
    const bool is_block = next.kind == Kind::kWriteBlock || next.kind == Kind::kReadBlock;
    next.id = is_block ? wire::ObjectId::block(crypto::sha256(next.bytes.view()))
                       : wire::record_id(owner().public_key(), salt(next));
    const bool is_offered_first = script_.rarely(2);
    if (next.kind == Kind::kWriteRecord)
      next.record = world().record(owner(), salt(next), 1 + script_.below(8), "one value");
    // The core numbers them in order; its first effects speak of it already.
    const OperationId id(next.number);
    const Operation asked = operations_.emplace(id, std::move(next)).first->second;
    ClientEffects out;
    OperationId given;
    switch (asked.kind) {
      case Kind::kWriteBlock:
        given = core_.write_block(now_, asked.id, asked.bytes, hold(asked, asked.bytes.size()),
                                  is_offered_first, asked.deadline, out);
        break;
      case Kind::kReadBlock:
        given = core_.read_block(now_, asked.id, asked.deadline, out);
        break;
      case Kind::kWriteRecord:
        given = core_.write_record(now_, asked.id, *asked.record,
                                   hold(asked, wire::kRecordValueSizeMax), asked.deadline, out);
        break;
      case Kind::kReadRecord:
        given = core_.read_record(now_, asked.id, asked.deadline, out);
    }
    require(given == id, "operations are numbered in order");
    take(std::move(out));
  }

  void cancel() {
    if (operations_.empty()) return;
    ClientEffects out;
    core_.cancel(any_operation(), out);
    require(out.size() == 1, "a cancelled operation ends");
    take(std::move(out));
  }
  OperationId any_operation() {
    return std::next(operations_.begin(),
                     static_cast<std::ptrdiff_t>(script_.below(operations_.size())))
        ->first;
  }

  static const crypto::SecretKey& owner() { return world().clients[0]; }
  static Bytes salt(const Operation& operation) {
    return to_bytes(as_bytes("salt " + std::to_string(operation.number)));
  }
  static wire::Hold hold(const Operation& operation, std::uint64_t size) {
    return world().hold(0, operation.id, size, 1, kTestExpiry);
  }

  // ---- Inputs ----

  void pass_time() {
    constexpr Duration kSteps[] = {std::chrono::milliseconds(1), std::chrono::milliseconds(60),
                                   std::chrono::seconds(1), std::chrono::seconds(20)};
    const std::uint8_t choice = script_.byte();
    if (choice >= 0xfc && jumps_++ < 16) {
      now_ += kHugeJump;
    } else if (choice & 4 && !operations_.empty()) {
      now_ = std::max(now_, core_.next_deadline());
    } else {
      now_ += kSteps[choice % 4];
    }
    look_at_the_clock();
  }
  void look_at_the_clock() {
    ClientEffects out;
    core_.on_time(now_, out);
    take(std::move(out));
    require(core_.next_deadline() > now_, "after its deadline the next one lies ahead");
    for (const auto& [id, operation] : operations_)
      require(operation.deadline > now_, "nothing is under way beyond its deadline");
  }

  void fail_connection() {
    ClientEffects out;
    core_.on_unreachable(now_, world().nodes[script_.below(World::kNodes)].public_key(), out);
    take(std::move(out));
  }

  void learn_configuration() {
    epoch_ = std::min(epoch_ + 1, World::kEpochs);
    ClientEffects out;
    core_.on_configuration(now_, world().verifier(script_.rarely(8) ? 1 : epoch_), out);
    // One that is known changes nothing; then this one comes after it.
    if (core_.verifier().configuration().number() != World::number(epoch_))
      core_.on_configuration(now_, world().verifier(epoch_), out);
    take(std::move(out));
  }

  /// As encoded by a stranger, or a right answer under a wrong nonce.
  void answer_garbage() {
    wire::Answer answer{
        .context = {.configuration = World::number(epoch_), .nonce = wire::Nonce(script_.byte())}};
    answer.body = wire::Stored{};
    wire::EncodedMessage encoded = wire::encode(answer);
    if (!asked_.empty()) {
      const Asked& asked = asked_[script_.below(asked_.size())];
      encoded = wire::encode(wire::Answer{.context = asked.request.request.context,
                                          .body = any_body(asked, script_.byte())});
    }
    for (std::size_t count = script_.below(4); count > 0; --count)
      World::damage(script_, encoded.header);
    auto message = wire::decode(encoded.header, encoded.bulk);
    if (!message || !std::holds_alternative<wire::Answer>(*message)) return;
    deliver(world().nodes[script_.below(World::kNodes)].public_key(),
            std::move(std::get<wire::Answer>(*message)));
  }

  /// Everybody who was asked says the same.
  void answer_all() {
    const std::uint8_t choice = script_.byte();
    for (std::size_t count = asked_.size(); count > 0 && !asked_.empty(); --count)
      answer(0, choice);
  }

  void answer(std::size_t which, std::uint8_t choice) {
    if (asked_.empty()) return;
    const auto at = asked_.begin() + static_cast<std::ptrdiff_t>(which % asked_.size());
    const Asked asked = *at;
    const std::uint8_t how = choice >= 0xc0 ? script_.byte() : 0;
    if (how < 0xf0) asked_.erase(at);  // else it answers twice
    wire::Answer out{.context = asked.request.request.context};
    wire::NodeKey from = asked.request.to;
    if (how % 16 == 14)
      out.context.configuration = World::number(script_.below(World::kEpochs + 2));
    if (how % 16 == 15) from = world().nodes[script_.below(World::kNodes)].public_key();
    out.body = any_body(asked, choice);
    deliver(from, std::move(out));
  }

  wire::AnswerBody any_body(const Asked& asked, std::uint8_t choice) {
    const std::size_t number = asked.operation.value;
    const wire::RequestBody& request = asked.request.request.body;
    if (choice % 16 >= 13) {
      wire::Refused out{.reason = static_cast<wire::RefusalReason>(1 + script_.below(11)),
                        .retry_after_ms = std::uint32_t{script_.byte()} << (choice % 16)};
      if (out.reason == wire::RefusalReason::kWrongEpoch)
        out.descriptions.push_back(world().configuration(epoch_)->signed_description());
      return out;
    }
    const bool is_as_asked = choice % 16 < 11;
    const bool is_block = std::holds_alternative<wire::PutBlock>(request) ||
                          std::holds_alternative<wire::OfferBlock>(request);
    if (is_as_asked && is_block) {
      if (choice & 1) return wire::Missing{};
      return wire::Stored{};
    }
    if (is_as_asked && std::holds_alternative<wire::GetBlock>(request)) {
      if (choice & 1) return wire::Absent{};
      return wire::BlockFound{
          Buffer::copy_of(as_bytes("block " + std::to_string(number + (choice & 8 ? 1 : 0))))};
    }
    if (is_as_asked) return any_record(asked, choice);
    switch (script_.below(6)) {
      case 0:
        return wire::Stored{};
      case 1:
        return wire::Missing{};
      case 2:
        return wire::Absent{};
      case 3:
        return wire::BlockFound{};
      case 4:
        return wire::ObjectAbsent{};
      default:
        return any_record(asked, choice);
    }
  }

  wire::AnswerBody any_record(const Asked& asked, std::uint8_t choice) {
    const wire::ObjectId id = wire::record_id(owner().public_key(), salt_of(asked));
    const auto* put = std::get_if<wire::PutRecord>(&asked.request.request.body);
    if (choice % 4 == 3 && !put) return wire::Absent{};
    wire::RecordHeld out{.hold = world().hold(0, id, wire::kRecordValueSizeMax, 1, kTestExpiry)};
    if (put && choice % 4 < 2) {
      out.record = put->record;
    } else if (choice % 4 == 0) {
      out.record = world().record(owner(), salt_of(asked), 1 + choice / 16 % 8, "one value");
    } else {
      out.record = world().record(script_, owner(), salt_of(asked));
      out.hold = world().hold(script_, id, wire::kRecordValueSizeMax);
    }
    return out;
  }
  static Bytes salt_of(const Asked& asked) {
    return to_bytes(as_bytes("salt " + std::to_string(asked.operation.value)));
  }

  /// A record that proves nothing counts for nothing.
  bool is_valid(const Operation& operation, const wire::AnswerBody& answer) const {
    const auto* held = std::get_if<wire::RecordHeld>(&answer);
    return !held ||
           (core_.verifier().is_record(operation.id, held->record) &&
            core_.verifier().hold(operation.id, held->record.value.size(), held->hold, true));
  }

  void deliver(const wire::NodeKey& from, wire::Answer answer) {
    const auto at = nonces_.find(answer.context.nonce);
    if (at != nonces_.end() && at->second.request.to == from) {
      const auto operation = operations_.find(at->second.operation);
      if (operation != operations_.end() && is_valid(operation->second, answer.body)) {
        operation->second.counted.push_back({.from = from,
                                             .epoch = answer.context.configuration.epoch.value,
                                             .asked = at->second.request.request.body,
                                             .answer = answer.body});
      }
    }
    ClientEffects out;
    core_.on_answer(now_, from, std::move(answer), out);
    take(std::move(out));
  }

  // ---- Effects ----

  void take(ClientEffects effects) {
    require(effects.size() <= kEffectsMax, "effects of one input are bounded");
    for (ClientEffect& effect : effects) {
      if (auto* request = std::get_if<SendRequest>(&effect)) {
        check_request(std::move(*request));
      } else if (const auto* finish = std::get_if<Finish>(&effect)) {
        check_finish(*finish);
      } else if (const auto* learn = std::get_if<LearnDescriptions>(&effect)) {
        require(!learn->descriptions.empty(), "there is something to learn");
      }
    }
    core_.check_invariants();
    require(core_.operation_count() == operations_.size(), "what has not ended is under way");
  }

  static wire::ObjectId object_of(const wire::RequestBody& body) {
    if (const auto* put = std::get_if<wire::PutBlock>(&body)) return put->id;
    if (const auto* offer = std::get_if<wire::OfferBlock>(&body)) return offer->id;
    if (const auto* get = std::get_if<wire::GetBlock>(&body)) return get->id;
    if (const auto* put = std::get_if<wire::PutRecord>(&body)) return put->id;
    if (const auto* get = std::get_if<wire::GetRecord>(&body)) return get->id;
    require(false, "a client asks for objects alone");
    return {};
  }

  void check_request(SendRequest request) {
    const wire::ObjectId id = object_of(request.request.body);
    const auto at =
        std::ranges::find_if(operations_, [&](const auto& one) { return one.second.id == id; });
    require(at != operations_.end(), "what is asked is asked for an operation under way");
    const auto& configuration = *world().configuration(epoch_);
    require(request.request.context.configuration == configuration.number(),
            "requests are of the newest epoch");
    require(is_member(request.to, id, epoch_), "members of the group are asked");
    const Asked asked{.operation = at->first, .request = request, .epoch = epoch_};
    require(nonces_.emplace(request.request.context.nonce, asked).second,
            "a nonce is never used twice");
    asked_.push_back(asked);
  }

  static bool is_member(const wire::NodeKey& node, const wire::ObjectId& id, std::uint64_t epoch) {
    const auto& configuration = *world().configuration(epoch);
    return std::ranges::any_of(configuration.group(id.placement), [&](std::uint32_t member) {
      return configuration.nodes()[member].key == node;
    });
  }

  /// True when 2f+1 members of one epoch's group said something of which `counts` is true.
  template <typename Counts>
  static bool has_quorum(const Operation& operation, const Counts& counts) {
    for (std::uint64_t epoch = 1; epoch <= World::kEpochs; ++epoch) {
      std::set<wire::NodeKey> members;
      for (const Counted& one : operation.counted) {
        if (one.epoch == epoch && is_member(one.from, operation.id, epoch) && counts(one))
          members.insert(one.from);
      }
      if (members.size() >= kQuorum) return true;
    }
    return false;
  }
  /// Members that refused for a reason of which `counts` is true, in whatever epoch.
  template <typename Counts>
  static std::size_t refusals(const Operation& operation, const Counts& counts) {
    std::set<wire::NodeKey> members;
    for (const Counted& one : operation.counted) {
      const auto* refused = std::get_if<wire::Refused>(&one.answer);
      if (refused && counts(refused->reason)) members.insert(one.from);
    }
    return members.size();
  }
  static bool is_final(wire::RefusalReason reason) {
    using enum wire::RefusalReason;
    return reason == kMalformed || reason == kBadHold || reason == kBadRecord ||
           reason == kBadBlock || reason == kQuota || reason == kNotAllowed ||
           reason == kTooManyHolds;
  }

  static std::optional<RecordOrder> order_in(const wire::AnswerBody& answer) {
    const auto* held = std::get_if<wire::RecordHeld>(&answer);
    if (!held) return std::nullopt;
    const auto statement = wire::RecordStatement::decode(held->record.statement.statement);
    return order_of(*statement);  // only valid ones are counted
  }
  static RecordOrder order(const wire::SignedRecord& record) {
    return order_of(*wire::RecordStatement::decode(record.statement.statement));
  }
  /// Asked to read it, not to write it back.
  static bool is_read(const Counted& one) {
    return std::holds_alternative<wire::GetRecord>(one.asked);
  }
  template <typename T>
  static bool is(const Counted& one) {
    return std::holds_alternative<T>(one.answer);
  }

  void check_finish(const Finish& finish) {
    const auto at = operations_.find(finish.operation);
    require(at != operations_.end(), "an operation ends once");
    const Operation operation = std::move(at->second);
    operations_.erase(at);
    std::erase_if(asked_, [&](const Asked& one) {
      return one.operation == finish.operation &&
             script_.byte() < 0xf0;  // some answer all the same
    });
    const OperationResult& result = finish.result;
    require(result.needed == kQuorum, "a quorum is 2f+1");
    if (result.record) {
      require(core_.verifier().is_record(operation.id, *result.record),
              "records are signed by their owner");
      require(result.hold && core_.verifier().hold(operation.id, result.record->value.size(),
                                                   *result.hold, true),
              "a record comes with a hold that is valid");
    }
    switch (result.outcome) {
      case Outcome::kDone:
        return check_done(operation, result);
      case Outcome::kNotFound:
        return check_not_found(operation);
      case Outcome::kSuperseded:
        return require(
            operation.record && result.record && order(*result.record) > order(*operation.record),
            "what supersedes is newer");
      case Outcome::kDenied:
        return require(refusals(operation, is_final) > kFaults, "one liar denies nothing");
      case Outcome::kNoSpace:
        return require(refusals(operation,
                                [](wire::RefusalReason reason) {
                                  return reason == wire::RefusalReason::kNoSpace;
                                }) > kFaults,
                       "one liar is not a full disk");
      case Outcome::kNoQuorum:
      case Outcome::kUnknown:
      case Outcome::kStale:
      case Outcome::kCancelled:
        return;
    }
  }

  static void check_not_found(const Operation& operation) {
    const bool is_block = operation.kind == Kind::kReadBlock;
    require(is_block || operation.kind == Kind::kReadRecord, "only what is read is not there");
    require(has_quorum(operation, [](const Counted& one) { return is<wire::Absent>(one); }),
            "not there is said by a quorum");
  }

  static void check_done(const Operation& operation, const OperationResult& result) {
    switch (operation.kind) {
      case Kind::kWriteBlock:
        return require(
            has_quorum(operation, [](const Counted& one) { return is<wire::Stored>(one); }),
            "a block is written when a quorum stored it");
      case Kind::kReadBlock:
        return require(crypto::sha256(result.bytes.view()) == operation.id.placement,
                       "bytes hash to the id");
      case Kind::kWriteRecord:
        return require(has_quorum(operation,
                                  [&](const Counted& one) {
                                    return order_in(one.answer) == order(*operation.record);
                                  }),
                       "a record is written when a quorum holds exactly it");
      case Kind::kReadRecord: {
        require(result.record.has_value(), "what is read is there");
        const RecordOrder returned = order(*result.record);
        const auto agrees = [&](const Counted& one) {
          return is_read(one) && order_in(one.answer) == returned;
        };
        const auto is_past = [&](const Counted& one) {
          const auto* put = std::get_if<wire::PutRecord>(&one.asked);
          return put && order(put->record) == returned && order_in(one.answer) >= returned;
        };
        return require(
            result.phases == 1 ? has_quorum(operation, agrees) : has_quorum(operation, is_past),
            "a record is read when a quorum agrees, or was written it back");
      }
    }
  }

  Script& script_;
  Client core_;
  Instant now_;
  std::uint64_t epoch_ = 1;
  std::size_t started_ = 0;
  int jumps_ = 0;
  std::map<OperationId, Operation> operations_;
  std::vector<Asked> asked_;             // still to be answered
  std::map<wire::Nonce, Asked> nonces_;  // ever used
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Script script(ByteView(data, size));
  Run(script).play();
  return 0;
}
