// What a node tells on its admin listener: health, metrics, status; and the switch for misbehaviour
// in development.
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/processor_time.h"
#include "membership/lease.h"
#include "runtime/node_internal.h"

namespace rosebud::runtime {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// One family with any number of labelled values.
class Family {
 public:
  Family(std::string name, std::string help, MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }
  Family& add(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    metric.counter.value = value;
    family_.metric.push_back(std::move(metric));
    return *this;
  }
  Family& add_all(const std::map<std::string, std::uint64_t, std::less<>>& values,
                  const std::string& label) {
    for (const auto& [name, value] : values) add(static_cast<double>(value), {{label, name}});
    return *this;
  }
  void into(std::vector<MetricFamily>& out) { out.push_back(std::move(family_)); }

 private:
  MetricFamily family_;
};

std::string value_in(const std::string& query, const std::string& name) {
  const auto at = ("&" + query).find("&" + name + "=");
  if (at == std::string::npos) return {};
  const std::string rest = query.substr(at + name.size() + 1);
  return rest.substr(0, rest.find('&'));
}

/// Its seat, and what the replica there has come to; as this node sees it, which may be behind.
nlohmann::json service_of(const ServiceHost::Status& status) {
  nlohmann::json out = {{"seat", nullptr}, {"group", nullptr}};
  if (status.seat) out["seat"] = *status.seat;
  out["waits_for_state"] = status.is_waiting_for_state;
  if (!status.group) return out;
  const ServiceHost::Status::Group& group = *status.group;
  constexpr const char* kPhases[] = {"running", "announcing", "revealing", "sealed"};
  out["group"] = {{"phase", kPhases[static_cast<std::size_t>(group.phase)]},
                  {"view", group.view},
                  {"primary", group.is_primary},
                  {"votes", group.may_vote},
                  {"executed", group.executed},
                  {"not_answering", group.inactive},
                  {"admissions", group.admissions},
                  {"complained_of", group.complained_of.size()},
                  {"withholding", group.withholding.size()},
                  {"convicted", group.convicted.size()},
                  {"rejected", group.rejected},
                  {"evidence", group.evidence}};
  return out;
}

/// What this node can show against members, and whether they are members still.
nlohmann::json evidence_of(const std::vector<EvidenceFiles::Kept>& kept,
                           const membership::Configuration& configuration) {
  nlohmann::json out = nlohmann::json::array();
  for (const EvidenceFiles::Kept& one : kept) {
    out.push_back({{"node", one.evidence.name},
                   {"key", to_hex(one.evidence.node.view())},
                   {"org", one.evidence.organisation},
                   {"generation", one.evidence.number.generation.value},
                   {"epoch", one.evidence.number.epoch.value},
                   {"seat", one.evidence.votes.first.replica.value},
                   {"member", configuration.node_index(one.evidence.node).has_value()},
                   {"file", "evidence/" + one.file.filename().string()}});
  }
  return out;
}

/// 0: there is none. It was checked when it came.
std::uint64_t leased_until(const Buffer& signed_lease) {
  return membership::stated_end(signed_lease.view()).value_or(Timestamp(0)).value;
}

/// Of its seat, as this node sees the group; without one only that.
void add_service_metrics(const ServiceHost::Status& status, std::uint64_t leased_until,
                         std::vector<MetricFamily>& out) {
  constexpr auto kGauge = MetricType::Gauge;
  constexpr auto kCounter = MetricType::Counter;
  const auto count = [](auto value) { return static_cast<double>(value); };
  Family("rosebud_lease_end_seconds",
         "Until when the newest lease known here says that the epoch is in force (Unix time; 0: "
         "none).",
         kGauge)
      .add(count(leased_until))
      .into(out);
  Family("rosebud_service_seats", "Seats in the configuration service that this node has.", kGauge)
      .add(status.seat ? 1 : 0)
      .into(out);
  if (!status.group) return;
  const ServiceHost::Status::Group& group = *status.group;
  Family("rosebud_service_view", "View of the service's group.", kGauge)
      .add(count(group.view))
      .into(out);
  Family("rosebud_service_primary", "1 where this node proposes the order.", kGauge)
      .add(group.is_primary ? 1 : 0)
      .into(out);
  Family("rosebud_service_executed_total", "Numbers executed in this epoch.", kCounter)
      .add(count(group.executed))
      .into(out);
  Family("rosebud_service_not_answering", "Members that 2F+1 of the service cannot reach.", kGauge)
      .add(count(group.inactive))
      .into(out);
  Family("rosebud_service_admissions", "Admissions that wait for the next epoch.", kGauge)
      .add(count(group.admissions))
      .into(out);
  Family("rosebud_service_complaints", "Members that others complain of, by what was found.",
         kGauge)
      .add(count(group.complained_of.size()), {{"state", "complained_of"}})
      .add(count(group.withholding.size()), {{"state", "withholding"}})
      .add(count(group.convicted.size()), {{"state", "convicted"}})
      .into(out);
  Family("rosebud_service_rejected_total", "Messages of the group that failed a check.", kCounter)
      .add(count(group.rejected))
      .into(out);
  Family("rosebud_service_evidence", "Members that signed two votes that contradict each other.",
         kGauge)
      .add(count(group.evidence))
      .into(out);
}

void add_overlay_metrics(const overlay::Picture& picture, const overlay::Counters& counters,
                         std::vector<MetricFamily>& out) {
  const auto count = [](auto value) { return static_cast<double>(value); };
  constexpr auto kGauge = MetricType::Gauge;
  constexpr auto kCounter = MetricType::Counter;
  const auto alive =
      std::ranges::count_if(picture.peers, [](const auto& peer) { return peer.state.is_alive(); });
  Family("rosebud_overlay_taking_part", "1: this node takes part in the overlay.", kGauge)
      .add(picture.is_taking_part ? 1 : 0)
      .into(out);
  Family("rosebud_overlay_peers", "Peers of the overlay by this node's table.", kGauge)
      .add(count(alive), {{"state", "alive"}})
      .add(count(picture.peers.size()) - count(alive), {{"state", "dead"}})
      .into(out);
  Family("rosebud_overlay_datagrams_total", "Datagrams of the overlay.", kCounter)
      .add(count(counters.datagrams_in), {{"direction", "in"}})
      .add(count(counters.datagrams_out), {{"direction", "out"}})
      .add(count(counters.unsent), {{"direction", "unsent"}})
      .into(out);
  Family("rosebud_overlay_bytes_total", "Bytes of those datagrams, without headers.", kCounter)
      .add(count(counters.bytes_in), {{"direction", "in"}})
      .add(count(counters.bytes_out), {{"direction", "out"}})
      .into(out);
  const overlay::Refusals& refused = counters.refusals;
  Family("rosebud_overlay_refused_total", "Datagrams that were not taken, by reason.", kCounter)
      .add(count(refused.malformed), {{"reason", "malformed"}})
      .add(count(refused.stale), {{"reason", "stale"}})
      .add(count(refused.repeated), {{"reason", "repeated"}})
      .add(count(refused.not_authentic), {{"reason", "not_authentic"}})
      .add(count(refused.too_many), {{"reason", "too_many"}})
      .add(count(refused.too_fast), {{"reason", "too_fast"}})
      .add(count(counters.rejected), {{"reason", "rejected"}})
      .into(out);
}

net::HttpResponse text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain", .body = std::move(body)};
}

}  // namespace

net::HttpResponse Node::Impl::admin(const net::HttpRequest& request) {
  if (request.path == "/livez") return text(200, "ok\n");
  if (request.path == "/readyz" || request.path == "/health") {
    if (is_stopping_) return text(503, "stopping\n");
    if (!replica_) return text(503, "waiting for the epoch that admits it\n");
    if (replica_->is_serving_everything()) return text(200, "ok\n");
    const auto statistics = replica_->statistics();
    return text(503, "reconciling: " + std::to_string(statistics.arcs_serving) + " of " +
                         std::to_string(statistics.arcs) + " arcs are served\n");
  }
  if (request.path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4", .body = metrics_text()};
  }
  if (request.path == "/v1/status") return {.body = status_json()};
  if (request.path == "/v1/overlay") return overlay_picture();
  if (request.path == "/v1/lookups" && request.method == "POST")
    return begin_lookup(value_in(request.query, "key"));
  if (request.path == "/v1/lookups")
    return lookup_answer(std::strtoull(value_in(request.query, "id").c_str(), nullptr, 10));
  if (request.path == "/v1/misbehave" && request.method == "POST") return misbehave(request.query);
  if (request.path == "/v1/cut" && request.method == "POST") return look_at_cut();
  if (request.path == "/v1/recovery" && request.method == "POST")
    return state_for_recovery_as_asked(request.query);
  // What stands there is verified: whoever makes the node look does no harm.
  if (request.path == "/v1/learn" && request.method == "POST") {
    learn_from_files();
    return text(200, "epoch " + std::to_string(configuration_->number().epoch.value) + "\n");
  }
  return text(404, "nothing here; see /livez /readyz /health /metrics /v1/status\n");
}

/// `call`: a RecoveryCall as it is signed, in hexadecimal digits.
net::HttpResponse Node::Impl::state_for_recovery_as_asked(const std::string& query) {
  const auto bytes = from_hex(value_in(query, "call"));
  wire::Reader in(bytes ? ByteView(*bytes) : ByteView());
  const wire::SignedBytes call = wire::read_signed_bytes(in, wire::kStatementSizeMax);
  if (!in.done()) return text(400, "this is no call for a statement\n");
  const auto statement = state_for_recovery(call);
  if (!statement) return text(403, statement.error() + "\n");
  wire::Writer out;
  wire::write(out, *statement);
  return {.body = nlohmann::json{{"statement", to_hex(out.bytes())},
                                 {"state", to_hex(state_handed_over().view())}}
                      .dump() +
                  "\n"};
}

net::HttpResponse Node::Impl::misbehave(const std::string& query) {
  if (!options_.is_development)
    return text(403, "only nodes of a development cluster misbehave on purpose\n");
  const std::string name = value_in(query, "mode");
  if (name == "disk") {
    const std::size_t damaged = store_->damage(1, 2);
    return {.body = nlohmann::json{{"damaged", damaged}}.dump() + "\n"};
  }
  const auto mode = adversary::mode_of(name);
  if (!mode)
    return text(400,
                "mode is one of honest, mute, lie, stale, garbage, equivocate, hollow, disk\n");
  misbehaviour_.set_mode(*mode);
  service_->set_double_voting(*mode == adversary::Mode::kEquivocate);
  return {.body = nlohmann::json{{"mode", name}}.dump() + "\n"};
}

net::HttpResponse Node::Impl::look_at_cut() {
  if (!options_.is_development)
    return text(403, "only nodes of a development cluster are cut off from others on purpose\n");
  if (const auto cut = take_cut(); !cut) return text(500, cut.error().text() + "\n");
  return {.body = nlohmann::json{{"cut", cut_.size()}}.dump() + "\n"};
}

std::string Node::Impl::status_json() const {
  const auto replica = replica_ ? replica_->statistics() : objects::Replica::Statistics{};
  const auto disk = store_->statistics();
  nlohmann::json out = {
      {"name", own_.name},
      {"org", organisation_},
      {"member", is_named_in(*configuration_)},
      {"cluster", to_hex(configuration_->cluster().view())},
      {"generation", configuration_->number().generation.value},
      {"epoch", configuration_->number().epoch.value},
      {"stated_for_generation", is_bound() ? promise_.generation().value : 0},
      {"lost_groups", generation_starts_.lost_groups_count()},
      {"epoch_start", configuration_->start().value},
      {"epoch_seconds", configuration_->settings().epoch_seconds},
      {"service", service_of(service_->status())},
      {"evidence", evidence_of(service_->evidence(), *configuration_)},
      {"serving", replica_ && replica_->is_serving_everything()},
      {"arcs", replica.arcs},
      {"arcs_serving", replica.arcs_serving},
      {"objects", disk.objects},
      {"bytes", disk.bytes},
      {"free_bytes", disk.free_bytes},
      {"reserve_bytes", options_.reserve_bytes},
      {"leased_until", leased_until(service_->lease())},
      {"time_ms", replication::read_now().wall.value},
      {"damaged_found", replica.damaged_found},
      {"healed", replica.healed},
      {"forgotten", replica.forgotten},
      {"audits",
       {{"asked", replica.audits.asked},
        {"proven", replica.audits.proven},
        {"failed", replica.audits.failed},
        {"false", replica.audits.false_ones},
        {"complaints", replica.audits.complaints},
        {"suspected", replica.audits.suspects}}},
      {"mode", adversary::name_of(misbehaviour_.mode())},
  };
  // By name: what doctor tells, as far as this node's seat knows.
  out["wanting"] = nlohmann::json::array();
  if (const auto group = service_->status().group) {
    for (const auto& [how, nodes] :
         {std::pair("withholding", group->withholding), std::pair("convicted", group->convicted)}) {
      for (const wire::NodeKey& node : nodes) {
        const auto index = configuration_->node_index(node);
        if (!index) continue;
        out["wanting"].push_back({{"node", configuration_->nodes()[*index].name}, {"how", how}});
      }
    }
  }
  out["not_reached"] = nlohmann::json::array();
  for (const auto& [node, problem] : link_problems_) {
    const auto index = configuration_->node_index(node);
    if (index) out["not_reached"].push_back(configuration_->nodes()[*index].name);
  }
  out["cut"] = nlohmann::json::array();
  for (const crypto::PublicKey& key : cut_) {
    const auto node = known_nodes_.find(key);
    out["cut"].push_back(node != known_nodes_.end() ? node->second : "a client");
  }
  out["suspects"] = nlohmann::json::array();
  for (const auto& [what, count] : observations_) {
    const auto index = configuration_->node_index(what.first);
    if (!index) continue;
    out["suspects"].push_back({{"node", configuration_->nodes()[*index].name},
                               {"kind", objects::name_of(what.second)},
                               {"count", count}});
  }
  return out.dump() + "\n";
}

std::string Node::Impl::metrics_text() const {
  const auto replica = replica_ ? replica_->statistics() : objects::Replica::Statistics{};
  const auto disk = store_->statistics();
  const auto commits = committer_->statistics();
  const auto count = [](auto value) { return static_cast<double>(value); };
  constexpr auto kGauge = MetricType::Gauge;
  constexpr auto kCounter = MetricType::Counter;
  std::vector<MetricFamily> out;
  Family("rosebud_build_info", "Version of this node; always 1.", kGauge)
      .add(1, {{"version", "0.1.0"}})
      .into(out);
  Family("rosebud_epoch", "Epoch that this node has entered.", kGauge)
      .add(count(configuration_->number().epoch.value))
      .into(out);
  Family("rosebud_generation", "How often the organisations have recovered the service.", kGauge)
      .add(count(configuration_->number().generation.value))
      .into(out);
  Family("rosebud_lost_groups", "Groups whose losses were accepted for what is in force.", kGauge)
      .add(count(generation_starts_.lost_groups_count()))
      .into(out);
  add_service_metrics(service_->status(), leased_until(service_->lease()), out);
  if (overlay_) add_overlay_metrics(overlay_->picture(), overlay_->counters(), out);
  Family("rosebud_cut_peers",
         "To how many a node of a development cluster sends nothing, because it was told to.",
         kGauge)
      .add(count(cut_.size()))
      .into(out);
  Family("rosebud_evidence_files",
         "Files of evidence against members of the service that this node keeps.", kGauge)
      .add(count(service_->evidence().size()))
      .into(out);
  Family("rosebud_uptime_seconds", "Time since the node started.", kGauge)
      .add(count((read_clock() - started_).count()) / 1e6)
      .into(out);
  Family("process_cpu_seconds_total", "User and system processor time.", kCounter)
      .add(processor_seconds())
      .into(out);
  Family("rosebud_requests_total", "Requests received, by kind.", kCounter)
      .add_all(metrics_.requests, "kind")
      .into(out);
  Family("rosebud_refusals_total", "Requests refused, by reason.", kCounter)
      .add_all(metrics_.refusals, "reason")
      .into(out);
  Family("rosebud_rejected_total",
         "Frames, handshakes and requests that failed a check, by reason.", kCounter)
      .add_all(metrics_.rejected, "reason")
      .into(out);
  Family("rosebud_received_bytes_total", "Bytes of messages received.", kCounter)
      .add(count(metrics_.bytes_in))
      .into(out);
  Family("rosebud_sent_bytes_total", "Bytes of answers sent.", kCounter)
      .add(count(metrics_.bytes_out))
      .into(out);
  Family("rosebud_connections", "Connections from clients and nodes.", kGauge)
      .add(count(incoming_.size()))
      .into(out);
  Family("rosebud_operations", "Operations under way and waiting.", kGauge)
      .add(count(replica.operations))
      .into(out);
  Family("rosebud_blocks_stored_total", "Blocks and holds of blocks written.", kCounter)
      .add(count(replica.blocks_stored))
      .into(out);
  Family("rosebud_records_stored_total", "Newer records written.", kCounter)
      .add(count(replica.records_stored))
      .into(out);
  Family("rosebud_arcs", "Arcs of the ring that this node keeps.", kGauge)
      .add(count(replica.arcs_serving), {{"state", "serving"}})
      .add(count(replica.arcs - replica.arcs_serving), {{"state", "reconciling"}})
      .into(out);
  Family("rosebud_scrub_corrupt_total", "Objects whose stored bytes were bad.", kCounter)
      .add(count(replica.damaged_found))
      .into(out);
  Family("rosebud_scrubbed_total", "Objects read by the scrubber.", kCounter)
      .add(count(replica.scrubbed))
      .into(out);
  Family("rosebud_healed_total", "Objects fetched from other replicas.", kCounter)
      .add(count(replica.healed))
      .into(out);
  Family("rosebud_forgotten_total", "Objects deleted that other nodes keep now.", kCounter)
      .add(count(replica.forgotten))
      .into(out);
  Family("rosebud_audits_total",
         "Questions to other nodes to show a block, by what became of them.", kCounter)
      .add(count(replica.audits.proven), {{"outcome", "proven"}})
      .add(count(replica.audits.failed), {{"outcome", "failed"}})
      .add(count(replica.audits.false_ones), {{"outcome", "false"}})
      .into(out);
  Family("rosebud_audit_complaints_total", "Complaints of this node about others.", kCounter)
      .add(count(replica.audits.complaints))
      .into(out);
  Family("rosebud_store_objects", "Objects stored (estimate).", kGauge)
      .add(count(disk.objects))
      .into(out);
  Family("rosebud_store_bytes", "Bytes of the database.", kGauge).add(count(disk.bytes)).into(out);
  Family("rosebud_store_free_bytes", "Free bytes of the file system.", kGauge)
      .add(count(disk.free_bytes))
      .into(out);
  Family("rosebud_commits_total", "Synced commits.", kCounter)
      .add(count(commits.commits))
      .into(out);
  Family("rosebud_commit_batches_total", "Writes that shared those commits.", kCounter)
      .add(count(commits.batches))
      .into(out);
  Family("rosebud_commit_bytes_total", "Bytes of content in those commits.", kCounter)
      .add(count(commits.bytes))
      .into(out);
  Family("rosebud_commit_seconds_total", "Time spent in synced commits.", kCounter)
      .add(count(commits.commit_time.count()) / 1e6)
      .into(out);
  Family("rosebud_store_failed_compactions_total",
         "Compactions that met bad stored bytes and will be tried again.", kCounter)
      .add(count(disk.failed_compactions))
      .into(out);
  std::ostringstream stream;
  prometheus::TextSerializer().Serialize(stream, out);
  return stream.str();
}

}  // namespace rosebud::runtime
