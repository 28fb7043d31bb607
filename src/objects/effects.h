// What object cores ask their driver to do, in order. The driver performs it; tests compare it; the
// simulator may drop, delay, duplicate or falsify it.
#pragma once

#include <variant>

#include "wire/messages.h"

namespace rosebud::objects {

/// Names one load, scan or persist of a core; the driver's completion repeats it.
using Token = Strong<struct TokenTag>;

/// The connection that a request came by. The driver chooses the number; a core only repeats it.
using ConnectionId = Strong<struct ConnectionIdTag>;

struct SendAnswer {
  ConnectionId to;
  wire::Answer answer;
};
struct SendRequest {
  wire::NodeKey to;
  wire::Request request;
};
struct Load {
  Token token;
  wire::ObjectId id;
  wire::LoadPart part = wire::LoadPart::kMeta;
};
struct Scan {
  Token token;
  wire::KeyRange range;
  std::optional<wire::ObjectId> after;  // continue behind this entry
  std::size_t limit = 0;
};
/// One atomic, synced commit.
struct Persist {
  Token token;
  std::vector<wire::StorageWrite> writes;
};

/// What a core noticed about another peer; counted and shown, never believed by others.
enum class Observation : std::uint8_t {
  kInvalidAnswer,  // signature, hash or hold is wrong: proof of a fault
  kStaleRecord,    // an older record than a quorum holds: a suspicion
  kSlow,           // did not answer in time: a suspicion
  kEmptyListing,   // listed an object that it then could not show
  kNoProof,        // did not show a block that it should hold, again and again: a suspicion
  kFalseProof,     // its proof of a block was wrong: proof of a fault
};
std::string_view name_of(Observation observation);

struct Report {
  wire::NodeKey peer;
  Observation observation = Observation::kSlow;
};

/// A complaint for the configuration service: by this node about another (auditor.h).
struct Complain {
  wire::Accusation about;
};
/// What a check found that the service wanted.
struct Checked {
  wire::Accusation about;
  wire::AuditOutcome outcome = wire::AuditOutcome::kProven;
};

using Effect =
    std::variant<SendAnswer, SendRequest, Load, Scan, Persist, Report, Complain, Checked>;
using Effects = std::vector<Effect>;

}  // namespace rosebud::objects
