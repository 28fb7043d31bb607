#include "apps/rosebud/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apps/rosebud/held_evidence.h"
#include "membership/lease.h"

namespace rosebud::apps {
namespace {

using enum Finding::Weight;
using membership::Configuration;

constexpr std::int64_t kClockWarningMs = 2'000;
constexpr std::uint64_t kDay = 86'400;
constexpr std::uint64_t kStatementWarning = 14 * kDay;
/// Of the space that a node keeps free: writes are refused at one.
constexpr std::uint64_t kReservesLeft = 4;

using Findings = std::vector<Finding>;

std::string name_of(const nlohmann::json& node) { return node.value("name", "?"); }
bool has_answered(const nlohmann::json& node) {
  const std::string state = node.value("state", "");
  return state == "serving" || state == "reconciling";
}

// ---- The client that looks ----

void look_at_statement(const Looked& looked, Findings& out) {
  if (looked.statement_until.value == 0) return;
  if (looked.statement_until <= looked.now) {
    out.push_back({"statement-expired", kProblem, "this client's admission statement has expired",
                   "ask its organisation for a new one: rosebud org admit-client"});
  } else if (looked.statement_until.value < looked.now.value + kStatementWarning) {
    out.push_back({"statement-expires", kWarning,
                   fmt::format("this client's admission statement expires in {} days",
                               (looked.statement_until.value - looked.now.value) / kDay),
                   "ask its organisation for a new one in time: rosebud org admit-client"});
  }
}

// ---- The nodes ----

void look_at_state(const nlohmann::json& node, const Configuration& configuration, Findings& out) {
  const std::string state = node.value("state", "");
  const std::string name = name_of(node);
  if (state == "down") {
    out.push_back({"node-down", kProblem, name + " does not run",
                   "start it, and see the end of its log; or replace it: rosebud member plan"});
  } else if (state == "unreachable") {
    out.push_back({"node-stuck", kProblem, name + " runs, and its admin listener does not answer",
                   "see its log; restart it"});
  } else if (state == "reconciling") {
    out.push_back({"node-not-complete", kWarning,
                   fmt::format("{} fetches what it keeps: {} of {} arcs are there", name,
                               node.value("arcs_serving", 0), node.value("arcs", 0)),
                   "wait; when it stands still: can it reach 2f+1 members of its groups?"});
  }
  if (!has_answered(node)) return;
  const auto epoch = node.value("epoch", std::uint64_t{0});
  if (epoch < configuration.number().epoch.value) {
    out.push_back({"node-behind", kWarning,
                   fmt::format("{} is in epoch {}, others are in {}", name, epoch,
                               configuration.number().epoch.value),
                   "wait some seconds; when it stays behind: can it reach any other node?"});
  }
}

void look_at_clock(const nlohmann::json& node, Findings& out) {
  const auto ahead_ms = node.value("clock_ahead_ms", std::int64_t{0});
  if (std::abs(ahead_ms) < kClockWarningMs) return;
  const auto bound_ms = static_cast<std::int64_t>(membership::kClockBoundSeconds) * 1000;
  out.push_back(
      {"clock-differs", std::abs(ahead_ms) < bound_ms ? kWarning : kProblem,
       fmt::format("the clock of {} is {:.1f} s {} this machine's", name_of(node),
                   static_cast<double>(std::abs(ahead_ms)) / 1000,
                   ahead_ms > 0 ? "ahead of" : "behind"),
       fmt::format("set both by NTP: beyond {} s a member of the service cannot take part",
                   membership::kClockBoundSeconds)});
}

void look_at_disk(const nlohmann::json& node, Findings& out) {
  const auto free = node.value("free_bytes", std::uint64_t{0});
  const auto reserve = node.value("reserve_bytes", std::uint64_t{0});
  if (reserve == 0 || free >= kReservesLeft * reserve) return;
  out.push_back({"disk-nearly-full", free <= reserve ? kProblem : kWarning,
                 fmt::format("{} has {} MiB of disk left; at {} MiB it refuses writes",
                             name_of(node), free >> 20, reserve >> 20),
                 "make room, or let other nodes come: rosebud member plan"});
}

/// Who is not reached, by whom. A node that is down stands there already.
void look_at_links(const Looked& looked, Findings& out) {
  std::map<std::string, std::vector<std::string>> by;
  for (const auto& node : looked.nodes) {
    for (const auto& peer : node.value("not_reached", nlohmann::json::array()))
      by[peer.get<std::string>()].push_back(name_of(node));
  }
  for (const auto& node : looked.nodes) {
    const auto at = by.find(name_of(node));
    if (at == by.end() || !has_answered(node)) continue;
    out.push_back({"node-not-reached", kProblem,
                   fmt::format("{} runs, and {} of the others cannot reach it ({} among them)",
                               at->first, at->second.size(), at->second.front()),
                   "look at the network between them: address, firewall, port"});
  }
}

/// Kinds as in objects::Observation: what was noticed, and what to do about it. What a correct node
/// never does is proof, to those who saw it.
struct Noticed {
  std::string_view kind;
  bool is_proof = false;
  std::string_view what;
  std::string_view next;
};
constexpr std::string_view kNextOfProof =
    "its software or memory cannot be trusted, or it lies: see the logs of those nodes, replace "
    "the "
    "machine, or have its organisation revoke it: rosebud member revoke";
constexpr Noticed kNoticed[] = {
    {"invalid_answer", true, "it answered with a wrong signature, hash or hold", kNextOfProof},
    {"false_proof", true, "it gave a wrong proof of a block", kNextOfProof},
    {"slow", false, "it did not answer in time",
     "it may be overloaded, or hard to reach: look at its load, its disk, and the network to it"},
    {"stale_record", false, "it showed an older record than others have",
     "it may have missed a write, and fetches it by itself; when it goes on, see its log and "
     "whether it reaches the others of its groups"},
    {"empty_listing", false, "it listed objects that it then did not show",
     "it may have deleted them meanwhile, or be busy; when it goes on, see its log and its disk"},
    {"no_proof", false, "it did not show a block that it should hold, again and again",
     "its disk may be full, slow or failing, or have lost something: see its log and its disk; "
     "node-wanting says when the service finds the same"},
};

void look_at_suspects(const Looked& looked, Findings& out) {
  std::map<std::pair<std::string, std::string>, std::size_t> observers;
  for (const auto& node : looked.nodes) {
    for (const auto& suspect : node.value("suspects", nlohmann::json::array()))
      ++observers[{suspect.value("node", ""), suspect.value("kind", "")}];
  }
  for (const auto& [seen, count] : observers) {
    const auto& [name, kind] = seen;
    const Noticed* known = std::ranges::find(kNoticed, kind, &Noticed::kind);
    // A node of a later version may notice what this one does not know.
    const Noticed what = known == std::end(kNoticed)
                             ? Noticed{.what = "see the logs of those nodes", .next = "see its log"}
                             : *known;
    out.push_back({what.is_proof ? "node-misbehaved" : "node-suspected", kWarning,
                   fmt::format("{} of the nodes {} of {}: {} ({})", count,
                               what.is_proof ? "have proof" : "noticed, which proves nothing,",
                               name, what.what, kind),
                   what.is_proof ? fmt::format("{} {}", what.next, name) : std::string(what.next)});
  }
}

/// By hand, in a development cluster.
void look_at_cuts(const Looked& looked, Findings& out) {
  for (const auto& node : looked.nodes) {
    const auto cut = node.value("cut", nlohmann::json::array());
    if (cut.empty()) continue;
    out.push_back({"cut-by-hand", kWarning,
                   fmt::format("{} was told to send nothing to {} others, {} among them",
                               name_of(node), cut.size(), cut.front().get<std::string>()),
                   "end it: rosebud dev heal"});
  }
}

/// Of those who are members still. This convinces others too.
void look_at_evidence(const Looked& looked, Findings& out) {
  for (const Accused& one : accused_in(looked.nodes)) {
    if (!one.is_member) continue;
    out.push_back(
        {"member-equivocated", kProblem,
         fmt::format("{} of {} signed two votes that contradict each other as a member of the "
                     "configuration service of epoch {}; the proof is {} in the data directory of "
                     "{}{}",
                     one.node, one.organisation, one.epoch, one.file, one.holders.front(),
                     one.holders.size() > 1
                         ? fmt::format(" and at {} others", one.holders.size() - 1)
                         : ""),
         fmt::format("check it: rosebud evidence verify FILE; then its organisation takes it out: "
                     "rosebud member revoke {} --org DIR --yes; or the others do: rosebud org "
                     "revoke-node {}",
                     one.node, one.node)});
  }
}

/// What 2F+1 members of the service have agreed on; every one of them shows it.
void look_at_wanting(const Looked& looked, Findings& out) {
  for (const auto& [name, is_convicted] : wanting_in(looked.nodes)) {
    out.push_back(
        {"node-wanting", kProblem,
         is_convicted
             ? fmt::format("{} gave wrong proofs of what it holds: it leaves with the next epoch",
                           name)
             : fmt::format("{} answers and does not show blocks that it should hold; it is not "
                           "removed by itself",
                           name),
         is_convicted
             ? std::string("replace the machine: its software or memory cannot be trusted")
             : fmt::format("look at its log and its disk: is it full, slow, or failing? If "
                           "it cannot be mended: rosebud member drain {} --org DIR",
                           name)});
  }
}

// ---- The cluster as a whole ----

void look_at_groups(const Configuration& configuration, Findings& out) {
  const bool is_exposed = std::ranges::any_of(configuration.ring().arcs(), [&](const auto& arc) {
    return arc.group.size() < configuration.group_size();
  });
  if (!is_exposed) return;
  out.push_back({"seats-exposed", kWarning,
                 fmt::format("some groups have fewer than {} replicas: with at most {} of one "
                             "organisation in a group there are too few organisations with nodes",
                             configuration.group_size(), configuration.settings().cap),
                 "let nodes of other organisations come: rosebud member plan --admit FILE"});
}

void look_at_service(const Looked& looked, Findings& out) {
  const Configuration& configuration = *looked.configuration;
  const auto& service = configuration.service();
  if (service.empty()) return;
  const std::size_t faults = configuration.settings().service_faults;
  const auto is_up = [&](const membership::ServiceMember& member) {
    const std::string& name = configuration.nodes()[member.node].name;
    return std::ranges::any_of(looked.nodes, [&](const auto& node) {
      return name_of(node) == name && has_answered(node);
    });
  };
  const auto up = static_cast<std::size_t>(std::ranges::count_if(service, is_up));
  if (!looked.nodes.empty() && up < configuration.service_quorum()) {
    out.push_back(
        {"service-below-quorum", kProblem,
         fmt::format("{} of {} members of the configuration service run, {} are needed: no "
                     "epoch follows",
                     up, service.size(), configuration.service_quorum()),
         "start the nodes that sit in it: rosebud member list; if more than F of them are gone for "
         "good, only the organisations can go on: rosebud cluster recover --help"});
  }
  for (const auto& node : looked.nodes) {
    const auto generation = node.value("stated_for_generation", std::uint64_t{0});
    if (generation == 0) continue;
    out.push_back({"node-waits-for-recovery", kWarning,
                   fmt::format("{} has stated what it holds for generation {} and follows no epoch "
                               "before it",
                               name_of(node), generation),
                   "have the organisations sign the proposal, and hand it in: rosebud cluster "
                   "recover apply"});
  }
  if (service.size() < 3 * faults + 1) {
    out.push_back({"seat-vacant", kWarning,
                   fmt::format("{} seats of the configuration service are vacant: it bears so many "
                               "silent members fewer",
                               3 * faults + 1 - service.size()),
                   "start the nodes of organisations without a seat; the next epoch fills it"});
  }
  if (faults == 0) {
    out.push_back({"service-bears-nothing", kWarning,
                   "F = 0: the configuration service bears no faulty member",
                   "have at least four organisations, and begin a cluster with F = 1"});
  }
}

void look_at_time(const Looked& looked, Findings& out) {
  std::optional<Timestamp> leased;
  for (const auto& node : looked.nodes) {
    if (node.value("epoch", std::uint64_t{0}) != looked.configuration->number().epoch.value)
      continue;
    const Timestamp until(node.value("leased_until", std::uint64_t{0}));
    if (until.value > 0) leased = std::max(leased.value_or(until), until);
  }
  const auto until = membership::usable_until(*looked.configuration, leased);
  if (!until || looked.now < *until) return;
  out.push_back(
      {"epoch-over", kProblem,
       fmt::format("the time of epoch {} has been over for {} s, and nothing shows that it is "
                   "still in force: clients write nothing and read no records",
                   looked.configuration->number().epoch.value, looked.now.value - until->value),
       "start the members of the configuration service, and look at the clocks"});
}

}  // namespace

std::vector<Finding> diagnose(const Looked& looked) {
  Findings out;
  look_at_time(looked, out);
  look_at_service(looked, out);
  look_at_groups(*looked.configuration, out);
  for (const auto& node : looked.nodes) {
    look_at_state(node, *looked.configuration, out);
    if (!has_answered(node)) continue;
    look_at_clock(node, out);
    look_at_disk(node, out);
  }
  look_at_evidence(looked, out);
  look_at_cuts(looked, out);
  look_at_links(looked, out);
  look_at_suspects(looked, out);
  look_at_wanting(looked, out);
  look_at_statement(looked, out);
  Findings sorted;
  for (const Finding::Weight weight : {kProblem, kWarning}) {
    std::ranges::copy_if(out, std::back_inserter(sorted),
                         [weight](const Finding& one) { return one.weight == weight; });
  }
  return sorted;
}

}  // namespace rosebud::apps
