// Where a file is cut into chunks: after a fixed size, or where its content says so.
//
// By content [FastCDC16]: a rolling hash over the last 64 bytes decides, so an insertion moves the
// cuts near it and no others, and what lies behind is found again under the same ids. Parameters
// and test vectors: docs/format/chunking.md. Memory: one chunk of the greatest size.
#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace rosebud::fs {

/// A chunk of fixed size, and the longest one that content cuts: with the few bytes of a node
/// around it, it is a block (2 MiB) in any case.
inline constexpr std::size_t kChunkSize = 1024 * 1024;
/// Content cuts nothing shorter but the end of a file: the hash is not looked at before.
inline constexpr std::size_t kContentChunkMin = 128 * 1024;
/// From here on cuts are sought with an easier condition: most chunks are about as long.
inline constexpr std::size_t kContentChunkNormal = 512 * 1024;

enum class Chunking : std::uint8_t {
  kFixed,      // as other implementations do it, so that ids are the same
  kByContent,  // files that are written through a volume
};

/// Yields bytes until 0. `into` is never empty.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Result<std::size_t, Explained> read(std::span<std::uint8_t> into) = 0;
};

/// How many of these bytes are the next chunk: at least one of a view that is not empty, at most
/// kChunkSize. Requires: kChunkSize bytes, or all that are left.
std::size_t content_cut(ByteView bytes);

class Chunker {
 public:
  /// `source` outlives it.
  Chunker(ByteSource& source, Chunking chunking) : source_(source), chunking_(chunking) {}

  /// The next chunk, of at most kChunkSize bytes; empty behind the last one. After its end the
  /// source is not asked again: a terminal would wait for another one.
  Result<Bytes, Explained> next();

 private:
  Status<Explained> fill();

  ByteSource& source_;
  Chunking chunking_;
  Bytes ahead_;  // read, and not yet in a chunk
  bool is_at_end_ = false;
};

}  // namespace rosebud::fs
