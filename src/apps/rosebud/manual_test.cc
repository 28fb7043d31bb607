#include "apps/rosebud/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ranges>

namespace rosebud::apps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kUsual = "Every command takes --json.\n";

/// git-like: two levels, one of everything.
class Manual : public testing::Test {
 public:
  Manual() {
    app.footer(kUsual);
    app.add_flag("--json", is_json, "Print JSON");
    CLI::App* fs = app.add_subcommand("fs", "Volumes");
    CLI::App* copy = fs->add_subcommand("cp", "Copy a file");
    copy->add_option("FROM", from, ".hidden files too, and C:\\paths")->required();
    copy->add_option("--retry,-r", retries, "How often")->type_name("N")->default_str("3");
    copy->add_flag("--secret", is_secret, "not for people")->group("");
    CLI::App* list = fs->add_subcommand("ls", "List");
    list->footer("Example:\n.dots\n");
    app.add_subcommand("internal", "not for people")->group("");
  }

  std::string page(const std::string& name) const {
    for (const ManualPage& one : pages()) {
      if (one.name == name) return one.text;
    }
    return {};
  }
  std::vector<ManualPage> pages() const {
    return manual_pages(app, {.version = "tool 1",
                              .usual_footer = kUsual,
                              .exit_codes = {{0, "done"}, {4, "conflict"}}});
  }

  CLI::App app{"Does things", "tool"};
  std::string from;
  int retries = 3;
  bool is_json = false;
  bool is_secret = false;
};

TEST_F(Manual, EveryShownCommandHasAPage) {
  std::vector<std::string> names;
  for (const ManualPage& one : pages()) names.push_back(one.name);
  EXPECT_THAT(names, ElementsAre("tool", "tool-fs", "tool-fs-cp", "tool-fs-ls"));
  EXPECT_THAT(page("tool-fs"), HasSubstr("\\fBtool\\-fs\\-cp\\fR(1)\nCopy a file\n"));
}

TEST_F(Manual, APageSaysHowACommandIsCalledAndWhatItsOptionsMean) {
  const std::string text = page("tool-fs-cp");
  EXPECT_THAT(text, HasSubstr(".TH \"TOOL-FS-CP\" \"1\" \"\" \"tool 1\""));
  EXPECT_THAT(text, HasSubstr(".SH SYNOPSIS\n\\fBtool fs cp\\fR [\\fIOPTIONS\\fR] FROM\n"));
  EXPECT_THAT(text, HasSubstr("\\fB\\-r, \\-\\-retry\\fR \\fIN\\fR\nHow often (default: 3)\n"));
  EXPECT_THAT(text, HasSubstr("\\-\\-json"));
  EXPECT_THAT(text, HasSubstr("\\fB4\\fR\nconflict\n"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, Not(HasSubstr("Every command takes")));
}

TEST_F(Manual, NoTextIsTakenForARequest) {
  EXPECT_THAT(page("tool-fs-cp"), HasSubstr("\n\\&.hidden files too, and C:\\epaths\n"));
  EXPECT_THAT(page("tool-fs-ls"), HasSubstr(".nf\nExample:\n\\&.dots\n.fi\n"));
}

TEST_F(Manual, BashIsToldWhatMayFollowEachCommand) {
  const std::string text = bash_completion(app);
  EXPECT_THAT(text, HasSubstr("'tool fs') words='--help --json cp ls' ;;"));
  EXPECT_THAT(text, HasSubstr("'tool fs cp') words='--help --json --retry' ;;"));
  EXPECT_THAT(text, Not(HasSubstr("internal")));
}

}  // namespace
}  // namespace rosebud::apps
