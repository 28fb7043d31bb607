#include "sim/swarm.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace rosebud::sim {
namespace {

using objects::OperationResult;
using objects::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// History of one record: a register with one sequential writer whose versions only grow. A read is
/// right when it returns a version that was begun before the read ended, no older than any write
/// that ended, and no older than what any read that ended returned, before this read began. For
/// such a register that is linearizability.
class RecordChecker {
 public:
  void begin_write(std::uint64_t version, std::string value) {
    written_[version] = std::move(value);
  }
  void end_write(std::uint64_t version) { settled_ = std::max(settled_, version); }

  /// What every later read must at least return.
  std::uint64_t floor() const { return settled_; }

  std::string end_read(std::uint64_t floor_at_begin, std::uint64_t version,
                       std::string_view value) {
    if (version < floor_at_begin) {
      return "a read returned version " + std::to_string(version) + " after version " +
             std::to_string(floor_at_begin) + " was settled";
    }
    if (version > 0) {
      const auto at = written_.find(version);
      if (at == written_.end())
        return "a read returned version " + std::to_string(version) + ", never written";
      if (at->second != value) return "a read returned a value that was not written at its version";
    }
    settled_ = std::max(settled_, version);
    return {};
  }

 private:
  std::map<std::uint64_t, std::string> written_;
  std::uint64_t settled_ = 0;
};

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed), world_(choose_options(seed)) {
    for (std::size_t client = 0; client < kClients; ++client) {
      writers_.push_back({.next_version = 1});
    }
  }

  SwarmResult run() {
    choose_faults();
    for (std::size_t client = 0; client < kClients; ++client) next_operation(client);
    look_at_completeness();
    world_.at(kSafetyTime, [this] { is_stopping_ = true; });
    if (!world_.run_until([this] { return is_stopping_ && under_way_ == 0; },
                          kSafetyTime + seconds(120))) {
      fail("operations do not come to their end");
    }
    heal();
    demand_progress();
    stop_misbehaving();
    compare_replicas();
    check_completeness();
    result_.trace = world_.trace_hash();
    result_.events = world_.event_count();
    return std::move(result_);
  }

 private:
  static constexpr std::size_t kClients = 3;
  static constexpr std::uint64_t kChangesMax = 6;
  static constexpr Duration kSafetyTime = seconds(20);
  static constexpr Duration kTimeout = seconds(8);

  struct Writer {
    std::uint64_t next_version = 1;
    std::optional<wire::SignedRecord> unconfirmed;  // must be sent again before anything newer
    std::optional<wire::SignedRecord> last;
    RecordChecker checker;
    std::map<wire::Epoch, std::uint64_t> acknowledged;  // the newest version in each epoch
  };
  struct AcknowledgedBlock {
    Buffer bytes;
    wire::Epoch epoch;
  };

  WorldOptions choose_options(std::uint64_t seed) {
    WorldOptions options{.seed = seed, .clients = kClients};
    options.faults = static_cast<std::uint32_t>(random_.chance(3, 4) ? 1 : random_.between(2, 3));
    options.organisations = 3 * options.faults + 1 + static_cast<std::uint32_t>(random_.below(2));
    if (random_.chance(1, 2))
      options.organisations = std::max<std::uint32_t>(4, options.organisations / 2);
    options.nodes = std::max<std::uint32_t>(options.organisations * 2, 3 * options.faults + 1);
    if (options.faults > 1)
      options.nodes = std::max(options.nodes, options.organisations * options.faults);
    options.spares = static_cast<std::uint32_t>(random_.between(0, 4));
    options.has_real_signatures = seed % 20 == 0;
    result_.story = "f=" + std::to_string(options.faults) +
                    " organisations=" + std::to_string(options.organisations) +
                    " nodes=" + std::to_string(options.nodes);
    return options;
  }

  void fail(const std::string& what) {
    if (result_.violation.empty()) result_.violation = what;
  }

  // ---- Faults: all at the nodes of one organisation, which is never more than f of a group ----

  void choose_faults() {
    const auto bad =
        static_cast<std::uint32_t>(random_.below(world_.configuration().organisations().size()));
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (world_.organisation_of(i) == bad) faulty_.push_back(i);
    }
    world_.network().loss_per_mille =
        static_cast<std::uint32_t>(random_.chance(1, 2) ? random_.below(100) : 0);
    world_.network().duplicate_per_mille =
        static_cast<std::uint32_t>(random_.chance(1, 2) ? random_.below(50) : 0);
    world_.network().latency_max = milliseconds(random_.between(1, 200));
    constexpr adversary::Mode kModes[] = {adversary::Mode::kHonest,  adversary::Mode::kMute,
                                          adversary::Mode::kLie,     adversary::Mode::kStale,
                                          adversary::Mode::kGarbage, adversary::Mode::kEquivocate,
                                          adversary::Mode::kStall};
    auto mode = kModes[random_.below(std::size(kModes))];
    // Comparisons without end make ten times the events of any other run.
    if (mode == adversary::Mode::kStall && random_.chance(2, 3)) mode = adversary::Mode::kLie;
    for (std::size_t node : faulty_) world_.misbehaviour(node).set_mode(mode);
    result_.story +=
        " organisation " + std::to_string(bad) + " " + std::string(adversary::name_of(mode));
    if (mode == adversary::Mode::kHonest && random_.chance(2, 3)) {
      schedule_crashes();
      result_.story += " crashes";
    }
    if (random_.chance(1, 2)) {
      const auto changes = random_.between(1, kChangesMax);
      for (std::uint64_t i = 0; i < changes; ++i) {
        world_.at(milliseconds(random_.between(500, 18'000)), [this] { change_membership(); });
      }
      result_.story += " epochs";
    }
    if (random_.chance(1, 4)) {
      world_.at(seconds(random_.between(1, 15)), [this] { cut_power(); });
      result_.story += " power-cut";
    }
    if (random_.chance(1, 4)) {
      world_.at(seconds(random_.between(1, 10)), [this] { part(); });
      result_.story += " partition";
    }
    if (mode == adversary::Mode::kHonest && random_.chance(1, 3)) {
      // A disk that rots is a fault of its node too.
      for (int i = 0; i < 5; ++i) {
        world_.at(seconds(random_.between(1, 18)), [this] {
          world_.disk(faulty_[random_.below(faulty_.size())]).rot(random_.next());
        });
      }
      result_.story += " rot";
    }
  }

  void schedule_crashes() {
    world_.at(milliseconds(random_.between(100, 3000)), [this] {
      if (is_healed_) return;
      const std::size_t node = faulty_[random_.below(faulty_.size())];
      if (world_.is_up(node)) {
        world_.crash(node);
      } else {
        world_.restart(node);
      }
      schedule_crashes();
    });
  }

  /// Everybody at once; disks keep what was synced.
  void cut_power() {
    if (is_healed_) return;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (world_.is_up(i)) world_.crash(i);
    }
    world_.at(milliseconds(random_.between(10, 2000)), [this] {
      for (std::size_t i = 0; i < world_.node_count(); ++i) {
        if (!world_.is_up(i)) world_.restart(i);
      }
    });
  }

  /// Members leave and others come, returning ones among them. Who left answers on.
  void change_membership() {
    if (is_healed_) return;
    std::vector<std::size_t> inside;
    std::vector<std::size_t> outside;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      (world_.is_member(i) ? inside : outside).push_back(i);
    }
    const auto move_some = [&](std::vector<std::size_t>& from, std::vector<std::size_t>& to,
                               std::size_t count) {
      for (; count > 0 && !from.empty(); --count) {
        const auto at = from.begin() + static_cast<std::ptrdiff_t>(random_.below(from.size()));
        to.push_back(*at);
        from.erase(at);
      }
    };
    std::vector<std::size_t> leaving;
    move_some(inside, leaving, random_.below(3));
    move_some(outside, inside, random_.below(3));
    if (world_.change_membership(inside, milliseconds(random_.between(1, 3000)))) ++result_.epochs;
  }

  void part() {
    if (is_healed_) return;
    std::vector<int> sides;
    for (std::size_t i = 0; i < world_.node_count(); ++i)
      sides.push_back(static_cast<int>(random_.below(2)));
    world_.partition(std::move(sides));
    world_.at(seconds(random_.between(1, 5)), [this] { world_.partition({}); });
  }

  void heal() {
    is_healed_ = true;
    world_.partition({});
    world_.network().loss_per_mille = 0;
    world_.network().duplicate_per_mille = 0;
    world_.run_for(seconds(3));
    if (random_.chance(1, 2)) stop_misbehaving();
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      if (!world_.is_up(i)) world_.restart(i);
    }
  }

  void stop_misbehaving() {
    for (const std::size_t node : faulty_)
      world_.misbehaviour(node).set_mode(adversary::Mode::kHonest);
  }

  // ---- Workload ----

  void next_operation(std::size_t client) {
    if (is_stopping_) return;
    ++under_way_;
    ++result_.operations;
    const auto then = [this, client](const OperationResult& result) {
      if (result.outcome == Outcome::kDone) ++result_.acknowledged;
      --under_way_;
      world_.at(milliseconds(random_.below(50)), [this, client] { next_operation(client); });
    };
    switch (random_.below(9)) {
      case 8:
        return hold_record(client, then);
      case 0:
      case 1:
        return write_block(client, then);
      case 2:
      case 3:
        return read_block(client, then);
      case 4:
      case 5:
        return write_record(client, then);
      default:
        return read_record(client, then);
    }
  }

  template <typename Then>
  void write_block(std::size_t client, Then then) {
    Bytes bytes(random_.below(300));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random_.next());
    const Buffer buffer(std::move(bytes));
    world_.write_block(client, buffer, kTimeout,
                       [this, client, buffer, then](const OperationResult& result) {
                         if (result.outcome == Outcome::kDone)
                           blocks_.push_back({buffer, world_.epoch_of(client)});
                         then(result);
                       });
  }

  template <typename Then>
  void read_block(std::size_t client, Then then) {
    if (blocks_.empty()) return write_block(client, then);
    const Buffer expected = blocks_[random_.below(blocks_.size())].bytes;
    const auto id = wire::ObjectId::block(crypto::sha256(expected.view()));
    world_.read_block(client, id, kTimeout, [this, expected, then](const OperationResult& result) {
      if (result.outcome == Outcome::kNotFound) fail("an acknowledged block was not found");
      if (result.outcome == Outcome::kDone && !(result.bytes == expected))
        fail("wrong bytes were returned");
      then(result);
    });
  }

  template <typename Then>
  void write_record(std::size_t client, Then then) {
    Writer& writer = writers_[client];
    if (!writer.unconfirmed) {
      const std::string value = "value " + std::to_string(random_.next());
      writer.unconfirmed = world_.make_record(client, as_bytes("r"),
                                              wire::Version{writer.next_version}, as_bytes(value));
      writer.last = writer.unconfirmed;
      writer.checker.begin_write(writer.next_version, value);
    }
    world_.write_record(client, *writer.unconfirmed, kTimeout,
                        [this, client, then](const OperationResult& result) {
                          Writer& at = writers_[client];
                          if (result.outcome == Outcome::kDone) {
                            at.checker.end_write(at.next_version);
                            at.acknowledged[world_.epoch_of(client)] = at.next_version;
                            ++at.next_version;
                            at.unconfirmed.reset();
                          } else if (result.outcome == Outcome::kSuperseded) {
                            fail("the only writer of a record was superseded");
                          }
                          then(result);
                        });
  }

  /// Somebody's record, as it was when it was written, under a hold that may be too small or end
  /// soon. Whatever comes of it, the owner must not notice.
  template <typename Then>
  void hold_record(std::size_t client, Then then) {
    const auto& last = writers_[random_.below(kClients)].last;
    if (!last) return write_block(client, then);
    const auto statement = wire::RecordStatement::decode(last->statement.statement);
    const std::uint64_t size =
        random_.chance(1, 2) ? last->value.size() : wire::kRecordValueSizeMax;
    const Timestamp soon(world_.configuration().start().value + random_.below(5000));
    world_.write_record(client, *last,
                        world_.make_hold(client, statement->id(), size,
                                         random_.chance(1, 2) ? soon : World::kExpiry),
                        kTimeout, then);
  }

  template <typename Then>
  void read_record(std::size_t client, Then then) {
    read_record_of(random_.below(kClients), client, then);
  }

  template <typename Then>
  void read_record_of(std::size_t owner, std::size_t client, Then then) {
    const auto id = wire::record_id(world_.client_key(owner), as_bytes("r"));
    const std::uint64_t floor = writers_[owner].checker.floor();
    world_.read_record(
        client, id, kTimeout, [this, owner, floor, then](const OperationResult& result) {
          if (result.outcome == Outcome::kNotFound)
            check(writers_[owner].checker.end_read(floor, 0, {}));
          if (result.outcome == Outcome::kDone) {
            const auto statement =
                wire::RecordStatement::decode(result.record->statement.statement);
            CHECK(statement.has_value());
            check(writers_[owner].checker.end_read(floor, statement->version.value,
                                                   as_text(result.record->value.view())));
          }
          then(result);
        });
  }

  void check(const std::string& violation) {
    if (!violation.empty()) fail(violation);
  }

  // ---- After healing ----

  void demand_progress() {
    const auto all_serve = [this] {
      for (std::size_t i = 0; i < world_.node_count(); ++i) {
        const bool is_correct = world_.misbehaviour(i).mode() == adversary::Mode::kHonest;
        if (is_correct && !world_.replica(i)->is_serving_everything()) return false;
      }
      return true;
    };
    if (!world_.run_until(all_serve, seconds(120)))
      return fail("replicas do not come to serve after healing");
    std::size_t left = 0;
    const auto expect_done = [&](const char* what) {
      ++left;
      return [this, what, &left](const OperationResult& result) {
        --left;
        if (result.outcome != Outcome::kDone) {
          fail(std::string(what) + " after healing ended as " +
               std::string(objects::name_of(result.outcome)));
        }
      };
    };
    for (const auto& [block, epoch] : blocks_) {
      const auto then = expect_done("reading an acknowledged block");
      world_.read_block(0, wire::ObjectId::block(crypto::sha256(block.view())), seconds(60),
                        [this, expected = block, then](const OperationResult& result) {
                          if (result.outcome == Outcome::kDone && !(result.bytes == expected))
                            fail("wrong bytes were returned");
                          then(result);
                        });
    }
    // Before they are written again: a new version would hide that the last one was lost.
    for (std::size_t owner = 0; owner < kClients; ++owner) {
      ++left;
      read_record_of(owner, 0, [this, owner, &left](const OperationResult& result) {
        --left;
        const bool may_be_none = writers_[owner].checker.floor() == 0;
        if (result.outcome != Outcome::kDone &&
            !(may_be_none && result.outcome == Outcome::kNotFound)) {
          fail("reading a record after healing ended as " +
               std::string(objects::name_of(result.outcome)));
        }
      });
    }
    if (!world_.run_until([&] { return left == 0; }, seconds(120)))
      return fail("no progress after healing");
    for (std::size_t client = 0; client < kClients; ++client) {
      ++left;
      write_record(client, [this, &left](const OperationResult& result) {
        --left;
        if (result.outcome != Outcome::kDone) {
          fail("writing a record after healing ended as " +
               std::string(objects::name_of(result.outcome)) + ", " +
               std::to_string(result.answered) + " answered, " + std::to_string(result.confirmed) +
               " confirmed");
        }
      });
    }
    if (!world_.run_until([&] { return left == 0; }, seconds(120)))
      return fail("no progress after healing");
    for (std::size_t owner = 0; owner < kClients; ++owner) {
      read_record_of(owner, 0, expect_done("reading a record that was written"));
    }
    if (!world_.run_until([&] { return left == 0; }, seconds(120)))
      fail("no progress after healing");
  }

  /// What 2f+1 hold soon stands on all 3f+1: two rounds of background reconciling later everybody
  /// has everything, in one version and under the same holds.
  void compare_replicas() {
    world_.run_for(seconds(200));
    std::set<wire::ObjectId> ids;
    for (std::size_t node = 0; node < world_.node_count(); ++node) {
      for (const auto& [id, object] : world_.disk(node).objects()) {
        const auto group = world_.group_of(id);
        if (std::ranges::find(group, node) != group.end()) ids.insert(id);
      }
    }
    for (const auto& [block, epoch] : blocks_) {
      if (!ids.contains(wire::ObjectId::block(crypto::sha256(block.view()))))
        fail("an acknowledged block is nowhere");
    }
    for (const wire::ObjectId& id : ids) {
      std::optional<crypto::Digest> state;
      for (const std::size_t node : world_.group_of(id)) {
        const auto loaded = world_.disk(node).load(id, wire::LoadPart::kAll);
        if (!loaded || !*loaded || (*loaded)->is_damaged) {
          fail("node " + std::to_string(node) + " did not fill its gaps");
          continue;
        }
        const crypto::Digest own = (*loaded)->entry().state;
        if (state.value_or(own) != own)
          fail("node " + std::to_string(node) + " ends with another object than its group");
        state = own;
      }
    }
  }

  // ---- Invariant: complete for an epoch is who holds everything acknowledged before (design 10)
  // --

  void look_at_completeness() {
    check_completeness();
    if (!is_healed_) world_.at(seconds(1), [this] { look_at_completeness(); });
  }

  void check_completeness() {
    for (const auto& [block, epoch] : blocks_) {
      const auto id = wire::ObjectId::block(crypto::sha256(block.view()));
      expect_held(id, epoch, 0);
    }
    for (std::size_t owner = 0; owner < kClients; ++owner) {
      const auto id = wire::record_id(world_.client_key(owner), as_bytes("r"));
      for (const auto& [epoch, version] : writers_[owner].acknowledged)
        expect_held(id, epoch, version);
    }
  }

  void expect_held(const wire::ObjectId& id, wire::Epoch epoch, std::uint64_t version) {
    for (std::size_t node = 0; node < world_.node_count(); ++node) {
      const bool is_correct = std::ranges::find(faulty_, node) == faulty_.end();
      if (!is_correct || !world_.is_up(node)) continue;
      if (world_.replica(node)->complete_for({id.placement, id.placement}) <= epoch) continue;
      const auto at = world_.disk(node).objects().find(id);
      const bool is_held =
          at != world_.disk(node).objects().end() && version_of(at->second) >= version;
      if (!is_held)
        fail("node " + std::to_string(node) + " is complete and lacks what was acknowledged");
    }
  }

  static std::uint64_t version_of(const wire::StoredObject& object) {
    const auto statement = wire::RecordStatement::decode(object.record.statement);
    return statement ? statement->version.value : 0;
  }

  Random random_;
  SwarmResult result_;
  World world_;
  std::vector<Writer> writers_;
  std::vector<AcknowledgedBlock> blocks_;
  std::vector<std::size_t> faulty_;
  std::size_t under_way_ = 0;
  bool is_stopping_ = false;
  bool is_healed_ = false;
};

}  // namespace

SwarmResult run_seed(std::uint64_t seed) { return Run(seed).run(); }

}  // namespace rosebud::sim
