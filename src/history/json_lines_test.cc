#include "history/json_lines.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/temporary_folder.h"

namespace rosebud::history {
namespace {

TEST(JsonLines, WhatWasRecorded_IsReadBack) {
  const TemporaryFolder folder;
  {
    const auto writer = Recorder::open(folder.path() / "w.jsonl", "writer").value();
    const auto reader = Recorder::open(folder.path() / "r.jsonl", "reader").value();
    const auto write = writer->begin(Action::kWrite, "record:1", {5, "abcd"});
    const auto read = reader->begin(Action::kRead, "record:1");
    reader->end(read, Action::kRead, Outcome::kNotFound);
    writer->end(write, Action::kWrite, Outcome::kConflict, {6, "ef"});
    writer->begin(Action::kWrite, "block:2", {1, "00"});
    EXPECT_EQ(writer->counts().at({Action::kWrite, Outcome::kConflict}), 1U);
  }
  const auto history = read_history(folder.path());
  ASSERT_TRUE(history.has_value());
  ASSERT_EQ(history->size(), 3U);
  const Operation& write = (*history)[0];
  EXPECT_EQ(write.client, "writer");
  EXPECT_EQ(write.object, "record:1");
  EXPECT_EQ(write.written, (Point{5, "abcd"}));
  EXPECT_EQ(write.outcome, Outcome::kConflict);
  EXPECT_EQ(write.returned, (Point{6, "ef"}));
  EXPECT_EQ((*history)[1].outcome, Outcome::kNotFound);
  EXPECT_LT(write.invoked, (*history)[1].invoked);
  EXPECT_LT((*history)[1].completed, write.completed);
  EXPECT_EQ((*history)[2].outcome, Outcome::kPending);
  EXPECT_FALSE((*history)[2].completed.has_value());
}

TEST(JsonLines, LastLineCutOff_IsLeftOut) {
  const TemporaryFolder folder;
  {
    const auto recorder = Recorder::open(folder.path() / "a.jsonl", "a").value();
    recorder->begin(Action::kRead, "block:1");
  }
  std::ofstream(folder.path() / "a.jsonl", std::ios::app) << R"({"at":12,"cli)";
  const auto history = read_history(folder.path());
  ASSERT_TRUE(history.has_value());
  EXPECT_EQ(history->size(), 1U);
}

TEST(JsonLines, WrongLines_AreNamed) {
  for (const char* line :
       {"nonsense", R"({"at":1,"client":"a","call":1,"outcome":"ok"})",
        R"({"at":1,"client":"a","call":1,"action":"write","object":"x","version":-1,"value":"y"})",
        R"({"at":1,"client":"a","call":1,"action":"jump","object":"x"})",
        R"({"at":9,"client":"a","call":1,"action":"read","object":"x"}
{"at":8,"client":"a","call":1,"outcome":"ok"})"}) {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "a.jsonl") << line << "\n";
    const auto history = read_history(folder.path());
    ASSERT_FALSE(history.has_value()) << line;
    EXPECT_THAT(history.error().what, testing::HasSubstr("a.jsonl line ")) << line;
  }
}

TEST(JsonLines, FolderThatIsNotThere_IsAnError) {
  EXPECT_FALSE(read_history("/no/such/folder").has_value());
}

}  // namespace
}  // namespace rosebud::history
