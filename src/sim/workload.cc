#include "sim/workload.h"

#include "base/check.h"

namespace rosebud::sim {
namespace {

using objects::OperationResult;
using objects::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTimeout = seconds(8);
constexpr Duration kHealedTimeout = seconds(60);
constexpr std::size_t kEarlierMax = 4;
/// Of the client who wants more: a few of its blocks on every node.
constexpr std::uint64_t kSmallQuota = 4096;
const std::string_view kSalt = "r";

}  // namespace

Workload::Workload(World& world, Checkers& checkers, Random random, std::size_t honest,
                   Duration pause_max)
    : world_(world), checkers_(checkers), random_(random), honest_(honest), pause_max_(pause_max) {
  for (std::size_t client = 0; client < honest_; ++client) {
    writers_.push_back({.id = wire::record_id(world_.client_key(client), as_bytes(kSalt))});
  }
}

void Workload::start() {
  for (std::size_t client = 0; client < honest_; ++client) next_operation(client);
  attack();
  world_.admit(honest_ + 1, kSmallQuota);
  overspend();
}

Bytes Workload::random_bytes(std::size_t size) {
  Bytes out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next());
  return out;
}

// ---- Those that keep to the rules ----

void Workload::next_operation(std::size_t client) {
  if (is_stopping_) return;
  ++under_way_;
  ++operations_;
  const Done then = [this, client](const OperationResult& result) {
    if (result.outcome == Outcome::kDone) ++acknowledged_;
    --under_way_;
    const auto pause = random_.below(static_cast<std::uint64_t>(pause_max_.count()));
    world_.at(Duration(static_cast<std::int64_t>(pause)),
              [this, client] { next_operation(client); });
  };
  switch (random_.below(12)) {
    case 0:
    case 1:
      return write_block(client, then);
    case 2:
      return hold_block(client, then);
    case 3:
    case 4:
      return read_block(client, then);
    case 5:
    case 6:
    case 7:
      return write_record(client, then);
    case 8:
      return hold_record(client, then);
    case 9:
      return write_earlier_record(client, then);
    default:
      return read_record(random_.below(honest_), client, kTimeout, then);
  }
}

/// Correct replicas have no reason to deny what keeps to the rules, and liars are too few.
void Workload::expect_no_denial(const OperationResult& result) {
  if (result.outcome == Outcome::kDenied) checkers_.fail("a valid operation was denied");
}

void Workload::put_block(std::size_t client, const Buffer& bytes, Done then) {
  const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
  const wire::Hold hold = world_.make_hold(client, id, bytes.size());
  world_.write_block(client, bytes, hold, random_.chance(1, 2), kTimeout,
                     [this, client, bytes, hold, then](const OperationResult& result) {
                       expect_no_denial(result);
                       if (result.outcome == Outcome::kDone)
                         checkers_.block_acknowledged(client, bytes, hold);
                       then(result);
                     });
}

void Workload::write_block(std::size_t client, Done then) {
  put_block(client, Buffer(random_bytes(random_.below(300))), std::move(then));
}

/// A block that is there already, under a hold of one's own, or under a newer one.
void Workload::hold_block(std::size_t client, Done then) {
  if (checkers_.block_count() == 0) return write_block(client, std::move(then));
  const auto& id = checkers_.block_id(random_.below(checkers_.block_count()));
  put_block(client, checkers_.block_bytes(id), std::move(then));
}

void Workload::read_block(std::size_t client, Done then) {
  if (checkers_.block_count() == 0) return write_block(client, std::move(then));
  const wire::ObjectId id = checkers_.block_id(random_.below(checkers_.block_count()));
  world_.read_block(client, id, kTimeout, [this, id, then](const OperationResult& result) {
    checkers_.block_read(id, result);
    then(result);
  });
}

void Workload::write_record(std::size_t client, Done then) {
  Writer& writer = writers_[client];
  if (!writer.unconfirmed) {
    const std::string value = "value " + std::to_string(random_.next());
    writer.unconfirmed = world_.make_record(client, as_bytes(kSalt),
                                            wire::Version{writer.next_version}, as_bytes(value));
    writer.last = writer.unconfirmed;
    checkers_.record_begun(writer.id, writer.next_version, value);
  }
  world_.write_record(client, *writer.unconfirmed, kTimeout,
                      [this, client, then](const OperationResult& result) {
                        Writer& at = writers_[client];
                        expect_no_denial(result);
                        if (result.outcome == Outcome::kDone) {
                          checkers_.record_acknowledged(client, at.id, at.next_version);
                          at.earlier.push_back(*at.unconfirmed);
                          if (at.earlier.size() > kEarlierMax) at.earlier.pop_front();
                          ++at.next_version;
                          at.unconfirmed.reset();
                        } else if (result.outcome == Outcome::kSuperseded) {
                          checkers_.fail("the only writer of a record was superseded");
                        }
                        then(result);
                      });
}

/// An owner whose memory fails sends an old version again. It must not be told that this is done.
void Workload::write_earlier_record(std::size_t client, Done then) {
  Writer& writer = writers_[client];
  if (writer.earlier.size() < 2) return write_record(client, std::move(then));
  const wire::SignedRecord record = writer.earlier[random_.below(writer.earlier.size() - 1)];
  world_.write_record(client, record, kTimeout, [this, then](const OperationResult& result) {
    if (result.outcome == Outcome::kDone)
      checkers_.fail("writing an older record than is held was done");
    then(result);
  });
}

/// Somebody's record, as it was when it was written, under a hold that may be too small or end
/// soon, or have ended. Whatever comes of it, the owner must not notice. His own stays as long as
/// before: a shorter one would release what the checkers look for.
void Workload::hold_record(std::size_t client, Done then) {
  // A neighbour's, so that with many clients no record is held by all of them.
  const std::size_t owner = (client + random_.below(3)) % honest_;
  const Writer& writer = writers_[owner];
  if (!writer.last) return write_block(client, std::move(then));
  const std::uint64_t size =
      random_.chance(1, 2) ? writer.last->value.size() : wire::kRecordValueSizeMax;
  const std::uint64_t begins = world_.configuration_of(client).start().value;
  const bool is_short = owner != client && random_.chance(1, 2);
  const Timestamp expiry(is_short ? begins + random_.below(6000) - 1000 : World::kExpiry.value);
  world_.write_record(
      client, *writer.last, world_.make_hold(client, writer.id, size, expiry), kTimeout,
      [this, size, is_expired = expiry.value <= begins, then](const OperationResult& result) {
        if (result.outcome == Outcome::kDone && is_expired)
          checkers_.fail("a hold that had expired was taken");
        if (result.outcome == Outcome::kDone && size != wire::kRecordValueSizeMax)
          checkers_.fail("a hold of another size was taken");
        then(result);
      });
}

void Workload::read_record(std::size_t owner, std::size_t client, Duration timeout, Done then) {
  const wire::ObjectId id = writers_[owner].id;
  const std::uint64_t floor = checkers_.floor(id);
  world_.read_record(client, id, timeout,
                     [this, client, id, floor, then](const OperationResult& result) {
                       // One that was never acknowledged may be kept by expired holds alone, under
                       // which nobody can write it back.
                       if (floor > 0) expect_no_denial(result);
                       checkers_.record_read(client, id, floor, result);
                       then(result);
                     });
}

// ---- The one that does not ----

void Workload::send_to_group(const wire::ObjectId& id, const wire::RequestBody& body) {
  for (const std::size_t node : world_.group_of(world_.configuration_of(honest_), id)) {
    world_.send_raw(honest_, node, body);
  }
}

/// One of the things that must not be taken, or must do no harm.
void Workload::attack() {
  if (is_stopping_) return;
  world_.at(milliseconds(random_.between(10, 300)), [this] { attack(); });
  const std::size_t self = honest_;
  const crypto::SecretKey& key = world_.client_secret(self);
  const Buffer bytes(random_bytes(16 + random_.below(100)));
  const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
  const auto put = [&](wire::Hold hold) {
    checkers_.forbid(id);
    send_to_group(id, wire::PutBlock{.id = id, .hold = std::move(hold), .bytes = bytes});
  };
  const Writer& victim = writers_[random_.below(honest_)];
  switch (random_.below(8)) {
    case 0: {  // a hold that nobody signed
      wire::Hold hold = world_.make_hold(self, id, bytes.size());
      hold.statement.signature.bytes[0] ^= 1;
      return put(std::move(hold));
    }
    case 1: {  // a hold of something else
      const auto other = wire::ObjectId::block(crypto::sha256(as_bytes("other")));
      return put(world_.make_hold(self, other, bytes.size()));
    }
    case 2: {  // admitted by himself
      wire::Hold hold = world_.make_hold(self, id, bytes.size());
      const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
      hold.admission = wire::sign(world_.scheme(), key, *admission);
      return put(std::move(hold));
    }
    case 3:  // expired
      return put(world_.make_hold(self, id, bytes.size(), Timestamp(1)));
    case 4: {  // other bytes
      Bytes wrong = to_bytes(bytes.view());
      wrong[0] ^= 1;
      checkers_.forbid(id);
      return send_to_group(id, wire::PutBlock{.id = id,
                                              .hold = world_.make_hold(self, id, bytes.size()),
                                              .bytes = Buffer(std::move(wrong))});
    }
    case 5: {  // a newer version of somebody else's record
      if (!victim.last) return;
      auto statement = wire::RecordStatement::decode(victim.last->statement.statement);
      statement->version.value += 1 + random_.below(3);
      return send_to_group(
          victim.id,
          wire::PutRecord{.id = victim.id,
                          .record = {.statement = wire::sign(world_.scheme(), key, *statement),
                                     .value = victim.last->value},
                          .hold = world_.make_hold(self, victim.id, wire::kRecordValueSizeMax)});
    }
    case 6:  // his own record under somebody else's id
      return send_to_group(
          victim.id,
          wire::PutRecord{.id = victim.id,
                          .record = world_.make_record(self, as_bytes(kSalt), {1000}, bytes.view()),
                          .hold = world_.make_hold(self, victim.id, wire::kRecordValueSizeMax)});
    default:
      return send_two_values();
  }
}

/// Two values at one version, to half of the group each: his right, and ordered the same way
/// everywhere.
void Workload::send_two_values() {
  const wire::ObjectId id = wire::record_id(world_.client_key(honest_), as_bytes("two"));
  const wire::Hold hold = world_.make_hold(honest_, id, wire::kRecordValueSizeMax);
  ++hostile_version_;
  const wire::SignedRecord values[] = {
      world_.make_record(honest_, as_bytes("two"), {hostile_version_}, as_bytes("one")),
      world_.make_record(honest_, as_bytes("two"), {hostile_version_}, as_bytes("other"))};
  for (const std::size_t node : world_.group_of(world_.configuration_of(honest_), id)) {
    world_.send_raw(honest_, node,
                    wire::PutRecord{.id = id, .record = values[random_.below(2)], .hold = hold});
  }
}

/// Block after block, and what was refused is not asked for again.
void Workload::overspend() {
  if (is_stopping_) return;
  const std::size_t self = honest_ + 1;
  const Buffer bytes(random_bytes(1 + random_.below(1000)));
  ++under_way_;
  world_.write_block(self, bytes, kTimeout,
                     [this, self, size = bytes.size()](const OperationResult& result) {
                       --under_way_;
                       if (result.outcome == Outcome::kDone)
                         checkers_.charge(self, kSmallQuota, size);
                       if (result.outcome == Outcome::kDenied) ++over_quota_;
                       world_.at(milliseconds(random_.between(10, 200)), [this] { overspend(); });
                     });
}

// ---- After healing ----

Workload::Done Workload::expect_done(const char* what, std::size_t& left) {
  ++left;
  return [this, what, &left](const OperationResult& result) {
    --left;
    if (result.outcome != Outcome::kDone) {
      checkers_.fail(std::string(what) + " after healing ended as " +
                     std::string(objects::name_of(result.outcome)) + ", " +
                     std::to_string(result.answered) + " answered, " +
                     std::to_string(result.confirmed) + " confirmed");
    }
  };
}

void Workload::read_everything(std::size_t& left) {
  for (std::size_t i = 0; i < checkers_.block_count(); ++i) {
    const wire::ObjectId id = checkers_.block_id(i);
    const Done then = expect_done("reading an acknowledged block", left);
    world_.read_block(i % honest_, id, kHealedTimeout,
                      [this, id, then](const OperationResult& result) {
                        checkers_.block_read(id, result);
                        then(result);
                      });
  }
  // Before they are written again: a new version would hide that the last one was lost.
  for (std::size_t owner = 0; owner < honest_; ++owner) {
    if (checkers_.floor(writers_[owner].id) > 0) {
      read_record(owner, 0, kHealedTimeout, expect_done("reading a record", left));
      continue;
    }
    ++left;
    read_record(owner, 0, kHealedTimeout, [&left](const OperationResult&) { --left; });
  }
}

void Workload::write_records(std::size_t& left) {
  for (std::size_t client = 0; client < honest_; ++client) {
    write_record(client, expect_done("writing a record", left));
  }
}

void Workload::read_records(std::size_t& left) {
  for (std::size_t owner = 0; owner < honest_; ++owner) {
    read_record(owner, 0, kHealedTimeout, expect_done("reading a record that was written", left));
  }
}

}  // namespace rosebud::sim
