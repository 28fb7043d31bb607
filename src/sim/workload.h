// What clients do in a run: operations of those that keep to the rules, and of one that does not.
#pragma once

#include <deque>

#include "sim/checkers.h"

namespace rosebud::sim {

class Workload {
 public:
  /// Clients 0 .. `honest` - 1 keep to the rules; client `honest` does not, and the one behind it
  /// wants more than its quota.
  Workload(World& world, Checkers& checkers, Random random, std::size_t honest, Duration pause_max);

  void start();
  /// No operation begins any more.
  void stop() { is_stopping_ = true; }
  bool is_idle() const { return under_way_ == 0; }

  std::uint64_t operations() const { return operations_; }
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t over_quota() const { return over_quota_; }

  // ---- After healing: `left` counts down; anything but success is a violation ----
  void read_everything(std::size_t& left);
  void write_records(std::size_t& left);
  void read_records(std::size_t& left);

 private:
  using Done = World::Done;
  struct Writer {
    wire::ObjectId id;
    std::uint64_t next_version = 1;
    std::optional<wire::SignedRecord> unconfirmed;  // must be sent again before anything newer
    std::optional<wire::SignedRecord> last;
    std::deque<wire::SignedRecord> earlier;  // acknowledged ones
  };

  void next_operation(std::size_t client);
  void write_block(std::size_t client, Done then);
  void hold_block(std::size_t client, Done then);
  void put_block(std::size_t client, const Buffer& bytes, Done then);
  void read_block(std::size_t client, Done then);
  void write_record(std::size_t client, Done then);
  void write_earlier_record(std::size_t client, Done then);
  void hold_record(std::size_t client, Done then);
  void read_record(std::size_t owner, std::size_t client, Duration timeout, Done then);
  void expect_no_denial(const objects::OperationResult& result);
  Done expect_done(const char* what, std::size_t& left);
  Bytes random_bytes(std::size_t size);

  void attack();
  void send_to_group(const wire::ObjectId& id, const wire::RequestBody& body);
  void send_two_values();
  void overspend();

  World& world_;
  Checkers& checkers_;
  Random random_;
  std::size_t honest_;
  Duration pause_max_;
  std::vector<Writer> writers_;
  std::uint64_t hostile_version_ = 0;
  std::size_t under_way_ = 0;
  bool is_stopping_ = false;
  std::uint64_t operations_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t over_quota_ = 0;
};

}  // namespace rosebud::sim
