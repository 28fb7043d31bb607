#include "adversary/misbehaviour.h"

namespace rosebud::adversary {
namespace {

/// A development cluster's stale node must not grow without bound either.
constexpr std::size_t kFirstShownMax = 10'000;
constexpr std::size_t kReplayedMax = 64;
/// A liar says that it is complete for whatever it is asked about.
constexpr wire::Epoch kAnyEpoch(~std::uint64_t{0});
constexpr wire::RangeState kCompleteForAll{.has_entered = true, .complete_for = kAnyEpoch};

Buffer with_a_flipped_byte(const Buffer& content) {
  Bytes bytes = to_bytes(content.view());
  if (bytes.empty()) bytes.push_back(0);
  bytes[bytes.size() / 2] ^= 0x55;
  return Buffer(std::move(bytes));
}

}  // namespace

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::kHonest:
      return "honest";
    case Mode::kMute:
      return "mute";
    case Mode::kLie:
      return "lie";
    case Mode::kStale:
      return "stale";
    case Mode::kGarbage:
      return "garbage";
    case Mode::kEquivocate:
      return "equivocate";
    case Mode::kForge:
      return "forge";
    case Mode::kRefuse:
      return "refuse";
    case Mode::kReplay:
      return "replay";
    case Mode::kHollow:
      return "hollow";
    case Mode::kStall:
      return "stall";
  }
  return "unknown";
}

std::optional<Mode> mode_of(std::string_view name) {
  for (Mode mode :
       {Mode::kHonest, Mode::kMute, Mode::kLie, Mode::kStale, Mode::kGarbage, Mode::kEquivocate,
        Mode::kForge, Mode::kRefuse, Mode::kReplay, Mode::kHollow, Mode::kStall}) {
    if (name == name_of(mode)) return mode;
  }
  return std::nullopt;
}

bool Misbehaviour::edit_notice(Buffer& bytes) {
  switch (mode_) {
    case Mode::kHonest:
    case Mode::kStale:
    case Mode::kReplay:
    case Mode::kHollow:
    case Mode::kStall:
    case Mode::kEquivocate:  // with votes of its own (double_vote.h), which must get through
      return true;
    case Mode::kMute:
      return false;
    case Mode::kRefuse:
      return random_.chance(1, 2);
    case Mode::kLie:
    case Mode::kGarbage:
    case Mode::kForge:
      break;
  }
  if (bytes.empty() || random_.chance(1, 2)) return true;
  Bytes spoilt = to_bytes(bytes);
  spoilt[random_.below(spoilt.size())] ^= static_cast<std::uint8_t>(random_.between(1, 255));
  bytes = Buffer(std::move(spoilt));
  return true;
}

void Misbehaviour::edit(objects::Effects& effects) {
  if (mode_ == Mode::kHonest) return;
  std::erase_if(effects, [&](objects::Effect& effect) {
    if (auto* answer = std::get_if<objects::SendAnswer>(&effect)) return !edit_answer(*answer);
    return mode_ == Mode::kMute && std::holds_alternative<objects::SendRequest>(effect);
  });
  if (mode_ == Mode::kReplay) replay(effects);
}

/// False: not sent.
bool Misbehaviour::edit_answer(objects::SendAnswer& answer) {
  switch (mode_) {
    case Mode::kHonest:
    case Mode::kReplay:
      break;
    case Mode::kMute:
      return false;
    case Mode::kLie:
      lie(answer.answer.body);
      break;
    case Mode::kStale:
      show_stale(answer.answer.body);
      break;
    case Mode::kGarbage:
      scramble(answer.answer.body);
      break;
    case Mode::kEquivocate:
      if (answer.to.value % 2 == 0) lie(answer.answer.body);
      break;
    case Mode::kForge:
      forge(answer.answer.body);
      break;
    case Mode::kRefuse:
      answer.answer.body = wire::Refused{.reason = wire::RefusalReason::kBadHold};
      break;
    case Mode::kHollow:
      hollow(answer.answer.body);
      break;
    case Mode::kStall:
      stall(answer.answer.body);
      break;
  }
  return true;
}

void Misbehaviour::lie(wire::AnswerBody& body) {
  if (auto* block = std::get_if<wire::BlockFound>(&body)) {
    if (random_.chance(1, 2)) {
      block->bytes = with_a_flipped_byte(block->bytes);
    } else {
      body = wire::Absent{};
    }
  } else if (auto* record = std::get_if<wire::RecordHeld>(&body)) {
    if (random_.chance(1, 2)) {
      record->record.value = with_a_flipped_byte(record->record.value);
    } else {
      body = wire::Absent{};
    }
  } else if (auto* found = std::get_if<wire::ObjectFound>(&body)) {
    found->object.content = with_a_flipped_byte(found->object.content);
  } else if (std::holds_alternative<wire::Missing>(body) ||
             std::holds_alternative<wire::Refused>(body)) {
    body = wire::Stored{};
  } else if (std::holds_alternative<wire::RangeSplit>(body) ||
             std::holds_alternative<wire::RangeEntries>(body)) {
    body = wire::RangeEqual{.state = kCompleteForAll};
  } else if (auto* compared = std::get_if<wire::RangesCompared>(&body)) {
    for (auto& one : compared->ranges) one = {.state = kCompleteForAll, .is_equal = true};
  } else if (std::holds_alternative<wire::BlockProof>(body)) {
    body = wire::ObjectAbsent{.complete_for = kAnyEpoch};
  }
}

/// As if it kept the names of what it should hold, and nothing else.
void Misbehaviour::hollow(wire::AnswerBody& body) {
  if (std::holds_alternative<wire::BlockFound>(body)) {
    body = wire::Absent{};
  } else if (std::holds_alternative<wire::ObjectFound>(body)) {
    body = wire::Refused{.reason = wire::RefusalReason::kBusy};
  } else if (std::holds_alternative<wire::RangeSplit>(body) ||
             std::holds_alternative<wire::RangeEntries>(body) ||
             std::holds_alternative<wire::RangesCompared>(body)) {
    lie(body);
  } else if (auto* proof = std::get_if<wire::BlockProof>(&body)) {
    for (auto& byte : proof->proof.bytes) byte = static_cast<std::uint8_t>(random_.next());
  }
}

void Misbehaviour::show_stale(wire::AnswerBody& body) {
  if (auto* record = std::get_if<wire::RecordHeld>(&body)) {
    const auto statement = wire::RecordStatement::decode(record->record.statement.statement);
    if (!statement || first_shown_.size() >= kFirstShownMax) return;
    body = first_shown_.emplace(statement->id().placement, *record).first->second;
  } else if (std::holds_alternative<wire::BlockFound>(body)) {
    body = wire::Absent{};
  } else if (std::holds_alternative<wire::ObjectFound>(body)) {
    body = wire::ObjectAbsent{.complete_for = kAnyEpoch};
  } else if (auto* entries = std::get_if<wire::RangeEntries>(&body)) {
    entries->entries.clear();
  }
}

void Misbehaviour::forge(wire::AnswerBody& body) {
  const auto raise = [&](wire::SignedBytes& record) {
    auto statement = wire::RecordStatement::decode(record.statement);
    if (!statement) return;
    statement->version.value += 1 + random_.below(3);
    record.statement = Buffer(statement->encode());
  };
  if (auto* record = std::get_if<wire::RecordHeld>(&body)) {
    const auto statement = wire::RecordStatement::decode(record->record.statement.statement);
    if (statement && first_shown_.size() < kFirstShownMax) {
      first_shown_.emplace(statement->id().placement, *record);
    }
    if (random_.chance(1, 2)) return raise(record->record.statement);
    for (const auto& [id, other] : first_shown_) {
      if (statement && id != statement->id().placement) {
        body = other;
        return;
      }
    }
  } else if (auto* found = std::get_if<wire::ObjectFound>(&body)) {
    raise(found->object.record);
  } else if (auto* block = std::get_if<wire::BlockFound>(&body)) {
    block->bytes = with_a_flipped_byte(block->bytes);
  }
}

void Misbehaviour::replay(objects::Effects& effects) {
  std::vector<objects::SendAnswer> again;
  for (const objects::Effect& effect : effects) {
    const auto* answer = std::get_if<objects::SendAnswer>(&effect);
    if (!answer) continue;
    if (answered_.size() < kReplayedMax) {
      answered_.push_back(*answer);
    } else {
      answered_[random_.below(answered_.size())] = *answer;
    }
    again.push_back(answered_[random_.below(answered_.size())]);
  }
  for (auto& answer : again) effects.emplace_back(std::move(answer));
}

void Misbehaviour::stall(wire::AnswerBody& body) {
  if (std::holds_alternative<wire::RangeEqual>(body) ||
      std::holds_alternative<wire::RangeSplit>(body) ||
      std::holds_alternative<wire::RangeEntries>(body)) {
    // Parts that are not the asker's tell it nothing: it has to ask about every one of its own.
    body = wire::RangeSplit{.state = kCompleteForAll, .parts = {wire::RangePart{}}};
  } else if (auto* compared = std::get_if<wire::RangesCompared>(&body)) {
    for (auto& one : compared->ranges) one = {.state = kCompleteForAll, .is_equal = false};
  }
}

void Misbehaviour::scramble(wire::AnswerBody& body) {
  if (auto* block = std::get_if<wire::BlockFound>(&body)) {
    block->bytes = random_bytes(block->bytes.size());
  } else if (auto* record = std::get_if<wire::RecordHeld>(&body)) {
    record->record.value = random_bytes(record->record.value.size());
    for (auto& byte : record->record.statement.signature.bytes) {
      byte = static_cast<std::uint8_t>(random_.next());
    }
  } else if (auto* found = std::get_if<wire::ObjectFound>(&body)) {
    found->object.content = random_bytes(found->object.content.size());
  } else if (auto* entries = std::get_if<wire::RangeEntries>(&body)) {
    for (auto& entry : entries->entries)
      entry.state.bytes[0] ^= static_cast<std::uint8_t>(random_.next());
  } else if (auto* compared = std::get_if<wire::RangesCompared>(&body)) {
    for (auto& one : compared->ranges) one.is_equal = random_.chance(1, 2);
  } else {
    body = wire::BlockFound{random_bytes(random_.below(1000))};
  }
}

Buffer Misbehaviour::random_bytes(std::size_t size) {
  Bytes out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next());
  return Buffer(std::move(out));
}

}  // namespace rosebud::adversary
