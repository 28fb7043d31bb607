// Signed statements: what organisations, owners, clients and replicas put their name under.
//
// Every statement has one canonical encoding (layouts in docs/format/statements.md). It is signed,
// sent, stored and verified as exactly these bytes and never re-encoded; the tag of its kind is
// signed with it and every statement names its cluster, so no signature means anything elsewhere
// (design 3.5).
#pragma once

#include "wire/ids.h"

namespace rosebud::wire {

/// A statement as it travels: the exact bytes that were signed. Nothing is implied about who
/// signed. Copies share the bytes: a hold is sent to a whole group and stands with every object.
struct SignedBytes {
  Buffer statement;
  crypto::Signature signature;

  friend bool operator==(const SignedBytes&, const SignedBytes&) = default;
};

void write(Writer& out, const SignedBytes& value);
SignedBytes read_signed_bytes(Reader& in, std::size_t size_max);

/// No statement is longer.
inline constexpr std::size_t kStatementSizeMax = 512;

/// Shortest and longest name of an organisation, node or client: a to z, 0 to 9 and '-' inside.
inline constexpr std::size_t kNameSizeMax = 32;
bool is_name(std::string_view text);

/// Longest address of a node.
inline constexpr std::size_t kAddressSizeMax = 128;

enum class Role : std::uint8_t { kNode = 1, kClient = 2 };

/// "This key is one of ours": an organisation admits a node or a client (design 3.2).
struct AdmissionStatement {
  static constexpr std::string_view kTag = "rosebud admission 1";

  crypto::ClusterId cluster;
  crypto::PublicKey organisation;  // the authority that signs
  crypto::PublicKey subject;
  Role role = Role::kClient;
  std::uint64_t capacity_bytes = 0;  // a node: what it offers; a client: its quota
  DirectoryId directory;             // a node's incarnation; zero for a client
  Timestamp not_before;
  Timestamp not_after;  // Invariant: not_before < not_after.
  std::string name;
  /// A node's "host:port", at most kAddressSizeMax characters: else whoever has the statement could
  /// lead everybody astray. Empty for a client.
  std::string address;

  Bytes encode() const;
  static std::optional<AdmissionStatement> decode(ByteView bytes);
  friend bool operator==(const AdmissionStatement&, const AdmissionStatement&) = default;
};

/// "I keep these": a client's promise to be charged for a batch of objects until it expires (design
/// 5).
struct HoldStatement {
  static constexpr std::string_view kTag = "rosebud hold 1";

  crypto::ClusterId cluster;
  crypto::PublicKey holder;        // the client that signs
  crypto::PublicKey organisation;  // the one that admitted it
  std::uint64_t serial = 0;        // per (object, holder) the highest wins
  Timestamp expiry;
  crypto::Digest root;      // Merkle root over the leaves (object id, size)
  std::uint32_t count = 0;  // leaves below the root, 1 to kHoldLeavesMax

  Bytes encode() const;
  static std::optional<HoldStatement> decode(ByteView bytes);
  friend bool operator==(const HoldStatement&, const HoldStatement&) = default;
};

/// Version of a record: term (16 bits) ‖ counter (48 bits). 0 is "no record".
struct Version {
  std::uint64_t value = 0;

  static constexpr int kCounterBits = 48;
  static constexpr std::uint64_t kCounterMax = (std::uint64_t{1} << kCounterBits) - 1;
  static constexpr Version of(std::uint16_t term, std::uint64_t counter) {
    return {(std::uint64_t{term} << kCounterBits) | counter};
  }
  constexpr std::uint16_t term() const { return static_cast<std::uint16_t>(value >> kCounterBits); }
  constexpr std::uint64_t counter() const { return value & kCounterMax; }

  friend constexpr auto operator<=>(Version, Version) = default;
};

/// "My record says this now": an owner publishes a version of its record (design 5).
struct RecordStatement {
  static constexpr std::string_view kTag = "rosebud record 1";

  crypto::ClusterId cluster;
  crypto::PublicKey owner;
  Bytes salt;
  Version version;  // Invariant: version > 0.
  bool is_tombstone = false;
  std::uint32_t value_size = 0;  // 0 for a tombstone
  crypto::Digest value_hash;     // tagged; see value_hash_of
  crypto::Digest parent;         // tagged hash of the statement it follows; zero for the first

  ObjectId id() const { return record_id(owner, salt); }
  Bytes encode() const;
  static std::optional<RecordStatement> decode(ByteView bytes);
  friend bool operator==(const RecordStatement&, const RecordStatement&) = default;
};

crypto::Digest record_value_hash(ByteView value);
/// What a later record names as its parent.
crypto::Digest record_statement_hash(ByteView statement);

/// "I hold every write acknowledged in this interval before this epoch" (design 10.5).
struct CompletenessStatement {
  static constexpr std::string_view kTag = "rosebud complete 1";

  crypto::ClusterId cluster;
  ConfigurationNumber configuration;
  NodeKey node;
  DirectoryId directory;
  crypto::Digest first;  // the interval of placement keys, both ends included
  crypto::Digest last;   // Invariant: first <= last.

  Bytes encode() const;
  static std::optional<CompletenessStatement> decode(ByteView bytes);
  friend bool operator==(const CompletenessStatement&, const CompletenessStatement&) = default;
};

/// Signs the canonical encoding of a statement.
template <typename Statement>
SignedBytes sign(const crypto::SignatureScheme& scheme, const crypto::SecretKey& key,
                 const Statement& statement) {
  SignedBytes out{.statement = Buffer(statement.encode())};
  out.signature = scheme.sign(key, Statement::kTag, out.statement);
  return out;
}

/// True when `key` signed exactly these bytes as this kind of statement.
template <typename Statement>
bool is_signed_by(const crypto::SignatureScheme& scheme, const crypto::PublicKey& key,
                  const SignedBytes& bytes) {
  return scheme.verify(key, Statement::kTag, bytes.statement, bytes.signature);
}

}  // namespace rosebud::wire
