// A cluster of nodes in virtual time (node.h): a network that delays, loses, doubles and cuts,
// crashes, power cuts, full disks, clocks that differ, and liars (misbehaviour.h). A seed fixes
// everything. What must hold is judged by whoever looks on (checkers.h).
#pragma once

#include <deque>
#include <set>

#include "service/sim/cluster.h"
#include "service/sim/misbehaviour.h"
#include "service/sim/node.h"

namespace rosebud::service::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  std::size_t organisations = 4;
  std::size_t nodes_of_each = 2;
  membership::Settings settings{
      .has_leases = true, .epoch_seconds = 10, .service_term_seconds = 10};
  ParticipantSettings participant{};
  std::uint32_t loss_per_mille = 0;
  std::uint32_t duplicate_per_mille = 0;
  Duration latency_max = std::chrono::milliseconds(10);
};

/// Nodes are numbered, those of the genesis from 0; those of later admissions are added.
class World {
 public:
  /// Nobody is up yet: first come those who look on, then start_all().
  explicit World(const WorldOptions& options);
  World(const World&) = delete;  // its nodes point to it
  World& operator=(const World&) = delete;

  // ---- Faults ----
  void set_conduct(std::size_t n, Conduct conduct);
  Conduct conduct(std::size_t n) const { return lives_.at(n).misbehaviour.conduct(); }
  bool is_correct(std::size_t n) const { return lives_.at(n).misbehaviour.is_correct(); }
  /// Whether it is faulty, or was: what it said then may still be on its way.
  bool is_faulty(std::size_t n) const { return lives_.at(n).is_faulty; }
  /// It does not lie, but something else is wrong with it, such as its clock.
  void call_faulty(std::size_t n) { lives_.at(n).is_faulty = true; }
  bool is_up(std::size_t n) const { return lives_.at(n).node != nullptr; }
  void crash(std::size_t n);
  void start(std::size_t n);
  void restart(std::size_t n);
  /// Starts from an empty disk.
  void wipe(std::size_t n);
  void power_cut();
  void start_all();
  /// So many of a thousand writes fail.
  void fail_writes(std::size_t n, std::uint32_t per_mille);
  std::uint32_t failing_writes(std::size_t n) const { return lives_.at(n).fails_per_mille; }
  /// From its next start on.
  void set_clock_offset(std::size_t n, std::int64_t ms) { lives_.at(n).clock_offset_ms = ms; }
  /// For so long it does not enter an epoch.
  void lag(std::size_t n, Duration time);
  /// What `from` says does not reach `to`. Cuts add up.
  void cut(std::size_t from, std::size_t to);
  void mend(std::size_t from, std::size_t to) { --cuts_[{from, to}]; }
  /// All that are there now; those who cut may not mend them again.
  void mend_all() { cuts_.clear(); }
  void set_loss(std::uint32_t per_mille) { options_.loss_per_mille = per_mille; }
  void set_duplicates(std::uint32_t per_mille) { options_.duplicate_per_mille = per_mille; }
  void set_latency_max(Duration longest) { options_.latency_max = longest; }
  /// Says to somebody what anybody said to anybody lately, or part of it, as of its own epoch.
  void babble(std::size_t n);
  /// What its conduct makes a liar say unasked.
  void lie(std::size_t n);

  // ---- Blocks, which are not simulated: who has them is known from outside ----
  /// Everybody who is up and correct checks one of what it is told to, and looks at one node: it
  /// complains of one that has no blocks, and now and then of one that has.
  void audit();

  // ---- Work ----
  Agenda& agenda() { return agenda_; }
  Instant now() const { return agenda_.now(); }
  Random& random() { return random_; }
  const Cluster& cluster() const { return cluster_; }
  /// A machine with this node's key, which is not started. No configuration needs to name it.
  void add(std::size_t n);
  /// Gives a node the newest chain, as its organisation would.
  void give_chain(std::size_t n);
  /// Requires: is_up(n).
  HandInId hand_in(std::size_t n, const Operation& operation);
  std::optional<Answer> answer_to(HandInId id) const;
  void every(Duration interval, std::function<void()> what);
  void run_for(Duration time);
  /// True when somebody enters so many more epochs.
  [[nodiscard]] bool run_epochs(std::uint64_t count, Duration each);
  /// Whether all that are up and not mute are in the newest epoch.
  bool are_all_there() const;
  /// True when they come there.
  [[nodiscard]] bool run_until_all_there(Duration limit);

  // ---- Looking on ----
  const membership::Configuration& newest() const { return *newest_; }
  const ConfigurationPointer& shared_newest() const { return newest_; }
  std::uint64_t epoch() const { return newest_->number().epoch.value; }
  std::size_t node_count() const { return lives_.size(); }
  bool is_there(std::size_t n) const { return lives_.contains(n); }
  /// Requires: is_up(n).
  const SimNode& node(std::size_t n) const { return *lives_.at(n).node; }
  NodeDisk& disk(std::size_t n) { return lives_.at(n).disk; }
  const NodeDisk& disk(std::size_t n) const { return lives_.at(n).disk; }
  const wire::NodeKey& key(std::size_t n) const { return lives_.at(n).key.public_key(); }
  std::optional<std::size_t> number_of(const wire::NodeKey& key) const;
  /// Members of the newest epoch's service.
  std::set<std::size_t> members() const;
  /// The epoch in which it was last down, cut off, lagging or with a full disk.
  const Number& disturbed(std::size_t n) const { return lives_.at(n).disturbed; }
  std::uint64_t trace() const { return trace_; }
  std::uint64_t opened_count(std::size_t n) const { return lives_.at(n).opened; }
  std::size_t probes_max() const { return probes_max_; }

  struct Watchers {
    std::function<void(std::size_t n)> on_started;
    std::function<void(std::size_t n)> on_wiped;
    std::function<void(std::size_t n)> on_entered;
    /// Before misbehaviour edits it.
    std::function<void(std::size_t n, const Notice&)> on_notice;
    std::function<void(std::size_t n, const Effect&)> on_effect;
    std::function<void(std::size_t n, const Step&)> on_step;
    /// The machine of a node has executed something, and all is well again.
    std::function<void(std::size_t n, const Machine&)> on_look;
    std::function<void(std::size_t n, std::size_t from)> on_nonsense;
    std::function<void(std::size_t n, const char* what)> on_broken;
    std::function<void(HandInId, Answer)> on_answer;
  };
  Watchers& watchers() { return watchers_; }

  // ---- The story ----
  /// Keeps so many of the last sentences; 0: none.
  void keep_story(std::size_t lines) { story_lines_ = lines; }
  void tell(const std::string& what);
  const std::deque<std::string>& story() const { return story_; }

 private:
  struct Life {
    Life(std::size_t n, Random random) : key(secret_of_node(n)), misbehaviour(key, random) {}
    crypto::SecretKey key;
    NodeDisk disk;
    Misbehaviour misbehaviour;
    std::int64_t clock_offset_ms = 0;
    std::uint32_t fails_per_mille = 0;
    bool is_faulty = false;
    std::uint64_t opened = 0;
    Number disturbed;
    std::unique_ptr<SimNode> node;
  };

  void mark_disturbed(std::size_t n) { lives_.at(n).disturbed = newest_->number(); }
  NodeEvents events_of(std::size_t n);
  bool may_keep(std::size_t n, const Effect& effect);
  void note(std::uint64_t what);
  void note_effect(std::size_t n, const Effect& effect);
  void note_entered(std::size_t n);
  void leave(std::size_t n, const SendNotice& one);
  void transmit(std::size_t from, const wire::NodeKey& to, const Packet& packet, Duration delay);
  void arrive(std::size_t from, std::size_t to, const Packet& packet);
  void tell_links(std::size_t n, bool is_up);
  void rewrite(std::size_t n);
  bool can_hear(std::size_t n, std::size_t from) const;
  void check_something(std::size_t n);
  void complain_of_somebody(std::size_t n);
  template <typename Watcher, typename... Arguments>
  static void call(const Watcher& watcher, Arguments&&... arguments) {
    if (watcher) watcher(std::forward<Arguments>(arguments)...);
  }

  WorldOptions options_;
  Random random_;
  Agenda agenda_;
  Cluster cluster_;
  ConfigurationPointer newest_;
  std::vector<ConfigurationPointer> chain_;
  std::map<std::size_t, Life> lives_;
  std::map<wire::NodeKey, std::size_t> number_of_;
  std::map<std::pair<std::size_t, std::size_t>, int> cuts_;
  std::uint64_t last_hand_in_ = 0;
  std::map<HandInId, Answer> answers_;
  std::deque<Bytes> overheard_;
  std::size_t probes_max_ = 0;
  std::uint64_t trace_ = 0;
  Watchers watchers_;
  std::size_t story_lines_ = 0;
  std::deque<std::string> story_;
};

}  // namespace rosebud::service::sim
