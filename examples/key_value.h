// A key-value store as a replicated state machine: all that a service must write.
#pragma once

#include <charconv>
#include <map>
#include <sstream>

#include "pbft/state_machine.h"

class KeyValue final : public rosebud::pbft::StateMachine {
 public:
  /// "set KEY VALUE" answers the old value, "get KEY" the present one, "add KEY NUMBER" the sum;
  /// "full" when there is no room for a new key.
  Outcome execute(rosebud::pbft::AgreedTime, const rosebud::pbft::ClientId&,
                  rosebud::ByteView operation) override {
    std::istringstream words{std::string(rosebud::as_text(operation))};
    std::string verb, key, value;
    words >> verb >> key >> value;
    const auto at = values_.find(key);
    std::string answer = at == values_.end() ? "" : at->second;
    const bool is_full = at == values_.end() && values_.size() == kKeysMax;
    if (verb != "get" && is_full) return {.result = rosebud::to_bytes(rosebud::as_bytes("full"))};
    if (verb == "set") values_[key] = value;
    if (verb == "add") answer = values_[key] = std::to_string(number(answer) + number(value));
    return {.result = rosebud::to_bytes(rosebud::as_bytes(answer))};
  }

  std::vector<rosebud::Buffer> snapshot() const override {
    std::vector<rosebud::Buffer> out;
    for (const auto& [key, value] : values_)
      out.push_back(rosebud::Buffer::copy_of(rosebud::as_bytes(key + " " + value)));
    return out;
  }

  bool restore(const std::vector<rosebud::Buffer>& pieces) override {
    values_.clear();
    for (const rosebud::Buffer& piece : pieces) {
      const std::string line(rosebud::as_text(piece.view()));
      values_[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
    }
    return true;
  }

 private:
  static std::uint64_t number(const std::string& text) {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
  }

  // A snapshot has a piece for each; of so many (kChunksMax) the client table needs some too.
  static constexpr std::size_t kKeysMax = 10'000;
  std::map<std::string, std::string> values_;
};
