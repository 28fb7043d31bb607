// A chain of epochs in a file, made by four organisations that exist nowhere else: what
// tests/epoch-chain verifies, and benchmarks of any length.
#include <cstdio>
#include <memory>

#include "apps/trial/commands.h"
#include "membership/test_chain.h"

namespace rosebud::trial {
namespace {

Explained cannot_write(const std::filesystem::path& path) {
  return {.what = "writing " + path.string() + " failed", .cause = {}, .next = {}};
}

}  // namespace

Status<Explained> write_epochs(const EpochsOptions& options) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(options.out.c_str(), "wb"), [](std::FILE* open) { return std::fclose(open); });
  const auto put = [&](const Bytes& bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  };
  if (!file) return fail(cannot_write(options.out));
  membership::TestChain chain(crypto::ed25519());
  membership::EpochFileWriter writer;
  bool is_written = put(writer.start(chain.cluster.sign()));
  for (std::uint64_t epoch = 2; is_written && epoch <= options.count; ++epoch) {
    auto entry = membership::with_body(chain.next());
    if (epoch > options.bodies_to) entry.body.reset();
    is_written = put(writer.entry(entry));
  }
  is_written = is_written && put(writer.end()) && std::fflush(file.get()) == 0;
  if (!is_written) return fail(cannot_write(options.out));
  std::printf("%s\n", to_hex(chain.tip()->cluster().view()).c_str());
  return {};
}

}  // namespace rosebud::trial
