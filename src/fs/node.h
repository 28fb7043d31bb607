// Nodes of UnixFS DAGs: dag-pb with a UnixFS message inside, in the one encoding that every
// implementation hashes.
//
// Written by hand because it is hashed: fields in a fixed order, no unknown ones
// (docs/format/unixfs.md). The decoder refuses unknown fields and never reads beyond its input.
#pragma once

#include "fs/cid.h"

namespace rosebud::fs {

struct Link {
  std::string name;  // empty between the parts of a file
  Cid cid;
  std::uint64_t tsize =
      0;  // bytes of the whole DAG below, blocks shared within it counted each time

  friend bool operator==(const Link&, const Link&) = default;
};

enum class NodeType : std::uint8_t {
  kRaw = 0,
  kDirectory = 1,
  kFile = 2,
  kSymlink = 4,
  kShard = 5
};

/// Since 1970-01-01 UTC. Invariant: nanoseconds < 10^9.
struct ModificationTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;

  friend bool operator==(const ModificationTime&, const ModificationTime&) = default;
};

/// What a file or directory may carry beside its content. Without it ids depend on content and
/// names alone.
struct Attributes {
  /// The lowest twelve bits are permissions, setuid, setgid and sticky; what others write above is
  /// kept and means nothing here.
  std::optional<std::uint32_t> mode;
  std::optional<ModificationTime> modified;

  bool empty() const { return !mode && !modified; }
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

/// What an entry of a directory may be called: not empty, "." or "..", neither '/' nor NUL inside.
bool is_entry_name(std::string_view name);
/// A block hashes to its id, and says what cannot be.
Explained unsound(const Cid& cid, std::string what);

struct DagNode {
  NodeType type = NodeType::kFile;
  std::vector<Link> links;
  Bytes data;  // a symlink's target; a shard's bit field; a small file's bytes
  std::optional<std::uint64_t> filesize;  // of files: bytes below
  std::vector<std::uint64_t> blocksizes;  // of files: bytes below each link
  std::uint64_t hash_type = 0;            // of shards
  std::uint64_t fanout = 0;               // of shards
  Attributes attributes;

  Bytes encode() const;
  static std::optional<DagNode> decode(ByteView block);
};

}  // namespace rosebud::fs
