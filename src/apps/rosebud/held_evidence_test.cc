#include "apps/rosebud/held_evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rosebud::apps {
namespace {

using nlohmann::json;

json found(const std::string& node, const std::string& how) {
  return json::object({{"node", node}, {"how", how}});
}
/// What a node says of itself.
json said(const std::string& node, const std::string& how) {
  return json::object({{"wanting", json::array({found(node, how)})}});
}

TEST(HeldEvidence, WhoIsWanting_IsNamedOnce) {
  const json nodes = json::array({said("beta-1", "withholding"), said("beta-1", "withholding"),
                                  said("alpha-2", "convicted"), json::object()});
  EXPECT_EQ(json_of(wanting_in(nodes)),
            json::array({found("alpha-2", "convicted"), found("beta-1", "withholding")}));
}

// Members are not all as far at the same moment: who was found withholding is convicted later.
TEST(HeldEvidence, AConvictionCountsMore_WhoeverIsAskedFirst) {
  const json earlier = said("beta-1", "withholding");
  const json later = said("beta-1", "convicted");
  for (const json& nodes : {json::array({earlier, later}), json::array({later, earlier})})
    EXPECT_EQ(json_of(wanting_in(nodes)), json::array({found("beta-1", "convicted")}));
}

TEST(HeldEvidence, NobodyIsWanting) {
  EXPECT_EQ(json_of(wanting_in(json::array())), json::array());
}

}  // namespace
}  // namespace rosebud::apps
