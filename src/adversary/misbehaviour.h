// A Byzantine replica, made by editing what a correct one wants to send. The core is never touched.
//
// Used by the simulator and, in development clusters only, by real nodes (`rosebud dev corrupt`).
// Every mode is something that f replicas of a group may do without a client noticing more than a
// delay.
#pragma once

#include <map>

#include "base/random.h"
#include "objects/effects.h"

namespace rosebud::adversary {

enum class Mode : std::uint8_t {
  kHonest,
  kMute,   // sends nothing at all
  kLie,    // wrong bytes, "stored" without storing, "not there" for what is there, "equal" in every
           // comparison
  kStale,  // the first record that it ever showed of each id, for ever; new blocks are "not there"
  kGarbage,     // random bytes in the place of every content and signature
  kEquivocate,  // tells every second asker the truth and the others what kLie would
  kForge,   // records with a higher version that nobody signed, and other records than asked for
  kRefuse,  // says no to everything, for reasons that waiting does not change
  kReplay,  // the truth, and then once more what it answered long ago
  kHollow,  // answers everything and is complete for everything, but has no bytes of a block
  kStall,   // finds a difference in every part of every comparison, so that it never ends
};
std::string_view name_of(Mode mode);
std::optional<Mode> mode_of(std::string_view name);

class Misbehaviour {
 public:
  explicit Misbehaviour(Random random) : random_(random) {}

  void set_mode(Mode mode) { mode_ = mode; }
  Mode mode() const { return mode_; }

  /// Removes and changes effects. Loads, scans and reports pass; a lying replica also forgets to
  /// persist.
  void edit(objects::Effects& effects);
  /// A notice about the configuration service, which this knows only as bytes: lost or spoilt.
  /// False: it does not go out.
  [[nodiscard]] bool edit_notice(Buffer& bytes);

 private:
  bool edit_answer(objects::SendAnswer& answer);
  void lie(wire::AnswerBody& body);
  void show_stale(wire::AnswerBody& body);
  void stall(wire::AnswerBody& body);
  void hollow(wire::AnswerBody& body);
  void forge(wire::AnswerBody& body);
  void replay(objects::Effects& effects);
  void scramble(wire::AnswerBody& body);
  Buffer random_bytes(std::size_t size);

  Random random_;
  Mode mode_ = Mode::kHonest;
  std::map<crypto::Digest, wire::RecordHeld> first_shown_;  // by record id
  std::vector<objects::SendAnswer> answered_;               // kReplay: some of the last ones
};

}  // namespace rosebud::adversary
