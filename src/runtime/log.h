// Structured log lines: JSON on standard error, one object a line, fields as given. Level info and
// above by default; ROSEBUD_LOG=debug|info|warn|error changes it. No secrets; a peer cannot trigger
// an unlimited number of lines.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace rosebud::runtime {

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

void log_info(std::string_view message, LogFields fields);
void log_error(std::string_view message, LogFields fields);

}  // namespace rosebud::runtime
