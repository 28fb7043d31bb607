// A replica against everybody: clients and other replicas that send what they like, a disk that is
// late, fails, rots and forgets what was not synced, clocks that jump, epochs and restarts. After
// every input this looks at what left the core and what went to the disk:
//
//  1. An answer repeats nonce and connection, is of a kind that the request allows, comes once, and
//     comes once everything that the disk owes was delivered.
//  2. What belongs to an epoch is answered in the request's epoch alone, by a member of the group,
//     after it is durable that the epoch was entered.
//  3. What an answer says is on the disk at that moment.
//  4. What goes to the disk is signed, held and hashes to its id; no record or hold is overwritten
//  by
//     an older one; only bytes that are bad are marked as bad.
//  5. Effects of one input, operations and timers are bounded; time never stands still.
#include <deque>
#include <optional>

#include "objects/range_digest.h"
#include "world.h"

namespace {

using namespace rosebud;
using namespace rosebud::fuzz;
using namespace rosebud::objects;

/// Most effects of one input: a new epoch starts surveys of 5 others with 8 scans each and 11
/// exchanges beside them, and asks 5 others about each of 7 objects; then there is the note, and
/// what was asked.
constexpr std::size_t kEffectsMax = 96;
/// Inputs of one script.
constexpr int kStepsMax = 400;

const World& world() {
  static const World made;
  return made;
}

/// Small, so that they are reached.
ReplicaLimits small_limits() {
  return {.operations_max = 12,
          .operation_bytes_max = 400,
          .operations_per_key_max = 3,
          .range_answers_max = 4,
          .range_answers_per_peer_max = 2,
          .survey_answers_max = 3};
}

/// What merging may have under way beside the operations of clients: fetches of every exchange, one
/// repair for each object, one that is scrubbed.
constexpr std::size_t kOwnOperationsMax = 16 * 8 + World::kBlocks + World::kRecords + 3;

struct Held {
  wire::StoredObject object;
  bool is_rotten = false;
};

struct Question {
  Sender sender;
  wire::Request request;
};

class Run {
 public:
  explicit Run(Script& script) : script_(script) { boot(); }

  void play() {
    for (int step = 0; step < kStepsMax && !script_.is_over(); ++step) this->step();
    drain();
    require(questions_.empty(), "when the disk owes nothing every request was answered");
  }

 private:
  // ---- Inputs ----

  void step() {
    switch (script_.below(16)) {
      case 0:
      case 1:
      case 2:
        return ask();
      case 3:
        return ask_mutated();
      case 4:
      case 5:
        return finish_persist(script_.rarely(8));
      case 6:
      case 7:
        return finish_load();
      case 8:
        return finish_scan();
      case 9:
      case 10:
      case 11:
        return answer_question();
      case 12:
        return pass_time();
      case 13:
        return drain();
      case 14:
        return script_.rarely(3) ? restart() : rot();
      default:
        return learn_configuration();
    }
  }

  void boot() {
    RecoveredNotes recovered;
    for (const auto& [name, value] : notes_) recovered.notes.emplace_back(name, value);
    History history;
    for (std::uint64_t earlier = epoch_ - 1; earlier >= 1 && history.size() < 8; --earlier)
      history.push_back(world().configuration(earlier));
    core_.emplace(ReplicaIdentity{.key = world().nodes[0]}, world().verifier(epoch_),
                  World::scheme(), std::move(recovered), Random(lives_++), small_limits(),
                  std::move(history));
    Effects out;
    core_->start(now_, out);
    take(std::move(out));
  }

  /// What was on its way to the disk is there up to some point, as after a crash.
  void restart() {
    for (std::size_t count = script_.below(persists_.size() + 1); count > 0; --count) {
      apply(persists_.front());
      persists_.pop_front();
    }
    persists_.clear();
    loads_.clear();
    scans_.clear();
    asked_.clear();
    questions_.clear();
    boot();
  }

  void learn_configuration() {
    // Now and then one that is known, or one too far.
    const std::uint64_t next = script_.rarely(4) ? 1 + script_.below(World::kEpochs)
                                                 : std::min(epoch_ + 1, World::kEpochs);
    if (next > epoch_ + 1) return;  // only the next one follows; the driver sees to that
    epoch_ = std::max(epoch_, next);
    Effects out;
    core_->on_configuration(now_, world().verifier(next), out);
    take(std::move(out));
  }

  void pass_time() {
    constexpr Duration kSteps[] = {std::chrono::milliseconds(1), std::chrono::milliseconds(600),
                                   std::chrono::seconds(3), std::chrono::seconds(70)};
    const std::uint8_t choice = script_.byte();
    if (choice >= 0xfc) {
      now_ += kHugeJump;
    } else if (choice & 4) {
      now_ = std::max(now_, core_->next_deadline());
    } else {
      now_ += kSteps[choice % 4];
    }
    Effects out;
    core_->on_time(now_, out);
    take(std::move(out));
    require(core_->next_deadline() > now_, "after its deadline the next one lies ahead");
  }

  void rot() {
    if (disk_.empty()) return;
    Held& held =
        std::next(disk_.begin(), static_cast<std::ptrdiff_t>(script_.below(disk_.size())))->second;
    if (!held.object.is_damaged) held.is_rotten = true;
  }

  wire::KeyRange any_range() {
    const auto& arcs = world().configuration(epoch_)->ring().arcs();
    wire::KeyRange range = arcs[script_.below(arcs.size())].range;
    if (script_.rarely(4)) {
      const auto parts = split(range);
      range = parts[script_.below(parts.size())];
    } else if (script_.rarely(8)) {
      range = wire::whole_key_range();
    }
    return range;
  }

  /// As the decoder lets them through.
  wire::CompareRanges any_ranges() {
    wire::CompareRanges out;
    for (std::size_t left = 1 + script_.below(4); left > 0; --left) {
      out.ranges.push_back({.range = any_range(), .fingerprint = {}});
    }
    std::ranges::sort(out.ranges, {}, [](const auto& one) { return one.range.first; });
    const auto overlaps = [](const auto& one, const auto& next) {
      return next.range.first <= one.range.last;
    };
    const auto rest = std::ranges::unique(out.ranges, overlaps);
    out.ranges.erase(rest.begin(), rest.end());
    return out;
  }

  wire::RequestBody any_request() {
    const std::size_t at = script_.below(world().ids.size());
    const wire::ObjectId& id = world().ids[at];
    const bool is_block = at < World::kBlocks;
    switch (script_.below(13)) {
      case 0:
      case 1:
      case 2: {
        if (is_block) {
          const Buffer& bytes = world().contents[script_.rarely(32) ? 0 : at];
          return wire::PutBlock{
              .id = id, .hold = world().hold(script_, id, bytes.size()), .bytes = bytes};
        }
        const std::size_t record = at - World::kBlocks;
        return wire::PutRecord{
            .id = id,
            .record = world().record(script_, world().owner_of(record), World::salt_of(record)),
            .hold = world().hold(script_, id, wire::kRecordValueSizeMax)};
      }
      case 3:
      case 4:
      case 5:
        if (is_block) return wire::GetBlock{id};
        return wire::GetRecord{id};
      case 6:  // of a block alone: the decoder lets nothing else through
        if (!is_block) return wire::GetRecord{id};
        return wire::OfferBlock{.id = id,
                                .hold = world().hold(script_, id, world().contents[at].size())};
      case 7:
        return wire::FetchObject{id};
      case 8:
        if (!is_block) return wire::FetchObject{id};
        return wire::AuditBlock{.id = id, .challenge = crypto::sha256(id.encode().view())};
      case 9:
        if (script_.rarely(2)) return any_ranges();
        return wire::CompareRange{.range = any_range()};
      case 10:
        return wire::GetDescriptions{World::number(script_.below(World::kEpochs + 2))};
      case 11:
        return wire::HandIn{};
      default:
        return wire::GetCompleteness{any_range()};
    }
  }

  Sender any_sender() {
    const std::uint8_t choice = script_.byte();
    if (choice & 1) {
      // Sometimes of a node that this epoch does not name.
      return {.connection = ConnectionId(choice),
              .key = world().nodes[choice / 2 % World::kNodes].public_key(),
              .role = wire::Role::kNode};
    }
    return {.connection = ConnectionId(choice),
            .key = world().clients[choice / 2 % World::kClients].public_key()};
  }

  wire::Request any_message() {
    const std::uint8_t choice = script_.byte();
    const std::uint64_t epoch = choice < 0xe0   ? epoch_
                                : choice < 0xf0 ? epoch_ - 1
                                : choice < 0xf8 ? epoch_ + 1
                                                : choice * choice;
    return {.context = {.configuration = World::number(epoch)}, .body = any_request()};
  }

  void ask() { send(any_sender(), any_message()); }

  /// A message whose encoding was damaged, or no message at all.
  void ask_mutated() {
    const Sender sender = any_sender();
    wire::EncodedMessage encoded;
    if (script_.rarely(2)) {
      encoded = wire::encode(any_message());
      for (std::size_t count = 1 + script_.below(3); count > 0; --count)
        World::damage(script_, encoded.header);
    } else {
      encoded.header = to_bytes(script_.bytes(200));
      encoded.bulk = Buffer::copy_of(script_.bytes(100));
    }
    auto message = wire::decode(encoded.header, encoded.bulk);
    if (!message) return;
    if (auto* request = std::get_if<wire::Request>(&*message)) {
      send(sender, std::move(*request));
    } else {
      Effects out;
      core_->on_answer(now_, sender.key, std::move(std::get<wire::Answer>(*message)), out);
      take(std::move(out));
    }
  }

  /// Through the second gate, as a driver does it. Nonces are ours, so that answers can be told
  /// apart.
  void send(const Sender& sender, wire::Request request) {
    request.context.nonce = wire::Nonce(++nonces_);
    questions_.emplace(request.context.nonce, Question{sender, request});
    const wire::MessageContext context = request.context;
    Effects out;
    auto verified = core_->verifier().request(std::move(request));
    if (verified) {
      core_->on_request(now_, sender, std::move(*verified), out);
    } else {
      core_->on_rejected(now_, sender, context, verified.error(), out);
    }
    take(std::move(out));
  }

  // ---- What other replicas answer ----

  wire::RangeState any_state() {
    const std::uint8_t choice = script_.byte();
    return {.has_entered = choice < 0xe0,
            .complete_for = wire::Epoch(choice & 1 ? epoch_ : choice % (World::kEpochs + 2)),
            .gone_before = wire::Epoch(script_.rarely(4) ? choice % (World::kEpochs + 2) : 0)};
  }

  /// What a correct replica that is complete would sign; sometimes of something else.
  wire::Completeness any_statement(const wire::NodeKey& of, const wire::KeyRange& range) {
    const auto& configuration = *world().configuration(epoch_);
    const auto node = configuration.node_index(of);
    wire::CompletenessStatement statement{
        .cluster = configuration.cluster(),
        .configuration = World::number(script_.rarely(16) ? epoch_ - 1 : epoch_),
        .node = of,
        .directory = node ? configuration.nodes()[*node].directory : wire::DirectoryId{},
        .first = range.first,
        .last = script_.rarely(16) ? range.first : range.last};
    const auto signer = std::ranges::find_if(
        world().nodes, [&](const auto& key) { return key.public_key() == of; });
    return {wire::sign(World::scheme(), *signer, statement)};
  }

  wire::AnswerBody any_answer(const wire::RequestBody& to) {
    const std::uint8_t choice = script_.byte();
    if (choice >= 0xe8) {
      return wire::Refused{.reason = static_cast<wire::RefusalReason>(1 + choice % 11),
                           .retry_after_ms = choice};
    }
    const auto* compare = std::get_if<wire::CompareRange>(&to);
    const auto* survey = std::get_if<wire::CompareRanges>(&to);
    if (survey && choice < 0xd0) return any_survey_answer(survey->ranges.size());
    if (std::holds_alternative<wire::AuditBlock>(to) && choice < 0x40) return wire::BlockProof{};
    const auto* fetch = std::get_if<wire::FetchObject>(&to);
    const wire::ObjectId id = fetch ? fetch->id : world().ids[script_.below(world().ids.size())];
    const wire::KeyRange range = compare ? compare->range : any_range();
    const bool is_as_asked = choice < 0xd0;
    if (is_as_asked ? compare != nullptr : script_.rarely(2)) return any_range_answer(range);
    switch (script_.below(is_as_asked ? 3 : 6)) {
      case 0:
      case 1:
        return wire::ObjectFound{.object = world().object(script_, id),
                                 .complete_for = any_state().complete_for};
      case 2:
        return wire::ObjectAbsent{any_state().complete_for};
      case 3:
        return wire::Stored{};
      case 4:
        return wire::Absent{};
      default:
        return wire::BlockFound{world().contents[1]};
    }
  }

  /// Of as many ranges as were asked about, or of one more.
  wire::RangesCompared any_survey_answer(std::size_t ranges) {
    wire::RangesCompared out;
    const wire::RangeState state = any_state();
    const std::uint8_t different = script_.byte();
    out.ranges.resize(ranges + (script_.rarely(16) ? 1 : 0), {.state = state});
    for (std::size_t i = 0; i < out.ranges.size(); ++i) {
      out.ranges[i].is_equal = (different >> i % 8 & 1) == 0;
      if (script_.rarely(16)) out.ranges[i].state = any_state();
    }
    return out;
  }

  wire::AnswerBody any_range_answer(const wire::KeyRange& range) {
    switch (script_.below(4)) {
      case 0:
      case 1:
        return wire::RangeEqual{any_state()};
      case 2: {
        wire::RangeSplit out{.state = any_state()};
        for (const wire::KeyRange& part : split(range))
          out.parts.push_back({.range = part, .count = script_.byte()});
        return out;
      }
      default: {
        wire::RangeEntries out{.state = any_state()};
        const std::uint8_t listed = script_.byte();
        for (std::size_t i = 0; i < world().ids.size(); ++i) {
          const wire::ObjectId& id = world().ids[i];
          if ((listed >> i & 1) == 0 || !range.contains(id.placement)) continue;
          out.entries.push_back({.id = id, .is_damaged = script_.rarely(16)});
          out.entries.back().state.bytes[0] = listed;
        }
        std::ranges::sort(out.entries, {}, &wire::RangeEntry::id);
        return out;
      }
    }
  }

  void answer_question() {
    if (asked_.empty()) return;
    const auto at = asked_.begin() + static_cast<std::ptrdiff_t>(script_.below(asked_.size()));
    const SendRequest request = *at;
    if (!script_.rarely(16)) asked_.erase(at);  // else it answers twice
    wire::Answer answer{.context = request.request.context};
    if (script_.rarely(16))
      answer.context.configuration = World::number(script_.below(World::kEpochs + 2));
    const wire::NodeKey from =
        script_.rarely(16) ? world().nodes[script_.below(World::kNodes)].public_key() : request.to;
    const auto* asked = std::get_if<wire::GetCompleteness>(&request.request.body);
    answer.body = asked && !script_.rarely(8) ? any_statement(request.to, asked->range)
                                              : any_answer(request.request.body);
    Effects out;
    core_->on_answer(now_, from, std::move(answer), out);
    take(std::move(out));
  }

  // ---- The disk ----

  void finish_persist(bool is_failing) {
    if (persists_.empty()) return;
    const Persist persist = std::move(persists_.front());
    persists_.pop_front();
    constexpr wire::StorageError kErrors[] = {wire::StorageError::kNoSpace, wire::StorageError::kIo,
                                              wire::StorageError::kCorrupt};
    Status<wire::StorageError> status;
    if (is_failing) {
      status = fail(script_.one_of(kErrors));
    } else {
      apply(persist);
    }
    Effects out;
    core_->on_persisted(now_, persist.token, status, out);
    take(std::move(out));
  }

  void finish_load() {
    if (loads_.empty()) return;
    const auto which = static_cast<std::ptrdiff_t>(script_.below(loads_.size()));
    const Load load = loads_[static_cast<std::size_t>(which)];
    loads_.erase(loads_.begin() + which);
    wire::Loaded loaded;
    const auto at = disk_.find(load.id);
    if (script_.rarely(16)) {
      loaded = fail(wire::StorageError::kIo);
    } else if (at == disk_.end()) {
      loaded = std::nullopt;
    } else if (at->second.is_rotten && load.part == wire::LoadPart::kAll) {
      loaded = fail(wire::StorageError::kCorrupt);
    } else {
      loaded = at->second.object;
      if (load.part == wire::LoadPart::kMeta) (*loaded)->content = {};
    }
    Effects out;
    core_->on_loaded(now_, load.token, std::move(loaded), out);
    take(std::move(out));
  }

  /// Pages of two, so that scans go on.
  void finish_scan() {
    if (scans_.empty()) return;
    const auto which = static_cast<std::ptrdiff_t>(script_.below(scans_.size()));
    const Scan scan = scans_[static_cast<std::size_t>(which)];
    scans_.erase(scans_.begin() + which);
    Result<wire::Scanned, wire::StorageError> scanned = wire::Scanned{.is_whole = true};
    for (const auto& [id, held] : disk_) {
      if (!scan.range.contains(id.placement) || (scan.after && id <= *scan.after)) continue;
      if (scanned->entries.size() == std::min<std::size_t>(scan.limit, 2)) {
        scanned->is_whole = false;
        break;
      }
      scanned->entries.push_back(held.object.entry());
    }
    if (script_.rarely(16)) scanned = fail(wire::StorageError::kCorrupt);
    Effects out;
    core_->on_scanned(now_, scan.token, std::move(scanned), out);
    take(std::move(out));
  }

  void drain() {
    while (!persists_.empty() || !loads_.empty() || !scans_.empty()) {
      finish_load();
      finish_scan();
      finish_persist(false);
    }
  }

  void apply(const Persist& persist) {
    for (const wire::StorageWrite& write : persist.writes) {
      if (const auto* put = std::get_if<wire::PutObject>(&write)) {
        apply(*put);
      } else if (const auto* note = std::get_if<wire::PutNote>(&write)) {
        notes_[note->name] = note->value;
      } else {
        apply(std::get<wire::DeleteObject>(write));
      }
    }
  }

  void apply(const wire::DeleteObject& gone) {
    const auto at = disk_.find(gone.id);
    if (at == disk_.end()) return;
    const bool is_bad = at->second.is_rotten || at->second.object.is_damaged;
    wire::Reader in(notes_.at(to_bytes(as_bytes("objects/tenure"))));
    in.u32();
    in.u64();
    const auto complete = IntervalEpochs::decode(in.bytes32(1U << 20));
    in.bytes32(1U << 20);
    const auto given_up = IntervalEpochs::decode(in.bytes32(1U << 20));
    const wire::KeyRange key{gone.id.placement, gone.id.placement};
    require(is_bad || (complete && given_up && given_up->lowest(key) > complete->lowest(key)),
            "that it is gone is durable before anything good is deleted");
    disk_.erase(at);
  }

  void apply(const wire::PutObject& put) {
    wire::StoredObject next = put.object;
    const auto at = disk_.find(next.id);
    const Held* before = at == disk_.end() ? nullptr : &at->second;
    const bool is_known_bad = !before || before->is_rotten || before->object.is_damaged;
    if (next.is_damaged) {
      require(before && is_known_bad, "only bad bytes are marked as bad");
      require(next.holds.empty() && next.content.empty(), "a mark has nothing but itself");
      disk_[next.id] = {.object = std::move(next)};
      return;
    }
    bool is_rotten = false;
    if (put.is_content_unchanged) {
      require(before && !before->object.is_damaged, "content that stays is there");
      next.content = before->object.content;
      is_rotten = before->is_rotten;
    }
    require(put.content_size == next.content.size(), "the size in the index is the content's");
    require(core_->verifier().is_object(next.id, next), "what is stored proves itself");
    if (!is_known_bad) check_not_older(before->object, next);
    disk_[next.id] = {.object = std::move(next), .is_rotten = is_rotten};
  }

  static void check_not_older(const wire::StoredObject& before, const wire::StoredObject& next) {
    if (next.id.type == wire::ObjectType::kRecord)
      require(order(next.record) >= order(before.record), "no older record overwrites");
    for (const wire::Hold& hold : before.holds) {
      const auto* now = find_hold(next, holder_of(hold));
      require(now && serial_of(*now) >= serial_of(hold), "no hold is lost or made older");
    }
  }
  static RecordOrder order(const wire::SignedBytes& record) {
    return order_of(*wire::RecordStatement::decode(record.statement));
  }
  static std::uint64_t serial_of(const wire::Hold& hold) {
    return wire::HoldStatement::decode(hold.statement.statement)->serial;
  }

  // ---- Effects ----

  void take(Effects effects) {
    require(effects.size() <= kEffectsMax, "effects of one input are bounded");
    for (Effect& effect : effects) {
      if (auto* answer = std::get_if<SendAnswer>(&effect)) {
        check_answer(*answer);
      } else if (auto* request = std::get_if<SendRequest>(&effect)) {
        check_request(*request);
      } else if (auto* load = std::get_if<Load>(&effect)) {
        check_token(load->token);
        loads_.push_back(*load);
      } else if (auto* scan = std::get_if<Scan>(&effect)) {
        check_token(scan->token);
        scans_.push_back(*scan);
      } else if (auto* persist = std::get_if<Persist>(&effect)) {
        check_token(persist->token);
        persists_.push_back(std::move(*persist));
      }
    }
    core_->check_invariants();
    const std::size_t operations_max = small_limits().operations_max + kOwnOperationsMax;
    require(core_->statistics().operations <= operations_max, "operations are bounded");
  }

  void check_token(Token token) {
    require(token.value > (tokens_[lives_]), "tokens are never used twice");
    tokens_[lives_] = token.value;
  }

  void check_request(SendRequest& request) {
    require(request.to != world().nodes[0].public_key(), "nobody asks himself");
    require(request.request.context.configuration == World::number(epoch_),
            "questions are of the newest epoch");
    asked_.push_back(std::move(request));
    // Those that nobody answers are forgotten by the core after their time-out.
    if (asked_.size() > 200) asked_.erase(asked_.begin());
  }

  bool has_entered() const {
    const auto note = notes_.find(to_bytes(as_bytes("objects/tenure")));
    if (note == notes_.end()) return false;
    wire::Reader in(note->second);
    return in.u32() == 0 && in.u64() == epoch_;
  }

  bool is_in_group(const wire::ObjectId& id) const {
    const auto& configuration = *world().configuration(epoch_);
    return std::ranges::any_of(configuration.group(id.placement), [&](std::uint32_t node) {
      return configuration.nodes()[node].key == world().nodes[0].public_key();
    });
  }

  const Held* durable(const wire::ObjectId& id) const {
    const auto at = disk_.find(id);
    return at == disk_.end() ? nullptr : &at->second;
  }

  void check_answer(const SendAnswer& sent) {
    const auto at = questions_.find(sent.answer.context.nonce);
    require(at != questions_.end(), "an answer belongs to a request, and there is one");
    const Question question = std::move(at->second);
    questions_.erase(at);
    require(sent.to == question.sender.connection, "an answer goes where the request came from");
    require(sent.answer.context.configuration == World::number(epoch_),
            "an answer names the epoch that it was given in");
    const wire::AnswerBody& body = sent.answer.body;
    if (const auto* refused = std::get_if<wire::Refused>(&body)) {
      require(refused->descriptions.size() <= wire::kDescriptionsMax, "few descriptions at once");
      return;
    }
    if (const auto* found = std::get_if<wire::BlockFound>(&body)) {
      const auto* get = std::get_if<wire::GetBlock>(&question.request.body);
      require(get && crypto::sha256(found->bytes.view()) == get->id.placement,
              "bytes hash to the id");
      return;
    }
    if (std::holds_alternative<wire::Descriptions>(body)) {
      require(std::holds_alternative<wire::GetDescriptions>(question.request.body),
              "asked for them");
      return;
    }
    require(question.request.context.configuration == World::number(epoch_),
            "no answer in another epoch than the request's");
    require(has_entered(), "no answer before it is durable that the epoch was entered");
    check_claim(question, body);
  }

  void check_claim(const Question& question, const wire::AnswerBody& body) {
    const wire::RequestBody& request = question.request.body;
    if (const auto* put = std::get_if<wire::PutBlock>(&request)) {
      return check_stored(put->id, put->hold, body);
    }
    if (const auto* offer = std::get_if<wire::OfferBlock>(&request)) {
      if (std::holds_alternative<wire::Missing>(body)) return;
      return check_stored(offer->id, offer->hold, body);
    }
    if (const auto* get = std::get_if<wire::GetBlock>(&request)) return check_absent(get->id, body);
    if (const auto* get = std::get_if<wire::GetRecord>(&request)) {
      if (std::holds_alternative<wire::RecordHeld>(body)) return check_record(get->id, body);
      return check_absent(get->id, body);
    }
    if (const auto* put = std::get_if<wire::PutRecord>(&request)) {
      check_record(put->id, body);
      require(
          order(std::get<wire::RecordHeld>(body).record.statement) >= order(put->record.statement),
          "what is held after a write is not older");
      return;
    }
    require(question.sender.role == wire::Role::kNode, "the rest is between replicas");
    if (const auto* fetch = std::get_if<wire::FetchObject>(&request)) {
      const Held* held = durable(fetch->id);
      if (const auto* found = std::get_if<wire::ObjectFound>(&body)) {
        return require(held && held->object == found->object, "an object is shown as it is stored");
      }
      return require(std::holds_alternative<wire::ObjectAbsent>(body) && !held,
                     "only what is not there is absent");
    }
    if (const auto* audit = std::get_if<wire::AuditBlock>(&request)) {
      const Held* held = durable(audit->id);
      return require(held ? std::holds_alternative<wire::BlockProof>(body)
                          : std::holds_alternative<wire::ObjectAbsent>(body),
                     "a proof is given of what is there");
    }
    if (const auto* asked = std::get_if<wire::GetCompleteness>(&request)) {
      require(std::holds_alternative<wire::Completeness>(body),
              "a statement is what was asked for");
      wire::Reader in(notes_.at(to_bytes(as_bytes("objects/tenure"))));
      in.u32();
      in.u64();
      const auto complete = IntervalEpochs::decode(in.bytes32(1U << 20));
      return require(complete && complete->lowest(asked->range).value >= epoch_,
                     "that it is complete is durable before it is said");
    }
    if (const auto* survey = std::get_if<wire::CompareRanges>(&request)) {
      const auto* compared = std::get_if<wire::RangesCompared>(&body);
      return require(compared && compared->ranges.size() == survey->ranges.size(),
                     "a survey is answered for each of its ranges");
    }
    const bool is_range_answer = std::holds_alternative<wire::RangeEqual>(body) ||
                                 std::holds_alternative<wire::RangeSplit>(body) ||
                                 std::holds_alternative<wire::RangeEntries>(body);
    require(std::holds_alternative<wire::CompareRange>(request) && is_range_answer,
            "a comparison is answered with one");
  }

  void check_stored(const wire::ObjectId& id, const wire::Hold& hold,
                    const wire::AnswerBody& body) {
    require(std::holds_alternative<wire::Stored>(body), "a block is stored, missing or refused");
    require(is_in_group(id), "only members of the group answer for an object");
    const Held* held = durable(id);
    require(held && !held->object.is_damaged, "no acknowledgement before the block is durable");
    const wire::Hold* kept = find_hold(held->object, holder_of(hold));
    require(kept && serial_of(*kept) >= serial_of(hold),
            "no acknowledgement before its hold is durable");
  }
  void check_absent(const wire::ObjectId& id, const wire::AnswerBody& body) {
    require(std::holds_alternative<wire::Absent>(body), "an object is found, absent or refused");
    require(is_in_group(id), "only members of the group say that something is not there");
    require(!durable(id), "only what is not there is absent");
  }
  void check_record(const wire::ObjectId& id, const wire::AnswerBody& body) {
    const auto* shown = std::get_if<wire::RecordHeld>(&body);
    require(shown, "a record is shown, or the request refused");
    require(is_in_group(id), "only members of the group show a record");
    const Held* held = durable(id);
    require(held && !held->object.is_damaged && held->object.signed_record() == shown->record,
            "a record is shown as it is stored");
    require(std::ranges::find(held->object.holds, shown->hold) != held->object.holds.end(),
            "a hold is shown that is stored");
  }

  Script& script_;
  std::optional<Replica> core_;
  Instant now_;
  std::uint64_t epoch_ = 1;
  std::uint64_t lives_ = 0;
  std::uint64_t nonces_ = 0;
  std::map<std::uint64_t, std::uint64_t> tokens_;  // the last one of each life
  std::map<wire::ObjectId, Held> disk_;
  std::map<Bytes, Bytes> notes_;
  std::deque<Persist> persists_;
  std::vector<Load> loads_;
  std::vector<Scan> scans_;
  std::map<wire::Nonce, Question> questions_;
  std::vector<SendRequest> asked_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Script script(ByteView(data, size));
  Run(script).play();
  return 0;
}
