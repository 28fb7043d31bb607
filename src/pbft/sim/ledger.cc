#include "pbft/sim/ledger.h"

#include "wire/cursor.h"

namespace rosebud::pbft::sim {
namespace {

Bytes encode(std::uint64_t count, const crypto::Digest& chain) {
  wire::Writer out;
  out.u64(count).raw(chain.view());
  return out.take();
}

}  // namespace

std::optional<LedgerResult> LedgerResult::decode(ByteView bytes) {
  wire::Reader in(bytes);
  LedgerResult out{.index = in.u64(), .chain = in.fixed<crypto::Digest>()};
  if (!in.done()) return std::nullopt;
  return out;
}

StateMachine::Outcome Ledger::execute(AgreedTime time, const ClientId& client, ByteView operation) {
  ++count_;
  chain_ = crypto::Hasher("ledger")
               .update(chain_.view())
               .update_u64(time.value)
               .update(client.view())
               .update(operation)
               .finish();
  ballast_[count_ % kPieces] = chain_;
  if (watcher_) {
    watcher_({.index = count_, .time = time, .client = client, .operation = to_bytes(operation)});
  }
  return {.result = encode(count_, chain_), .is_stop = !operation.empty() && operation[0] == kStop};
}

std::vector<Buffer> Ledger::snapshot() const {
  std::vector<Buffer> out{Buffer(encode(count_, chain_))};
  for (const crypto::Digest& one : ballast_) out.push_back(Buffer::copy_of(one.view()));
  return out;
}

bool Ledger::restore(const std::vector<Buffer>& pieces) {
  if (pieces.size() != 1 + kPieces) return false;
  const auto head = LedgerResult::decode(pieces[0].view());
  if (!head) return false;
  std::array<crypto::Digest, kPieces> ballast;
  for (std::size_t i = 0; i < kPieces; ++i) {
    const auto one = crypto::Digest::from(pieces[1 + i].view());
    if (!one) return false;
    ballast[i] = *one;
  }
  count_ = head->index;
  chain_ = head->chain;
  ballast_ = ballast;
  return true;
}

}  // namespace rosebud::pbft::sim
