#include "fs/car.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "fs/node.h"

namespace rosebud::fs {
namespace {

constexpr std::size_t kCidSize = 36;

// ---- The header: {"roots": [CID...], "version": 1} as DAG-CBOR, in the one order that it has ----

constexpr std::uint8_t kMapOfTwo = 0xa2;
constexpr std::uint8_t kCidTag[] = {0xd8, 0x2a};  // tag 42
constexpr std::uint8_t kIdentityBase = 0x00;      // stands before a CID inside of CBOR

void put_text(Bytes& out, std::string_view text) {
  out.push_back(static_cast<std::uint8_t>(0x60 | text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

Bytes encode_header(const Cid& root) {
  Bytes out{kMapOfTwo};
  put_text(out, "roots");
  out.push_back(0x81);
  out.insert(out.end(), std::begin(kCidTag), std::end(kCidTag));
  out.push_back(0x58);
  out.push_back(kCidSize + 1);
  out.push_back(kIdentityBase);
  const Bytes cid = root.binary();
  out.insert(out.end(), cid.begin(), cid.end());
  put_text(out, "version");
  out.push_back(0x01);
  return out;
}

/// Reads CBOR from the front; failed at the first thing that does not fit.
class HeaderReader {
 public:
  explicit HeaderReader(ByteView bytes) : rest_(bytes) {}

  bool is(std::uint8_t byte) { return number(1) == byte && is_good_; }
  bool is_text(std::string_view text) {
    if (!is(static_cast<std::uint8_t>(0x60 | text.size()))) return false;
    const ByteView found = take(text.size());
    return is_good_ && as_text(found) == text;
  }
  /// The length of an item of this major type.
  std::size_t length(std::uint8_t major) {
    const std::uint64_t head = number(1);
    if (head >> 5 != major) is_good_ = false;
    const std::uint64_t low = head & 0x1f;
    if (low < 24) return static_cast<std::size_t>(low);
    if (low > 26) is_good_ = false;  // longer than any header that is read
    return is_good_ ? static_cast<std::size_t>(number(std::size_t{1} << (low - 24))) : 0;
  }
  ByteView take(std::size_t size) {
    if (size > rest_.size()) is_good_ = false;
    if (!is_good_) return {};
    const ByteView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  bool is_whole() const { return is_good_ && rest_.empty(); }
  bool is_good() const { return is_good_; }

 private:
  std::uint64_t number(std::size_t size) {
    std::uint64_t out = 0;
    for (const std::uint8_t byte : take(size)) out = out << 8 | byte;
    return out;
  }
  ByteView rest_;
  bool is_good_ = true;
};

Explained bad(std::string cause) {
  return {.what = "this is no CAR file that can be read here",
          .cause = std::move(cause),
          .next = "make it with `ipfs dag export` or `rosebud export`",
          .trouble = Trouble::kIntegrity};
}

Result<std::vector<Cid>, Explained> decode_header(ByteView bytes) {
  constexpr std::uint8_t kArray = 4;
  constexpr std::uint8_t kByteString = 2;
  HeaderReader pragma(bytes);
  if (pragma.is(0xa1) && pragma.is_text("version") && pragma.is(0x02)) {
    return fail(bad("it is of version 2, only version 1 is read"));
  }
  HeaderReader in(bytes);
  if (!in.is(kMapOfTwo) || !in.is_text("roots")) return fail(bad("its header is none"));
  const std::size_t count = in.length(kArray);
  std::vector<Cid> roots;
  for (std::size_t i = 0; i < count && in.is_good(); ++i) {
    if (!in.is(kCidTag[0]) || !in.is(kCidTag[1])) break;
    const ByteView one = in.take(in.length(kByteString));
    if (one.empty() || one.front() != kIdentityBase) break;
    const auto cid = Cid::from_binary(one.subspan(1));
    if (!cid) return fail(bad("a root is no CIDv1 with sha2-256 of raw or dag-pb"));
    roots.push_back(*cid);
  }
  const bool is_whole =
      roots.size() == count && in.is_text("version") && in.is(0x01) && in.is_whole();
  if (!is_whole) return fail(bad("its header is cut off or of an unknown kind"));
  if (roots.empty()) return fail(bad("it names no root"));
  return roots;
}

// ---- Sections: a length as a varint, then that many bytes ----

void put_length(Bytes& out, std::size_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

class SectionReader {
 public:
  SectionReader(ByteSource& source, const std::function<void(std::uint64_t)>& on_bytes)
      : source_(source), on_bytes_(on_bytes) {}

  /// The next section; nothing at the end of the file.
  Result<std::optional<Bytes>, Explained> next(std::size_t size_max) {
    std::uint64_t size = 0;
    for (int shift = 0;; shift += 7) {
      std::uint8_t byte = 0;
      const auto n = fill({&byte, 1});
      if (!n) return fail(n.error());
      if (*n == 0 && shift == 0) return std::optional<Bytes>();
      if (*n == 0) return fail(bad("it is cut off"));
      size |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) break;
      if (shift >= 28) return fail(bad("a length makes no sense"));
    }
    if (size == 0 || size > size_max) return fail(bad("a block is empty or over 2 MiB"));
    Bytes out(static_cast<std::size_t>(size));
    const auto n = fill(out);
    if (!n) return fail(n.error());
    if (*n < out.size()) return fail(bad("it is cut off"));
    return std::optional(std::move(out));
  }

 private:
  /// Fewer bytes than asked for only at the end.
  Result<std::size_t, Explained> fill(std::span<std::uint8_t> into) {
    std::size_t done = 0;
    while (done < into.size()) {
      if (begin_ == buffer_.size()) {
        buffer_.resize(kBufferSize);
        begin_ = 0;
        const auto n = source_.read(buffer_);
        if (!n) return fail(n.error());
        buffer_.resize(*n);
        if (*n == 0) break;
        if (on_bytes_) on_bytes_(*n);
      }
      const std::size_t n = std::min(into.size() - done, buffer_.size() - begin_);
      std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), n,
                  into.begin() + static_cast<std::ptrdiff_t>(done));
      begin_ += n;
      done += n;
    }
    return done;
  }
  static constexpr std::size_t kBufferSize = 64 * 1024;
  ByteSource& source_;
  const std::function<void(std::uint64_t)>& on_bytes_;
  Bytes buffer_;
  std::size_t begin_ = 0;
};

/// What a block links to. An error for one that is no node.
Result<std::vector<Cid>, Explained> links_of(const Cid& cid, ByteView block) {
  std::vector<Cid> out;
  if (cid.codec == Codec::kRaw) return out;
  const auto node = DagNode::decode(block);
  if (!node) {
    return fail(Explained{.what = "the block " + cid.text() + " is no UnixFS node",
                          .cause = "the DAG holds something else than files and directories",
                          .next = "only files and directories can be kept here",
                          .trouble = Trouble::kIntegrity});
  }
  out.reserve(node->links.size());
  for (const Link& link : node->links) out.push_back(link.cid);
  return out;
}

}  // namespace

Result<CarTotals, Explained> export_car(const Cid& root, BlockSource& source,
                                        const ByteSink& sink) {
  const auto put = [&](ByteView front, ByteView rest) -> Status<Explained> {
    Bytes section;
    put_length(section, front.size() + rest.size());
    section.insert(section.end(), front.begin(), front.end());
    if (auto written = sink(section); !written) return written;
    return rest.empty() ? Status<Explained>() : sink(rest);
  };
  if (auto written = put(encode_header(root), {}); !written) return fail(written.error());
  CarTotals out;
  std::set<Cid> seen{root};
  std::vector<Cid> todo{root};  // the next one at the back
  constexpr std::size_t kAhead = 32;
  while (!todo.empty()) {
    const Cid cid = todo.back();
    todo.pop_back();
    auto block = source.get(cid);
    if (!block) return fail(block.error());
    if (auto written = put(cid.binary(), block->view()); !written) return fail(written.error());
    ++out.blocks;
    out.bytes += block->size();
    auto links = links_of(cid, block->view());
    if (!links) return fail(links.error());
    for (auto at = links->rbegin(); at != links->rend(); ++at) {
      if (seen.insert(*at).second) todo.push_back(*at);
    }
    const std::size_t ahead = std::min(kAhead, todo.size());
    const std::vector<Cid> soon(todo.rbegin(), todo.rbegin() + static_cast<std::ptrdiff_t>(ahead));
    source.prefetch(soon);
  }
  return out;
}

Result<ImportedCar, Explained> import_car(ByteSource& source, BlockSink& sink, BlockSource& store,
                                          const std::function<void(std::uint64_t)>& on_bytes) {
  SectionReader in(source, on_bytes);
  const auto header = in.next(kCarHeaderMax);
  if (!header) return fail(header.error());
  if (!*header) return fail(bad("it is empty"));
  auto roots = decode_header(**header);
  if (!roots) return fail(roots.error());
  ImportedCar out{.roots = std::move(*roots)};
  std::set<Cid> come;
  std::set<Cid> wanted(out.roots.begin(), out.roots.end());
  while (true) {
    const auto section = in.next(kCarSectionMax);
    if (!section) return fail(section.error());
    if (!*section) break;
    const ByteView bytes(**section);
    const auto cid =
        bytes.size() < kCidSize ? std::nullopt : Cid::from_binary(bytes.first(kCidSize));
    if (!cid)
      return fail(bad("it has a block under another id than CIDv1, sha2-256, raw or dag-pb"));
    const ByteView block = bytes.subspan(kCidSize);
    if (Cid::of(cid->codec, block) != *cid) {
      return fail(Explained{.what = "the bytes of " + cid->text() + " do not hash to it",
                            .cause = "the file is damaged or forged",
                            .next = "get the file again",
                            .trouble = Trouble::kIntegrity});
    }
    if (!come.insert(*cid).second) continue;
    const auto links = links_of(*cid, block);
    if (!links) return fail(links.error());
    wanted.insert(links->begin(), links->end());
    ++out.totals.blocks;
    out.totals.bytes += block.size();
    if (auto put = sink.put(*cid, Buffer::copy_of(block)); !put) return fail(put.error());
  }
  // What the file does not bring must be in the store already, and all below it.
  std::vector<Cid> missing;
  std::ranges::set_difference(wanted, come, std::back_inserter(missing));
  while (!missing.empty()) {
    const Cid cid = missing.back();
    missing.pop_back();
    if (!come.insert(cid).second) continue;
    const auto block = store.get(cid);
    if (!block) {
      return fail(Explained{.what = "the DAG is not whole: " + cid.text() +
                                    " is neither in the file nor in the cluster",
                            .cause = block.error().what,
                            .next = "export it anew where it is whole; what came was stored",
                            .trouble = Trouble::kIntegrity});
    }
    // Stored again, which costs one question: what is there may be held by others only.
    if (auto put = sink.put(cid, *block); !put) return fail(put.error());
    const auto links = links_of(cid, block->view());
    if (!links) return fail(links.error());
    for (const Cid& link : *links) {
      if (!come.contains(link)) missing.push_back(link);
    }
  }
  return out;
}

}  // namespace rosebud::fs
