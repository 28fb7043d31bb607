// Evidence against a member of the configuration service: two votes of its seat that contradict
// each other, and whose seat it was.
//
// A seat and the epoch key that signed mean nothing to people, and are gone with the epoch. So the
// evidence names the epoch, the node and its organisation; the configuration of that epoch, which
// the chain of epochs proves, says whether that is so. Layout: docs/format/service.md.
#pragma once

#include "membership/configuration.h"
#include "pbft/evidence.h"

namespace rosebud::service {

struct MemberEvidence {
  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;  // of the epoch whose service it was
  wire::NodeKey node;
  std::string name;  // of the node and its organisation in that epoch
  std::string organisation;
  pbft::Evidence votes;

  /// Against who has the seat. Requires: evidence of this configuration's group against a member.
  static MemberEvidence of(const membership::Configuration& configuration,
                           const pbft::Evidence& evidence);

  Bytes encode() const;
  static std::optional<MemberEvidence> decode(ByteView bytes);
  friend bool operator==(const MemberEvidence&, const MemberEvidence&) = default;
};

/// Nothing when it proves that the node is faulty; else why it does not, for a person.
/// `configuration`: that of the epoch that the evidence names, verified by the caller.
Status<Explained> verify(const MemberEvidence& evidence,
                         const membership::Configuration& configuration,
                         const crypto::SignatureScheme& scheme);

}  // namespace rosebud::service
