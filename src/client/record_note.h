// What an owner keeps of the record that it sent last, so that after a crash it sends exactly that
// again (design 6).
//
// One line of hexadecimal digits: done (1: 0 or 1), the signed statement (2 + n, 64), the value
// (4 + n).
#pragma once

#include "wire/object.h"

namespace rosebud::client {

struct RecordNote {
  wire::SignedRecord record;
  bool is_done = false;  // 2f+1 replicas hold it

  std::string encode() const;
  /// Nothing for bytes that encode() never makes, or whose value is not the statement's: whoever
  /// sent that would be refused by everybody.
  static std::optional<RecordNote> decode(std::string_view text);
};

}  // namespace rosebud::client
