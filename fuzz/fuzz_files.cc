// Files that a person, another program or a failing disk may have changed: rosebud.toml, node.toml,
// keys, statements, notes of records, the values of records that are volumes, lists of
// snapshots, the identity of a data directory, segments, notes of a replica. The first byte says
// which. What is taken must be written again as it was.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "apps/rosebud/node_file.h"
#include "base/temporary_folder.h"
#include "client/record_note.h"
#include "client/session.h"
#include "client/snapshots.h"
#include "client/volume.h"
#include "crypto/key_file.h"
#include "disk/directory.h"
#include "disk/segments.h"
#include "net/connection.h"
#include "objects/replica.h"
#include "objects/test_group.h"
#include "runtime/statement_file.h"
#include "script.h"

namespace {

using namespace rosebud;
using fuzz::require;

/// A file in memory whose path can be given to a reader.
class MemoryFile {
 public:
  explicit MemoryFile(ByteView bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(fd_ >= 0 && ::fchmod(fd_, 0600) == 0, "a file in memory");
    require(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "written");
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void read_configurations(ByteView input) {
  const MemoryFile file(input);
  if (const auto cluster = client::read_cluster_file(file.path())) {
    require(!cluster->genesis.empty() && !cluster->key.empty() && !cluster->admission.empty() &&
                !cluster->state.empty(),
            "a cluster file that is taken names everything");
  }
  if (const auto node = apps::read_node_file(file.path())) {
    require(!node->genesis.empty() && !node->key.empty() && !node->data.empty(),
            "a node file that is taken names everything");
    require(node->worker_threads >= 1 && node->worker_threads <= 64, "numbers are in their range");
  }
}

void read_keys(ByteView input) {
  const MemoryFile file(input);
  if (const auto key = crypto::read_secret_key(file.path()))
    require(crypto::SecretKey::from_seed(key->seed()).public_key() == key->public_key(), "one key");
  if (const auto statement = runtime::read_statement(file.path()))
    require(statement->statement.size() <= wire::kStatementSizeMax, "a statement is short");
  (void)runtime::read_genesis(file.path());
  (void)net::parse_address(as_text(input));
}

void read_note(ByteView input) {
  if (const auto state = client::VolumeState::decode(input))
    require(state->encode() == to_bytes(input), "one encoding of a published state");
  if (const auto list = client::SnapshotList::decode(input)) {
    require(list->encode() == to_bytes(input), "one encoding of a list of snapshots");
    for (const client::Snapshot& one : list->all())
      require(list->find(one.name) == &one, "each is found by its name");
  }
  const auto note = client::RecordNote::decode(as_text(input));
  if (!note) return;
  const auto again = client::RecordNote::decode(note->encode());
  require(again && again->record == note->record && again->is_done == note->is_done, "one note");
}

void read_identity(ByteView input) {
  const auto identity = disk::decode_identity(as_text(input));
  if (identity) require(disk::encode_identity(*identity) == as_text(input), "one encoding");
}

/// What a walk through a segment of any bytes finds lies inside it, one behind the other.
void read_segment(ByteView input) {
  static const TemporaryFolder folder;
  std::ofstream(folder.path() / "1.segment", std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()),
             static_cast<std::streamsize>(input.size()));
  const auto segments = disk::Segments::open(folder.path());
  require(segments.has_value(), "a folder of segments opens whatever is in them");
  std::uint64_t end = 0;
  if (const auto found = (*segments)->contents_of(disk::SegmentNumber(1))) {
    for (const auto& [id, place] : *found) {
      require(place.offset == end + disk::kSegmentHeadSize, "contents follow each other");
      end = place.offset + place.size;
      require(end <= input.size(), "contents lie inside their segment");
      (void)(*segments)->read(place);
    }
  }
  if (const auto place =
          disk::Place::decode(input.first(std::min<std::size_t>(input.size(), 24)))) {
    require(equal(place->encode(), input.first(24)), "one encoding");
    if (const auto bytes = (*segments)->read(*place))
      require(bytes->size() == place->size, "whole");
  }
}

/// A replica starts with whatever notes it finds.
void read_replica_notes(ByteView input) {
  static const objects::TestGroup group;
  if (const auto epochs = objects::IntervalEpochs::decode(input))
    require(equal(epochs->encode(), input), "one encoding");
  const std::size_t quota_size = std::min<std::size_t>(input.size(), 8);
  Bytes quota_name = to_bytes(as_bytes("objects/quota/"));
  quota_name.resize(quota_name.size() + 32);
  objects::Replica replica({.key = group.nodes[0]}, group.verifier(2), crypto::model_scheme(),
                           {.notes = {{to_bytes(as_bytes("objects/tenure")), to_bytes(input)},
                                      {quota_name, to_bytes(input.first(quota_size))},
                                      {to_bytes(as_bytes("objects/quota/")), to_bytes(input)}}},
                           Random(1), {}, {group.configuration(1)});
  objects::Effects out;
  replica.start(Instant{}, out);
  replica.on_time(Instant{} + std::chrono::seconds(1), out);
  replica.check_invariants();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      read_configurations(input);
      break;
    case 1:
      read_keys(input);
      break;
    case 2:
      read_note(input);
      break;
    case 3:
      read_identity(input);
      break;
    case 4:
      read_segment(input);
      break;
    default:
      read_replica_notes(input);
  }
  return 0;
}
