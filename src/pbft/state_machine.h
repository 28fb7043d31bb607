// What is replicated: any deterministic state machine. The service that runs on a group implements
// this; the replica calls it in the order of sequence numbers, on its own thread.
#pragma once

#include <vector>

#include "pbft/types.h"

namespace rosebud::pbft {

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  struct Outcome {
    Bytes result;  // at most kResultSizeMax; longer ones are cut
    /// The group ends with this operation: nothing is ordered behind it (design 8.5).
    bool is_stop = false;
  };
  /// The same state and the same arguments must give the same outcome and the same new state on
  /// every replica: no clock but `time`, which never goes back, no randomness, no I/O. Whether
  /// `client` may ask for this is judged here too; its signature was checked, and is_client().
  virtual Outcome execute(AgreedTime time, const ClientId& client, ByteView operation) = 0;

  /// Whether a client that has none may take one of the places of the client table. Everybody can
  /// make keys: a service that hears a known set of clients says so here, or strangers with enough
  /// keys can have it refuse others for as long as numbers may be ahead (client_table.h). A
  /// function of the state, as execute() is, which judges what a client asks for that has a place.
  virtual bool is_client(const ClientId& client) const {
    (void)client;
    return true;
  }

  /// The whole state, in pieces of at most kChunkSizeMax bytes, at most kChunksMax of them together
  /// with the client table's: a service bounds what its clients can make of it. Equal states give
  /// equal pieces.
  /// Pieces that did not change since the last call are best shared with it.
  virtual std::vector<Buffer> snapshot() const = 0;

  /// Takes the state over from pieces whose digest 2F+1 replicas signed, or that this replica
  /// itself made durable. False when they make no sense: then nothing changed.
  virtual bool restore(const std::vector<Buffer>& pieces) = 0;
};

}  // namespace rosebud::pbft
