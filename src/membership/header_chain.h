// A chain of signed headers, verified without bodies (design 7): what leads from a configuration
// that one has verified, the genesis first of all, to a later epoch.
//
// A header names its predecessor by hash, its service by keys, and F, so everything that the next
// one is checked against stands in it. Links are checked in order and cost nothing beside the
// signatures; those of a header need the keys of the header before and nothing else, so the
// signatures of many headers can be verified at once.
//
// Invariants of every header that append() returns:
// 1. The cluster is that of the chain, the epoch is the next, `previous` is the hash of the header
//    before (of epoch 2: the cluster id). The generation is that of the chain, or a higher one.
// 2. 2F+1 different seats of the service of the epoch before signed it, F being that of the epoch
//    before: of its header, or of the settings in the genesis. One of a higher generation is signed
//    by more than two thirds of the organisations of the epoch before instead (design 8.6).
// 3. It does not start before its predecessor; its end, if it has one, is after its start.
// 4. F is at most kFaultsMax; the service has 2F+1 to 3F+1 seats on different nodes, with epoch
//    keys that differ from each other and from the keys of these nodes.
//
// What headers alone cannot show: who else is a member, that the seats are nodes of the body and
// spread over organisations, that nodes keep their positions. apply() checks all of it with the
// same code as here and the body; who has only headers relies on the correct ones among the 2F+1
// signers, F+1 at least.
//
// Organisations stand in bodies: a header of a higher generation can be appended only directly
// after a configuration that is known (the one the chain begins with, or see_body()).
//
// Not here: what else a recovery has to show (recovery.h), and whether there is a newer epoch:
// whoever hands over a chain can leave out its end (leases answer that, design 9.4).
#pragma once

#include <functional>

#include "membership/description.h"

namespace rosebud::membership {

/// Calls work(0) to work(count - 1), in any order and on any threads, and returns when all have
/// returned.
using ForEach =
    std::function<void(std::size_t count, const std::function<void(std::size_t)>& work)>;
/// On the calling thread, in order.
void for_each_in_order(std::size_t count, const std::function<void(std::size_t)>& work);

/// As ChainTip::authorities.
std::vector<crypto::PublicKey> authorities_in(const std::vector<Organisation>& organisations);

/// What a chain has come to: all that its next header is checked against.
struct ChainTip {
  crypto::ClusterId cluster;
  wire::ConfigurationNumber number;
  Timestamp start;
  Timestamp end;                              // 0: none
  crypto::Digest header_hash;                 // what the next header names as `previous`
  std::uint32_t service_faults = 0;           // F
  std::vector<crypto::PublicKey> epoch_keys;  // by seat; empty: nothing can follow
  /// By index; zero: it has no say. Empty: not known, since there is no body.
  std::vector<crypto::PublicKey> authorities;

  static ChainTip of(const Configuration& configuration);
  /// Requires: `encoded` is the encoding of `header`.
  static ChainTip of(const DescriptionHeader& header, ByteView encoded);
  /// Seats that must sign the next header: 2F+1.
  std::size_t quorum() const { return 2 * std::size_t{service_faults} + 1; }
};

/// Not thread-safe. Memory: one tip.
class HeaderChain {
 public:
  /// From a configuration that the caller has verified.
  explicit HeaderChain(const Configuration& from) : tip_(ChainTip::of(from)) {}
  /// The same from all that counts of it.
  explicit HeaderChain(ChainTip from) : tip_(std::move(from)) {}

  struct Appended {
    std::vector<DescriptionHeader> headers;   // the verified ones: the first of those given
    std::optional<DescriptionError> problem;  // of the one after them; it and the rest are refused
  };
  /// Appends headers up to the first that does not fit. Errors as of apply(), but kBodyMismatch.
  /// `for_each` distributes the verification of signatures: one call of `work` for each header, at
  /// most 2F+1 valid signatures long, besides invalid ones. Memory: in proportion to the headers
  /// given; callers hand over a long chain in pieces.
  Appended append(std::span<const SignedHeader> headers, const crypto::SignatureScheme& scheme,
                  const ForEach& for_each = for_each_in_order);

  /// What is wrong with a next header beside its signatures, if anything.
  std::optional<DescriptionError> problem_of_next(const DescriptionHeader& header) const;

  /// The body of the tip: from now on a recovery may follow. False: it is another configuration's.
  [[nodiscard]] bool see_body(const Configuration& configuration);

  const ChainTip& tip() const { return tip_; }

 private:
  ChainTip tip_;
};

}  // namespace rosebud::membership
