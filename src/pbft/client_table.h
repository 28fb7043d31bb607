// Which requests were executed, so that none is executed twice [CL99 §4.1].
//
// Part of the replicated state: the same at all replicas after the same number. For each client it
// keeps the greatest executed number and its reply. It is bounded: beyond `clients_max` the client
// with the smallest number is forgotten, and from then on no client that is not in the table may
// use that number or a smaller one. Since numbers follow agreed time, whoever comes anew has a
// greater one; and nobody can push the floor far beyond it, since numbers more than
// number_ahead_max_ms ahead of it are refused. Who is refused learns the floor.
//
// A request is named by its client, its number and its operation. Suppose two lives of one client
// use one number for two things: the number alone would tell the one what became of the other.
//
// Differs from [CL99 §4.1], which remembers all clients for ever.
#pragma once

#include <set>

#include "base/keyed_hash.h"
#include "pbft/messages.h"

namespace rosebud::pbft {

class ClientTable {
 public:
  /// `secret` is known to no client.
  ClientTable(const GroupSettings& settings, std::uint64_t secret)
      : settings_(settings), secret_(secret), entries_(secret) {}

  struct Entry {
    RequestNumber number;
    crypto::Digest operation;  // operation_digest() of it
    Buffer result;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  enum class Verdict : std::uint8_t {
    kNew,        // execute it
    kLast,       // executed; the reply is kept
    kOld,        // a greater number of this client was executed, or another request with this one
    kForgotten,  // at or under the floor, or the question for numbers
    kAhead,      // too far ahead of `time`
  };
  Verdict judge(const Request& request, AgreedTime time) const;
  /// Until the table changes; nothing when it is not there.
  const Entry* find(const ClientId& client) const { return entries_.find(client); }

  /// Requires: judge() said kNew.
  void record(const Request& request, Buffer result);

  std::size_t size() const { return entries_.size(); }
  RequestNumber floor() const { return floor_; }
  /// Nothing up to this is executed for the client any more.
  RequestNumber floor_of(const ClientId& client) const;

  Bytes encode() const;
  /// False, and nothing changed, when the bytes are no table.
  bool restore(ByteView bytes);

 private:
  GroupSettings settings_;
  std::uint64_t secret_;
  RequestNumber floor_;
  KeyedTable<ClientId, Entry> entries_;
  std::set<std::pair<RequestNumber, ClientId>> by_number_;  // Invariant: the entries, once each.
};

}  // namespace rosebud::pbft
