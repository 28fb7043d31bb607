#include "wire/messages.h"

namespace rosebud::wire {
namespace {

struct NameOf {
  std::string_view operator()(const PutBlock&) const { return "put_block"; }
  std::string_view operator()(const OfferBlock&) const { return "offer_block"; }
  std::string_view operator()(const GetBlock&) const { return "get_block"; }
  std::string_view operator()(const PutRecord&) const { return "put_record"; }
  std::string_view operator()(const GetRecord&) const { return "get_record"; }
  std::string_view operator()(const CompareRange&) const { return "compare_range"; }
  std::string_view operator()(const CompareRanges&) const { return "compare_ranges"; }
  std::string_view operator()(const FetchObject&) const { return "fetch_object"; }
  std::string_view operator()(const AuditBlock&) const { return "audit_block"; }
  std::string_view operator()(const GetDescriptions&) const { return "get_descriptions"; }
  std::string_view operator()(const GetCompleteness&) const { return "get_completeness"; }
  std::string_view operator()(const Notice&) const { return "notice"; }
  std::string_view operator()(const HandIn&) const { return "hand_in"; }
  std::string_view operator()(const Refused&) const { return "refused"; }
  std::string_view operator()(const Stored&) const { return "stored"; }
  std::string_view operator()(const Missing&) const { return "missing"; }
  std::string_view operator()(const BlockFound&) const { return "block_found"; }
  std::string_view operator()(const Absent&) const { return "absent"; }
  std::string_view operator()(const RecordHeld&) const { return "record_held"; }
  std::string_view operator()(const RangeEqual&) const { return "range_equal"; }
  std::string_view operator()(const RangeSplit&) const { return "range_split"; }
  std::string_view operator()(const RangeEntries&) const { return "range_entries"; }
  std::string_view operator()(const RangesCompared&) const { return "ranges_compared"; }
  std::string_view operator()(const ObjectFound&) const { return "object_found"; }
  std::string_view operator()(const Descriptions&) const { return "descriptions"; }
  std::string_view operator()(const ObjectAbsent&) const { return "object_absent"; }
  std::string_view operator()(const BlockProof&) const { return "block_proof"; }
  std::string_view operator()(const Completeness&) const { return "completeness"; }
  std::string_view operator()(const HandedIn&) const { return "handed_in"; }
};

}  // namespace

std::string_view name_of(const RequestBody& body) { return std::visit(NameOf{}, body); }
std::string_view name_of(const AnswerBody& body) { return std::visit(NameOf{}, body); }

std::string_view name_of(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kMalformed:
      return "malformed";
    case RefusalReason::kWrongEpoch:
      return "wrong_epoch";
    case RefusalReason::kBusy:
      return "busy";
    case RefusalReason::kNotInGroup:
      return "not_in_group";
    case RefusalReason::kBadHold:
      return "bad_hold";
    case RefusalReason::kBadRecord:
      return "bad_record";
    case RefusalReason::kBadBlock:
      return "bad_block";
    case RefusalReason::kNoSpace:
      return "no_space";
    case RefusalReason::kQuota:
      return "quota";
    case RefusalReason::kNotAllowed:
      return "not_allowed";
    case RefusalReason::kTooManyHolds:
      return "too_many_holds";
  }
  return "unknown";
}

}  // namespace rosebud::wire
