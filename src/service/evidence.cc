#include "service/evidence.h"

#include "base/check.h"
#include "service/instance.h"

namespace rosebud::service {
namespace {

std::unexpected<Explained> no(std::string what, std::string cause) {
  return fail(Explained{.what = "this is no evidence: " + std::move(what),
                        .cause = std::move(cause),
                        .next = {},
                        .trouble = Trouble::kIntegrity});
}

}  // namespace

MemberEvidence MemberEvidence::of(const membership::Configuration& configuration,
                                  const pbft::Evidence& evidence) {
  const auto& seat = configuration.service().at(evidence.first.replica.value);
  const membership::Node& node = configuration.nodes()[seat.node];
  return {.cluster = configuration.cluster(),
          .number = configuration.number(),
          .node = node.key,
          .name = node.name,
          .organisation = configuration.organisations()[node.organisation].name,
          .votes = evidence};
}

Bytes MemberEvidence::encode() const {
  wire::Writer out;
  out.raw(cluster.view());
  wire::write(out, number);
  out.raw(node.view()).text(name).text(organisation).bytes16(votes.encode());
  return out.take();
}

std::optional<MemberEvidence> MemberEvidence::decode(ByteView bytes) {
  wire::Reader in(bytes);
  MemberEvidence out;
  out.cluster = in.fixed<crypto::ClusterId>();
  out.number = wire::read_number(in);
  out.node = in.fixed<wire::NodeKey>();
  out.name = in.text(wire::kNameSizeMax);
  out.organisation = in.text(wire::kNameSizeMax);
  const auto votes = pbft::Evidence::decode(in.bytes16(2 * pbft::Vote::kSize));
  if (!in.done() || !votes) return std::nullopt;
  out.votes = *votes;
  return out;
}

Status<Explained> verify(const MemberEvidence& evidence,
                         const membership::Configuration& configuration,
                         const crypto::SignatureScheme& scheme) {
  if (evidence.cluster != configuration.cluster() || evidence.number != configuration.number())
    return no("it is about another epoch or cluster than these epochs", {});
  const auto seat = seat_of(configuration, evidence.node);
  if (!seat || *seat != evidence.votes.first.replica) {
    return no("the node did not have that seat in that epoch",
              "it was changed so as to blame another one");
  }
  const MemberEvidence right = MemberEvidence::of(configuration, evidence.votes);
  if (evidence.name != right.name || evidence.organisation != right.organisation) {
    return no("the node was called " + right.name + " and belonged to " + right.organisation,
              "it was changed so as to blame another one");
  }
  if (!pbft::is_contradiction(evidence.votes.first, evidence.votes.second))
    return no("a correct replica may sign both votes", {});
  if (!pbft::is_valid(evidence.votes, *group_of(configuration), scheme))
    return no("the member did not sign both votes", "it was forged, or damaged");
  return {};
}

}  // namespace rosebud::service
