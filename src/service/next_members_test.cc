// Who is in the next epoch, where there are more than one description can say.
#include "service/next_members.h"

#include <gtest/gtest.h>

#include "membership/placing.h"
#include "membership/test_cluster.h"

namespace rosebud::service {
namespace {

using membership::Configuration;
using membership::Node;

crypto::Digest digest(std::string_view tag, std::size_t number) {
  return crypto::Hasher(tag).update_u64(number).finish();
}

/// Keys are hashes: nobody signs anything with them.
Node member(std::size_t number, std::uint32_t organisation) {
  return {.name = "node" + std::to_string(number),
          .key = *wire::NodeKey::from(digest("rosebud test member", number).view()),
          .organisation = organisation,
          .directory = *wire::DirectoryId::from(
              digest("rosebud test directory", number).view().first(wire::DirectoryId::kSize)),
          .address = "node" + std::to_string(number) + ":7000",
          .capacity_bytes = 1,
          .position_count = 1};
}

crypto::PublicKey authority(std::size_t number) {
  return membership::test_key("org" + std::to_string(number)).public_key();
}

/// Five organisations; the last has `count` nodes, the others two each.
std::shared_ptr<const Configuration> with_a_large_one(std::size_t count) {
  // F = 0: what keeps somebody is a group, not the service.
  membership::ConfigurationParts parts{.cluster = {},
                                       .number = {wire::Generation(0), wire::Epoch(2)},
                                       .settings = {.service_faults = 0}};
  for (std::uint32_t i = 0; i < 5; ++i) {
    parts.organisations.push_back({.name = "org" + std::to_string(i), .authority = authority(i)});
    for (std::size_t n = 0; n < (i == 4 ? count : 2); ++n)
      parts.nodes.push_back(member(parts.nodes.size(), i));
  }
  return *Configuration::make(std::move(parts));
}

/// What is in after these changes, with everything else as it was.
std::shared_ptr<const Configuration> after(const Configuration& current, const NextMembers& next) {
  return *Configuration::make({.cluster = current.cluster(),
                               .number = current.number(),
                               .settings = current.settings(),
                               .organisations = next.organisations},
                              current, *membership::in_their_places(current, next.nodes));
}

// An organisation with more nodes than one description can say goes in several epochs.
TEST(NextMembers, OfManyThatGo_SomeWait) {
  const auto current = with_a_large_one(membership::kRemovedNodesMax + 100);
  Wishes wishes;
  wishes.organisations_revoked.insert(authority(4));
  const NextMembers next = next_members(*current, wishes, 0);
  EXPECT_TRUE(next.nodes.fits());
  EXPECT_EQ(next.nodes.removed.size(), membership::kRemovedNodesMax);
  EXPECT_TRUE(is_there_a_reason(*current, wishes, 0));
  const auto second = after(*current, next);
  EXPECT_EQ(second->nodes().size(), 8U + 100U);
  const NextMembers last = next_members(*second, {}, 0);
  EXPECT_EQ(last.nodes.removed.size(), 100U);
  EXPECT_EQ(after(*second, last)->nodes().size(), 8U);
}

// Where not all can go, the same stay as if they had been looked at one by one.
TEST(NextMembers, WhoIsNeededStays_TheOthersGo) {
  const auto current = with_a_large_one(50);
  Wishes wishes;
  // All of four of five: three are needed.
  for (const std::size_t organisation : {0U, 1U, 2U, 4U}) {
    for (const Node& node : current->nodes()) {
      if (node.organisation == organisation)
        wishes.revoked.insert({authority(organisation), node.key});
    }
  }
  const NextMembers next = next_members(*current, wishes, 0);
  // A group needs three organisations, of which one is not touched: the last of two others stay.
  std::vector<std::uint32_t> stay;
  for (const Node& node : current->nodes()) {
    if (node.organisation != 3 && !next.nodes.removed.contains(node.key))
      stay.push_back(node.organisation);
  }
  EXPECT_EQ(stay, (std::vector<std::uint32_t>{2, 4}));
  EXPECT_TRUE(next.nodes.removed.contains(current->nodes()[4].key));
  EXPECT_FALSE(next.nodes.removed.contains(current->nodes().back().key));
}

}  // namespace
}  // namespace rosebud::service
