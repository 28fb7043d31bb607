#include "service/sim/rules.h"

#include <algorithm>

#include "membership/changeable_settings.h"
#include "service/sim/complaint_rules.h"
#include "service/sim/statement_rules.h"

namespace rosebud::service::sim {
namespace {

using membership::Configuration;
using membership::Node;

constexpr std::uint64_t kSecondMs = 1000;
constexpr std::uint64_t kHourMs = 3600 * kSecondMs;
constexpr std::size_t kEndsBeforeTimePerHour = 6;  // design 7

std::string short_name(const wire::NodeKey& node) { return to_hex(node.view()).substr(0, 8); }

std::size_t faults_of(const Configuration& epoch) { return epoch.settings().service_faults; }
std::size_t quorum_of(const Configuration& epoch) { return 2 * faults_of(epoch) + 1; }

const membership::ServiceMember* member_of(const Configuration& epoch, const wire::NodeKey& node) {
  for (const membership::ServiceMember& one : epoch.service()) {
    if (epoch.nodes()[one.node].key == node) return &one;
  }
  return nullptr;
}

template <typename Nodes>
const Node* find(const Nodes& nodes, const wire::NodeKey& key) {
  const auto at = std::ranges::find(nodes, key, &Node::key);
  return at == nodes.end() ? nullptr : &*at;
}

bool has(const Said& said, const wire::NodeKey& about, const wire::NodeKey& by) {
  const auto at = said.find(about);
  return at != said.end() && at->second.contains(by);
}

/// Members of the service that say it; others do not count.
std::size_t count_members(const Configuration& epoch, const Said& said,
                          const wire::NodeKey& about) {
  const auto at = said.find(about);
  if (at == said.end()) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(
      at->second, [&](const wire::NodeKey& by) { return member_of(epoch, by) != nullptr; }));
}

std::string problem_of_seats(const Configuration& epoch, const std::vector<wire::NodeKey>& seats) {
  std::map<std::uint32_t, std::size_t> of_organisation;
  if (seats.size() > 3 * faults_of(epoch) + 1) return "more seats than 3F+1";
  if (std::set(seats.begin(), seats.end()).size() != seats.size()) return "a node in two seats";
  for (const wire::NodeKey& node : seats) {
    const auto index = epoch.node_index(node);
    if (!index) return "a seat for a node of no configuration";
    const std::size_t count = ++of_organisation[epoch.nodes()[*index].organisation];
    if (count > std::max<std::size_t>(faults_of(epoch), 1)) return "an organisation over its bound";
  }
  return {};
}

std::vector<wire::NodeKey> nodes_of(const std::vector<State::Candidate>& candidates) {
  std::vector<wire::NodeKey> out;
  for (const State::Candidate& one : candidates) out.push_back(one.node);
  return out;
}

// ---- One step ----

class StepRules {
 public:
  explicit StepRules(const Step& step)
      : step_(step),
        before_(step.before),
        after_(step.machine.state()),
        epoch_(step.machine.configuration()),
        next_nodes_(membership::nodes_after(epoch_, after_.next.nodes)),
        is_member_(member_of(epoch_, step.asker) != nullptr) {}

  std::string problem() const {
    const bool may_change =
        step_.operation && epoch_.node_index(step_.asker) && before_.phase != Phase::kSealed;
    if (!may_change) {
      return before_.encode() == after_.encode() ? "" : "a step that may change nothing does";
    }
    for (const auto rule :
         {&StepRules::of_words, &StepRules::of_reachability, &StepRules::of_phases,
          &StepRules::of_candidates, &StepRules::of_announcements, &StepRules::of_shares}) {
      std::string out = (this->*rule)();
      if (!out.empty()) return out;
    }
    const std::string out = problem_of_complaints(step_);
    return out.empty() ? problem_of_statements(step_) : out;
  }

 private:
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&*step_.operation);
  }

  // ---- Whose word counts ----

  /// Only a member's, only its own, and only about what it says.
  std::string of_added_words(const Said& before, const Said& after,
                             const std::optional<wire::NodeKey>& about) const {
    for (const auto& [node, by_whom] : after) {
      for (const wire::NodeKey& by : by_whom) {
        if (has(before, node, by)) continue;
        if (by != step_.asker || !is_member_) return "the word of somebody who is no member counts";
        if (about != node) return "a member's word counts for what it did not say";
      }
    }
    return {};
  }
  std::string of_words() const {
    std::optional<wire::NodeKey> lost;
    std::optional<wire::NodeKey> found;
    if (const auto* one = as<Reachability>()) (one->is_reachable ? found : lost) = one->node;
    std::optional<wire::NodeKey> unannounced;
    if (const auto* one = as<NoAnnouncement>()) unannounced = one->candidate;
    std::optional<wire::NodeKey> unrevealed;
    if (const auto* one = as<NoReveal>()) unrevealed = one->node;
    std::optional<wire::NodeKey> withheld;
    std::optional<wire::NodeKey> shown_false;
    std::optional<wire::NodeKey> shown;
    if (const auto* one = as<Verdict>()) {
      const bool is_proven = one->outcome == wire::AuditOutcome::kProven;
      (is_proven ? shown : withheld) = one->accused;
      if (one->outcome == wire::AuditOutcome::kFalse) shown_false = one->accused;
    }
    for (const auto& [before, after, about] :
         {std::tuple(&before_.withheld, &after_.withheld, &withheld),
          std::tuple(&before_.shown_false, &after_.shown_false, &shown_false),
          std::tuple(&before_.shown, &after_.shown, &shown),
          std::tuple(&before_.unreachable, &after_.unreachable, &lost),
          std::tuple(&before_.reachable, &after_.reachable, &found),
          std::tuple(&before_.unannounced, &after_.unannounced, &unannounced),
          std::tuple(&before_.unrevealed, &after_.unrevealed, &unrevealed)}) {
      std::string out = of_added_words(*before, *after, *about);
      if (!out.empty()) return out;
    }
    return {};
  }

  std::string of_reachability() const {
    const auto& before = before_.carried.wishes.inactive_since_ms;
    const auto& after = after_.carried.wishes.inactive_since_ms;
    for (const auto& [node, since] : after) {
      if (const auto at = before.find(node); at != before.end()) {
        if (at->second != since) return "a node is inactive since another time than before";
        continue;
      }
      if (since != step_.time_ms) return "a node is inactive since another time than the agreed";
      if (count_members(epoch_, after_.unreachable, node) < quorum_of(epoch_)) {
        return "a node is inactive on the word of fewer than 2F+1";
      }
    }
    for (const auto& [node, since] : before) {
      if (after.contains(node)) continue;
      if (count_members(epoch_, after_.reachable, node) < faults_of(epoch_) + 1) {
        return "a node is active again on the word of fewer than F+1";
      }
    }
    return {};
  }

  // ---- The end of the epoch ----

  std::string of_phases() const {
    if (after_.phase < before_.phase && !is_settling()) return "the end is taken back";
    if (before_.phase == Phase::kRunning && after_.phase != Phase::kRunning) return of_prepare();
    if (before_.phase != Phase::kRunning && before_.prepared_ms != after_.prepared_ms) {
      return "prepare-epoch has another time afterwards";
    }
    if (after_.phase >= Phase::kRevealing && before_.phase < Phase::kRevealing) {
      const bool is_silent = std::ranges::any_of(
          after_.candidates, [](const auto& one) { return !one.announcement.has_value(); });
      if (is_silent) return "shares are opened before all candidates announced";
      if (after_.candidates.size() < quorum_of(epoch_)) return "too few candidates for a service";
    }
    if (after_.phase == Phase::kSealed) return of_seal();
    return {};
  }

  /// In this step it is found out who withheld its share, and somebody did.
  bool is_settling() const {
    return before_.phase == Phase::kRevealing && !before_.is_withholding_settled &&
           after_.is_withholding_settled && !after_.withholders.empty();
  }

  std::string of_prepare() const {
    if (!as<PrepareEpoch>() || !is_member_) return "the epoch ends without prepare-epoch";
    if (after_.prepared_ms != step_.time_ms) return "prepare-epoch at another time than the agreed";
    const std::uint64_t length_ms = epoch_.settings().epoch_seconds * kSecondMs;
    const std::uint64_t start_ms = epoch_.start().value * kSecondMs;
    if (length_ms > 0 && step_.time_ms >= start_ms + length_ms) return {};
    if (!is_there_a_reason()) return "the epoch ends before its time without a reason";
    const auto recent =
        std::ranges::count_if(before_.carried.early_ends_ms,
                              [this](std::uint64_t end) { return end + kHourMs > step_.time_ms; });
    if (std::cmp_greater_equal(recent, kEndsBeforeTimePerHour)) {
      return "too many ends before their time in an hour";
    }
    const auto& ends = after_.carried.early_ends_ms;
    if (ends.empty() || ends.back() != step_.time_ms) return "an early end is not counted";
    return {};
  }

  /// Somebody leaves who has to, or an organisation.
  bool is_there_a_reason() const {
    const bool does_node_go = std::ranges::any_of(epoch_.nodes(), [this](const Node& node) {
      return !find(next_nodes_, node.key) &&
             (is_sent_away(epoch_, after_, node) || is_convicted_in(after_, node.key) ||
              after_.carried.wishes.inactive_since_ms.contains(node.key));
    });
    const auto& now = epoch_.organisations();
    bool does_organisation_go = false;
    for (std::size_t i = 0; i < now.size(); ++i)
      does_organisation_go |= !now[i].is_revoked && after_.next.organisations[i].is_revoked;
    return does_node_go || does_organisation_go || before_.is_end_requested;
  }

  /// All commitments of the header are open, or 2F+1 said that one is not.
  std::string of_seal() const {
    for (const membership::ServiceMember& member : epoch_.service()) {
      const wire::NodeKey& node = epoch_.nodes()[member.node].key;
      if (member.commitment == crypto::Digest{} || after_.shares.contains(node)) continue;
      if (count_members(epoch_, after_.unrevealed, node) < quorum_of(epoch_)) {
        return "sealed without a share that fewer than 2F+1 missed";
      }
    }
    if (after_.candidates.size() < quorum_of(epoch_)) return "sealed with too few seats";
    return problem_of_seats(epoch_, nodes_of(after_.candidates));
  }

  std::string of_candidates() const {
    if (before_.candidates.empty() && !after_.candidates.empty()) return of_first_candidates();
    if (after_.phase == Phase::kAnnouncing || before_.phase == Phase::kAnnouncing) {
      for (const State::Candidate& one : before_.candidates) {
        const auto after = nodes_of(after_.candidates);
        if (std::ranges::find(after, one.node) != after.end() || is_set_aside(one.node)) continue;
        std::size_t words = count_members(epoch_, before_.unannounced, one.node);
        const auto* said = as<NoAnnouncement>();
        const bool is_new = said && said->candidate == one.node && is_member_ &&
                            !has(before_.unannounced, one.node, step_.asker);
        if (is_new) ++words;
        if (words < quorum_of(epoch_)) return "a candidate is passed over on too few words";
        if (one.announcement) return "a candidate that announced is passed over";
      }
    }
    if (is_settling()) {
      std::string out = of_withholders();
      if (!out.empty()) return out;
    }
    return of_any_candidates();
  }

  bool is_set_aside(const wire::NodeKey& node) const {
    return is_settling() && after_.withholders.contains(node);
  }

  /// Whoever withheld its share keeps its seat only where nobody else can have it.
  std::string of_withholders() const {
    const auto seats = nodes_of(after_.candidates);
    for (const wire::NodeKey& withholder : after_.withholders) {
      if (std::ranges::find(seats, withholder) == seats.end()) continue;
      for (const Node& node : epoch_.nodes()) {
        std::vector<wire::NodeKey> others = seats;
        std::ranges::replace(others, withholder, node.key);
        const bool is_free = std::ranges::find(seats, node.key) == seats.end() &&
                             !before_.passed_over.contains(node.key) &&
                             !after_.withholders.contains(node.key) && !is_barred(node.key);
        if (is_free && problem_of_seats(epoch_, others).empty()) {
          return "a member that withheld its share keeps its seat";
        }
      }
    }
    return {};
  }

  std::string of_any_candidates() const {
    for (const State::Candidate& one : after_.candidates) {
      if (!find(next_nodes_, one.node)) return "a candidate is not in the next epoch";
    }
    return problem_of_seats(epoch_, nodes_of(after_.candidates));
  }

  /// Few seats change at a time, and only for a reason (design 8.4).
  std::string of_first_candidates() const {
    const auto seats = nodes_of(after_.candidates);
    std::size_t moved = 0;
    for (const membership::ServiceMember& member : epoch_.service()) {
      const wire::NodeKey& node = epoch_.nodes()[member.node].key;
      if (std::ranges::find(seats, node) != seats.end() || is_barred(node)) continue;
      const auto since = before_.carried.seated_since_ms.find(node);
      if (since == before_.carried.seated_since_ms.end()) return "a member sits since no time";
      if (since->second + epoch_.settings().service_term_seconds * kSecondMs > step_.time_ms) {
        return "a member loses its seat before its term is over";
      }
      ++moved;
    }
    if (moved > std::max<std::size_t>(faults_of(epoch_), 1)) return "more than F seats change";
    std::string out = of_convicted_candidates();
    return out.empty() ? of_any_candidates() : out;
  }
  bool is_barred(const wire::NodeKey& node) const {
    return !find(next_nodes_, node) || after_.carried.wishes.inactive_since_ms.contains(node) ||
           is_convicted(node) || is_sent_away(epoch_, after_, *find(epoch_.nodes(), node));
  }
  /// It gave wrong proofs, and is in the next epoch with the same directory: it could not go yet.
  bool is_convicted(const wire::NodeKey& node) const {
    const Node* before = find(epoch_.nodes(), node);
    const Node* after = find(next_nodes_, node);
    return is_convicted_in(after_, node) && before && after &&
           before->directory == after->directory;
  }
  /// Such a one sits only where the service could not be filled by others.
  std::string of_convicted_candidates() const {
    const auto seats = nodes_of(after_.candidates);
    if (std::ranges::none_of(seats, [this](const auto& node) { return is_convicted(node); }))
      return {};
    const std::size_t most = std::max<std::size_t>(faults_of(epoch_), 1);
    std::map<std::uint32_t, std::size_t> count_of;
    std::size_t others = 0;
    for (const Node& node : epoch_.nodes()) {
      if (!is_barred(node.key) && ++count_of[node.organisation] <= most) ++others;
    }
    return others >= quorum_of(epoch_) ? "a convicted member takes a seat" : "";
  }

  std::string of_announcements() const {
    for (const State::Candidate& one : after_.candidates) {
      if (!one.announcement) continue;
      const State::Candidate* was = candidate_before(one.node);
      if (was && was->announcement) {
        if (*was->announcement == *one.announcement) continue;
        return "a second announcement of " + short_name(one.node) + " counts";
      }
      const auto* asked = as<Announce>();
      const auto stated =
          asked ? Announcement::decode(asked->announcement.statement) : std::nullopt;
      if (!stated || *stated != *one.announcement || stated->node != one.node) {
        return "an announcement that nobody handed in";
      }
      if (!wire::is_signed_by<Announcement>(crypto::model_scheme(), one.node,
                                            asked->announcement)) {
        return "an announcement that its candidate did not sign";
      }
      if (stated->cluster != epoch_.cluster() || stated->number != next_of(epoch_.number())) {
        return "an announcement for another epoch";
      }
      if (is_key_in_use(*stated)) return "an announcement of a key that is in use";
    }
    return {};
  }
  /// With its seat, or set aside: then it takes it back with what it announced.
  const State::Candidate* candidate_before(const wire::NodeKey& node) const {
    for (const auto* some : {&before_.candidates, &before_.set_aside}) {
      const auto at = std::ranges::find(*some, node, &State::Candidate::node);
      if (at != some->end()) return &*at;
    }
    return nullptr;
  }
  bool is_key_in_use(const Announcement& stated) const {
    const crypto::PublicKey& key = stated.epoch_key;
    return std::ranges::any_of(after_.candidates,
                               [&](const State::Candidate& one) {
                                 return one.node != stated.node && one.announcement &&
                                        one.announcement->epoch_key == key;
                               }) ||
           std::ranges::any_of(epoch_.service(),
                               [&](const auto& one) { return one.epoch_key == key; }) ||
           std::ranges::any_of(after_.next.organisations,
                               [&](const auto& one) { return one.authority == key; }) ||
           find(next_nodes_, key);
  }

  std::string of_shares() const {
    // Whoever could know R before the seats are announced could choose them (design 8.3).
    const bool is_early =
        before_.phase < Phase::kRevealing && after_.shares.size() > before_.shares.size();
    if (is_early) return "a share is open before all candidates announced";
    for (const auto& [node, share] : after_.shares) {
      const auto was = before_.shares.find(node);
      if (was != before_.shares.end() && was->second == share) continue;
      const membership::ServiceMember* member = member_of(epoch_, node);
      if (!member) return "a share of somebody without a seat";
      const crypto::Digest commitment = crypto::Hasher("rosebud share commitment 1")
                                            .update(node.view())
                                            .update(share.view())
                                            .finish();
      if (commitment != member->commitment) return "a share that does not open its commitment";
    }
    for (const wire::NodeKey& node : after_.withholders) {
      if (count_members(epoch_, after_.unrevealed, node) < quorum_of(epoch_)) {
        return "a share is given up on the word of fewer than 2F+1";
      }
    }
    return {};
  }

  const Step& step_;
  const State& before_;
  const State& after_;
  const Configuration& epoch_;
  const std::vector<Node> next_nodes_;  // of the epoch that is being prepared
  bool is_member_;
};

// ---- Two configurations ----

class SuccessorRules {
 public:
  SuccessorRules(const Configuration& current, const State& sealed, const Configuration& next)
      : current_(current), sealed_(sealed), next_(next) {}

  std::string problem() const {
    for (const auto rule :
         {&SuccessorRules::of_signatures, &SuccessorRules::of_times, &SuccessorRules::of_randomness,
          &SuccessorRules::of_settings, &SuccessorRules::of_leaving, &SuccessorRules::of_staying,
          &SuccessorRules::of_nodes, &SuccessorRules::of_seats}) {
      std::string out = (this->*rule)();
      if (!out.empty()) return out;
    }
    return {};
  }

 private:
  std::string of_signatures() const {
    const auto description =
        membership::SignedDescription::decode(next_.signed_description().view());
    if (!description) return "a description that cannot be read";
    std::set<std::uint16_t> signers;
    for (const membership::SeatSignature& one : description->signatures) {
      if (one.seat >= current_.service().size()) continue;
      if (crypto::model_scheme().verify(current_.service()[one.seat].epoch_key,
                                        membership::DescriptionHeader::kTag, description->header,
                                        one.signature)) {
        signers.insert(one.seat);
      }
    }
    if (signers.size() < quorum_of(current_)) return "a description that fewer than 2F+1 signed";
    if (next_.number() != next_of(current_.number())) return "an epoch is left out";
    return {};
  }

  std::string of_times() const {
    const std::uint64_t start = std::max(current_.start().value, sealed_.prepared_ms / kSecondMs);
    const std::uint64_t length = next_.settings().epoch_seconds;
    if (next_.start().value != start) return "an epoch does not start at its agreed time";
    if (next_.end().value != (length == 0 ? 0 : start + 3 * length)) {
      return "an epoch does not end three lengths after its start";
    }
    return {};
  }

  /// R over R in force and the shares that were opened, by seat.
  std::string of_randomness() const {
    crypto::Hasher hasher("rosebud randomness 1");
    hasher.update(current_.cluster().view())
        .update_u64(current_.number().generation.value)
        .update_u64(next_.number().epoch.value)
        .update(current_.randomness().view());
    for (const membership::ServiceMember& member : current_.service()) {
      const auto share = sealed_.shares.find(current_.nodes()[member.node].key);
      hasher.update_u64(share == sealed_.shares.end() ? 0 : 1);
      if (share != sealed_.shares.end()) hasher.update(share->second.view());
    }
    return hasher.finish() == next_.randomness() ? "" : "R is not what the shares make";
  }

  std::string of_settings() const {
    membership::Settings expected = current_.settings();
    for (const auto& [name, value] : sealed_.carried.wishes.settings) {
      const membership::ChangeableSetting* setting = membership::find_setting(name);
      if (!setting || value < setting->min || value > setting->max) return "an impossible setting";
      setting->set(expected, value);
    }
    if (next_.settings() != expected) return "settings are not what was decided";
    return problem_of_organisations(current_, sealed_, next_);
  }

  /// Revoked, retired, or unreachable for long enough; of the latter two at most f of any group
  /// (design 8.2).
  std::string of_leaving() const {
    std::set<std::uint32_t> evicted;
    for (std::uint32_t i = 0; i < current_.nodes().size(); ++i) {
      const Node& node = current_.nodes()[i];
      if (find(next_.nodes(), node.key) || is_sent_away(current_, sealed_, node)) continue;
      evicted.insert(i);
      if (is_retired(current_, sealed_, node)) continue;
      if (is_convicted_in(sealed_, node.key)) continue;
      const auto& inactive = sealed_.carried.wishes.inactive_since_ms;
      const auto at = inactive.find(node.key);
      if (at == inactive.end()) return "a node is gone without a reason";
      const std::uint64_t due = at->second + current_.settings().evict_after_seconds * kSecondMs;
      if (due > sealed_.prepared_ms) return "a node is evicted before its time";
    }
    for (const routing::Arc& arc : current_.ring().arcs()) {
      const auto count = std::ranges::count_if(
          arc.group, [&](std::uint32_t node) { return evicted.contains(node); });
      if (std::cmp_greater(count, current_.f())) return "more than f of a group leave at once";
    }
    return {};
  }

  /// Whether all groups, and the seats of a service, could be filled by these.
  template <typename Nodes>
  bool is_enough(const Nodes& nodes) const {
    std::map<std::uint32_t, std::size_t> count_of;
    for (const Node& node : nodes) ++count_of[node.organisation];
    std::size_t replicas = 0;
    for (const auto& [organisation, count] : count_of)
      replicas += std::min<std::size_t>(count, current_.settings().cap);
    const std::size_t quorum = quorum_of(current_);
    return replicas >= 2 * current_.f() + 1 && seats_of(nodes, false) >= quorum &&
           seats_of(nodes, true) >= std::min(quorum, seats_of(current_.nodes(), true));
  }
  /// Seats that they could fill; who is only coming cannot sit yet.
  template <typename Nodes>
  std::size_t seats_of(const Nodes& nodes, bool must_answer) const {
    std::map<std::uint32_t, std::size_t> able_of;
    const auto& silent = sealed_.carried.wishes.inactive_since_ms;
    for (const Node& node : nodes) {
      if (!find(current_.nodes(), node.key) || (must_answer && silent.contains(node.key))) continue;
      ++able_of[node.organisation];
    }
    std::size_t out = 0;
    for (const auto& [organisation, count] : able_of)
      out += std::min(count, std::max<std::size_t>(faults_of(current_), 1));
    return out;
  }
  std::string of_staying() const {
    if (!is_enough(next_.nodes())) return "too few nodes are left";
    for (const Node& node : current_.nodes()) {
      if (!find(next_.nodes(), node.key) || !is_sent_away(current_, sealed_, node)) continue;
      std::vector<Node> others = next_.nodes().to_vector();
      std::erase_if(others, [&node](const Node& one) { return one.key == node.key; });
      if (is_enough(others)) return "a node stays that was sent away";
    }
    return {};
  }

  std::string of_nodes() const {
    for (const Node& node : next_.nodes()) {
      const Node* before = find(current_.nodes(), node.key);
      if (before && *before == node) continue;
      if (!before && node.admission_randomness != next_.randomness()) {
        return "a new node is not placed by the R that admits it";
      }
      if (before && (before->admission_randomness != node.admission_randomness ||
                     before->organisation != node.organisation)) {
        return "a node changes its place or its organisation";
      }
      if (!is_admitted(node)) return "a node is in, or elsewhere, that nobody admitted";
    }
    return {};
  }
  bool is_admitted(const Node& node) const {
    return std::ranges::any_of(
        sealed_.carried.wishes.admissions, [&](const wire::SignedBytes& one) {
          const auto stated = wire::AdmissionStatement::decode(one.statement);
          return stated && stated->subject == node.key && stated->directory == node.directory &&
                 stated->address == node.address &&
                 next_.organisations()[node.organisation].authority == stated->organisation &&
                 !sealed_.carried.wishes.revoked.contains({stated->organisation, node.key});
        });
  }

  std::string of_seats() const {
    if (next_.service().size() != sealed_.candidates.size()) return "seats that nobody drew";
    for (std::size_t seat = 0; seat < next_.service().size(); ++seat) {
      const membership::ServiceMember& member = next_.service()[seat];
      const State::Candidate& candidate = sealed_.candidates[seat];
      if (next_.nodes()[member.node].key != candidate.node || !candidate.announcement ||
          member.epoch_key != candidate.announcement->epoch_key ||
          member.commitment != candidate.announcement->commitment) {
        return "a seat that its candidate did not announce";
      }
    }
    return {};
  }

  const Configuration& current_;
  const State& sealed_;
  const Configuration& next_;
};

}  // namespace

std::string problem_of_step(const Step& step) { return StepRules(step).problem(); }

std::string problem_of_successor(const membership::Configuration& current, const State& sealed,
                                 const membership::Configuration& next) {
  return SuccessorRules(current, sealed, next).problem();
}

std::string problem_of_handing_over(const membership::Configuration& current, const State& sealed,
                                    const Carried& handed_over) {
  const Wishes& before = sealed.carried.wishes;
  const Wishes& after = handed_over.wishes;
  const auto nodes = membership::nodes_after(current, sealed.next.nodes);
  const std::string out = problem_of_complaints_handed_over(current, sealed, handed_over);
  if (!out.empty()) return out;
  if (after.revoked != before.revoked) return "revocations are not handed over";
  if (after.retired_s != before.retired_s) return "retirements are not handed over";
  if (handed_over.enacted_s != sealed.carried.enacted_s) return "decrees are not handed over";
  for (const auto& [node, since] : before.inactive_since_ms) {
    const auto at = after.inactive_since_ms.find(node);
    const bool is_kept = at != after.inactive_since_ms.end() && at->second == since;
    if (find(nodes, node) && !is_kept) return "since when a node is inactive is not handed over";
  }
  for (const wire::SignedBytes& one : before.admissions) {
    const auto stated = wire::AdmissionStatement::decode(one.statement);
    if (!stated || Timestamp(sealed.prepared_ms / kSecondMs) >= stated->not_after) continue;
    if (before.revoked.contains({stated->organisation, stated->subject})) continue;
    const auto organisation = std::ranges::find(sealed.next.organisations, stated->organisation,
                                                &membership::Organisation::authority);
    if (organisation == sealed.next.organisations.end() || organisation->is_revoked) continue;
    const Node* in = find(nodes, stated->subject);
    const bool is_done = in && in->directory == stated->directory && in->address == stated->address;
    const bool is_kept = std::ranges::find(after.admissions, one) != after.admissions.end();
    if (!is_done && !is_kept) return "an admission is not handed over";
    const auto at = handed_over.stated_s.find(stated->subject);
    const bool is_own =
        is_done && sealed.next.organisations[in->organisation].authority == stated->organisation;
    const auto was = sealed.carried.stated_s.find(stated->subject);
    const std::uint64_t known = was == sealed.carried.stated_s.end() ? 0 : was->second;
    if (is_own && (at == handed_over.stated_s.end() ||
                   at->second != std::max(known, stated->not_before.value))) {
      return "by which statement a node is in is not handed over";
    }
  }
  if (handed_over.early_ends_ms != sealed.carried.early_ends_ms) {
    return "early ends are not handed over";
  }
  if (handed_over.end_requested_ms != sealed.carried.end_requested_ms) {
    return "who had epochs ended is not handed over";
  }
  if (handed_over.admitted != sealed.carried.admitted) return "counts of keys are not handed over";
  for (const State::Candidate& one : sealed.candidates) {
    const auto at = sealed.carried.seated_since_ms.find(one.node);
    const bool was_in = member_of(current, one.node) != nullptr;
    const std::uint64_t since =
        was_in && at != sealed.carried.seated_since_ms.end() ? at->second : sealed.prepared_ms;
    const auto now = handed_over.seated_since_ms.find(one.node);
    if (now == handed_over.seated_since_ms.end() || now->second != since) {
      return "since when a member sits is not handed over";
    }
  }
  return {};
}

}  // namespace rosebud::service::sim
