// Manual pages, made of what the commands say of themselves: nothing is written twice.
#pragma once

#include <CLI/CLI.hpp>

namespace rosebud::apps {

struct ManualPage {
  std::string name;  // "rosebud-fs-create"
  std::string text;  // for man(1)
};

/// What stands on every page.
struct ManualCommons {
  std::string version;       // "rosebud 0.1.0"
  std::string usual_footer;  // of commands that have none of their own: it is left out
  std::vector<std::pair<int, std::string>> exit_codes;
};

/// Of the program and of every command below it, in the order in which they were added. Hidden
/// options and commands are left out.
std::vector<ManualPage> manual_pages(const CLI::App& program, const ManualCommons& commons);

/// For bash: commands, options and files.
std::string bash_completion(const CLI::App& program);

}  // namespace rosebud::apps
