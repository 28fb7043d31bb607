#include "sim/checkers.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::sim {
namespace {

using objects::OperationResult;
using objects::Outcome;

std::uint64_t version_of(const wire::SignedBytes& record) {
  const auto statement = wire::RecordStatement::decode(record.statement);
  return statement ? statement->version.value : 0;
}

std::uint64_t serial_of(const wire::StoredObject& object, const crypto::PublicKey& holder) {
  for (const wire::Hold& hold : object.holds) {
    const auto statement = wire::HoldStatement::decode(hold.statement.statement);
    if (statement && statement->holder == holder) return statement->serial;
  }
  return 0;
}

std::string node_name(std::size_t node) { return "node " + std::to_string(node); }

}  // namespace

Checkers::Checkers(World& world) : world_(world), nodes_(world.node_count()) {
  world_.watch(
      [this](std::size_t node, World::Endpoint to, const wire::Answer& answer,
             const std::optional<wire::ObjectId>& about) { on_answer(node, to, answer, about); });
  world_.watch_deletes([this](std::size_t node, const wire::ObjectId& id) { on_delete(node, id); });
  world_.watch_reports(
      [this](std::size_t node, const objects::Report& report) { on_report(node, report); });
}

void Checkers::set_healed(std::size_t node) {
  nodes_[node] = {.correct_from = world_.configuration().number().epoch.next()};
}

void Checkers::fail(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = what;
  world_.tell("VIOLATION: " + what);
}

const wire::StoredObject* Checkers::held(std::size_t node, const wire::ObjectId& id) const {
  return world_.disk(node).find(id);
}

// ---- What clients saw ----

void Checkers::expect_durable_at_quorum(std::size_t client, const wire::ObjectId& id,
                                        const std::function<bool(const wire::StoredObject&)>& is_it,
                                        const char* what) {
  const membership::Configuration& configuration = world_.configuration_of(client);
  std::size_t counted = 0;
  for (const std::size_t node : world_.group_of(configuration, id)) {
    const wire::StoredObject* object = held(node, id);
    const bool is_faulty = is_faulty_in(node, configuration.number().epoch);
    const bool is_handed_over = has_given_up(node, id, configuration.number().epoch);
    if (is_faulty || is_handed_over || (object && is_it(*object))) ++counted;
  }
  if (counted < 2 * configuration.f() + 1) {
    fail(std::string(what) + " is durable at too few members: " + std::to_string(counted) +
         ", those that lie among them");
  }
}

void Checkers::block_acknowledged(std::size_t client, const Buffer& bytes, const wire::Hold& hold) {
  const auto id = wire::ObjectId::block(crypto::sha256(bytes.view()));
  const auto statement = wire::HoldStatement::decode(hold.statement.statement);
  CHECK(statement.has_value());
  expect_durable_at_quorum(
      client, id,
      [&](const wire::StoredObject& object) {
        return serial_of(object, statement->holder) >= statement->serial;
      },
      "an acknowledged block");
  const auto [at, is_new] = blocks_.emplace(id, Block{.bytes = bytes});
  if (is_new) block_ids_.push_back(id);
  at->second.acknowledged.push_back({world_.epoch_of(client), world_.now()});
  std::uint64_t& serial = at->second.serials[statement->holder];
  serial = std::max(serial, statement->serial);
}

void Checkers::block_read(const wire::ObjectId& id, const OperationResult& result) {
  if (result.outcome == Outcome::kNotFound) fail("an acknowledged block was not found");
  if (result.outcome == Outcome::kDone && crypto::sha256(result.bytes.view()) != id.placement) {
    fail("wrong bytes were returned");
  }
}

void Checkers::record_begun(const wire::ObjectId& id, std::uint64_t version, std::string value) {
  records_[id].written[version] = std::move(value);
}

void Checkers::record_acknowledged(std::size_t client, const wire::ObjectId& id,
                                   std::uint64_t version) {
  expect_durable_at_quorum(
      client, id,
      [&](const wire::StoredObject& object) { return version_of(object.record) >= version; },
      "an acknowledged record");
  Record& record = records_[id];
  record.settled = std::max(record.settled, version);
  record.acknowledged.push_back({world_.epoch_of(client), world_.now(), version});
}

std::uint64_t Checkers::floor(const wire::ObjectId& id) const {
  const auto at = records_.find(id);
  return at == records_.end() ? 0 : at->second.settled;
}

/// A register with one sequential writer whose versions only grow. A read is right when it returns
/// a version that was begun before the read ended, no older than any write that ended, and no older
/// than what any read that ended returned, before this read began. For such a register that is
/// linearizability.
void Checkers::record_read(std::size_t client, const wire::ObjectId& id,
                           std::uint64_t floor_at_begin, const OperationResult& result) {
  if (result.outcome != Outcome::kDone && result.outcome != Outcome::kNotFound) return;
  const std::uint64_t version = result.record ? version_of(result.record->statement) : 0;
  if (version < floor_at_begin) {
    return fail("a read returned version " + std::to_string(version) + " after version " +
                std::to_string(floor_at_begin) + " was settled");
  }
  if (version == 0) return;
  Record& record = records_[id];
  const auto written = record.written.find(version);
  if (written == record.written.end()) {
    return fail("a read returned version " + std::to_string(version) + ", never written");
  }
  if (written->second != as_text(result.record->value.view())) {
    return fail("a read returned a value that was not written at its version");
  }
  record.settled = std::max(record.settled, version);
  expect_durable_at_quorum(
      client, id,
      [&](const wire::StoredObject& object) { return version_of(object.record) >= version; },
      "a record that was returned");
}

/// What a hold takes beside its content (docs/protocol/objects.md).
constexpr std::uint64_t kBytesPerHold = 1024;

void Checkers::charge(std::size_t client, std::uint64_t quota_bytes, std::size_t block_size) {
  Account& account = accounts_[world_.client_key(client)];
  account.quota_bytes = quota_bytes;
  account.acknowledged_bytes += block_size + kBytesPerHold;
  if (account.acknowledged_bytes > quota_of_all(account)) fail("a client got more than its quota");
}

/// What all replicas together may take. Each block was taken by at least one of them, and the
/// others may have it from there. The share of a node is one at most, in whatever epoch; who lost
/// its disk begins to count anew.
std::uint64_t Checkers::quota_of_all(const Account& account) const {
  return (world_.node_count() + world_.lost_disks()) *
         (2 * account.quota_bytes + World::kQuotaFloor);
}

void Checkers::check_accounts(std::size_t node) {
  for (const auto& [holder, account] : accounts_) {
    std::uint64_t bytes = 0;
    for (const auto& [id, entry] : world_.disk(node).index()) {
      for (const wire::Hold& hold : held(node, id)->holds) {
        const auto statement = wire::HoldStatement::decode(hold.statement.statement);
        if (statement && statement->holder == holder) bytes += hold.size + kBytesPerHold;
      }
    }
    if (bytes > quota_of_all(account)) {
      fail(node_name(node) + " is filled by a client above its quota");
    }
    if (bytes > world_.disk(node).counted(holder)) {
      fail(node_name(node) + " does not count what it stores for a client");
    }
  }
}

// ---- What nodes say ----

void Checkers::on_answer(std::size_t node, World::Endpoint to, const wire::Answer& answer,
                         const std::optional<wire::ObjectId>& about) {
  if (std::holds_alternative<wire::Refused>(answer.body) || nodes_[node].is_outdated) return;
  const wire::ConfigurationNumber said = answer.context.configuration;
  if (said != world_.replica(node)->verifier().configuration().number()) {
    fail(node_name(node) + " answers in an epoch that it is not in");
  }
  // The bytes of a block prove themselves in whatever epoch.
  const bool is_proof = std::holds_alternative<wire::BlockFound>(answer.body);
  if (!is_proof && world_.disk(node).entered() < said) {
    fail(node_name(node) + " answers " + std::string(wire::name_of(answer.body)) +
         " in an epoch before having entered it is durable");
  }
  if (!about) return;
  const wire::StoredObject* object = held(node, *about);
  const bool is_said_to_be_there = std::holds_alternative<wire::Stored>(answer.body) ||
                                   std::holds_alternative<wire::BlockFound>(answer.body) ||
                                   std::holds_alternative<wire::ObjectFound>(answer.body) ||
                                   std::holds_alternative<wire::BlockProof>(answer.body) ||
                                   std::holds_alternative<wire::RecordHeld>(answer.body);
  if (is_said_to_be_there && !object) {
    fail(node_name(node) + " answers that it has what is not durable there");
  }
  if (std::holds_alternative<wire::BlockProof>(answer.body) && object && object->is_damaged) {
    fail(node_name(node) + " proves that it holds what is damaged there");
  }
  if (const auto* record = std::get_if<wire::RecordHeld>(&answer.body); record && object) {
    if (version_of(record->record.statement) > version_of(object->record)) {
      fail(node_name(node) + " shows a record before it is durable");
    }
  }
  const bool is_said_to_be_absent = std::holds_alternative<wire::Absent>(answer.body) ||
                                    std::holds_alternative<wire::ObjectAbsent>(answer.body);
  if (is_said_to_be_absent && object) fail(node_name(node) + " denies an object that it has");
  if (to >= world_.node_count()) check_after_start(node, answer, *about);
}

void Checkers::check_after_start(std::size_t node, const wire::Answer& answer,
                                 const wire::ObjectId& about) {
  const bool is_absent = std::holds_alternative<wire::Absent>(answer.body);
  const auto* record = std::get_if<wire::RecordHeld>(&answer.body);
  if (!is_absent && !record) return;
  const std::vector<Acknowledgement>* acknowledged = nullptr;
  if (const auto block = blocks_.find(about); block != blocks_.end()) {
    acknowledged = &block->second.acknowledged;
  } else if (const auto at = records_.find(about); at != records_.end()) {
    acknowledged = &at->second.acknowledged;
  }
  if (!acknowledged) return;
  const wire::Epoch epoch = answer.context.configuration.epoch;
  for (auto at = acknowledged->rbegin(); at != acknowledged->rend(); ++at) {
    if (at->epoch != epoch || at->at >= world_.started_at(node)) continue;
    if (is_absent || version_of(record->record.statement) < at->version) {
      fail(node_name(node) + " answers after its start with less than was acknowledged before");
    }
    return;
  }
}

void Checkers::on_report(std::size_t node, const objects::Report& report) {
  if (report.observation != objects::Observation::kFalseProof || nodes_[node].is_faulty) return;
  const std::size_t accused = world_.endpoint_of(report.peer);
  const auto epoch = world_.replica(node)->verifier().configuration().number().epoch;
  if (!is_faulty_in(accused, epoch)) {
    fail(node_name(accused) + " is correct and gave " + node_name(node) + " a wrong proof");
  }
}

// ---- What nodes hold ----

/// Whatever is complete for an epoch, whoever states it: the objects are looked for on disks.
void Checkers::on_delete(std::size_t node, const wire::ObjectId& id) {
  const wire::StoredObject* object = held(node, id);
  if (nodes_[node].is_faulty || !object || object->is_damaged) return;
  const auto record = records_.find(id);
  if (record == records_.end() ? !blocks_.contains(id) : record->second.settled == 0) return;
  const std::uint64_t version =
      record == records_.end() ? 0 : std::min(record->second.settled, version_of(object->record));
  const membership::Configuration& configuration = world_.replica(node)->verifier().configuration();
  const wire::Epoch epoch = configuration.number().epoch;
  std::size_t holders = 0;
  for (const std::size_t member : world_.group_of(configuration, id)) {
    if (is_faulty_in(member, epoch)) continue;
    const wire::StoredObject* other = held(member, id);
    if (other && !other->is_damaged && version_of(other->record) >= version) ++holders;
  }
  if (holders <= configuration.f()) {
    fail(node_name(node) + " deletes what " + std::to_string(holders) +
         " correct members hold in epoch " + std::to_string(epoch.value));
  }
}

bool Checkers::has_given_up(std::size_t node, const wire::ObjectId& id, wire::Epoch epoch) const {
  return world_.disk(node).gone_before(id.placement) > epoch;
}

void Checkers::check_completeness() {
  for (const auto& [id, block] : blocks_) {
    // Later ones ask for less.
    const auto first = std::ranges::min_element(block.acknowledged, {}, &Acknowledgement::epoch);
    expect_complete(id, *first);
  }
  for (const auto& [id, record] : records_) {
    for (std::size_t i = 0; i < record.acknowledged.size(); ++i) {
      const Acknowledgement& one = record.acknowledged[i];
      const bool is_last_of_epoch =
          i + 1 == record.acknowledged.size() || record.acknowledged[i + 1].epoch != one.epoch;
      if (is_last_of_epoch) expect_complete(id, one);
    }
  }
}

void Checkers::expect_complete(const wire::ObjectId& id, const Acknowledgement& acknowledged) {
  if (acknowledged.epoch == world_.configuration().number().epoch) return;  // no epoch is later
  for (std::size_t node = 0; node < world_.node_count(); ++node) {
    if (nodes_[node].is_faulty || !world_.is_up(node)) continue;
    if (world_.replica(node)->complete_for({id.placement, id.placement}) <= acknowledged.epoch) {
      continue;
    }
    const wire::StoredObject* object = held(node, id);
    if (!object || version_of(object->record) < acknowledged.version) {
      fail(node_name(node) + " is complete and lacks what was acknowledged");
    }
  }
}

bool Checkers::is_hold(const wire::ObjectId& id, const wire::StoredObject& object,
                       const wire::Hold& hold) const {
  const auto statement = wire::HoldStatement::decode(hold.statement.statement);
  const auto admission = wire::AdmissionStatement::decode(hold.admission.statement);
  if (!statement || !admission || admission->subject != statement->holder) return false;
  const std::uint64_t size =
      id.type == wire::ObjectType::kBlock ? object.content.size() : wire::kRecordValueSizeMax;
  return hold.size == size &&
         world_.configuration().organisation_index(admission->organisation).has_value() &&
         wire::hold_path_leads(wire::hold_leaf(id, hold.size), hold.index, statement->count,
                               hold.path, statement->root) &&
         wire::is_signed_by<wire::HoldStatement>(world_.scheme(), statement->holder,
                                                 hold.statement) &&
         wire::is_signed_by<wire::AdmissionStatement>(world_.scheme(), admission->organisation,
                                                      hold.admission);
}

std::string Checkers::flaw_of(const wire::ObjectId& id, const wire::StoredObject& object) const {
  if (object.is_damaged) return "damage";
  if (object.holds.empty()) return "no hold";
  for (const wire::Hold& hold : object.holds) {
    if (!is_hold(id, object, hold)) return "a hold that is not valid";
  }
  if (id.type == wire::ObjectType::kBlock) {
    return crypto::sha256(object.content.view()) == id.placement ? "" : "wrong bytes";
  }
  const auto statement = wire::RecordStatement::decode(object.record.statement);
  if (!statement || statement->id() != id) return "another record";
  if (statement->value_hash != wire::record_value_hash(object.content.view())) return "wrong value";
  const bool is_signed =
      wire::is_signed_by<wire::RecordStatement>(world_.scheme(), statement->owner, object.record);
  return is_signed ? "" : "a record that its owner did not sign";
}

void Checkers::check_disks() {
  for (std::size_t node = 0; node < world_.node_count(); ++node) {
    if (nodes_[node].is_faulty) continue;
    check_accounts(node);
    for (const auto& [id, entry] : world_.disk(node).index()) {
      if (forbidden_.contains(id)) fail(node_name(node) + " stores what nobody may store");
      const std::string flaw = flaw_of(id, *held(node, id));
      if (!flaw.empty()) fail(node_name(node) + " stores an object with " + flaw);
    }
  }
}

std::string Checkers::difference() const {
  std::set<wire::ObjectId> ids;
  for (std::size_t node = 0; node < world_.node_count(); ++node) {
    for (const auto& [id, entry] : world_.disk(node).index()) ids.insert(id);
  }
  for (const auto& [id, block] : blocks_) {
    if (!ids.contains(id)) return "an acknowledged block is nowhere";
  }
  for (const wire::ObjectId& id : ids) {
    const auto group = world_.group_of(id);
    const bool is_of_group =
        std::ranges::any_of(group, [&](std::size_t node) { return held(node, id) != nullptr; });
    if (!is_of_group) continue;
    std::optional<crypto::Digest> state;
    for (const std::size_t node : group) {
      const auto loaded = world_.disk(node).load(id, wire::LoadPart::kAll);
      if (!loaded || !*loaded || (*loaded)->is_damaged) {
        return node_name(node) + " did not fill its gaps";
      }
      const crypto::Digest own = (*loaded)->entry().state;
      if (state.value_or(own) != own) {
        return node_name(node) + " ends with another object than its group";
      }
      state = own;
      const auto block = blocks_.find(id);
      if (block == blocks_.end()) continue;
      for (const auto& [holder, serial] : block->second.serials) {
        if (serial_of(**loaded, holder) < serial) {
          return node_name(node) + " ends with an older hold than was acknowledged";
        }
      }
    }
  }
  return {};
}

}  // namespace rosebud::sim
