#include "membership/epoch_file.h"

#include <algorithm>

#include "base/check.h"

namespace rosebud::membership {
namespace {

constexpr std::string_view kMagic = "rosebud-epochs-2\n";
constexpr std::string_view kMagicOfAnyVersion = "rosebud-epochs-";
constexpr std::size_t kSignedGenesisSizeMax = 4 + kGenesisSizeMax + 2 + kOrganisationsMax * 64;
constexpr std::size_t kReadSize = 64U << 10;

/// First byte of an entry.
enum class Entry : std::uint8_t {
  kEnd = 0,          // number of entries before it (u64); nothing follows
  kHeader = 1,       // bytes32 of a SignedHeader
  kDescription = 2,  // bytes32 of a SignedDescription
};

Bytes entry_of(Entry kind, ByteView content) {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(kind)).bytes32(content);
  return out.take();
}

std::string_view cause_of(DescriptionError error) {
  using enum DescriptionError;
  switch (error) {
    case kMalformed:
      return "its bytes were damaged, or a newer version made them";
    case kOtherCluster:
      return "epochs of two clusters were put into one file";
    case kOtherGeneration:
      return "the organisations recovered the configuration service by hand, and the file lacks "
             "the body of the epoch before, which says who they are";
    case kNotNewer:
      return "an epoch stands twice in the file, or not in order";
    case kGap:
      return "epochs were left out of the file";
    case kOtherHistory:
      return "an epoch before it was changed or exchanged, or somebody made up another history";
    case kTooFewSignatures:
      return "it was changed after it was signed, or others than the members of the configuration "
             "service of the epoch before made it, or than its organisations if it is a recovery";
    case kBodyMismatch:
      return "its body was changed, or is that of another epoch";
    case kNoPredecessor:
      return "the file lacks the body of the epoch before";
    case kImpossible:
      return "more than F members of the configuration service of the epoch before are faulty, or "
             "a newer version made it";
    case kNotAsStated:
    case kLossNotAccepted:
    case kStartsTooLate:
      return "more than two thirds of the organisations signed what their tools refuse, or a newer "
             "version made it";
  }
  return "";
}

constexpr const char* kExportAgain =
    "export the epochs again, from another node than before, and verify them with the cluster id";

EpochFileProblem problem_of(EpochFileError error, wire::Epoch epoch, std::uint64_t offset) {
  using enum EpochFileError;
  const std::string at = " (byte " + std::to_string(offset) + ")";
  const std::string of = "epoch " + std::to_string(epoch.value) + ": ";
  EpochFileProblem out{.error = error, .epoch = epoch, .offset = offset, .explained = {}};
  Explained& told = out.explained;
  told.trouble = Trouble::kIntegrity;
  told.next = kExportAgain;
  switch (error) {
    case kUnreadable:
      told = {.what = "the file cannot be read" + at, .cause = {}, .next = {}};
      break;
    case kOtherFile:
      told.what = "this is no file of epochs";
      told.cause = "it does not begin with '" + std::string(kMagic.substr(0, kMagic.size() - 1)) +
                   "': the file is another one, or damaged";
      break;
    case kOtherVersion:
      told.what = "the file of epochs has a version that is not known here";
      told.cause = "a newer version wrote it, or it is damaged";
      break;
    case kTruncated:
      told.what = of + "the file ends in the middle" + at;
      told.cause = "it was not written or copied to its end";
      break;
    case kTooLong:
      told.what = of + "an entry says that it is longer than one can be" + at;
      told.cause = "the file is damaged";
      break;
    case kUnknownEntry:
      told.what = of + "an entry is of a kind that is not known here" + at;
      told.cause = "the file is damaged, or a newer version wrote it";
      break;
    case kMalformed:
      told.what = of + "the bytes are not those of " +
                  (epoch.value <= 1 ? "a signed genesis" : "an epoch") + at;
      told.cause = "the file is damaged, or a newer version wrote it";
      break;
    case kWrongCount:
      told.what = "the file ends after epoch " + std::to_string(epoch.value - 1) +
                  ", but its end mark counts otherwise" + at;
      told.cause = "epochs were taken out of the file, or put into it";
      break;
    case kTrailing:
      told.what = "the file goes on after its end" + at;
      told.cause = "something was appended to it";
      break;
    case kGenesis:
    case kRefused:
      break;  // the caller knows more
  }
  return out;
}

EpochFileProblem refused(wire::Epoch epoch, DescriptionError error, std::uint64_t offset) {
  EpochFileProblem out = problem_of(EpochFileError::kRefused, epoch, offset);
  out.description = error;
  out.explained.what = "epoch " + std::to_string(epoch.value) + ": " + std::string(text_of(error));
  out.explained.cause = cause_of(error);
  return out;
}

/// The genesis in the form of a header.
VerifiedEpoch first_epoch(std::shared_ptr<const Configuration> genesis) {
  VerifiedEpoch out{.header = {.cluster = genesis->cluster(),
                               .number = genesis->number(),
                               .start = genesis->start(),
                               .end = genesis->end(),
                               .previous = {},
                               .members_root = {},
                               .state = {},
                               .body = {},
                               .randomness = genesis->randomness(),
                               .service_faults = genesis->settings().service_faults,
                               .seats = {}},
                    .hash = genesis->header_hash(),
                    .configuration = genesis};
  for (const ServiceMember& member : genesis->service()) {
    out.header.seats.push_back({.node = genesis->nodes()[member.node].key,
                                .epoch_key = member.epoch_key,
                                .commitment = member.commitment});
  }
  return out;
}

/// Epochs whose signatures and bodies are verified at once.
struct Batch {
  std::vector<SignedHeader> headers;
  std::vector<std::optional<Bytes>> bodies;  // as many as headers
  std::optional<EpochFileProblem> problem;   // of the file, after them
  bool is_last = false;
};

std::optional<wire::Generation> generation_of(const SignedHeader& one) {
  const auto header = DescriptionHeader::decode(one.header);
  return header ? std::optional(header->number.generation) : std::nullopt;
}

/// Takes a file apart into batches, of which each is of one generation: a recovery needs the body
/// before it, which is made when the batch before was verified.
class Batches {
 public:
  explicit Batches(EpochFileReader& file) : file_(file) {}

  Batch next() {
    Batch out;
    std::size_t body_bytes = 0;
    const auto take = [&](FileEpoch epoch) {
      if (epoch.body) body_bytes += epoch.body->size();
      out.headers.push_back(std::move(epoch.header));
      out.bodies.push_back(std::move(epoch.body));
    };
    if (held_) take(std::move(*std::exchange(held_, std::nullopt)));
    while (out.headers.size() < kEpochBatch && body_bytes < kDescriptionBodySizeMax) {
      auto next = file_.next();
      if (!next) {
        out.problem = std::move(next.error());
        break;
      }
      if (!*next) {
        out.is_last = true;
        break;
      }
      const auto generation = generation_of((*next)->header);
      const bool is_other = generation != std::exchange(generation_, generation);
      if (is_other) {
        held_ = std::move(**next);
        break;
      }
      take(std::move(**next));
    }
    return out;
  }

 private:
  EpochFileReader& file_;
  std::optional<wire::Generation> generation_ = wire::Generation(0);
  std::optional<FileEpoch> held_;
};

/// What the body makes of the epoch before, which is null when it is not known. Null: there is no
/// body.
Result<std::shared_ptr<const Configuration>, DescriptionError> successor_of(
    const Configuration* before, const DescriptionHeader& header, SignedHeader signed_header,
    std::optional<Bytes> body, const crypto::SignatureScheme& scheme) {
  if (!body) return nullptr;
  if (before == nullptr) return fail(DescriptionError::kNoPredecessor);
  auto made = configuration_of(header,
                               {.header = std::move(signed_header.header),
                                .body = std::move(*body),
                                .signatures = std::move(signed_header.signatures)},
                               *before);
  if (!made) return made;
  if (const auto problem = problem_of_succession(*before, **made, scheme)) return fail(*problem);
  return made;
}

}  // namespace

Bytes EpochFileWriter::start(const SignedGenesis& genesis) const {
  wire::Writer out;
  out.raw(as_bytes(kMagic)).bytes32(genesis.encode());
  return out.take();
}

Bytes EpochFileWriter::entry(const FileEpoch& epoch) {
  ++entries_count_;
  if (!epoch.body) return entry_of(Entry::kHeader, epoch.header.encode());
  return entry_of(Entry::kDescription, SignedDescription{.header = epoch.header.header,
                                                         .body = *epoch.body,
                                                         .signatures = epoch.header.signatures}
                                           .encode());
}

Bytes EpochFileWriter::end() const {
  wire::Writer out;
  out.u8(static_cast<std::uint8_t>(Entry::kEnd)).u64(entries_count_);
  return out.take();
}

std::unexpected<EpochFileProblem> EpochFileReader::problem(EpochFileError error) const {
  return fail(problem_of(error, wire::Epoch(epochs_count_ + 1), offset_));
}

/// From the buffer, which is filled again when it is empty. 0: the end.
Result<std::size_t, EpochFileProblem> EpochFileReader::read_some(std::span<std::uint8_t> into) {
  if (at_ == buffer_.size()) {
    buffer_.resize(kReadSize);
    at_ = 0;
    const auto count = read_(buffer_);
    if (!count) {
      buffer_.clear();
      auto out = problem(EpochFileError::kUnreadable);
      out.error().explained = count.error();
      return out;
    }
    CHECK(*count <= buffer_.size());
    buffer_.resize(*count);
  }
  const std::size_t count = std::min(into.size(), buffer_.size() - at_);
  std::copy_n(buffer_.data() + at_, count, into.data());
  at_ += count;
  offset_ += count;
  return count;
}

Status<EpochFileProblem> EpochFileReader::fill(std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const auto count = read_some(into);
    if (!count) return fail(count.error());
    if (*count == 0) return problem(EpochFileError::kTruncated);
    into = into.subspan(*count);
  }
  return {};
}

/// What a length of four bytes stands before.
Result<Bytes, EpochFileProblem> EpochFileReader::sized(std::size_t size_max) {
  std::array<std::uint8_t, 4> length{};
  if (const auto filled = fill(length); !filled) return fail(filled.error());
  const std::size_t size = wire::Reader(length).u32();
  if (size > size_max) return problem(EpochFileError::kTooLong);
  Bytes out(size);
  if (const auto filled = fill(out); !filled) return fail(filled.error());
  return out;
}

Result<SignedGenesis, EpochFileProblem> EpochFileReader::genesis() {
  std::array<std::uint8_t, kMagic.size()> magic{};
  if (const auto filled = fill(magic); !filled) {
    const bool is_short = filled.error().error == EpochFileError::kTruncated;
    return is_short ? problem(EpochFileError::kOtherFile) : fail(filled.error());
  }
  if (as_text(magic) != kMagic) {
    return problem(as_text(magic).starts_with(kMagicOfAnyVersion) ? EpochFileError::kOtherVersion
                                                                  : EpochFileError::kOtherFile);
  }
  const auto bytes = sized(kSignedGenesisSizeMax);
  if (!bytes) return fail(bytes.error());
  auto out = SignedGenesis::decode(*bytes);
  if (!out) return problem(EpochFileError::kMalformed);
  epochs_count_ = 1;
  return std::move(*out);
}

Result<std::optional<FileEpoch>, EpochFileProblem> EpochFileReader::next() {
  std::array<std::uint8_t, 1> kind{};
  if (const auto filled = fill(kind); !filled) return fail(filled.error());
  switch (static_cast<Entry>(kind[0])) {
    case Entry::kEnd: {
      if (const auto ended = check_end(); !ended) return fail(ended.error());
      return std::nullopt;
    }
    case Entry::kHeader: {
      const auto bytes = sized(kSignedHeaderSizeMax);
      if (!bytes) return fail(bytes.error());
      auto header = SignedHeader::decode(*bytes);
      if (!header) return problem(EpochFileError::kMalformed);
      ++epochs_count_;
      return FileEpoch{.header = std::move(*header), .body = std::nullopt};
    }
    case Entry::kDescription: {
      const auto bytes = sized(kSignedDescriptionSizeMax);
      if (!bytes) return fail(bytes.error());
      auto description = SignedDescription::decode(*bytes);
      if (!description) return problem(EpochFileError::kMalformed);
      ++epochs_count_;
      return FileEpoch{.header = {.header = std::move(description->header),
                                  .signatures = std::move(description->signatures)},
                       .body = std::move(description->body)};
    }
  }
  return problem(EpochFileError::kUnknownEntry);
}

Status<EpochFileProblem> EpochFileReader::check_end() {
  std::array<std::uint8_t, 8> count{};
  if (const auto filled = fill(count); !filled) return filled;
  // The genesis is counted here, but is no entry.
  if (wire::Reader(count).u64() != epochs_count_ - 1) return problem(EpochFileError::kWrongCount);
  std::array<std::uint8_t, 1> more{};
  const auto left = read_some(more);
  if (!left) return fail(left.error());
  if (*left != 0) return problem(EpochFileError::kTrailing);
  return {};
}

Result<EpochsVerified, EpochFileProblem> verify_epochs(
    EpochFileReader& file, const std::optional<crypto::ClusterId>& expected,
    const crypto::SignatureScheme& scheme, const ForEach& for_each,
    const std::function<Onward(const VerifiedEpoch&)>& on_epoch) {
  const auto signed_genesis = file.genesis();
  if (!signed_genesis) return fail(signed_genesis.error());
  const auto genesis = verify_genesis(*signed_genesis, expected, scheme);
  if (!genesis) {
    auto out = problem_of(EpochFileError::kGenesis, wire::Epoch(1), file.offset());
    out.explained = genesis.error();
    return fail(std::move(out));
  }
  HeaderChain chain(**genesis);
  EpochsVerified out{
      .start = (*genesis)->start(), .last = first_epoch(*genesis), .epochs_count = 1};
  if (on_epoch(out.last) == Onward::kStop) return out;

  // The last epoch's configuration, if it is known.
  std::shared_ptr<const Configuration> before = *genesis;
  Batches batches(file);
  while (!out.is_whole) {
    Batch batch = batches.next();
    if (before) CHECK(chain.see_body(*before));
    auto appended = chain.append(batch.headers, scheme, for_each);
    for (std::size_t i = 0; i < appended.headers.size(); ++i) {
      DescriptionHeader& header = appended.headers[i];
      auto made = successor_of(before.get(), header, std::move(batch.headers[i]),
                               std::move(batch.bodies[i]), scheme);
      if (!made) return fail(refused(header.number.epoch, made.error(), file.offset()));
      const auto configuration = std::move(*made);
      before = configuration;
      const bool is_tip = i + 1 == appended.headers.size();
      out.last = {.header = std::move(header),
                  .hash = is_tip ? chain.tip().header_hash : appended.headers[i + 1].previous,
                  .configuration = configuration};
      ++out.epochs_count;
      if (configuration) ++out.bodies_count;
      if (on_epoch(out.last) == Onward::kStop) return out;
    }
    if (appended.problem) {
      return fail(refused(chain.tip().number.epoch.next(), *appended.problem, file.offset()));
    }
    if (batch.problem) return fail(std::move(*batch.problem));
    out.is_whole = batch.is_last;
  }
  return out;
}

}  // namespace rosebud::membership
