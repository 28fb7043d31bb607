// Genesis, epoch descriptions and admissions made by strangers whose every signature is valid: what
// the checks behind the signatures must bear. The first byte says which.
#include <cstdlib>

#include "crypto/believes_everything.h"
#include "membership/admission.h"
#include "membership/full_members.h"
#include "membership/placing.h"
#include "membership/recovery.h"
#include "membership/test_cluster.h"

namespace {

using namespace rosebud;
using namespace rosebud::membership;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
std::optional<T> decode_canonical(ByteView input) {
  auto decoded = T::decode(input);
  if (decoded) require(equal(decoded->encode(), input));
  return decoded;
}

/// What holds of every configuration, whoever made it.
void check_configuration(const Configuration& made) {
  std::uint64_t shares = 0;
  for (std::uint32_t i = 0; i < made.nodes().size(); ++i) shares += made.own_share(i);
  require(shares == std::uint64_t{made.filled_seats()} << 32);
  require(made.filled_seats() >= made.quorum());
  for (const routing::Arc& arc : made.ring().arcs()) {
    require(arc.group.size() == made.filled_seats());
  }
}

void fuzz_genesis(ByteView input, const crypto::SignatureScheme& scheme) {
  (void)decode_canonical<Genesis>(input);
  const auto signed_genesis = decode_canonical<SignedGenesis>(input);
  if (!signed_genesis) return;
  (void)decode_canonical<Genesis>(signed_genesis->genesis);
  const auto made = verify_genesis(*signed_genesis, std::nullopt, scheme);
  if (made) check_configuration(**made);
}

void fuzz_description(ByteView input, const Configuration& current,
                      const crypto::SignatureScheme& scheme) {
  if (const auto description = decode_canonical<SignedDescription>(input)) {
    (void)decode_canonical<DescriptionHeader>(description->header);
    (void)decode_canonical<DescriptionBody>(description->body);
  }
  const auto made = apply(current, input, scheme);
  if (made) check_configuration(**made);
}

/// As a recovery that all organisations have signed (design 8.6).
void fuzz_recovery(NextEpoch next, const Configuration& current,
                   const crypto::SignatureScheme& scheme) {
  for (const wire::SignedBytes& one : next.body.recovery->statements)
    (void)decode_canonical<RecoveryStatement>(one.statement);
  const wire::Generation generation(1);
  next.randomness = recovery_randomness(current, generation);
  SignedDescription description = draft_description(current, next, generation);
  for (std::uint16_t one = 0; one < current.organisations().size(); ++one)
    description.signatures.push_back({.seat = one, .signature = {}});
  const auto made = apply(current, description.encode(), scheme);
  if (made) check_configuration(**made);
}

/// Any body, under a header that fits it: hashes do not stop the fuzzer here.
void fuzz_body(ByteView input, const Configuration& current,
               const crypto::SignatureScheme& scheme) {
  auto body = decode_canonical<DescriptionBody>(input);
  if (!body || !in_their_places(current, body->nodes)) return;
  NextEpoch next = same_again(current);
  next.body = std::move(*body);
  std::erase_if(next.service, [&](const Seat& seat) {
    return node_after(current, next.body.nodes, seat.node) == nullptr;
  });
  std::vector<SeatKey> keys(current.service().size());
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i].seat = static_cast<std::uint16_t>(i);
  const auto made = apply(current, make_description(current, next, keys, scheme), scheme);
  if (made) check_configuration(**made);
  if (next.body.recovery) fuzz_recovery(std::move(next), current, scheme);
}

/// Parts of another configuration than the one of the root never count.
void fuzz_part(ByteView input, const Configuration& current) {
  (void)decode_canonical<MembersPart>(input);
  MembersCollection collection(current.root());
  if (!collection.add(input)) return;
  require(collection.is_whole());
  require(collection.take() == FullMembers::of(current));
}

void fuzz_admission(ByteView input, const Configuration& current,
                    const crypto::SignatureScheme& scheme) {
  const auto statement = decode_canonical<wire::AdmissionStatement>(input);
  const auto checked = check_admission(current, {.statement = Buffer::copy_of(input)},
                                       test_key("client").public_key(), wire::Role::kClient,
                                       Timestamp(2000), scheme);
  if (checked) require(statement && statement->cluster == current.cluster());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::BelievesEverything scheme;
  static const auto current = TestCluster().first();
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      fuzz_genesis(input, scheme);
      break;
    case 1:
      fuzz_description(input, *current, scheme);
      break;
    case 2:
      fuzz_body(input, *current, scheme);
      break;
    case 4:
      fuzz_part(input, *current);
      break;
    default:
      fuzz_admission(input, *current, scheme);
  }
  return 0;
}
