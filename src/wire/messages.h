// Every message between clients and replicas, one struct each. Encoding in codec.h, layout in
// docs/format/wire.md.
//
// A message is a frame: a protobuf header (src/wire/rosebud.proto) and, beside it, bulk bytes: the
// bytes of a block or the value of a record. Nothing here was verified beyond lengths and shapes;
// objects/verify.h is the next gate.
#pragma once

#include "wire/audit.h"

namespace rosebud::wire {

/// Stands in every message; an answer repeats its request's nonce and says which configuration it
/// was given under.
struct MessageContext {
  ConfigurationNumber configuration;
  Nonce nonce;
  friend bool operator==(const MessageContext&, const MessageContext&) = default;
};

// ---- Requests ----

/// Store these bytes under this hold. Answered: Stored, Refused.
struct PutBlock {
  ObjectId id;
  Hold hold;
  Buffer bytes;
};
/// "You may have it already": records the hold if the block is there. Answered: Stored, Missing,
/// Refused.
struct OfferBlock {
  ObjectId id;
  Hold hold;
};
/// Answered: BlockFound, Absent, Refused.
struct GetBlock {
  ObjectId id;
};
/// Keep this record if it is newer than yours. Answered with what is held then: RecordHeld,
/// Refused.
struct PutRecord {
  ObjectId id;
  SignedRecord record;
  Hold hold;
};
/// Answered: RecordHeld, Absent, Refused.
struct GetRecord {
  ObjectId id;
};
/// Between replicas: "here is the fingerprint of what I hold in this interval". Answered:
/// RangeEqual, RangeSplit, RangeEntries, Refused.
struct CompareRange {
  KeyRange range;
  crypto::Digest fingerprint;
};
/// Between replicas: the same of many intervals at once, in ascending order and without overlaps, 1
/// to kComparedRangesMax. Answered: RangesCompared, Refused. What differs is asked about one by
/// one.
struct CompareRanges {
  std::vector<CompareRange> ranges;
};
/// Between replicas: everything about one object. Answered: ObjectFound, ObjectAbsent, Refused
/// (busy: listed, but damaged).
struct FetchObject {
  ObjectId id;
};
/// Between nodes: "show that you hold this block". Answered: BlockProof, ObjectAbsent, Refused.
struct AuditBlock {
  ObjectId id;
  crypto::Digest challenge;  // fresh and not to be guessed
};
/// Answered: Descriptions with what follows `after`, oldest first.
struct GetDescriptions {
  ConfigurationNumber after;
};
/// Answered: Completeness for the interval, Refused (busy) while this replica is not complete there
/// or lacks an object of it.
struct GetCompleteness {
  KeyRange range;
};
/// Between nodes, about the configuration service: what its layout is, service/notices.h knows.
/// Never answered.
struct Notice {
  Buffer bytes;
};
/// An admission or a revocation, for the configuration service: an operation of
/// service/operations.h. Answered: HandedIn, Refused.
struct HandIn {
  Bytes operation;
};

using RequestBody =
    std::variant<PutBlock, OfferBlock, GetBlock, PutRecord, GetRecord, CompareRange, CompareRanges,
                 FetchObject, AuditBlock, GetDescriptions, GetCompleteness, Notice, HandIn>;

struct Request {
  MessageContext context;
  RequestBody body;
};

// ---- Answers ----

enum class RefusalReason : std::uint8_t {
  kMalformed = 1,     // the request breaks a rule that needs no state to see
  kWrongEpoch = 2,    // descriptions are attached where the sender is behind
  kBusy = 3,          // not now; retry_after_ms says when
  kNotInGroup = 4,    // this replica does not keep that key
  kBadHold = 5,       // no valid hold: signature, path, expiry, admission or cluster is wrong
  kBadRecord = 6,     // signature, id, version, size or cluster is wrong
  kBadBlock = 7,      // the bytes do not hash to the id
  kNoSpace = 8,       // the disk is full
  kQuota = 9,         // the holder's or its organisation's quota is used up here
  kNotAllowed = 10,   // this sender may not ask that
  kTooManyHolds = 11  // kHoldsPerObjectMax is reached
};

struct Refused {
  RefusalReason reason = RefusalReason::kBusy;
  std::uint32_t retry_after_ms = 0;
  std::vector<Buffer> descriptions;  // for kWrongEpoch
};
/// The block is durable here and the hold recorded.
struct Stored {};
/// Offered, but not there: send the bytes.
struct Missing {};
struct BlockFound {
  Buffer bytes;
};
/// This replica holds nothing under that id.
struct Absent {};
/// What this replica durably holds now.
struct RecordHeld {
  SignedRecord record;
  Hold hold;
};
/// Stands in every answer about an interval (design 10.3).
struct RangeState {
  bool has_entered = false;  // the sender has entered the epoch of its answer
  Epoch complete_for;        // the newest epoch for which it is complete in the whole interval
  /// What it held there as a member of earlier epochs than this is deleted (design 10.5); 0:
  /// nothing.
  Epoch gone_before{};
  friend bool operator==(const RangeState&, const RangeState&) = default;
};
struct RangeEqual {
  RangeState state;
};
struct RangePart {
  KeyRange range;
  crypto::Digest fingerprint;
  std::uint32_t count = 0;
};
struct RangeSplit {
  RangeState state;
  std::vector<RangePart>
      parts;  // 2 to kRangePartsMax, in order, covering the interval without gaps
};
struct RangeEntry {
  ObjectId id;
  crypto::Digest state;
  bool is_damaged = false;
};
struct RangeEntries {
  RangeState state;
  std::vector<RangeEntry> entries;  // all of the interval, in order, at most kRangeEntriesMax
};
/// Of each interval that was asked about, in the same order.
struct RangesCompared {
  struct One {
    RangeState state;
    bool is_equal = false;
  };
  std::vector<One> ranges;
};
/// `complete_for`, `gone_before`: as in RangeState, where the object belongs.
struct ObjectFound {
  StoredObject object;
  Epoch complete_for;
  Epoch gone_before{};
};
struct ObjectAbsent {
  Epoch complete_for;
  Epoch gone_before{};
};
/// audit_proof() of the block's bytes, from the node that was asked to the one that asks.
struct BlockProof {
  crypto::Digest proof;
};
/// `lease`: the sender's newest of the epoch that it is in (membership::SignedLease, encoded);
/// empty: it has none.
struct Descriptions {
  std::vector<Buffer> descriptions;
  Buffer lease;
};
struct Completeness {
  SignedBytes statement;  // a CompletenessStatement
};
/// What the service answered: a service::Answer.
struct HandedIn {
  std::uint8_t answer = 0;
};

using AnswerBody = std::variant<Refused, Stored, Missing, BlockFound, Absent, RecordHeld,
                                RangeEqual, RangeSplit, RangeEntries, RangesCompared, ObjectFound,
                                ObjectAbsent, BlockProof, Descriptions, Completeness, HandedIn>;

struct Answer {
  MessageContext context;
  AnswerBody body;
};

using Message = std::variant<Request, Answer>;

// ---- Limits ----

inline constexpr std::size_t kRangePartsMax = 16;
inline constexpr std::size_t kRangeEntriesMax = 256;
/// Each takes 104 bytes of a request's header, which has at most 16 KiB.
inline constexpr std::size_t kComparedRangesMax = 64;
inline constexpr std::size_t kHandInSizeMax = 32U << 10;
inline constexpr std::size_t kNoticeSizeMax = 2 * 1024 * 1024;
/// One description and the most of them in one answer.
inline constexpr std::size_t kDescriptionSizeMax = 1024 * 1024;
inline constexpr std::size_t kDescriptionsMax = 4;
inline constexpr std::size_t kLeaseSizeMax = 8192;

/// Short stable names for metrics and logs ("put_block", "wrong_epoch").
std::string_view name_of(const RequestBody& body);
std::string_view name_of(const AnswerBody& body);
std::string_view name_of(RefusalReason reason);

}  // namespace rosebud::wire
