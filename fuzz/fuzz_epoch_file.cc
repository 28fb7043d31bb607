// Files of epochs made by strangers. The first byte says how:
// 0: they are a file, 1: they are what follows the genesis of one; every signature is valid, so
// that
//    what lies behind the signatures is reached. What is read must be written again as it was.
// 2: they damage a good file, signatures are real (model scheme): whatever is accepted is the
//    good chain.
#include <algorithm>
#include <cstdlib>

#include "crypto/believes_everything.h"
#include "membership/test_chain.h"

namespace {

using namespace rosebud;
using namespace rosebud::membership;

void require(bool condition) {
  if (!condition) std::abort();
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// Whether it is one, up to the end; then it is written as it was read.
bool check_canonical(ByteView file) {
  EpochFileReader reader(reading(file, 1000));
  EpochFileWriter writer;
  const auto genesis = reader.genesis();
  if (!genesis) return false;
  Bytes again = writer.start(*genesis);
  while (true) {
    const auto next = reader.next();
    if (!next) return false;
    if (!*next) break;
    append(again, writer.entry(**next));
  }
  append(again, writer.end());
  require(equal(again, file));
  return true;
}

/// What holds of every accepted chain; the epochs that were shown.
std::vector<VerifiedEpoch> check_verified(ByteView file, const crypto::SignatureScheme& scheme) {
  EpochFileReader reader(reading(file));
  std::vector<VerifiedEpoch> shown;
  const auto verified = verify_epochs(reader, std::nullopt, scheme, for_each_in_order,
                                      [&](const VerifiedEpoch& epoch) {
                                        shown.push_back(epoch);
                                        return Onward::kGoOn;
                                      });
  for (std::size_t i = 1; i < shown.size(); ++i) {
    const auto& before = shown[i - 1];
    const auto& header = shown[i].header;
    require(header.previous == before.hash);
    require(header.cluster == before.header.cluster);
    require(header.number.epoch == before.header.number.epoch.next());
    require(header.start >= before.header.start);
    require(header.seats.size() >= 2 * std::size_t{header.service_faults} + 1);
    if (const auto& made = shown[i].configuration) {
      require(made->header_hash() == shown[i].hash);
      require(made->settings().service_faults == header.service_faults);
      require(made->service().size() == header.seats.size());
    }
  }
  if (verified) {
    require(verified->is_whole && verified->epochs_count == shown.size());
    require(check_canonical(file));
  } else {
    require(!verified.error().explained.what.empty());
    require(verified.error().epoch.value >= shown.size());
  }
  return shown;
}

struct GoodFile {
  GoodFile() {
    TestChain chain;
    EpochFileWriter writer;
    bytes = writer.start(chain.cluster.sign());
    start_size = bytes.size();
    for (int i = 0; i < 4; ++i) {
      auto epoch = with_body(chain.next());
      hashes.push_back(DescriptionHeader::hash_of(epoch.header.header));
      if (i >= 2) epoch.body.reset();
      append(bytes, writer.entry(epoch));
    }
    append(bytes, writer.end());
  }

  Bytes bytes;
  std::size_t start_size = 0;          // of what stands before the first entry
  std::vector<crypto::Digest> hashes;  // of epochs 2, 3, ...
};

/// Three bytes each: where (16 bits, around the end), and what to put there. An odd one ends the
/// file.
Bytes damaged(const GoodFile& good, ByteView script) {
  Bytes out = good.bytes;
  for (; script.size() >= 3; script = script.subspan(3)) {
    out[(std::size_t{script[0]} << 8 | script[1]) % out.size()] = script[2];
  }
  if (script.size() == 2) out.resize((std::size_t{script[0]} << 8 | script[1]) % out.size());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::BelievesEverything believing;
  static const GoodFile good;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      (void)check_canonical(input);
      (void)check_verified(input, believing);
      break;
    case 1: {
      Bytes file(good.bytes.begin(),
                 good.bytes.begin() + static_cast<std::ptrdiff_t>(good.start_size));
      append(file, input);
      (void)check_verified(file, believing);
      break;
    }
    default: {
      const auto shown = check_verified(damaged(good, input), crypto::model_scheme());
      // A genesis that was changed is another cluster's, and not signed.
      for (std::size_t i = 1; i < shown.size(); ++i) require(shown[i].hash == good.hashes[i - 1]);
    }
  }
  return 0;
}
