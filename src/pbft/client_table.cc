#include "pbft/client_table.h"

#include <algorithm>

namespace rosebud::pbft {

ClientTable::Verdict ClientTable::judge(const Request& request, AgreedTime time) const {
  if (request.number == kNumbersQuestion) return Verdict::kForgotten;
  if (const Entry* entry = find(request.client)) {
    if (is_planted(Bug::kDuplicateExecuted)) return Verdict::kNew;
    if (request.number < entry->number) return Verdict::kOld;
    if (request.number == entry->number) {
      const bool is_it = entry->operation == operation_digest(request.operation.view());
      return is_it ? Verdict::kLast : Verdict::kOld;
    }
  } else if (request.number <= floor_) {
    return Verdict::kForgotten;
  }
  const std::uint64_t number_ms = request.number.value / 1000;
  if (number_ms > time.value + settings_.number_ahead_max_ms) return Verdict::kAhead;
  return Verdict::kNew;
}

RequestNumber ClientTable::floor_of(const ClientId& client) const {
  const Entry* entry = find(client);
  return entry ? entry->number : floor_;
}

void ClientTable::record(const Request& request, Buffer result) {
  Entry& entry = entries_[request.client];
  by_number_.erase({entry.number, request.client});
  entry = {request.number, operation_digest(request.operation.view()), std::move(result)};
  by_number_.emplace_hint(by_number_.end(), request.number, request.client);  // mostly the greatest
  if (entries_.size() <= settings_.clients_max) return;
  const auto oldest = by_number_.begin();
  floor_ = std::max(floor_, oldest->first);
  entries_.erase(oldest->second);
  by_number_.erase(oldest);
}

Bytes ClientTable::encode() const {
  wire::Writer out;
  out.u64(floor_.value).u32(static_cast<std::uint32_t>(entries_.size()));
  if (is_planted(Bug::kClientTableNotTransferred)) return out.take();
  std::vector<ClientId> clients;
  for (const auto& [number, client] : by_number_) clients.push_back(client);
  std::ranges::sort(clients);
  for (const ClientId& client : clients) {
    const Entry& entry = *entries_.find(client);
    out.raw(client.view())
        .u64(entry.number.value)
        .raw(entry.operation.view())
        .bytes32(entry.result.view());
  }
  return out.take();
}

bool ClientTable::restore(ByteView bytes) {
  wire::Reader in(bytes);
  ClientTable read(settings_, secret_);
  read.floor_ = RequestNumber(in.u64());
  std::size_t count = in.u32();
  if (is_planted(Bug::kClientTableNotTransferred)) count = 0;
  if (count > settings_.clients_max) return false;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const auto client = in.fixed<ClientId>();
    const RequestNumber number(in.u64());
    const auto operation = in.fixed<crypto::Digest>();
    Buffer result = Buffer::copy_of(in.bytes32(kResultSizeMax));
    read.by_number_.insert({number, client});
    read.entries_[client] = {number, operation, std::move(result)};
  }
  if (!in.done() || read.entries_.size() != count) return false;
  *this = std::move(read);
  return true;
}

}  // namespace rosebud::pbft
