#include "objects/interval_epochs.h"

#include <algorithm>

#include "routing/ring.h"
#include "wire/cursor.h"

namespace rosebud::objects {

IntervalEpochs::IntervalEpochs() : begins_{{crypto::Digest{}, wire::Epoch(0)}} {}

void IntervalEpochs::cut(const crypto::Digest& key) {
  const auto after = begins_.upper_bound(key);
  begins_.emplace(key, std::prev(after)->second);
}

void IntervalEpochs::raise(const wire::KeyRange& range, wire::Epoch epoch) {
  cut(range.first);
  if (range.last != wire::whole_key_range().last) cut(routing::key_after(range.last));
  for (auto at = begins_.find(range.first); at != begins_.end() && at->first <= range.last; ++at) {
    at->second = std::max(at->second, epoch);
  }
  join();
}

void IntervalEpochs::cap(wire::Epoch epoch) {
  for (auto& [first, known] : begins_) known = std::min(known, epoch);
  join();
}

void IntervalEpochs::join() {
  for (auto at = std::next(begins_.begin()); at != begins_.end();) {
    at = at->second == std::prev(at)->second ? begins_.erase(at) : std::next(at);
  }
}

wire::Epoch IntervalEpochs::lowest(const wire::KeyRange& range) const {
  auto at = std::prev(begins_.upper_bound(range.first));
  wire::Epoch out = at->second;
  for (; at != begins_.end() && at->first <= range.last; ++at) out = std::min(out, at->second);
  return out;
}

wire::Epoch IntervalEpochs::highest(const wire::KeyRange& range) const {
  auto at = std::prev(begins_.upper_bound(range.first));
  wire::Epoch out = at->second;
  for (; at != begins_.end() && at->first <= range.last; ++at) out = std::max(out, at->second);
  return out;
}

Bytes IntervalEpochs::encode() const {
  wire::Writer out;
  for (const auto& [first, epoch] : begins_) out.raw(first.view()).u64(epoch.value);
  return out.take();
}

std::optional<IntervalEpochs> IntervalEpochs::decode(ByteView bytes) {
  wire::Reader in(bytes);
  IntervalEpochs out;
  out.begins_.clear();
  while (in.ok() && in.left() > 0) {
    const auto first = in.fixed<crypto::Digest>();
    const wire::Epoch epoch(in.u64());
    const bool is_ascending =
        out.begins_.empty() ? first == crypto::Digest{} : out.begins_.rbegin()->first < first;
    if (!is_ascending) return std::nullopt;
    out.begins_.emplace(first, epoch);
  }
  if (!in.done() || out.begins_.empty()) return std::nullopt;
  return out;
}

}  // namespace rosebud::objects
