// Evidence on a disk: there again after a start, one for each member and epoch, and bounded.
#include "runtime/evidence_files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace rosebud::runtime {
namespace {

namespace fs = std::filesystem;

service::MemberEvidence against(std::uint16_t node, std::uint64_t epoch, std::uint16_t seat) {
  service::MemberEvidence out{.number = {wire::Generation(0), wire::Epoch(epoch)},
                              .name = "node" + std::to_string(node),
                              .organisation = "org"};
  out.node.bytes[0] = static_cast<std::uint8_t>(node >> 8);
  out.node.bytes[1] = static_cast<std::uint8_t>(node);
  out.votes.first.replica = pbft::ReplicaId(seat);
  out.votes.second.replica = pbft::ReplicaId(seat);
  return out;
}

class EvidenceFilesTest : public testing::Test {
 private:
  TemporaryFolder own_;

 protected:
  const fs::path folder = own_.path() / "evidence";
};

TEST_F(EvidenceFilesTest, WhatIsKeptIsThereAfterAStart) {
  EvidenceFiles files(folder);
  EXPECT_TRUE(files.kept().empty());
  ASSERT_TRUE(files.keep(against(1, 10, 3)));
  ASSERT_TRUE(files.keep(against(2, 9, 0)));
  const EvidenceFiles again(folder);
  ASSERT_EQ(again.kept().size(), 2U);
  EXPECT_EQ(again.kept()[0].evidence, against(2, 9, 0));  // the oldest first
  EXPECT_EQ(again.kept()[1].evidence, against(1, 10, 3));
  EXPECT_EQ(again.kept()[1].file, folder / "0-10-seat-3.txt");
  const auto read = read_member_evidence(folder / "0-10-seat-3.txt");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, against(1, 10, 3));
}

TEST_F(EvidenceFilesTest, TheFirstOfAMemberAndEpochStays) {
  EvidenceFiles files(folder);
  ASSERT_TRUE(files.keep(against(1, 10, 3)));
  auto second = against(1, 10, 3);
  second.votes.first.number = pbft::SequenceNumber(5);
  EXPECT_FALSE(files.is_wanted(second));
  ASSERT_TRUE(files.keep(second));
  EXPECT_EQ(*read_member_evidence(folder / "0-10-seat-3.txt"), against(1, 10, 3));
}

TEST_F(EvidenceFilesTest, ALiarNeitherFillsTheDiskNorHidesOthers) {
  EvidenceFiles files(folder);
  for (std::uint64_t epoch = 1; epoch <= 100; ++epoch)
    ASSERT_TRUE(files.keep(against(1, epoch, 0)));
  EXPECT_EQ(files.kept().size(), EvidenceFiles::kFilesOfOneMax);
  ASSERT_TRUE(files.keep(against(2, 7, 1)));
  EXPECT_EQ(files.kept().size(), EvidenceFiles::kFilesOfOneMax + 1);
}

TEST_F(EvidenceFilesTest, ThereIsAnEndToAllFiles) {
  EvidenceFiles files(folder);
  fs::create_directories(folder);
  for (std::uint16_t node = 0; node < EvidenceFiles::kFilesMax + 5; ++node) {
    const auto one = against(node, node + 1U, 0);
    // Not synced one by one: this is about the count.
    std::ofstream(files.path_of(one)) << kind_file_text(kMemberEvidenceKind, one.encode());
  }
  EvidenceFiles full(folder);
  EXPECT_EQ(full.kept().size(), EvidenceFiles::kFilesMax);
  EXPECT_FALSE(full.is_wanted(against(60'000, 60'000, 0)));
}

TEST_F(EvidenceFilesTest, WhatIsNoneIsPassedOver) {
  EvidenceFiles files(folder);
  ASSERT_TRUE(files.keep(against(1, 10, 3)));
  ASSERT_TRUE(replace_file(folder / "0-11-seat-3.txt", "rosebud-member-evidence-1 00\n"));
  ASSERT_TRUE(replace_file(folder / "notes.txt", "mine\n"));
  fs::copy_file(folder / "0-10-seat-3.txt", folder / "copy.txt");
  fs::create_directory(folder / "0-12-seat-0.txt");
  EXPECT_EQ(EvidenceFiles(folder).kept().size(), 1U);
}

TEST_F(EvidenceFilesTest, AFolderThatCannotBeMade_IsAFailure) {
  ASSERT_TRUE(replace_file(folder, "in the way\n"));
  EvidenceFiles files(folder);
  EXPECT_FALSE(files.keep(against(1, 10, 3)));
  EXPECT_TRUE(files.kept().empty());
}

}  // namespace
}  // namespace rosebud::runtime
