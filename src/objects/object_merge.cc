#include "objects/object_merge.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::objects {
namespace {

wire::HoldStatement statement_of(const wire::Hold& hold) {
  auto statement = wire::HoldStatement::decode(hold.statement.statement);
  CHECK(statement.has_value());  // only verified holds come here
  return std::move(*statement);
}

/// Serial first; between two statements of one serial the greater hash, so that everybody keeps the
/// same.
bool wins(const wire::Hold& a, const wire::HoldStatement& a_says, const wire::Hold& b,
          const wire::HoldStatement& b_says) {
  if (a_says.serial != b_says.serial) {
    return (a_says.serial > b_says.serial) != is_planted(Bug::kLowerSerialWins);
  }
  return crypto::sha256(a.statement.statement) > crypto::sha256(b.statement.statement);
}

std::optional<RecordOrder> order_in(const wire::StoredObject& object) {
  if (object.record.statement.empty()) return std::nullopt;
  const auto statement = wire::RecordStatement::decode(object.record.statement);
  CHECK(statement.has_value());
  return order_of(*statement);
}

}  // namespace

HoldChange add_hold(wire::StoredObject& object, const wire::Hold& hold) {
  const wire::HoldStatement added = statement_of(hold);
  auto& holds = object.holds;
  auto at = std::ranges::lower_bound(
      holds, added.holder, {}, [](const wire::Hold& one) { return statement_of(one).holder; });
  if (is_planted(Bug::kOneHoldPerObject)) {
    holds.clear();
    at = holds.end();
  }
  if (at == holds.end() || statement_of(*at).holder != added.holder) {
    if (holds.size() >= wire::kHoldsPerObjectMax) return HoldChange::kTooMany;
    holds.insert(at, hold);
    return HoldChange::kAdded;
  }
  if (!wins(hold, added, *at, statement_of(*at))) return HoldChange::kUnchanged;
  *at = hold;
  return HoldChange::kReplaced;
}

Timestamp expiry_of(const wire::Hold& hold) { return statement_of(hold).expiry; }

crypto::PublicKey holder_of(const wire::Hold& hold) { return statement_of(hold).holder; }

const wire::Hold* find_hold(const wire::StoredObject& object, const crypto::PublicKey& holder) {
  for (const wire::Hold& hold : object.holds) {
    if (statement_of(hold).holder == holder) return &hold;
  }
  return nullptr;
}

bool merge(wire::StoredObject& into, const wire::StoredObject& from) {
  CHECK(into.id == from.id);
  bool is_changed = false;
  const auto mine = order_in(into);
  const auto theirs = order_in(from);
  const bool is_newer = theirs && (!mine || *theirs > *mine ||
                                   (is_planted(Bug::kOlderOverwrites) && *theirs != *mine));
  const bool is_same_with_content = into.is_damaged && !from.is_damaged && mine == theirs;
  if (is_newer || is_same_with_content) {
    into.record = from.record;
    into.content = from.content;
    into.is_damaged = from.is_damaged;
    is_changed = true;
  }
  for (const wire::Hold& hold : from.holds) {
    const HoldChange change = add_hold(into, hold);
    is_changed |= change == HoldChange::kAdded || change == HoldChange::kReplaced;
  }
  return is_changed;
}

}  // namespace rosebud::objects
