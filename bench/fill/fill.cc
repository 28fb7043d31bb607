// rosebud-fill CLUSTER_FILE DATABASE OBJECTS SIZE [IDS_FILE]
//
// Puts OBJECTS blocks of SIZE random bytes under valid holds of the cluster file's client into the
// database of a stopped node, and writes the ids of a thousand of them, one CID a line. In the
// order of the index, so that RocksDB moves files instead of merging them.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/random.h"
#include "client/session.h"
#include "crypto/key_file.h"
#include "disk/store.h"
#include "fs/cid.h"
#include "runtime/statement_file.h"

namespace {

using namespace rosebud;

constexpr std::size_t kHoldLeaves = 256;  // of one hold statement
constexpr std::size_t kCommitObjects = 4096;
constexpr std::size_t kSampleIds = 1000;

template <typename T>
T must(Result<T, Explained> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().text().c_str());
  std::exit(1);
}

Bytes content_of(std::uint64_t number, std::size_t size) {
  Random random(number);
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random.next() >> 56);
  return out;
}

struct Planned {
  crypto::Digest id;
  std::uint32_t number = 0;
};

/// Signs holds of this client.
class Holder {
 public:
  explicit Holder(const client::ClusterFile& file)
      : key_(must(crypto::read_secret_key(file.key))),
        admission_(must(runtime::read_statement(file.admission))),
        statement_(*wire::AdmissionStatement::decode(admission_.statement)) {}

  /// One statement for all of them.
  std::vector<wire::Hold> hold(const std::vector<wire::ObjectId>& ids, std::uint64_t size) {
    std::vector<crypto::Digest> leaves;
    for (const auto& id : ids) leaves.push_back(wire::hold_leaf(id, size));
    const wire::HoldTree tree(std::move(leaves));
    const wire::HoldStatement statement{.cluster = statement_.cluster,
                                        .holder = key_.public_key(),
                                        .organisation = statement_.organisation,
                                        .serial = ++serial_,
                                        .expiry = statement_.not_after,
                                        .root = tree.root(),
                                        .count = static_cast<std::uint32_t>(ids.size())};
    const auto signed_statement = wire::sign(crypto::ed25519(), key_, statement);
    std::vector<wire::Hold> out;
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
      out.push_back({.statement = signed_statement,
                     .admission = admission_,
                     .size = size,
                     .index = i,
                     .path = tree.path(i)});
    }
    return out;
  }

 private:
  crypto::SecretKey key_;
  wire::SignedBytes admission_;
  wire::AdmissionStatement statement_;
  std::uint64_t serial_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: rosebud-fill CLUSTER_FILE DATABASE OBJECTS SIZE [IDS_FILE]\n");
    return 1;
  }
  const auto count = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  const std::size_t size = std::strtoul(argv[4], nullptr, 10);
  Holder holder(must(client::read_cluster_file(argv[1])));
  const auto store = must(disk::Store::open({.path = argv[2]}));
  std::vector<Planned> planned(count);
  for (std::uint32_t i = 0; i < count; ++i)
    planned[i] = {.id = crypto::sha256(content_of(i, size)), .number = i};
  std::ranges::sort(planned, {}, &Planned::id);
  std::ofstream ids;
  if (argc > 5) ids.open(argv[5]);
  const std::size_t sampled = std::max<std::size_t>(1, count / kSampleIds);
  std::vector<wire::StorageWrite> writes;
  for (std::size_t begin = 0; begin < planned.size(); begin += kHoldLeaves) {
    const std::size_t end = std::min<std::size_t>(planned.size(), begin + kHoldLeaves);
    std::vector<wire::ObjectId> batch;
    for (std::size_t i = begin; i < end; ++i) batch.push_back(wire::ObjectId::block(planned[i].id));
    auto holds = holder.hold(batch, size);
    for (std::size_t i = begin; i < end; ++i) {
      writes.emplace_back(
          wire::PutObject{.object = {.id = batch[i - begin],
                                     .holds = {std::move(holds[i - begin])},
                                     .content = Buffer(content_of(planned[i].number, size))},
                          .content_size = size});
      if (ids.is_open() && i % sampled == 0)
        ids << fs::Cid{fs::Codec::kRaw, planned[i].id}.text() << '\n';
    }
    if (writes.size() < kCommitObjects && end != planned.size()) continue;
    if (!store->commit({&writes})) {
      std::fprintf(stderr, "the disk refuses; is it full?\n");
      return 1;
    }
    writes.clear();
    if (begin / kHoldLeaves % 1024 == 0) std::fprintf(stderr, "%zu of %u\n", end, count);
  }
  return 0;
}
