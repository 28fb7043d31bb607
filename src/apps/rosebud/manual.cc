#include "apps/rosebud/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace rosebud::apps {
namespace {

bool is_shown(const CLI::App& command) { return !command.get_group().empty(); }
bool is_shown(const CLI::Option& option) { return !option.get_group().empty(); }

std::vector<const CLI::App*> shown_commands(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* one) { return is_shown(*one); });
}

std::vector<const CLI::Option*> shown_options(const CLI::App& command) {
  return command.get_options([](const CLI::Option* one) { return is_shown(*one); });
}

/// "rosebud fs create", or with another character between.
std::string name_of(const CLI::App& command, char between) {
  const CLI::App* parent = command.get_parent();
  return parent ? name_of(*parent, between) + between + command.get_name() : command.get_name();
}

/// As text that means nothing else to man(1).
std::string plain(std::string_view text) {
  std::string out;
  bool is_line_begin = true;
  for (const char c : text) {
    if (is_line_begin && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    is_line_begin = c == '\n';
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + plain(text) + "\\fR"; }

void add_section(std::string& page, std::string_view title) {
  page += fmt::format(".SH {}\n", title);
}

/// As it stands, line by line.
void add_lines(std::string& page, std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  page += ".nf\n" + plain(text) + "\n.fi\n";
}

/// "-q, --quiet", "--timeout TIME", "FILE...".
std::string usage_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  if (names.empty()) {
    const bool is_list = option.get_expected_max() > 1;
    return bold(option.get_name()) + (is_list ? "..." : "");
  }
  std::string out = bold(fmt::format("{}", fmt::join(names, ", ")));
  const bool takes_value = option.get_type_size_max() > 0;
  if (takes_value && !option.get_type_name().empty())
    out += " \\fI" + plain(option.get_type_name()) + "\\fR";
  return out;
}

void add_option(std::string& page, const CLI::Option& option) {
  page += ".TP\n" + usage_of(option) + "\n" + plain(option.get_description());
  if (!option.get_default_str().empty())
    page += plain(fmt::format(" (default: {})", option.get_default_str()));
  if (option.get_required() && !option.get_positional()) page += " (required)";
  page += "\n";
}

std::string synopsis_of(const CLI::App& command) {
  std::string out = bold(name_of(command, ' '));
  if (!shown_commands(command).empty()) return out + " \\fICOMMAND\\fR";
  if (std::ranges::any_of(shown_options(command), &CLI::Option::nonpositional))
    out += " [\\fIOPTIONS\\fR]";
  for (const CLI::Option* option : shown_options(command)) {
    if (!option->get_positional()) continue;
    std::string one = plain(option->get_name());
    if (option->get_expected_max() > 1) one += "...";
    out += option->get_required() ? " " + one : " [" + one + "]";
  }
  return out;
}

std::string page_of(const CLI::App& command, const ManualCommons& commons) {
  const std::string name = name_of(command, '-');
  std::string title = name;
  std::ranges::transform(title, title.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  std::string out =
      fmt::format(".TH \"{}\" \"1\" \"\" \"{}\" \"Rosebud\"\n", title, commons.version);
  // What is found by words in it is one line; what may follow is the description.
  const std::string description = command.get_description();
  const std::string first = description.substr(0, description.find('\n'));
  add_section(out, "NAME");
  out += plain(name) + " \\- " + plain(first) + "\n";
  add_section(out, "SYNOPSIS");
  out += synopsis_of(command) + "\n";
  add_section(out, "DESCRIPTION");
  out += plain(description) + "\n";
  const std::string footer = command.get_footer();
  if (!footer.empty() && footer != commons.usual_footer) {
    out += ".PP\n";
    add_lines(out, footer);
  }
  if (const auto below = shown_commands(command); !below.empty()) {
    add_section(out, "COMMANDS");
    for (const CLI::App* one : below) {
      out += ".TP\n" + bold(name_of(*one, '-')) + "(1)\n" + plain(one->get_description()) + "\n";
    }
  }
  if (const auto options = shown_options(command); !options.empty()) {
    add_section(out, "OPTIONS");
    for (const CLI::Option* one : options) add_option(out, *one);
  }
  const CLI::App* program = &command;
  while (program->get_parent()) program = program->get_parent();
  if (program != &command) {
    add_section(out, "OPTIONS OF EVERY COMMAND");
    for (const CLI::Option* one : shown_options(*program)) {
      if (!one->check_lname("help") && !one->check_lname("version")) add_option(out, *one);
    }
  }
  add_section(out, "EXIT STATUS");
  for (const auto& [code, meaning] : commons.exit_codes)
    out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", code, plain(meaning));
  if (const CLI::App* parent = command.get_parent()) {
    add_section(out, "SEE ALSO");
    out += bold(name_of(*parent, '-')) + "(1)\n";
  }
  return out;
}

void add_pages(std::vector<ManualPage>& out, const CLI::App& command,
               const ManualCommons& commons) {
  out.push_back({.name = name_of(command, '-'), .text = page_of(command, commons)});
  for (const CLI::App* one : shown_commands(command)) add_pages(out, *one, commons);
}

/// One line for each command: its words, what may follow it.
void add_completions(std::string& out, const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::App* one : shown_commands(command)) words.push_back(one->get_name());
  for (const CLI::App* at = &command; at; at = at->get_parent()) {
    for (const CLI::Option* option : shown_options(*at)) {
      for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    }
  }
  std::ranges::sort(words);
  const auto repeated = std::ranges::unique(words);
  words.erase(repeated.begin(), repeated.end());
  out += fmt::format("    '{}') words='{}' ;;\n", name_of(command, ' '), fmt::join(words, " "));
  for (const CLI::App* one : shown_commands(command)) add_completions(out, *one);
}

}  // namespace

std::vector<ManualPage> manual_pages(const CLI::App& program, const ManualCommons& commons) {
  std::vector<ManualPage> out;
  add_pages(out, program, commons);
  return out;
}

std::string bash_completion(const CLI::App& program) {
  const std::string name = program.get_name();
  std::string out = fmt::format(
      "# bash completion for {0}\n"
      "_{0}() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} command={0} words word next\n"
      "  _{0}_words \"$command\"\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    next=\"$command $word\"\n"
      "    if _{0}_words \"$next\"; then command=$next; fi\n"
      "  done\n"
      "  _{0}_words \"$command\"\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}}\n"
      "# Sets words to what may follow a command; false where there is no such command.\n"
      "_{0}_words() {{\n"
      "  case $1 in\n",
      name);
  add_completions(out, program);
  out += fmt::format(
      "    *) return 1 ;;\n"
      "  esac\n"
      "}}\n"
      "complete -o default -F _{0} {0}\n",
      name);
  return out;
}

}  // namespace rosebud::apps
