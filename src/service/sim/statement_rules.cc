#include "service/sim/statement_rules.h"

#include <algorithm>

namespace rosebud::service::sim {
namespace {

using membership::Configuration;
using membership::Node;
using membership::Organisation;

constexpr std::uint64_t kSecondMs = 1000;
constexpr std::uint64_t kHourMs = 3600 * kSecondMs;
constexpr std::uint64_t kDayMs = 24 * kHourMs;
constexpr std::uint64_t kNewKeysPerDay = 64;  // design 3.4

template <typename Nodes>
const Node* find(const Nodes& nodes, const wire::NodeKey& key) {
  const auto at = std::ranges::find(nodes, key, &Node::key);
  return at == nodes.end() ? nullptr : &*at;
}

class StatementRules {
 public:
  explicit StatementRules(const Step& step)
      : step_(step),
        before_(step.before),
        after_(step.machine.state()),
        epoch_(step.machine.configuration()) {}

  std::string problem() const {
    for (const auto rule : {&StatementRules::of_admissions, &StatementRules::of_revocations,
                            &StatementRules::of_retirements, &StatementRules::of_decrees,
                            &StatementRules::of_end_requests}) {
      std::string out = (this->*rule)();
      if (!out.empty()) return out;
    }
    return {};
  }

 private:
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&*step_.operation);
  }
  std::optional<std::size_t> index_of(const crypto::PublicKey& authority) const {
    const auto& all = epoch_.organisations();
    const auto at = std::ranges::find(all, authority, &Organisation::authority);
    return at == all.end() ? std::nullopt : std::optional<std::size_t>(at - all.begin());
  }
  bool has_say(const crypto::PublicKey& authority) const {
    const auto index = index_of(authority);
    return index && !epoch_.organisations()[*index].is_revoked;
  }

  std::string of_admissions() const {
    const auto& before = before_.carried.wishes.admissions;
    const auto& after = after_.carried.wishes.admissions;
    for (const wire::SignedBytes& one : after) {
      if (std::ranges::find(before, one) != before.end()) continue;
      std::string out = of_admission(one);
      if (!out.empty()) return out;
    }
    if (after == before) return {};
    if (const auto* asked = as<RetireNode>()) {
      const auto stated = Retirement::decode(asked->retirement.statement);
      const bool are_its_own_lost = std::ranges::all_of(before, [&](const wire::SignedBytes& one) {
        const auto lost = wire::AdmissionStatement::decode(one.statement);
        return std::ranges::find(after, one) != after.end() ||
               (stated && lost->subject == stated->node &&
                lost->organisation == stated->organisation);
      });
      return are_its_own_lost ? "" : "a retirement loses another node's admission";
    }
    // One is lost only to a later one for the same key.
    const std::size_t lost_count = static_cast<std::size_t>(std::ranges::count_if(
        before, [&](const auto& one) { return std::ranges::find(after, one) == after.end(); }));
    if (lost_count > 1) return "admissions are lost";
    if (after.size() < before.size()) return "an admission is lost";
    return {};
  }

  std::string of_admission(const wire::SignedBytes& admission) const {
    const auto* asked = as<AdmitNode>();
    if (!asked || !(asked->admission == admission)) return "an admission that nobody handed in";
    if (before_.phase != Phase::kRunning) return "an admission after prepare-epoch";
    const auto statement = wire::AdmissionStatement::decode(admission.statement);
    if (!statement) return "an admission that cannot be read";
    const auto organisation = index_of(statement->organisation);
    if (!organisation || epoch_.organisations()[*organisation].is_revoked ||
        statement->cluster != epoch_.cluster() || statement->role != wire::Role::kNode ||
        !wire::is_signed_by<wire::AdmissionStatement>(crypto::model_scheme(),
                                                      statement->organisation, admission)) {
      return "an admission that no organisation signed";
    }
    const Timestamp now(step_.time_ms / kSecondMs);
    if (now < statement->not_before || now >= statement->not_after) {
      return "an admission that is not valid now";
    }
    if (before_.carried.wishes.revoked.contains({statement->organisation, statement->subject})) {
      return "an admission of a node that was revoked";
    }
    const auto& retired = before_.carried.wishes.retired_s;
    const auto left = retired.find({statement->organisation, statement->subject});
    if (left != retired.end() && statement->not_before.value <= left->second) {
      return "an admission that is older than the retirement of its node";
    }
    const Node* node = find(epoch_.nodes(), statement->subject);
    if (node && node->organisation != *organisation) return "an admission of another's node";
    const std::string out = of_order(*statement);
    return !out.empty() || node ? out : of_count(*statement);
  }

  /// An older statement does not bring back what a later one changed.
  std::string of_order(const wire::AdmissionStatement& statement) const {
    const auto& stated = before_.carried.stated_s;
    const auto at = stated.find(statement.subject);
    if (at != stated.end() && statement.not_before.value <= at->second) {
      return "an admission that is older than what the node is in by";
    }
    for (const wire::SignedBytes& one : before_.carried.wishes.admissions) {
      const auto other = wire::AdmissionStatement::decode(one.statement);
      if (other->subject == statement.subject && other->organisation == statement.organisation &&
          statement.not_before <= other->not_before) {
        return "an admission that is older than one that waits";
      }
    }
    return {};
  }

  std::string of_count(const wire::AdmissionStatement& statement) const {
    const bool is_later_one =
        std::ranges::any_of(before_.carried.wishes.admissions, [&](const wire::SignedBytes& one) {
          const auto other = wire::AdmissionStatement::decode(one.statement);
          return other->subject == statement.subject &&
                 other->organisation == statement.organisation;
        });
    if (is_later_one) return {};
    const auto count_in = [&](const State& state) -> std::uint64_t {
      const auto at = state.carried.admitted.find(statement.organisation);
      const bool is_today =
          at != state.carried.admitted.end() && at->second.day == step_.time_ms / kDayMs;
      return is_today ? at->second.count : 0;
    };
    if (count_in(after_) != count_in(before_) + 1) return "a new key is not counted";
    if (count_in(after_) > kNewKeysPerDay) return "an organisation has too many new keys in a day";
    return {};
  }

  std::string of_revocations() const {
    const auto& before = before_.carried.wishes.revoked;
    const auto& after = after_.carried.wishes.revoked;
    if (!std::ranges::includes(after, before)) return "a revocation is lost";
    for (const OwnedNode& one : after) {
      if (before.contains(one)) continue;
      const bool is_own = is_revoked_by_its_own(one);
      if (!is_own && !is_revoked_by_all(one)) return "a revocation that nobody signed";
    }
    return {};
  }
  bool is_revoked_by_its_own(const OwnedNode& one) const {
    const auto* asked = as<RevokeNode>();
    const auto stated = asked ? Revocation::decode(asked->revocation.statement) : std::nullopt;
    return stated && stated->organisation == one.organisation && stated->node == one.node &&
           has_say(one.organisation) &&
           wire::is_signed_by<Revocation>(crypto::model_scheme(), one.organisation,
                                          asked->revocation);
  }
  bool is_revoked_by_all(const OwnedNode& one) const {
    const auto decree = decided();
    const auto* what = decree ? std::get_if<RevokeAnyNode>(&decree->what) : nullptr;
    const Node* node = find(epoch_.nodes(), one.node);
    return what && what->node == one.node && node && node->name == what->name &&
           epoch_.organisations()[node->organisation].authority == one.organisation;
  }

  std::string of_retirements() const {
    const auto& before = before_.carried.wishes.retired_s;
    const auto& after = after_.carried.wishes.retired_s;
    for (const auto& [one, since] : after) {
      const auto was = before.find(one);
      if (was != before.end() && was->second == since) continue;
      if (was != before.end() && was->second > since) return "an older retirement counts";
      const auto* asked = as<RetireNode>();
      const auto stated = asked ? Retirement::decode(asked->retirement.statement) : std::nullopt;
      if (!stated || stated->organisation != one.organisation || stated->node != one.node ||
          stated->not_before.value != since || stated->cluster != epoch_.cluster() ||
          !has_say(one.organisation) ||
          !wire::is_signed_by<Retirement>(crypto::model_scheme(), one.organisation,
                                          asked->retirement)) {
        return "a retirement that its organisation did not sign";
      }
      if (since * kSecondMs > step_.time_ms) return "a retirement from the future";
      const auto stated_s = before_.carried.stated_s.find(one.node);
      if (find(epoch_.nodes(), one.node) && stated_s != before_.carried.stated_s.end() &&
          stated_s->second > since) {
        return "a retirement that is older than what the node is in by";
      }
    }
    for (const auto& [one, since] : before) {
      if (after.contains(one)) continue;
      const auto* asked = as<AdmitNode>();
      const auto stated =
          asked ? wire::AdmissionStatement::decode(asked->admission.statement) : std::nullopt;
      const bool is_admitted = stated && stated->subject == one.node &&
                               stated->organisation == one.organisation &&
                               stated->not_before.value > since &&
                               wire::is_signed_by<wire::AdmissionStatement>(
                                   crypto::model_scheme(), one.organisation, asked->admission);
      if (!is_admitted) return "a retirement is lost";
    }
    return {};
  }

  /// What was handed in, if more than two thirds of those that have a say signed it, each once, and
  /// it is neither over nor done.
  std::optional<Decree> decided() const {
    const auto* asked = as<Enact>();
    if (!asked || before_.phase != Phase::kRunning) return std::nullopt;
    const auto decree = Decree::decode(asked->decree.decree);
    const std::uint64_t now_s = step_.time_ms / kSecondMs;
    if (!decree || decree->cluster != epoch_.cluster() || now_s < decree->not_before.value ||
        now_s >= decree->not_after.value) {
      return std::nullopt;
    }
    std::set<crypto::PublicKey> signers;
    for (const AuthoritySignature& one : asked->decree.signatures) {
      if (has_say(one.authority) &&
          crypto::model_scheme().verify(one.authority, Decree::kTag, asked->decree.decree,
                                        one.signature)) {
        signers.insert(one.authority);
      }
    }
    std::size_t count = 0;
    for (const Organisation& one : epoch_.organisations()) count += one.is_revoked ? 0 : 1;
    return 3 * signers.size() > 2 * count ? decree : std::nullopt;
  }

  std::string of_decrees() const {
    const auto& before = before_.carried;
    const auto& after = after_.carried;
    const bool is_same =
        before.wishes.organisations_admitted == after.wishes.organisations_admitted &&
        before.wishes.organisations_revoked == after.wishes.organisations_revoked &&
        before.wishes.settings == after.wishes.settings;
    const auto* asked = as<Enact>();
    const bool is_new = asked && !before.enacted_s.contains(decree_hash(asked->decree.decree)) &&
                        after.enacted_s.contains(decree_hash(asked->decree.decree));
    if (is_same && !is_new) return {};
    const auto decree = decided();
    if (!decree) return "a decree that not more than two thirds signed";
    if (!is_new) return "a decree is carried out and not remembered";
    Wishes expected = before.wishes;
    if (const auto* admitted = std::get_if<AdmitOrganisation>(&decree->what)) {
      expected.organisations_revoked.erase(admitted->authority);
      expected.organisations_admitted[admitted->authority] = *admitted;
    } else if (const auto* revoked = std::get_if<RevokeOrganisation>(&decree->what)) {
      expected.organisations_admitted.erase(revoked->authority);
      expected.organisations_revoked.insert(revoked->authority);
    } else if (const auto* changed = std::get_if<ChangeSetting>(&decree->what)) {
      expected.settings[changed->name] = changed->value;
    }
    if (expected.organisations_admitted != after.wishes.organisations_admitted ||
        expected.organisations_revoked != after.wishes.organisations_revoked ||
        expected.settings != after.wishes.settings) {
      return "a decree does something else than it says";
    }
    return {};
  }

  std::string of_end_requests() const {
    const auto& before = before_.carried.end_requested_ms;
    const auto& after = after_.carried.end_requested_ms;
    for (const auto& [authority, time] : before) {
      if (time + kHourMs > step_.time_ms && !after.contains(authority)) {
        return "who had an epoch ended is forgotten within the hour";
      }
    }
    const bool is_noted = after_.is_end_requested && !before_.is_end_requested;
    if (!is_noted)
      return before_.is_end_requested == after_.is_end_requested ? "" : "a request is lost";
    const auto* asked = as<EndEpoch>();
    const auto stated = asked ? EndRequest::decode(asked->request.statement) : std::nullopt;
    if (!stated || stated->cluster != epoch_.cluster() || !has_say(stated->organisation) ||
        !wire::is_signed_by<EndRequest>(crypto::model_scheme(), stated->organisation,
                                        asked->request)) {
      return "the end of an epoch is requested by nobody";
    }
    if (stated->number != epoch_.number()) return "the end of another epoch was requested";
    const auto last = before.find(stated->organisation);
    if (last != before.end() && last->second + kHourMs > step_.time_ms) {
      return "an organisation has too many epochs ended";
    }
    const auto now = after.find(stated->organisation);
    return now != after.end() && now->second == step_.time_ms ? "" : "a request is not counted";
  }

  const Step& step_;
  const State& before_;
  const State& after_;
  const Configuration& epoch_;
};

bool is_organisation_out(const Organisation& one, const Wishes& wishes) {
  if (wishes.organisations_admitted.contains(one.authority)) return false;
  return one.is_revoked || wishes.organisations_revoked.contains(one.authority);
}

}  // namespace

std::string problem_of_statements(const Step& step) { return StatementRules(step).problem(); }

bool is_sent_away(const Configuration& current, const State& sealed, const Node& node) {
  const Organisation& own = current.organisations()[node.organisation];
  return sealed.carried.wishes.revoked.contains({own.authority, node.key}) ||
         is_organisation_out(own, sealed.carried.wishes);
}

bool is_retired(const Configuration& current, const State& sealed, const Node& node) {
  const Organisation& own = current.organisations()[node.organisation];
  return sealed.carried.wishes.retired_s.contains({own.authority, node.key});
}

std::string problem_of_organisations(const Configuration& current, const State& sealed,
                                     const Configuration& next) {
  const Wishes& wishes = sealed.carried.wishes;
  const auto& before = current.organisations();
  const auto& after = next.organisations();
  if (after.size() < before.size()) return "an organisation is lost";
  for (std::size_t i = 0; i < before.size(); ++i) {
    Organisation expected = before[i];
    expected.is_revoked = is_organisation_out(before[i], wishes);
    const auto admitted = wishes.organisations_admitted.find(before[i].authority);
    if (admitted != wishes.organisations_admitted.end())
      expected.quota_bytes = admitted->second.quota_bytes;
    if (after[i] != expected) return "an organisation changes without a decree";
  }
  for (std::size_t i = before.size(); i < after.size(); ++i) {
    const auto admitted = wishes.organisations_admitted.find(after[i].authority);
    if (admitted == wishes.organisations_admitted.end() || after[i].is_revoked ||
        admitted->second.name != after[i].name ||
        admitted->second.quota_bytes != after[i].quota_bytes) {
      return "an organisation is in that nobody admitted";
    }
  }
  for (const Node& node : next.nodes()) {
    const bool is_new = current.node_index(node.key) == std::nullopt;
    if (is_new && after[node.organisation].is_revoked)
      return "a new node of a revoked organisation";
  }
  return {};
}

}  // namespace rosebud::service::sim
