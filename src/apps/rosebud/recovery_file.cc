#include "apps/rosebud/recovery_file.h"

#include "base/files.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

constexpr std::string_view kKind = "rosebud-recovery-1 ";
constexpr std::string_view kNoteKind = "rosebud-recovery-note-1 ";

Bytes encode(const RecoveryFile& file) {
  wire::Writer out;
  out.raw(file.cluster.view()).u32(file.generation.value);
  out.u16(static_cast<std::uint16_t>(file.statements.size()));
  for (const auto& [node, statement] : file.statements) wire::write(out, statement);
  out.u16(static_cast<std::uint16_t>(file.states.size()));
  for (const auto& [digest, state] : file.states) out.bytes32(state);
  out.bytes32(file.proposal ? file.proposal->encode() : Bytes{});
  return out.take();
}

std::optional<RecoveryFile> decode(ByteView bytes) {
  wire::Reader in(bytes);
  RecoveryFile out{.cluster = in.fixed<crypto::ClusterId>()};
  out.generation = wire::Generation(in.u32());
  const std::size_t statements = in.u16();
  if (statements > membership::kRecoveryStatementsMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < statements; ++i) {
    if (!out.add(wire::read_signed_bytes(in, wire::kStatementSizeMax))) return std::nullopt;
  }
  const std::size_t states = in.u16();
  if (states > kStatesMax) return std::nullopt;
  for (std::size_t i = 0; in.ok() && i < states; ++i)
    out.add_state(in.bytes32(membership::kRecoveredStateSizeMax));
  const ByteView proposal = in.bytes32(membership::kSignedDescriptionSizeMax);
  if (!in.done()) return std::nullopt;
  if (!proposal.empty()) {
    out.proposal = membership::SignedDescription::decode(proposal);
    if (!out.proposal) return std::nullopt;
  }
  return out;
}

}  // namespace

bool RecoveryFile::add(const wire::SignedBytes& statement) {
  const auto stated = membership::RecoveryStatement::decode(statement.statement);
  if (!stated || stated->cluster != cluster || stated->generation != generation) return false;
  if (!wire::is_signed_by<membership::RecoveryStatement>(crypto::ed25519(), stated->node,
                                                         statement)) {
    return false;
  }
  statements.insert_or_assign(stated->node, statement);
  return true;
}

void RecoveryFile::add_state(ByteView handed_over) {
  if (handed_over.empty() || handed_over.size() > membership::kRecoveredStateSizeMax) return;
  if (states.size() >= kStatesMax) states.erase(states.begin());
  states.emplace(membership::service_state_digest(handed_over), to_bytes(handed_over));
}

std::optional<Explained> problem_of_proposal(const RecoveryFile& file) {
  if (!file.proposal) return std::nullopt;
  const auto header = membership::DescriptionHeader::decode(file.proposal->header);
  if (header && header->cluster == file.cluster && header->number.generation == file.generation)
    return std::nullopt;
  return Explained{.what = "the proposal in the file is of another cluster or generation than it",
                   .cause = "somebody changed it",
                   .next = "do not sign it; collect statements into a new file",
                   .trouble = Trouble::kIntegrity};
}

Result<RecoveryFile, Explained> read_recovery_file(const stdfs::path& path) {
  const auto bytes = read_kind_file(path, kKind);
  if (!bytes) return fail(bytes.error());
  auto out = decode(*bytes);
  if (!out) return fail(wrong_kind(path, kKind));
  if (auto problem = problem_of_proposal(*out)) {
    problem->what = path.string() + ": " + problem->what;
    return fail(std::move(*problem));
  }
  return std::move(*out);
}

Status<Explained> write_recovery_file(const stdfs::path& path, const RecoveryFile& file) {
  return replace_file(path, kind_file_text(kKind, encode(file)));
}

Status<Explained> note_signed(const stdfs::path& organisation, const crypto::ClusterId& cluster,
                              wire::Generation generation, const crypto::Digest& header_hash) {
  const stdfs::path path = organisation / ("recovery-" + to_hex(cluster.view()).substr(0, 16) +
                                           "-" + std::to_string(generation.value) + ".note");
  const std::string note = kind_file_text(kNoteKind, header_hash.view());
  std::error_code error;
  if (!stdfs::exists(path, error) && !error) return create_file(path, note);
  const auto before = read_kind_file(path, kNoteKind);
  if (!before) return fail(before.error());
  // Its name may not be on disk yet: suppose the tool was killed, or its disk failed, when it had
  // given it and not synced it.
  if (equal(*before, header_hash.view())) return replace_file(path, note);
  return fail(Explained{
      .what = "this organisation has signed another recovery into generation " +
              std::to_string(generation.value),
      .cause = path.string() + " says so: an authority signs one for each generation, since two "
                               "that are both signed by enough would split the cluster",
      .next = "go on with the one that was signed; if that cannot be, begin again with the next "
              "generation: rosebud cluster recover collect --generation " +
              std::to_string(generation.value + 1)});
}

}  // namespace rosebud::apps
