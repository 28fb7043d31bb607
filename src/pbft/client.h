// The client side [CL99 §4.1]: sends a request, retries, and believes what F+1 replicas say alike.
//
// No I/O, clock, thread or exception. One request is under way at a time, others wait in order: the
// group remembers one number per client. Whoever wants more in flight takes more keys.
//
//   submit ─▶ all: which numbers? ──2F+1 say their floor and time──▶ (now and then)
//          ─▶ primary (session keys, or no link: all) ──reply_timeout──▶ all, again and again
//          ──F+1 equal replies──▶ Finish
//
// Numbers follow the group's time, not this machine's clock: it is asked for, and a steady clock
// adds to it for a while. So it does no harm when clients' clocks are wrong or set.
#pragma once

#include <deque>

#include "base/random.h"
#include "pbft/messages.h"
#include "pbft/session_keys.h"

namespace rosebud::pbft {

struct ClientSettings {
  /// Without F+1 replies after so long all replicas are asked [CL99 §4.1]; doubled each time, at
  /// most doublings_max times.
  Duration reply_timeout = std::chrono::milliseconds(500);
  unsigned doublings_max = 4;
  /// The group's time is asked for again when what is known of it is older: where all its clocks
  /// are set back, agreed time stands still. Well under number_ahead_max_ms.
  Duration reading_age_max = std::chrono::seconds(20);
  /// The group's setting. With session keys every request goes to all replicas at once, since they
  /// have to vouch for it.
  RequestAuthentication request_authentication = RequestAuthentication::kSignature;
};

/// Names one submission of one client.
using SubmissionId = Strong<struct SubmissionIdTag>;

struct SendRequest {
  ReplicaId to;
  Request request;
};
struct Finish {
  SubmissionId id;
  /// kExecuted: with the result. kNumberForgotten: the group has executed a greater number of this
  /// client (somebody else uses the key, or an earlier life's request came late) or has forgotten
  /// it; whether the request was executed before is unknown. kNumberAhead: not executed so far; it
  /// may be when its time has come, behind some that were submitted later. After either the group
  /// is asked for numbers again. kNotAClient: F+1 replicas say that the service does not hear this
  /// client, as far as they have got.
  Reply::Status status = Reply::Status::kExecuted;
  Buffer result;
};
using ClientEffect = std::variant<SendRequest, Finish>;
using ClientEffects = std::vector<ClientEffect>;

class Client {
 public:
  /// `scheme` must outlive it.
  Client(crypto::SecretKey key, std::shared_ptr<const Group> group,
         const crypto::SignatureScheme& scheme, Random random, ClientSettings settings = {});

  /// Requires: at most kOperationSizeMax bytes.
  SubmissionId submit(Instant now, Buffer operation, ClientEffects& out) noexcept;
  /// From a replica; the link proves which.
  void on_reply(Instant now, ReplicaId from, const Reply& reply, ClientEffects& out) noexcept;
  /// A hint: the connection to a replica broke, or is there again. Of the primary's without one
  /// nothing is expected: all are asked at once, for what is under way and for what comes next.
  void on_link(Instant now, ReplicaId peer, bool is_up, ClientEffects& out) noexcept;
  /// Nobody wants the outcome of what is under way any more; it may still be executed.
  void give_up(Instant now, ClientEffects& out) noexcept;
  void on_time(Instant now, ClientEffects& out) noexcept;
  Instant next_deadline() const;

  ReplicaId believed_primary() const { return group_->primary_of(view_); }
  bool is_idle() const { return !current_; }
  std::size_t waiting_count() const { return waiting_.size(); }

 private:
  struct Waiting {
    SubmissionId id;
    Buffer operation;
  };
  struct Current {
    Waiting what;              // its operation has moved into the request once it has a number
    Request request;           // number 0: the question for numbers
    crypto::Digest operation;  // of the request
    std::vector<std::optional<Reply>> replies;  // by replica: its last one
    Instant deadline;
    unsigned doublings = 0;
  };

  /// Of the group's time.
  struct Reading {
    Instant at;
    RequestNumber number;  // which number followed it then
  };

  void begin_next(Instant now, ClientEffects& out);
  void send_current(Instant now, ClientEffects& out);
  void ask_for_numbers(Instant now, ClientEffects& out);
  bool is_asking() const { return current_ && current_->request.number == kNumbersQuestion; }
  void set_request(Instant now, RequestNumber number, Buffer operation);
  void take_numbers(Instant now, ClientEffects& out);
  Request authenticate(RequestNumber number, Buffer operation) const;
  void send_to_all(ClientEffects& out) const;
  void learn_view(const std::vector<std::optional<Reply>>& replies);

  crypto::SecretKey key_;
  std::shared_ptr<const Group> group_;
  const crypto::SignatureScheme* scheme_;
  Random random_;
  ClientSettings settings_;
  std::optional<ClientSessions> sessions_;  // with session keys
  View view_;
  SubmissionId last_id_;
  RequestNumber last_number_;
  std::optional<Reading> reading_;  // nothing: to be asked for
  std::deque<Waiting> waiting_;
  std::optional<Current> current_;
  std::vector<bool> is_link_down_;  // by replica; nobody said so: it is there
};

}  // namespace rosebud::pbft
