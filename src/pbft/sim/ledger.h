// The state machine of the simulator: it numbers what it executes, and says so to whoever looks on.
//
// Its state is the number of executions, a hash over all of them in order, and some pieces of
// ballast of which each execution changes one, so that state transfer has something to do.
#pragma once

#include <array>
#include <functional>

#include "pbft/state_machine.h"

namespace rosebud::pbft::sim {

/// What one execution was.
struct Execution {
  std::uint64_t index = 0;  // from 1
  AgreedTime time;
  ClientId client;
  Bytes operation;
  friend bool operator==(const Execution&, const Execution&) = default;
};

class Ledger final : public StateMachine {
 public:
  /// An operation that begins with this byte ends the group.
  static constexpr std::uint8_t kStop = 0xff;

  using Watcher = std::function<void(const Execution&)>;
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  /// From now on it hears nobody else.
  void hear_only(const ClientId& client) { only_client_ = client; }

  bool is_client(const ClientId& client) const override {
    return !only_client_ || *only_client_ == client;
  }
  Outcome execute(AgreedTime time, const ClientId& client, ByteView operation) override;
  std::vector<Buffer> snapshot() const override;
  bool restore(const std::vector<Buffer>& pieces) override;

  std::uint64_t executions() const { return count_; }
  const crypto::Digest& chain() const { return chain_; }

 private:
  static constexpr std::size_t kPieces = 8;
  std::uint64_t count_ = 0;
  crypto::Digest chain_;
  std::array<crypto::Digest, kPieces> ballast_;
  Watcher watcher_;
  std::optional<ClientId> only_client_;
};

/// What the ledger answers: the index, then the chain.
struct LedgerResult {
  std::uint64_t index = 0;
  crypto::Digest chain;
  static std::optional<LedgerResult> decode(ByteView bytes);
  friend bool operator==(const LedgerResult&, const LedgerResult&) = default;
};

}  // namespace rosebud::pbft::sim
