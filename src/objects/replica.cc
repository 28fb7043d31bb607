#include "objects/replica.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::objects {
namespace {

using wire::RefusalReason;

constexpr std::string_view kQuotaNote = "objects/quota/";
constexpr std::string_view kTenureNote = "objects/tenure";
/// Earlier configurations kept in memory, for completing from their groups.
constexpr std::size_t kHistoryMax = 8;
/// For peers that are behind; who is further behind takes them from a node's chain.
constexpr std::size_t kRecentMax = 16;
/// So many while this replica is not complete: suppose members come and go nine times before
/// anybody completes for the second epoch. Then everybody has to ask the group of the first, and
/// who forgot it never serves.
constexpr std::size_t kIncompleteHistoryMax = 64;

/// The epoch that was entered last stands before the intervals, for a person who looks at the disk.
Bytes encode_tenure(const wire::ConfigurationNumber& entered, const Tenure& tenure) {
  wire::Writer out;
  wire::write(out, entered);
  out.bytes32(tenure.complete.encode())
      .bytes32(tenure.served.encode())
      .bytes32(tenure.gone.encode());
  return out.take();
}

std::optional<Tenure> decode_tenure(ByteView bytes, wire::ConfigurationNumber& entered) {
  wire::Reader in(bytes);
  entered = wire::read_number(in);
  constexpr std::size_t kSizeMax = 64U << 20;
  auto complete = IntervalEpochs::decode(in.bytes32(kSizeMax));
  auto served = IntervalEpochs::decode(in.bytes32(kSizeMax));
  // A note of the time when nothing was deleted ends here.
  auto gone = in.left() > 0 ? IntervalEpochs::decode(in.bytes32(kSizeMax)) : IntervalEpochs{};
  if (!in.done() || !complete || !served || !gone) return std::nullopt;
  return Tenure{
      .complete = std::move(*complete), .served = std::move(*served), .gone = std::move(*gone)};
}

wire::PutNote quota_note(const crypto::PublicKey& who, std::uint64_t bytes) {
  Bytes name = to_bytes(as_bytes(kQuotaNote));
  name.insert(name.end(), who.bytes.begin(), who.bytes.end());
  return {.name = std::move(name), .value = wire::Writer().u64(bytes).take()};
}

std::size_t bulk_size(const wire::Request& request) {
  if (const auto* put = std::get_if<wire::PutBlock>(&request.body)) return put->bytes.size();
  if (const auto* put = std::get_if<wire::PutRecord>(&request.body))
    return put->record.value.size();
  return 0;
}

bool is_audit(const wire::Request& request) {
  return std::holds_alternative<wire::AuditBlock>(request.body);
}

/// The object that a client's request is about; nothing for requests between replicas.
std::optional<wire::ObjectId> client_object(const wire::RequestBody& body) {
  if (const auto* m = std::get_if<wire::PutBlock>(&body)) return m->id;
  if (const auto* m = std::get_if<wire::OfferBlock>(&body)) return m->id;
  if (const auto* m = std::get_if<wire::GetBlock>(&body)) return m->id;
  if (const auto* m = std::get_if<wire::PutRecord>(&body)) return m->id;
  if (const auto* m = std::get_if<wire::GetRecord>(&body)) return m->id;
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Observation observation) {
  switch (observation) {
    case Observation::kInvalidAnswer:
      return "invalid_answer";
    case Observation::kStaleRecord:
      return "stale_record";
    case Observation::kSlow:
      return "slow";
    case Observation::kEmptyListing:
      return "empty_listing";
    case Observation::kNoProof:
      return "no_proof";
    case Observation::kFalseProof:
      return "false_proof";
  }
  return "unknown";
}

Replica::Replica(ReplicaIdentity identity, Verifier verifier, const crypto::SignatureScheme& scheme,
                 RecoveredNotes recovered, Random random, ReplicaLimits limits, History history)
    : identity_(std::move(identity)),
      verifier_(std::move(verifier)),
      scheme_(&scheme),
      limits_(limits),
      reconciler_(identity_.key.public_key(), random,
                  ReconcilerSettings{.interval = limits.reconcile_interval,
                                     .range_entries_max = limits.range_entries_max},
                  leaves_),
      forgetting_(identity_.key.public_key(), Random(random.next()),
                  ForgettingSettings{.delay = limits.forget_delay}, scheme),
      auditor_(identity_.key.public_key(), identity_.audit_secret, Random(random.next()),
               AuditorSettings{.interval = limits.audit_interval}) {
  for (const auto& earlier : history) {
    const auto next = (recent_.empty() ? verifier_.configuration() : *recent_.back()).number();
    // Epochs count on through generations.
    if (recent_.size() >= kRecentMax || earlier->number().epoch.next() != next.epoch) break;
    recent_.push_back(earlier);
  }
  for (auto earlier = history.rbegin(); earlier != history.rend(); ++earlier) {
    remember(history_, std::move(*earlier), kIncompleteHistoryMax);
  }
  for (const auto& [name, value] : recovered.notes) {
    const std::string_view text = as_text(name);
    // A note that cannot be read is none: everything is completed anew.
    if (text == kTenureNote) {
      wire::ConfigurationNumber entered;
      recovered_tenure_ = decode_tenure(value, entered).value_or(Tenure{});
      abandon_of_before(entered, *recovered_tenure_);
    }
    if (!text.starts_with(kQuotaNote)) continue;
    const auto holder = crypto::PublicKey::from(ByteView(name).subspan(kQuotaNote.size()));
    wire::Reader in(value);
    const std::uint64_t bytes = in.u64();
    if (holder && in.done()) charged_bytes_[*holder] = bytes;
  }
  measure_own_share();
}

/// The process ended in an epoch that was abandoned meanwhile, or before the first note of the
/// generation.
void Replica::abandon_of_before(const wire::ConfigurationNumber& entered, Tenure& tenure) const {
  const wire::ConfigurationNumber now = verifier_.configuration().number();
  if (entered.generation == now.generation) return;
  const auto last = std::ranges::find_if(
      history_, [&](const auto& one) { return one->number().generation <= entered.generation; });
  abandon_after(tenure, last == history_.end() ? wire::Epoch(0) : (*last)->number().epoch,
                now.epoch);
}

void Replica::go_back_to(std::shared_ptr<const membership::Configuration> parent) noexcept {
  const auto is_abandoned = [&](const auto& one) { return one->number() >= parent->number(); };
  std::erase_if(recent_, is_abandoned);
  std::erase_if(history_, is_abandoned);
  parent_ = std::move(parent);
}

void Replica::start(Instant now, Effects& out) noexcept {
  last_instant_ = now;
  next_scrub_ = now + limits_.scrub_interval;
  ReconcilerEffects asked;
  reconciler_.start(now, verifier_, history_, std::move(recovered_tenure_), asked);
  forgetting_.begin_epoch(now, verifier_.shared());
  auditor_.begin_epoch(now, verifier_);
  enter(out);
  perform(asked, out);
}

/// Makes "entered" durable; until then nothing is answered (design 10.1).
void Replica::enter(Effects& out) {
  is_entering_ = true;
  tenure_persist_.reset();  // what an earlier epoch still writes says nothing of this one
  write_tenure(out);
}

/// One write at a time; what changed meanwhile follows. After a failure on_time() tries again.
void Replica::write_tenure(Effects& out) {
  const bool is_durable = durable_revision_ == reconciler_.tenure_revision() && !is_entering_;
  if (tenure_persist_ || is_durable) return;
  written_revision_ = reconciler_.tenure_revision();
  tenure_persist_ = next_token();
  wire::PutNote note{
      .name = to_bytes(as_bytes(kTenureNote)),
      .value = encode_tenure(verifier_.configuration().number(), reconciler_.tenure())};
  persists_.emplace(*tenure_persist_, AfterPersist{});
  out.push_back(Persist{.token = *tenure_persist_, .writes = {std::move(note)}});
}

// ---- Requests ----

std::optional<RefusalReason> Replica::refusal_of(const Sender& sender,
                                                 const wire::Request& request) const {
  const membership::Configuration& configuration = verifier_.configuration();
  const bool is_entered = !is_entering_ || is_planted(Bug::kEnteredNotDurable);
  const bool is_busy = !is_entered || operations_ >= limits_.operations_max ||
                       operation_bytes_ + bulk_size(request) > limits_.operation_bytes_max;
  if (is_busy) return RefusalReason::kBusy;
  if (sender.role == wire::Role::kNode && !configuration.node_index(sender.key)) {
    return RefusalReason::kNotAllowed;
  }
  const wire::ConfigurationNumber asked = request.context.configuration;
  // The bytes of a block prove themselves in whatever epoch; everything else belongs to one.
  if (!is_planted(Bug::kEpochIgnored) && !std::holds_alternative<wire::GetBlock>(request.body) &&
      asked != configuration.number()) {
    return asked > configuration.number() ? RefusalReason::kBusy : RefusalReason::kWrongEpoch;
  }
  // They are the service's: whoever drives this core gives them to that.
  if (std::holds_alternative<wire::Notice>(request.body) ||
      std::holds_alternative<wire::HandIn>(request.body)) {
    return RefusalReason::kNotAllowed;
  }
  const auto object = client_object(request.body);
  if (!object && sender.role != wire::Role::kNode &&
      !std::holds_alternative<wire::GetDescriptions>(request.body)) {
    return RefusalReason::kNotAllowed;
  }
  if (object && !std::holds_alternative<wire::GetBlock>(request.body) &&
      !is_in_group(object->placement)) {
    return RefusalReason::kNotInGroup;
  }
  if (const auto* audit = std::get_if<wire::AuditBlock>(&request.body)) {
    return refusal_of_audit(sender, *audit);
  }
  return std::nullopt;
}

bool Replica::is_in_group(const crypto::Digest& placement) const {
  return verifier_.configuration().is_in_group(identity_.key.public_key(), placement);
}

void Replica::on_request(Instant now, const Sender& sender, Verified<wire::Request> verified,
                         Effects& out) noexcept {
  last_instant_ = now;
  wire::Request request = std::move(verified).take();
  ++statistics_.requests;
  if (auto refusal = refusal_of(sender, request)) {
    return refuse(sender, request.context, *refusal, out);
  }
  if (const auto* compare = std::get_if<wire::CompareRange>(&request.body)) {
    return begin_range_answer(sender, request.context, *compare, out);
  }
  if (const auto* compare = std::get_if<wire::CompareRanges>(&request.body)) {
    return begin_survey_answer(sender, request.context, *compare, out);
  }
  if (const auto* asked = std::get_if<wire::GetDescriptions>(&request.body)) {
    return answer(sender, request.context,
                  wire::Descriptions{.descriptions = descriptions_after(asked->after)}, out);
  }
  if (const auto* asked = std::get_if<wire::GetCompleteness>(&request.body)) {
    return begin_statement(sender, request.context, asked->range, out);
  }
  if (is_planted(Bug::kReadBeforeSync)) {
    if (const auto* get = std::get_if<wire::GetRecord>(&request.body)) {
      for (const auto& [token, after] : persists_) {
        if (after.id == get->id && after.answer) {
          return answer(sender, request.context, after.answer->body, out);
        }
      }
    }
  }
  wire::ObjectId id;
  if (const auto* fetch = std::get_if<wire::FetchObject>(&request.body)) {
    id =
        fetch
            ->id;  // answered before this replica serves: a power cut of everybody heals (design 6)
  } else if (const auto* audit = std::get_if<wire::AuditBlock>(&request.body)) {
    id = audit->id;
  } else {
    id = *client_object(request.body);
    if (!std::holds_alternative<wire::GetBlock>(request.body) && !reconciler_.is_served(id)) {
      ReconcilerEffects asked;
      reconciler_.repair(now, id, asked);
      perform(asked, out);
      return refuse(sender, request.context, RefusalReason::kBusy, out);
    }
  }
  const wire::MessageContext context = request.context;
  if (!enqueue(id, ClientOperation{sender, std::move(request)}, out)) {
    refuse(sender, context, RefusalReason::kBusy, out);
  }
}

void Replica::on_rejected(Instant now, const Sender& sender, const wire::MessageContext& context,
                          RefusalReason reason, Effects& out) noexcept {
  last_instant_ = now;
  ++statistics_.requests;
  const wire::ConfigurationNumber own = verifier_.configuration().number();
  if (context.configuration > own) {
    reason = RefusalReason::kBusy;
  } else if (context.configuration < own) {
    reason = RefusalReason::kWrongEpoch;
  } else if (reason == RefusalReason::kWrongEpoch) {
    reason = RefusalReason::kBusy;  // this epoch was entered since the request was judged
  }
  refuse(sender, context, reason, out);
}

/// What follows `known`, oldest first, so that a peer that is far behind comes nearer with each
/// answer.
std::vector<Buffer> Replica::descriptions_after(const wire::ConfigurationNumber& known) const {
  std::vector<Buffer> out;
  const auto add = [&](const membership::Configuration& one) {
    if (one.number() > known && out.size() < wire::kDescriptionsMax)
      out.push_back(one.signed_description());
  };
  for (auto earlier = recent_.rbegin(); earlier != recent_.rend(); ++earlier) add(**earlier);
  add(verifier_.configuration());
  return out;
}

void Replica::answer(const Sender& sender, const wire::MessageContext& context,
                     wire::AnswerBody body, Effects& out) {
  const bool is_as_asked =
      is_planted(Bug::kEpochIgnored) || is_planted(Bug::kAcknowledgedAfterEpoch);
  out.push_back(SendAnswer{
      .to = sender.connection,
      .answer = {.context = {.configuration = is_as_asked ? context.configuration
                                                          : verifier_.configuration().number(),
                             .nonce = context.nonce},
                 .body = std::move(body)}});
}

void Replica::refuse(const Sender& sender, const wire::MessageContext& context,
                     RefusalReason reason, Effects& out) {
  ++statistics_.refused;
  wire::Refused refused{.reason = reason};
  if (reason == RefusalReason::kBusy) refused.retry_after_ms = limits_.retry_after_ms;
  if (reason == RefusalReason::kWrongEpoch) {
    refused.descriptions = descriptions_after(context.configuration);
  }
  answer(sender, context, std::move(refused), out);
}

// ---- One object after the other ----

bool Replica::enqueue(const wire::ObjectId& id, Operation operation, Effects& out) {
  KeyQueue& queue = queues_[id];
  const bool is_client = std::holds_alternative<ClientOperation>(operation);
  if (is_client && queue.operations.size() >= limits_.operations_per_key_max) return false;
  if (const auto* client = std::get_if<ClientOperation>(&operation)) {
    operation_bytes_ += bulk_size(client->request);
    if (is_audit(client->request)) ++audits_of_[client->sender.key];
  }
  ++operations_;
  queue.operations.push_back(std::move(operation));
  if (queue.operations.size() == 1) begin_front(id, out);
  return true;
}

/// Every operation starts from what is on disk. Only those that send or check content load it.
void Replica::begin_front(const wire::ObjectId& id, Effects& out) {
  const Operation& front = queues_.at(id).operations.front();
  const auto* client = std::get_if<ClientOperation>(&front);
  const bool needs_content = !client || id.type == wire::ObjectType::kRecord ||
                             std::holds_alternative<wire::GetBlock>(client->request.body) ||
                             std::holds_alternative<wire::FetchObject>(client->request.body) ||
                             std::holds_alternative<wire::AuditBlock>(client->request.body);
  const bool is_scrub = std::holds_alternative<ScrubOperation>(front);
  const bool is_forget = std::holds_alternative<ForgetOperation>(front);
  const Token token = next_token();
  loads_.emplace(token, AfterLoad{id});
  out.push_back(Load{.token = token,
                     .id = id,
                     .part = is_scrub                      ? wire::LoadPart::kAllFromDisk
                             : needs_content && !is_forget ? wire::LoadPart::kAll
                                                           : wire::LoadPart::kMeta});
}

void Replica::finish_front(const wire::ObjectId& id, Effects& out) {
  const auto at = queues_.find(id);
  CHECK(at != queues_.end());
  auto& operations = at->second.operations;
  if (const auto* client = std::get_if<ClientOperation>(&operations.front())) {
    operation_bytes_ -= bulk_size(client->request);
    const auto audits = audits_of_.find(client->sender.key);
    if (is_audit(client->request) && --audits->second == 0) audits_of_.erase(audits);
  }
  --operations_;
  operations.pop_front();
  if (operations.empty()) {
    queues_.erase(at);
  } else {
    begin_front(id, out);
  }
}

void Replica::on_loaded(Instant now, Token token, wire::Loaded loaded, Effects& out) noexcept {
  last_instant_ = now;
  const auto at = loads_.find(token);
  if (at == loads_.end()) return;
  const wire::ObjectId id = at->second.id;
  loads_.erase(at);
  Operation& front = queues_.at(id).operations.front();

  const bool is_corrupt = !loaded && loaded.error() == wire::StorageError::kCorrupt;
  wire::StoredObject* held = loaded && *loaded ? &**loaded : nullptr;
  if (const auto* forget = std::get_if<ForgetOperation>(&front)) {
    return run_forget(id, *forget, held, loaded || is_corrupt, out);
  }
  if (is_corrupt && !std::holds_alternative<MergeOperation>(front)) {
    // Bad bytes: mark them durably, fetch them again, and tell whoever asked to come back.
    tell_unreadable(front, out);
    ++statistics_.damaged_found;
    ReconcilerEffects asked;
    reconciler_.mark_damaged(now, id, asked);
    perform(asked, out);
    return mark_damaged(id, out);
  }
  if (!loaded && !is_corrupt) {
    tell_unreadable(front, out);
    if (auto* merge = std::get_if<MergeOperation>(&front)) {
      ReconcilerEffects asked;
      reconciler_.on_merged(now, id, merge->is_key_done, false, merge->era, asked);
      perform(asked, out);
    }
    return finish_front(id, out);
  }
  if (is_planted(Bug::kDamagedIsAbsent) && held && held->is_damaged &&
      !std::holds_alternative<MergeOperation>(front)) {
    held = nullptr;
  }
  if (held && held->is_damaged && !std::holds_alternative<MergeOperation>(front)) {
    // Marked in an earlier run.
    ReconcilerEffects asked;
    reconciler_.mark_damaged(now, id, asked);
    perform(asked, out);
    tell_unreadable(front, out);
    return finish_front(id, out);
  }
  if (const auto* client = std::get_if<ClientOperation>(&front)) return run(id, *client, held, out);
  if (auto* merge = std::get_if<MergeOperation>(&front)) {
    return run_merge(id, *merge, held, is_corrupt, out);
  }
  if (const auto* audit = std::get_if<AuditOperation>(&front)) {
    return run_audit(id, *audit, held, out);
  }
  ++statistics_.scrubbed;
  finish_front(id, out);
}

/// Whoever waits for an object that cannot be shown now: a client, or the auditor, which would wait
/// until its time is out, and again as long as it suspects somebody of that block.
void Replica::tell_unreadable(const Operation& front, Effects& out) {
  if (const auto* client = std::get_if<ClientOperation>(&front)) {
    refuse(client->sender, client->request.context, RefusalReason::kBusy, out);
  } else if (const auto* audit = std::get_if<AuditOperation>(&front)) {
    AuditorEffects asked;
    auditor_.on_loaded(last_instant_, audit->tag, nullptr, asked);
    perform(asked, out);
  }
}

/// The object, and with it what its new holds were charged.
void Replica::persist(AfterPersist after, wire::StorageWrite write, Effects& out) {
  std::vector<wire::StorageWrite> writes;
  writes.push_back(std::move(write));
  for (const auto* changed : {&after.charged, &after.released}) {
    for (const auto& [who, bytes] : *changed)
      writes.emplace_back(quota_note(who, charged_bytes_[who]));
  }
  if (is_planted(Bug::kAcknowledgedBeforeSync) && after.answer) {
    const auto& front = std::get<ClientOperation>(queues_.at(*after.id).operations.front());
    answer(front.sender, front.request.context, after.answer->body, out);
    after.is_answered = true;
  }
  leaves_.begin_write(after.id->placement);
  const Token token = next_token();
  persists_.emplace(token, std::move(after));
  out.push_back(Persist{.token = token, .writes = std::move(writes)});
}

void Replica::on_persisted(Instant now, Token token, Status<wire::StorageError> status,
                           Effects& out) noexcept {
  last_instant_ = now;
  const auto at = persists_.find(token);
  if (at == persists_.end()) return;
  AfterPersist after = std::move(at->second);
  persists_.erase(at);
  if (!after.id) {
    if (token != tenure_persist_) return;  // of an epoch that was left before it was durable
    tenure_persist_.reset();
    if (!status) return;
    is_entering_ = false;
    durable_revision_ = written_revision_;
    note_given_up(out);
    return write_tenure(out);
  }
  leaves_.end_write(after.id->placement);
  if (!status) take_back(after);
  if (!after.forgotten_in) note_room(status);
  if (after.forgotten_in) {
    return on_forgotten(*after.id, *after.forgotten_in, status.has_value(), out);
  }
  const Operation& front = queues_.at(*after.id).operations.front();
  if (const auto* client = std::get_if<ClientOperation>(&front)) {
    const bool is_same_epoch =
        client->request.context.configuration == verifier_.configuration().number() ||
        is_planted(Bug::kEpochIgnored) || is_planted(Bug::kAcknowledgedAfterEpoch);
    if (after.is_answered) {
      // Told to come back when the damage was found.
    } else if (!status) {
      refuse(client->sender, client->request.context,
             status.error() == wire::StorageError::kNoSpace ? RefusalReason::kNoSpace
                                                            : RefusalReason::kBusy,
             out);
    } else if (!is_same_epoch || (is_entering_ && !is_planted(Bug::kAcknowledgedAfterEpoch) &&
                                  !is_planted(Bug::kEnteredNotDurable))) {
      refuse(client->sender, client->request.context, RefusalReason::kWrongEpoch, out);
    } else if (after.answer) {
      answer(client->sender, client->request.context, std::move(after.answer->body), out);
    }
  } else if (const auto* merge = std::get_if<MergeOperation>(&front)) {
    if (status && after.was_healed) ++statistics_.healed;
    ReconcilerEffects asked;
    reconciler_.on_merged(now, *after.id, merge->is_key_done, status.has_value(), merge->era,
                          asked);
    finish_front(*after.id, out);
    return perform(asked, out);
  }
  finish_front(*after.id, out);
}

// ---- Epochs and time ----

/// Once for an epoch: every write that is charged asks for it.
void Replica::measure_own_share() {
  const auto self = verifier_.configuration().node_index(identity_.key.public_key());
  own_share_ = self ? verifier_.configuration().own_share(*self) : 0;
}

void Replica::on_configuration(Instant now, Verifier next, Effects& out) noexcept {
  last_instant_ = now;
  // From a parent that it went back to, what follows may be of a lower generation than it had.
  const auto& now_in = parent_ ? *parent_ : verifier_.configuration();
  if (next.configuration().number() <= now_in.number()) return;
  auto before = parent_ ? std::exchange(parent_, nullptr) : verifier_.shared();
  recent_.insert(recent_.begin(), before);
  if (recent_.size() > kRecentMax) recent_.pop_back();
  remember(history_, std::move(before),
           reconciler_.is_everything_complete() ? kHistoryMax : kIncompleteHistoryMax);
  verifier_ = std::move(next);
  measure_own_share();
  // They would be of no use, and take the places of this epoch's until they are done.
  for (const auto& [number, survey] : std::exchange(survey_answers_, {})) {
    refuse(survey.sender, survey.context, RefusalReason::kWrongEpoch, out);
  }
  held_scans_.clear();
  given_up_in_.reset();
  forgetting_.begin_epoch(now, verifier_.shared());
  auditor_.begin_epoch(now, verifier_);
  ReconcilerEffects asked;
  reconciler_.begin_epoch(now, verifier_, history_, asked);
  enter(out);
  perform(asked, out);
}

void Replica::on_time(Instant now, Effects& out) noexcept {
  last_instant_ = now;
  ReconcilerEffects asked;
  reconciler_.on_time(now, asked);
  perform(asked, out);
  ForgettingEffects forgetting;
  forgetting_.on_time(now, reconciler_.is_everything_complete(), forgetting);
  perform(forgetting, out);
  AuditorEffects audits;
  auditor_.on_time(now, reconciler_.is_everything_complete(), audits);
  perform(audits, out);
  write_tenure(out);
  if (now >= next_scrub_) {
    next_scrub_ = now + limits_.scrub_interval;
    scrub_next(out);
  }
}

Instant Replica::next_deadline() const {
  return std::min({next_scrub_, reconciler_.next_deadline(), forgetting_.next_deadline(),
                   auditor_.next_deadline()});
}

Replica::Statistics Replica::statistics() const {
  Statistics out = statistics_;
  out.operations = operations_;
  out.arcs = reconciler_.arc_count();
  out.arcs_serving = reconciler_.arcs_served();
  out.audits = auditor_.statistics();
  return out;
}

void Replica::check_invariants() const {
  std::size_t operations = 0;
  std::size_t bytes = 0;
  std::map<wire::NodeKey, std::size_t> audits;
  for (const auto& [id, queue] : queues_) {
    CHECK(!queue.operations.empty());
    operations += queue.operations.size();
    for (const Operation& operation : queue.operations) {
      if (const auto* client = std::get_if<ClientOperation>(&operation)) {
        bytes += bulk_size(client->request);
        if (is_audit(client->request)) ++audits[client->sender.key];
      }
    }
  }
  CHECK(operations == operations_);
  CHECK(audits == audits_of_);
  CHECK(bytes == operation_bytes_);
  std::size_t under_way = loads_.size();
  for (const auto& [token, after] : persists_) under_way += after.id ? 1 : 0;
  CHECK(under_way == queues_.size());
  CHECK(survey_answers_.size() <= limits_.survey_answers_max);
  for (const auto& [number, survey] : survey_answers_) {
    CHECK(survey.context.configuration == verifier_.configuration().number());
  }
  reconciler_.check_invariants();
  auditor_.check_invariants();
}

}  // namespace rosebud::objects
