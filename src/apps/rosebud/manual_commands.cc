// manual, completion: for whoever installs.
#include "apps/rosebud/manual_commands.h"

#include <cstdio>
#include <filesystem>

#include "base/files.h"

namespace rosebud::apps {
namespace {

/// Its folder is made.
void write(const std::filesystem::path& path, const std::string& text) {
  or_stop(make_folder(path.parent_path()));
  or_stop(replace_file(path, text));
}

}  // namespace

void add_manual_commands(CLI::App& app, ManualCommons commons) {
  auto folder = std::make_shared<std::string>();
  CLI::App* manual = app.add_subcommand(
      "manual", "Write what an installation needs: a manual page of each command, completion");
  manual->group("");
  manual->add_option("SHARE", *folder, "Where man/ and bash-completion/ stand")->required();
  manual->callback([&app, commons = std::move(commons), folder] {
    const std::filesystem::path share = *folder;
    for (const ManualPage& page : manual_pages(app, commons))
      write(share / "man" / "man1" / (page.name + ".1"), page.text);
    write(share / "bash-completion" / "completions" / app.get_name(), bash_completion(app));
  });

  CLI::App* completion =
      app.add_subcommand("completion", "Print what bash needs to complete commands and options");
  completion->footer("  eval \"$(rosebud completion)\"    in this shell\n");
  completion->callback([&app] { std::fputs(bash_completion(app).c_str(), stdout); });
}

}  // namespace rosebud::apps
