#include "wire/codec.h"

#include "rosebud.pb.h"

namespace rosebud::wire {
namespace {

std::string text_of(ByteView bytes) { return std::string(as_text(bytes)); }

// ---- Encoding ----

void put(const SignedBytes& value, proto::Signed& out) {
  out.set_statement(text_of(value.statement));
  out.set_signature(text_of(value.signature.view()));
}

std::string encoded(const ObjectId& id) { return text_of(id.encode().view()); }

template <typename Out>
void put_range(const KeyRange& range, Out& out) {
  out.set_first(text_of(range.first.view()));
  out.set_last(text_of(range.last.view()));
}

void put_comparison(const CompareRange& m, proto::CompareRange& out) {
  put_range(m.range, out);
  out.set_fingerprint(text_of(m.fingerprint.view()));
}

/// Fills the header's body and returns what travels beside it.
struct BodyEncoder {
  proto::Message& out;

  Buffer operator()(const PutBlock& m) const {
    auto& body = *out.mutable_put_block();
    body.set_id(encoded(m.id));
    body.set_hold(text_of(m.hold.encode()));
    return m.bytes;
  }
  Buffer operator()(const OfferBlock& m) const {
    auto& body = *out.mutable_offer_block();
    body.set_id(encoded(m.id));
    body.set_hold(text_of(m.hold.encode()));
    return {};
  }
  Buffer operator()(const GetBlock& m) const {
    out.mutable_get_block()->set_id(encoded(m.id));
    return {};
  }
  Buffer operator()(const PutRecord& m) const {
    auto& body = *out.mutable_put_record();
    body.set_id(encoded(m.id));
    put(m.record.statement, *body.mutable_record());
    body.set_hold(text_of(m.hold.encode()));
    return m.record.value;
  }
  Buffer operator()(const GetRecord& m) const {
    out.mutable_get_record()->set_id(encoded(m.id));
    return {};
  }
  Buffer operator()(const CompareRange& m) const {
    put_comparison(m, *out.mutable_compare_range());
    return {};
  }
  Buffer operator()(const CompareRanges& m) const {
    auto& body = *out.mutable_compare_ranges();
    for (const CompareRange& one : m.ranges) put_comparison(one, *body.add_ranges());
    return {};
  }
  Buffer operator()(const FetchObject& m) const {
    out.mutable_fetch_object()->set_id(encoded(m.id));
    return {};
  }
  Buffer operator()(const AuditBlock& m) const {
    auto& body = *out.mutable_audit_block();
    body.set_id(encoded(m.id));
    body.set_challenge(text_of(m.challenge.view()));
    return {};
  }
  Buffer operator()(const GetDescriptions& m) const {
    auto& body = *out.mutable_get_descriptions();
    body.set_generation(m.after.generation.value);
    body.set_epoch(m.after.epoch.value);
    return {};
  }
  Buffer operator()(const GetCompleteness& m) const {
    put_range(m.range, *out.mutable_get_completeness());
    return {};
  }
  Buffer operator()(const Notice& m) const {
    out.mutable_notice();
    return m.bytes;
  }
  Buffer operator()(const HandIn& m) const {
    out.mutable_hand_in()->set_operation(text_of(m.operation));
    return {};
  }

  Buffer operator()(const Refused& m) const {
    auto& body = *out.mutable_refused();
    body.set_reason(static_cast<std::uint32_t>(m.reason));
    body.set_retry_after_ms(m.retry_after_ms);
    for (const Buffer& one : m.descriptions) body.add_descriptions(text_of(one.view()));
    return {};
  }
  Buffer operator()(const Stored&) const {
    out.mutable_stored();
    return {};
  }
  Buffer operator()(const Missing&) const {
    out.mutable_missing();
    return {};
  }
  Buffer operator()(const BlockFound& m) const {
    out.mutable_block_found();
    return m.bytes;
  }
  Buffer operator()(const Absent&) const {
    out.mutable_absent();
    return {};
  }
  Buffer operator()(const RecordHeld& m) const {
    auto& body = *out.mutable_record_held();
    put(m.record.statement, *body.mutable_record());
    body.set_hold(text_of(m.hold.encode()));
    return m.record.value;
  }
  proto::RangeAnswer& range_answer(const RangeState& state) const {
    auto& body = *out.mutable_range_answer();
    body.set_has_entered(state.has_entered);
    body.set_complete_for(state.complete_for.value);
    body.set_gone_before(state.gone_before.value);
    return body;
  }
  Buffer operator()(const RangeEqual& m) const {
    range_answer(m.state).set_is_equal(true);
    return {};
  }
  Buffer operator()(const RangeSplit& m) const {
    auto& body = range_answer(m.state);
    for (const RangePart& part : m.parts) {
      auto& one = *body.add_parts();
      put_range(part.range, one);
      one.set_fingerprint(text_of(part.fingerprint.view()));
      one.set_count(part.count);
    }
    return {};
  }
  Buffer operator()(const RangeEntries& m) const {
    auto& body = range_answer(m.state);
    for (const RangeEntry& entry : m.entries) {
      auto& one = *body.add_entries();
      one.set_id(encoded(entry.id));
      one.set_state(text_of(entry.state.view()));
      one.set_is_damaged(entry.is_damaged);
    }
    return {};
  }
  Buffer operator()(const RangesCompared& m) const {
    auto& body = *out.mutable_ranges_compared();
    for (const RangesCompared::One& range : m.ranges) {
      auto& one = *body.add_ranges();
      one.set_has_entered(range.state.has_entered);
      one.set_complete_for(range.state.complete_for.value);
      one.set_gone_before(range.state.gone_before.value);
      one.set_is_equal(range.is_equal);
    }
    return {};
  }
  Buffer operator()(const ObjectFound& m) const {
    auto& body = *out.mutable_object_found();
    body.set_id(encoded(m.object.id));
    body.set_meta(text_of(encode_object_meta(m.object)));
    body.set_complete_for(m.complete_for.value);
    body.set_gone_before(m.gone_before.value);
    return m.object.content;
  }
  Buffer operator()(const ObjectAbsent& m) const {
    auto& body = *out.mutable_object_absent();
    body.set_complete_for(m.complete_for.value);
    body.set_gone_before(m.gone_before.value);
    return {};
  }
  Buffer operator()(const BlockProof& m) const {
    out.mutable_block_proof()->set_proof(text_of(m.proof.view()));
    return {};
  }
  Buffer operator()(const Descriptions& m) const {
    auto& body = *out.mutable_descriptions();
    for (const Buffer& one : m.descriptions) body.add_descriptions(text_of(one.view()));
    if (!m.lease.empty()) body.set_lease(text_of(m.lease.view()));
    return {};
  }
  Buffer operator()(const Completeness& m) const {
    put(m.statement, *out.mutable_completeness());
    return {};
  }
  Buffer operator()(const HandedIn& m) const {
    out.mutable_handed_in()->set_answer(m.answer);
    return {};
  }
};

template <typename Body>
EncodedMessage encode_message(const MessageContext& context, const Body& body) {
  proto::Message message;
  message.set_generation(context.configuration.generation.value);
  message.set_epoch(context.configuration.epoch.value);
  message.set_nonce(context.nonce.value);
  EncodedMessage out;
  out.bulk = std::visit(BodyEncoder{message}, body);
  out.header.resize(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(out.header.data());
  return out;
}

// ---- Decoding ----

/// Fields of a header and of its body, at most: what the longest lists need, and some for later
/// versions.
constexpr std::size_t kHeaderFieldsMax = 16;
constexpr std::size_t kBodyFieldsMax = kRangeEntriesMax + kRangePartsMax + 16;
constexpr std::uint64_t kFirstBodyNumber = 16;

/// Takes a number of protobuf's wire format off the front.
std::optional<std::uint64_t> take_varint(ByteView& in) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const std::uint8_t byte = in.front();
    in = in.subspan(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

/// Looks over a message before it is parsed: an element of a list takes two bytes in a frame and a
/// hundred in memory, so a peer could make a frame of eight mebibytes take three hundred.
std::optional<DecodeError> problem_of_shape(ByteView message, std::size_t fields_max,
                                            bool is_header) {
  for (std::size_t fields = 0; !message.empty(); ++fields) {
    if (fields == fields_max) return DecodeError::kOutOfRange;
    const auto tag = take_varint(message);
    if (!tag) return DecodeError::kNotAMessage;
    std::uint64_t size = 0;
    switch (*tag & 7) {
      case 0:
        if (!take_varint(message)) return DecodeError::kNotAMessage;
        break;
      case 1:
        size = 8;
        break;
      case 2: {
        const auto length = take_varint(message);
        if (!length || *length > message.size()) return DecodeError::kNotAMessage;
        size = *length;
        if (is_header && (*tag >> 3) >= kFirstBodyNumber) {
          const auto problem = problem_of_shape(message.first(size), kBodyFieldsMax, false);
          if (problem) return problem;
        }
        break;
      }
      case 5:
        size = 4;
        break;
      default:
        return DecodeError::kNotAMessage;
    }
    if (size > message.size()) return DecodeError::kNotAMessage;
    message = message.subspan(size);
  }
  return std::nullopt;
}

/// Collects the first failure of a message, so that the fields can be read in one go.
class Fields {
 public:
  void fail(DecodeError error) {
    if (!error_) error_ = error;
  }
  std::optional<DecodeError> error() const { return error_; }

  template <typename Fixed>
  Fixed fixed(const std::string& text) {
    const auto out = Fixed::from(as_bytes(text));
    if (!out) fail(DecodeError::kWrongLength);
    return out.value_or(Fixed{});
  }

  ObjectId id(const std::string& text, std::optional<ObjectType> type) {
    const auto out = ObjectId::decode(as_bytes(text));
    if (!out) {
      fail(DecodeError::kWrongLength);
      return {};
    }
    if (type && out->type != *type) fail(DecodeError::kOutOfRange);
    return *out;
  }

  Hold hold(const std::string& text) {
    auto out = Hold::decode(as_bytes(text));
    if (!out) {
      fail(DecodeError::kWrongLength);
      return {};
    }
    return std::move(*out);
  }

  SignedBytes signed_bytes(const proto::Signed& in) {
    if (in.statement().size() > kStatementSizeMax) fail(DecodeError::kWrongLength);
    return {.statement = Buffer::copy_of(as_bytes(in.statement())),
            .signature = fixed<crypto::Signature>(in.signature())};
  }

  Bytes short_bytes(const std::string& text, std::size_t size_max) {
    if (text.size() > size_max) fail(DecodeError::kWrongLength);
    return to_bytes(as_bytes(text));
  }

  template <typename In>
  KeyRange range(const In& in) {
    const KeyRange out{.first = fixed<crypto::Digest>(in.first()),
                       .last = fixed<crypto::Digest>(in.last())};
    if (out.first > out.last) fail(DecodeError::kOutOfRange);
    return out;
  }

  template <typename List>
  std::vector<Buffer> descriptions(const List& list) {
    std::vector<Buffer> out;
    if (static_cast<std::size_t>(list.size()) > kDescriptionsMax) fail(DecodeError::kOutOfRange);
    for (const std::string& one : list) {
      if (one.size() > kDescriptionSizeMax) fail(DecodeError::kOutOfRange);
      if (!error_) out.push_back(Buffer::copy_of(as_bytes(one)));
    }
    return out;
  }

  Buffer lease(const std::string& bytes) {
    if (bytes.size() > kLeaseSizeMax) fail(DecodeError::kOutOfRange);
    return error_ ? Buffer{} : Buffer::copy_of(as_bytes(bytes));
  }

  Buffer bulk(Buffer& bytes, std::size_t size_max) {
    if (bytes.size() > size_max) fail(DecodeError::kOutOfRange);
    bulk_taken_ = true;
    return std::move(bytes);
  }
  bool bulk_taken() const { return bulk_taken_; }

 private:
  std::optional<DecodeError> error_;
  bool bulk_taken_ = false;
};

SignedRecord record_of(Fields& fields, const proto::Signed& in, Buffer& bulk) {
  return {.statement = fields.signed_bytes(in), .value = fields.bulk(bulk, kRecordValueSizeMax)};
}

CompareRange compare_range_of(Fields& fields, const proto::CompareRange& in) {
  return {.range = fields.range(in), .fingerprint = fields.fixed<crypto::Digest>(in.fingerprint())};
}

template <typename List>
bool is_count_of_ranges(Fields& fields, const List& list) {
  if (list.size() > 0 && static_cast<std::size_t>(list.size()) <= kComparedRangesMax) return true;
  fields.fail(DecodeError::kOutOfRange);
  return false;
}

CompareRanges compare_ranges_of(Fields& fields, const proto::CompareRanges& in) {
  CompareRanges out;
  if (!is_count_of_ranges(fields, in.ranges())) return out;
  for (const auto& one : in.ranges()) {
    const CompareRange compare = compare_range_of(fields, one);
    // Without overlaps, so that one question costs at most what a store costs to read once.
    if (!out.ranges.empty() && compare.range.first <= out.ranges.back().range.last) {
      fields.fail(DecodeError::kOutOfRange);
    }
    out.ranges.push_back(compare);
  }
  return out;
}

RangesCompared ranges_compared_of(Fields& fields, const proto::RangesCompared& in) {
  RangesCompared out;
  if (!is_count_of_ranges(fields, in.ranges())) return out;
  for (const auto& one : in.ranges()) {
    out.ranges.push_back({.state = {.has_entered = one.has_entered(),
                                    .complete_for = Epoch(one.complete_for()),
                                    .gone_before = Epoch(one.gone_before())},
                          .is_equal = one.is_equal()});
  }
  return out;
}

AnswerBody range_answer_of(Fields& fields, const proto::RangeAnswer& in) {
  const RangeState state{.has_entered = in.has_entered(),
                         .complete_for = Epoch(in.complete_for()),
                         .gone_before = Epoch(in.gone_before())};
  if (in.is_equal()) {
    if (in.parts_size() + in.entries_size() > 0) fields.fail(DecodeError::kOutOfRange);
    return RangeEqual{state};
  }
  if (in.parts_size() > 0) {
    if (static_cast<std::size_t>(in.parts_size()) > kRangePartsMax || in.entries_size() > 0) {
      fields.fail(DecodeError::kOutOfRange);
      return RangeSplit{};
    }
    RangeSplit out{.state = state};
    for (const auto& part : in.parts()) {
      out.parts.push_back({.range = fields.range(part),
                           .fingerprint = fields.fixed<crypto::Digest>(part.fingerprint()),
                           .count = part.count()});
    }
    return out;
  }
  RangeEntries out{.state = state};
  if (static_cast<std::size_t>(in.entries_size()) > kRangeEntriesMax) {
    fields.fail(DecodeError::kOutOfRange);
    return out;
  }
  for (const auto& entry : in.entries()) {
    out.entries.push_back({.id = fields.id(entry.id(), std::nullopt),
                           .state = fields.fixed<crypto::Digest>(entry.state()),
                           .is_damaged = entry.is_damaged()});
  }
  return out;
}

AnswerBody object_found_of(Fields& fields, const proto::ObjectFound& in, Buffer& bulk) {
  ObjectFound out{.complete_for = Epoch(in.complete_for()), .gone_before = Epoch(in.gone_before())};
  out.object.id = fields.id(in.id(), std::nullopt);
  if (!decode_object_meta(as_bytes(in.meta()), out.object)) fields.fail(DecodeError::kWrongLength);
  out.object.content = fields.bulk(
      bulk, out.object.id.type == ObjectType::kBlock ? kBlockSizeMax : kRecordValueSizeMax);
  return out;
}

RefusalReason reason_of(Fields& fields, std::uint32_t number) {
  if (number < 1 || number > static_cast<std::uint32_t>(RefusalReason::kTooManyHolds)) {
    fields.fail(DecodeError::kOutOfRange);
    return RefusalReason::kBusy;
  }
  return static_cast<RefusalReason>(number);
}

using Body = std::variant<std::monostate, RequestBody, AnswerBody>;

Body body_of(Fields& fields, const proto::Message& in, Buffer& bulk) {
  constexpr auto kBlock = ObjectType::kBlock;
  constexpr auto kRecord = ObjectType::kRecord;
  switch (in.body_case()) {
    case proto::Message::kPutBlock:
      return RequestBody(PutBlock{.id = fields.id(in.put_block().id(), kBlock),
                                  .hold = fields.hold(in.put_block().hold()),
                                  .bytes = fields.bulk(bulk, kBlockSizeMax)});
    case proto::Message::kOfferBlock:
      return RequestBody(OfferBlock{.id = fields.id(in.offer_block().id(), kBlock),
                                    .hold = fields.hold(in.offer_block().hold())});
    case proto::Message::kGetBlock:
      return RequestBody(GetBlock{.id = fields.id(in.get_block().id(), kBlock)});
    case proto::Message::kPutRecord:
      return RequestBody(PutRecord{.id = fields.id(in.put_record().id(), kRecord),
                                   .record = record_of(fields, in.put_record().record(), bulk),
                                   .hold = fields.hold(in.put_record().hold())});
    case proto::Message::kGetRecord:
      return RequestBody(GetRecord{.id = fields.id(in.get_record().id(), kRecord)});
    case proto::Message::kCompareRange:
      return RequestBody(compare_range_of(fields, in.compare_range()));
    case proto::Message::kCompareRanges:
      return RequestBody(compare_ranges_of(fields, in.compare_ranges()));
    case proto::Message::kFetchObject:
      return RequestBody(FetchObject{.id = fields.id(in.fetch_object().id(), std::nullopt)});
    case proto::Message::kAuditBlock:
      return RequestBody(
          AuditBlock{.id = fields.id(in.audit_block().id(), kBlock),
                     .challenge = fields.fixed<crypto::Digest>(in.audit_block().challenge())});
    case proto::Message::kGetDescriptions:
      return RequestBody(
          GetDescriptions{.after = {.generation = Generation(in.get_descriptions().generation()),
                                    .epoch = Epoch(in.get_descriptions().epoch())}});
    case proto::Message::kGetCompleteness:
      return RequestBody(GetCompleteness{.range = fields.range(in.get_completeness())});
    case proto::Message::kNotice:
      return RequestBody(Notice{.bytes = fields.bulk(bulk, kNoticeSizeMax)});
    case proto::Message::kHandIn:
      return RequestBody(
          HandIn{.operation = fields.short_bytes(in.hand_in().operation(), kHandInSizeMax)});

    case proto::Message::kRefused:
      return AnswerBody(Refused{.reason = reason_of(fields, in.refused().reason()),
                                .retry_after_ms = in.refused().retry_after_ms(),
                                .descriptions = fields.descriptions(in.refused().descriptions())});
    case proto::Message::kStored:
      return AnswerBody(Stored{});
    case proto::Message::kMissing:
      return AnswerBody(Missing{});
    case proto::Message::kBlockFound:
      return AnswerBody(BlockFound{.bytes = fields.bulk(bulk, kBlockSizeMax)});
    case proto::Message::kAbsent:
      return AnswerBody(Absent{});
    case proto::Message::kRecordHeld:
      return AnswerBody(RecordHeld{.record = record_of(fields, in.record_held().record(), bulk),
                                   .hold = fields.hold(in.record_held().hold())});
    case proto::Message::kRangeAnswer:
      return range_answer_of(fields, in.range_answer());
    case proto::Message::kRangesCompared:
      return AnswerBody(ranges_compared_of(fields, in.ranges_compared()));
    case proto::Message::kObjectFound:
      return object_found_of(fields, in.object_found(), bulk);
    case proto::Message::kObjectAbsent:
      return AnswerBody(ObjectAbsent{.complete_for = Epoch(in.object_absent().complete_for()),
                                     .gone_before = Epoch(in.object_absent().gone_before())});
    case proto::Message::kBlockProof:
      return AnswerBody(
          BlockProof{.proof = fields.fixed<crypto::Digest>(in.block_proof().proof())});
    case proto::Message::kDescriptions:
      return AnswerBody(
          Descriptions{.descriptions = fields.descriptions(in.descriptions().descriptions()),
                       .lease = fields.lease(in.descriptions().lease())});
    case proto::Message::kCompleteness:
      return AnswerBody(Completeness{.statement = fields.signed_bytes(in.completeness())});
    case proto::Message::kHandedIn:
      if (in.handed_in().answer() > 0xff) fields.fail(DecodeError::kOutOfRange);
      return AnswerBody(HandedIn{static_cast<std::uint8_t>(in.handed_in().answer())});
    case proto::Message::BODY_NOT_SET:
      break;
  }
  return std::monostate{};
}

}  // namespace

EncodedMessage encode(const Request& request) {
  return encode_message(request.context, request.body);
}
EncodedMessage encode(const Answer& answer) { return encode_message(answer.context, answer.body); }
EncodedMessage encode(const Message& message) {
  return std::visit([](const auto& one) { return encode(one); }, message);
}

std::string_view name_of(DecodeError error) {
  switch (error) {
    case DecodeError::kNotAMessage:
      return "not_a_message";
    case DecodeError::kUnknownKind:
      return "unknown_kind";
    case DecodeError::kWrongLength:
      return "wrong_length";
    case DecodeError::kOutOfRange:
      return "out_of_range";
    case DecodeError::kBulkMismatch:
      return "bulk_mismatch";
  }
  return "unknown";
}

Result<Message, DecodeError> decode(ByteView header, Buffer bulk) {
  if (header.size() > kHeaderSizeMax) return fail(DecodeError::kOutOfRange);
  if (const auto problem = problem_of_shape(header, kHeaderFieldsMax, true)) return fail(*problem);
  proto::Message in;
  if (!in.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return fail(DecodeError::kNotAMessage);
  }
  const MessageContext context{
      .configuration = {.generation = Generation(in.generation()), .epoch = Epoch(in.epoch())},
      .nonce = Nonce(in.nonce())};
  Fields fields;
  const bool has_bulk = !bulk.empty();
  Body body = body_of(fields, in, bulk);
  if (fields.error()) return fail(*fields.error());
  if (has_bulk && !fields.bulk_taken()) return fail(DecodeError::kBulkMismatch);
  if (auto* request = std::get_if<RequestBody>(&body)) return Request{context, std::move(*request)};
  if (auto* answer = std::get_if<AnswerBody>(&body)) return Answer{context, std::move(*answer)};
  return fail(DecodeError::kUnknownKind);
}

}  // namespace rosebud::wire
