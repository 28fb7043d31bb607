#include "fs/node.h"

#include "base/check.h"

namespace rosebud::fs {
namespace {

// ---- Protocol buffers, the two wire types that are used ----

constexpr std::uint64_t kVarint = 0;
constexpr std::uint64_t kLengthDelimited = 2;

void put_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_number(Bytes& out, std::uint64_t field, std::uint64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, value);
}

void put_bytes(Bytes& out, std::uint64_t field, ByteView bytes) {
  put_varint(out, field << 3 | kLengthDelimited);
  put_varint(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// One field after the other; failed at the first thing that does not fit.
class Fields {
 public:
  explicit Fields(ByteView bytes) : rest_(bytes) {}

  /// False at the end or after a failure.
  bool next() {
    if (failed_ || rest_.empty()) return false;
    const std::uint64_t tag = varint();
    field_ = tag >> 3;
    const std::uint64_t type = tag & 7;
    number_ = 0;
    bytes_ = {};
    if (type == kVarint) {
      number_ = varint();
    } else if (type == kLengthDelimited) {
      const std::uint64_t size = varint();
      if (failed_ || size > rest_.size()) return fail();
      bytes_ = rest_.first(static_cast<std::size_t>(size));
      rest_ = rest_.subspan(static_cast<std::size_t>(size));
    } else if (type == 5 && rest_.size() >= 4) {
      rest_ = rest_.subspan(4);  // fixed32: nanoseconds in a modification time
    } else {
      return fail();
    }
    is_bytes_ = type == kLengthDelimited;
    return !failed_;
  }
  std::uint64_t field() const { return field_; }
  bool is_bytes() const { return is_bytes_; }
  std::uint64_t number() const { return number_; }
  ByteView bytes() const { return bytes_; }
  bool is_whole() const { return !failed_ && rest_.empty(); }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const std::uint8_t byte = rest_.front();
      rest_ = rest_.subspan(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    failed_ = true;
    return 0;
  }

  ByteView rest_;
  std::uint64_t field_ = 0;
  std::uint64_t number_ = 0;
  ByteView bytes_;
  bool is_bytes_ = false;
  bool failed_ = false;
};

Bytes encode_link(const Link& link) {
  Bytes out;
  put_bytes(out, 1, link.cid.binary());
  put_bytes(out, 2, as_bytes(link.name));
  put_number(out, 3, link.tsize);
  return out;
}

std::optional<Link> decode_link(ByteView bytes) {
  Link out;
  bool has_cid = false;
  Fields in(bytes);
  while (in.next()) {
    if (in.field() == 1 && in.is_bytes()) {
      const auto cid = Cid::from_binary(in.bytes());
      if (!cid || has_cid) return std::nullopt;
      out.cid = *cid;
      has_cid = true;
    } else if (in.field() == 2 && in.is_bytes()) {
      out.name = std::string(as_text(in.bytes()));
    } else if (in.field() == 3 && !in.is_bytes()) {
      out.tsize = in.number();
    } else {
      return std::nullopt;
    }
  }
  if (!in.is_whole() || !has_cid) return std::nullopt;
  return out;
}

bool decode_unixfs(ByteView bytes, DagNode& out) {
  bool has_type = false;
  Fields in(bytes);
  while (in.next()) {
    const bool is_number = !in.is_bytes();
    switch (in.field()) {
      case 1:
        if (!is_number || in.number() > 5 || in.number() == 3) return false;
        out.type = static_cast<NodeType>(in.number());
        has_type = true;
        break;
      case 2:
        if (is_number) return false;
        out.data = to_bytes(in.bytes());
        break;
      case 3:
        if (!is_number) return false;
        out.filesize = in.number();
        break;
      case 4:
        if (!is_number) return false;
        out.blocksizes.push_back(in.number());
        break;
      case 5:
        out.hash_type = in.number();
        break;
      case 6:
        out.fanout = in.number();
        break;
      case 7:
      case 8:
        break;  // mode and modification time: allowed, not used
      default:
        return false;
    }
  }
  return in.is_whole() && has_type;
}

}  // namespace

Bytes DagNode::encode() const {
  Bytes unixfs;
  put_number(unixfs, 1, static_cast<std::uint64_t>(type));
  if (!data.empty()) put_bytes(unixfs, 2, data);
  if (filesize) put_number(unixfs, 3, *filesize);
  for (std::uint64_t size : blocksizes) put_number(unixfs, 4, size);
  if (type == NodeType::kShard) {
    put_number(unixfs, 5, hash_type);
    put_number(unixfs, 6, fanout);
  }
  // dag-pb writes links before data, whatever the field numbers say.
  Bytes out;
  for (const Link& link : links) put_bytes(out, 2, encode_link(link));
  put_bytes(out, 1, unixfs);
  return out;
}

std::optional<DagNode> DagNode::decode(ByteView block) {
  DagNode out;
  bool has_data = false;
  Fields in(block);
  while (in.next()) {
    if (!in.is_bytes()) return std::nullopt;
    if (in.field() == 2) {
      if (has_data) return std::nullopt;
      auto link = decode_link(in.bytes());
      if (!link) return std::nullopt;
      out.links.push_back(std::move(*link));
    } else if (in.field() == 1 && !has_data) {
      has_data = true;
      if (!decode_unixfs(in.bytes(), out)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (!in.is_whole() || !has_data) return std::nullopt;
  return out;
}

}  // namespace rosebud::fs
