// A chain of epochs in a file, for whoever verifies it off line (docs/format/epochs.md): the
// genesis, then every epoch from 2 on as a signed header, with its body as far as somebody wants
// more than the chain: bodies say what changes, so there are those of the first epochs, or none.
//
// Nothing is believed because it is in the file: verify_epochs() needs the cluster id and nothing
// else. Read and written as a stream: memory is bounded by a batch of headers and a few bodies,
// however long the chain is.
//
// No I/O here: the caller brings the bytes and takes them.
#pragma once

#include "membership/genesis.h"
#include "membership/header_chain.h"

namespace rosebud::membership {

struct FileEpoch {
  SignedHeader header;
  std::optional<Bytes> body;
  friend bool operator==(const FileEpoch&, const FileEpoch&) = default;
};

/// Makes the bytes of a file, in this order: start(), entry() for every epoch from 2 on, end().
/// Nothing is checked.
class EpochFileWriter {
 public:
  Bytes start(const SignedGenesis& genesis) const;
  /// Requires: header and body are within their limits.
  Bytes entry(const FileEpoch& epoch);
  Bytes end() const;

 private:
  std::uint64_t entries_count_ = 0;
};

enum class EpochFileError : std::uint8_t {
  kUnreadable,    // the caller's ReadBytes failed
  kOtherFile,     // it does not begin as an epoch file
  kOtherVersion,  // an epoch file, of a version that this one does not know
  kTruncated,     // it ends before its end mark
  kTooLong,       // an entry says that it is longer than any can be
  kUnknownEntry,  // an entry of a kind that this version does not know
  kMalformed,     // an entry whose bytes are not what its kind says
  kWrongCount,    // its end mark counts other entries than there are: some were left out
  kTrailing,      // bytes after its end mark
  kGenesis,       // the genesis is not valid, or of another cluster
  kRefused,       // an epoch does not follow from the one before: `description` says why
};

struct EpochFileProblem {
  EpochFileError error{};
  wire::Epoch epoch;         // at which it was found; 1: in the genesis or before it
  std::uint64_t offset = 0;  // bytes of the file that were read by then
  DescriptionError description = DescriptionError::kMalformed;  // of kRefused
  Explained explained;  // for a person: what, the likely cause, what to do next
};

/// Fills the beginning of `into`, which is not empty; returns how many bytes, 0 only at the end.
using ReadBytes = std::function<Result<std::size_t, Explained>(std::span<std::uint8_t> into)>;

/// Takes a file apart and judges only its form. After an error or the end nothing more is to be
/// read. Memory: the longest entry and a small buffer; what a length claims is allocated only when
/// it is within the limit.
class EpochFileReader {
 public:
  explicit EpochFileReader(ReadBytes read) : read_(std::move(read)) {}

  /// The beginning of the file. Requires: called once, first.
  Result<SignedGenesis, EpochFileProblem> genesis();
  /// The next epoch; nothing at the end, which is the end of all bytes too.
  Result<std::optional<FileEpoch>, EpochFileProblem> next();
  /// Bytes taken so far.
  std::uint64_t offset() const { return offset_; }

 private:
  Status<EpochFileProblem> fill(std::span<std::uint8_t> into);
  Result<Bytes, EpochFileProblem> sized(std::size_t size_max);
  Result<std::size_t, EpochFileProblem> read_some(std::span<std::uint8_t> into);
  Status<EpochFileProblem> check_end();
  std::unexpected<EpochFileProblem> problem(EpochFileError error) const;

  ReadBytes read_;
  Bytes buffer_;  // read and not yet taken: from at_
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t epochs_count_ = 0;  // taken so far, with the genesis
};

/// An epoch that was verified.
struct VerifiedEpoch {
  /// Of epoch 1, which has no header: what the genesis says, without root, state and body.
  DescriptionHeader header;
  crypto::Digest hash;  // what the next header names as `previous`
  /// Where its body is in the file, and of epoch 1.
  std::shared_ptr<const Configuration> configuration;
};

enum class Onward : bool { kStop, kGoOn };

struct EpochsVerified {
  Timestamp start;  // of epoch 1
  VerifiedEpoch last;
  std::uint64_t epochs_count = 0;  // with epoch 1
  std::uint64_t bodies_count = 0;  // without the genesis
  bool is_whole = false;           // false: the caller stopped it
};

/// Verifies a file from its beginning to its end, or until `on_epoch` stops it: the genesis, every
/// header (HeaderChain), every body that is there (configuration_of), and what two epochs must not
/// have between them (problem_of_succession). A body says what changes: where that of the epoch
/// before is left out, none may follow. `expected`: the cluster id that the caller
/// trusts; without one the genesis of the file is believed, and the caller has to say so.
///
/// `on_epoch` is called for each epoch in order, as soon as it and all before it are verified. The
/// first problem of the file is the one returned. Memory: kEpochBatch headers, bodies of twice
/// kDescriptionBodySizeMax, and two configurations.
Result<EpochsVerified, EpochFileProblem> verify_epochs(
    EpochFileReader& file, const std::optional<crypto::ClusterId>& expected,
    const crypto::SignatureScheme& scheme, const ForEach& for_each,
    const std::function<Onward(const VerifiedEpoch&)>& on_epoch);

/// Headers whose signatures are verified at once: enough that threads are seldom waited for, some
/// megabytes at the most.
inline constexpr std::size_t kEpochBatch = 256;

}  // namespace rosebud::membership
