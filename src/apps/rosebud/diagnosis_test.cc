// What doctor makes of what nodes notice of each other.
#include "apps/rosebud/diagnosis.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "membership/test_cluster.h"

namespace rosebud::apps {
namespace {

/// What is found of node1, of which so many others noticed this.
std::vector<Finding> findings_of(std::string_view kind, std::size_t observers) {
  Looked looked{.configuration = membership::TestCluster().first(), .now = Timestamp(1000)};
  for (std::size_t i = 0; i < observers; ++i) {
    looked.nodes.push_back({{"name", "node" + std::to_string(2 + i)},
                            {"state", "serving"},
                            {"epoch", looked.configuration->number().epoch.value},
                            {"suspects", {{{"node", "node1"}, {"kind", kind}, {"count", 3}}}}});
  }
  std::vector<Finding> out = diagnose(looked);
  std::erase_if(out, [](const Finding& one) { return !one.what.contains("node1"); });
  return out;
}

TEST(Diagnosis, ProofOfMisbehaviourIsToldFromASuspicion) {
  for (const std::string kind : {"invalid_answer", "false_proof"}) {
    const auto found = findings_of(kind, 2);
    ASSERT_EQ(found.size(), 1U) << kind;
    EXPECT_EQ(found[0].code, "node-misbehaved");
    EXPECT_TRUE(found[0].what.contains("2 of the nodes have proof of node1")) << found[0].what;
    EXPECT_TRUE(found[0].what.contains(kind));
    EXPECT_TRUE(found[0].next.contains("rosebud member revoke node1")) << found[0].next;
  }
  for (const std::string kind : {"slow", "stale_record", "empty_listing", "no_proof", "new_kind"}) {
    const auto found = findings_of(kind, 2);
    ASSERT_EQ(found.size(), 1U) << kind;
    EXPECT_EQ(found[0].code, "node-suspected");
    EXPECT_TRUE(found[0].what.contains("proves nothing")) << found[0].what;
    EXPECT_TRUE(found[0].what.contains(kind));
    EXPECT_FALSE(found[0].next.contains("revoke")) << found[0].next;
  }
}

TEST(Diagnosis, EachSuspicionSaysWhereToLook) {
  EXPECT_TRUE(findings_of("slow", 1)[0].next.contains("network"));
  EXPECT_TRUE(findings_of("no_proof", 1)[0].next.contains("disk"));
  EXPECT_TRUE(findings_of("stale_record", 1)[0].next.contains("log"));
  EXPECT_TRUE(findings_of("empty_listing", 1)[0].next.contains("busy"));
}

}  // namespace
}  // namespace rosebud::apps
