// rosebud.toml, as people write it.
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "client/session.h"

namespace rosebud::client {
namespace {

class ClusterFileTest : public testing::Test {
 protected:
  Result<ClusterFile, Explained> read(std::string_view text) const {
    const auto file = temporary.path() / "rosebud.toml";
    EXPECT_TRUE(replace_file(file, text));
    return read_cluster_file(file);
  }
  static constexpr std::string_view kWhole =
      "genesis = 'g'\nkey = '/k'\nadmission = 'a'\nstate = 's'\n";
  TemporaryFolder temporary;
};

TEST_F(ClusterFileTest, PathsAreBesideTheFileUnlessTheyAreWhole) {
  const auto cluster = read(kWhole);
  ASSERT_TRUE(cluster.has_value());
  EXPECT_EQ(cluster->genesis, temporary.path() / "g");
  EXPECT_EQ(cluster->key, "/k");
  EXPECT_TRUE(cluster->development.empty());
}

// The library that reads TOML ended the process at the first of these, and held the last three for
// impossible.
TEST_F(ClusterFileTest, Nonsense_IsAnErrorWithItsLine) {
  for (const char* nonsense : {"[:]", "[[=]]", "[\x01", "a = [", "a.b.", "'''", "a = '", "= 1",
                               "\xff\xfe", "\u00fc = 'a'", "\u03de", "a = 1 \u00e9"}) {
    const auto refused = read(std::string(kWhole) + nonsense);
    ASSERT_FALSE(refused.has_value()) << nonsense;
    EXPECT_NE(refused.error().what.find("rosebud.toml line "), std::string::npos)
        << refused.error().what;
  }
}

TEST_F(ClusterFileTest, MissingUnknownAndWrongKeys_AreNamed) {
  EXPECT_NE(read("genesis = 'g'").error().what.find("is missing"), std::string::npos);
  EXPECT_NE(read(std::string(kWhole) + "kye = 'k'").error().what.find("unknown key 'kye'"),
            std::string::npos);
  EXPECT_NE(read(std::string(kWhole) + "cluster = 'ab'").error().what.find("64 hexadecimal"),
            std::string::npos);
  EXPECT_NE(read("genesis = 1").error().what.find("must be text"), std::string::npos);
}

}  // namespace
}  // namespace rosebud::client
