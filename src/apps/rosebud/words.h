// What commands say in the same words: lists of names, and times. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace rosebud::apps {

/// "alpha, beta"; `if_none` where there are no names.
template <typename Names>
std::string joined(const Names& names, std::string_view if_none = {}) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? std::string(if_none) : out;
}

/// RFC 3339 in UTC; "@" and seconds since 1970 where the year has not four digits, since others
/// chose the number.
std::string time_text(std::int64_t seconds, std::uint32_t nanoseconds = 0);
std::string time_text(Timestamp time);
/// Of an epoch: 0 is "none".
std::string end_text(Timestamp end);

}  // namespace rosebud::apps
