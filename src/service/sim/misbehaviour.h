// A faulty node, made by editing what a correct one wants to say, and by what it says unasked. The
// core is never touched. It has its own keys, so what it falsifies it signs.
#pragma once

#include <map>

#include "base/random.h"
#include "pbft/messages.h"
#include "service/machine.h"
#include "service/notices.h"

namespace rosebud::service::sim {

/// What a faulty node does instead of what it should.
enum class Conduct : std::uint8_t {
  kCorrect,
  kMute,           // says nothing at all
  kSpoiler,        // flips a bit in every third notice
  kLiar,           // says wrong numbers, signatures, states
  kLateAnnouncer,  // announces when others have lost their patience
  kTwoFaced,       // announces another key to everybody
  kKeyThief,       // announces a key that is in use elsewhere
  kWithholder,     // opens no share
  kHoarder,        // keeps announcements and signatures to itself
  kAccuser,        // says of others that it cannot reach them
  kReviver,        // says of others that they answer
  kComplainer,     // says of candidates and members that they do not do their part
  kHurrier,        // asks for the end of the epoch all the time, and opens its share before it
  kImpostor,       // announces again, and in others' names; opens wrong shares, and others'
  kStaller,        // proposes nothing while it is primary
  kHollow,         // has no blocks, and shows none or shows wrong ones; answers everything else
  kSlanderer,      // complains of others, and says that it has found them wanting
  kRewriter,       // keeps its keys, and signs a second successor of epochs that are over
};
inline constexpr Conduct kFaulty[] = {
    Conduct::kMute,     Conduct::kSpoiler,  Conduct::kLiar,       Conduct::kLateAnnouncer,
    Conduct::kTwoFaced, Conduct::kKeyThief, Conduct::kWithholder, Conduct::kHoarder,
    Conduct::kAccuser,  Conduct::kReviver,  Conduct::kComplainer, Conduct::kHurrier,
    Conduct::kImpostor, Conduct::kStaller,  Conduct::kHollow,     Conduct::kSlanderer,
    Conduct::kRewriter};
std::string_view name_of(Conduct conduct);

/// The operation that a notice asks the group for.
std::optional<Operation> operation_in(const Notice& notice);

/// A block that both should hold; nothing: they are in no group together.
std::optional<wire::ObjectId> some_block(const membership::Configuration& epoch,
                                         const wire::NodeKey& one, const wire::NodeKey& other,
                                         Random& random);

/// One notice that leaves, and when.
struct Leaving {
  Duration delay{};
  Buffer bytes;
};

class Misbehaviour {
 public:
  Misbehaviour(crypto::SecretKey node_key, Random random)
      : key_(std::move(node_key)), random_(random) {}

  void set_conduct(Conduct conduct) { conduct_ = conduct; }
  Conduct conduct() const { return conduct_; }
  bool is_correct() const { return conduct_ == Conduct::kCorrect; }
  /// An epoch key of its own, which it never forgets.
  void remember(const wire::ConfigurationNumber& number, const crypto::SecretKey& key) {
    keys_.emplace(number, key);
  }

  /// What becomes of a notice on its way out; nothing: it is kept.
  std::optional<Leaving> edit(const membership::Configuration& epoch, const Notice& notice);
  /// What it asks the group for by itself: to be said to all members. Nothing most of the time.
  std::optional<Notice> unasked(const membership::Configuration& epoch, const Machine* machine,
                                std::uint64_t wall_ms);
  /// A second successor of `before`, which is over, with all signatures that it can make.
  std::optional<Buffer> rewritten(const membership::Configuration& before);

 private:
  Leaving spoilt(const Notice& notice);
  Notice lie_about(Notice notice);
  Notice announced_otherwise(const membership::Configuration& epoch, Notice notice);
  std::optional<Operation> wish(const membership::Configuration& epoch, const Machine* machine);
  std::optional<Operation> slander(const membership::Configuration& epoch, const Machine* machine);
  Operation false_announcement(const membership::Configuration& epoch, const Machine* machine);
  Operation false_reveal(const membership::Configuration& epoch);
  std::optional<Operation> complaint(const membership::Configuration& epoch,
                                     const Machine* machine);
  std::optional<Operation> hurry(const membership::Configuration& epoch);
  const wire::NodeKey& some_node(const membership::Configuration& epoch);
  const wire::NodeKey& some_member(const membership::Configuration& epoch);
  wire::NodeKey some_candidate(const membership::Configuration& epoch, const Machine* machine);
  crypto::SecretKey fresh_key();

  crypto::SecretKey key_;
  Random random_;
  Conduct conduct_ = Conduct::kCorrect;
  std::map<wire::ConfigurationNumber, crypto::SecretKey> keys_;
  std::uint64_t last_number_ = 0;
};

}  // namespace rosebud::service::sim
