#include "fs/node.h"

#include "base/check.h"

namespace rosebud::fs {
namespace {

// ---- Protocol buffers, the three wire types that are used ----

constexpr std::uint64_t kVarint = 0;
constexpr std::uint64_t kLengthDelimited = 2;
constexpr std::uint64_t kFixed32 = 5;

constexpr std::uint32_t kNanosecondsMax = 999'999'999;

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

void put_fixed32(Bytes& out, std::uint64_t field, std::uint32_t value) {
  put_varint(out, field << 3 | kFixed32);
  for (int shift = 0; shift < 32; shift += 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
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
    type_ = tag & 7;
    number_ = 0;
    bytes_ = {};
    if (type_ == kVarint) {
      number_ = varint();
    } else if (type_ == kLengthDelimited) {
      const std::uint64_t size = varint();
      if (failed_ || size > rest_.size()) return fail();
      bytes_ = rest_.first(static_cast<std::size_t>(size));
      rest_ = rest_.subspan(static_cast<std::size_t>(size));
    } else if (type_ == kFixed32 && rest_.size() >= 4) {
      for (std::size_t i = 4; i-- > 0;) number_ = number_ << 8 | rest_[i];
      rest_ = rest_.subspan(4);
    } else {
      return fail();
    }
    return !failed_;
  }
  std::uint64_t field() const { return field_; }
  bool is_bytes() const { return type_ == kLengthDelimited; }
  bool is_varint() const { return type_ == kVarint; }
  bool is_fixed32() const { return type_ == kFixed32; }
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
  std::uint64_t type_ = kVarint;
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
    } else if (in.field() == 3 && in.is_varint()) {
      out.tsize = in.number();
    } else {
      return std::nullopt;
    }
  }
  if (!in.is_whole() || !has_cid) return std::nullopt;
  return out;
}

Bytes encode_time(const ModificationTime& time) {
  Bytes out;
  put_number(out, 1, static_cast<std::uint64_t>(time.seconds));
  if (time.nanoseconds > 0) put_fixed32(out, 2, time.nanoseconds);
  return out;
}

std::optional<ModificationTime> decode_time(ByteView bytes) {
  ModificationTime out;
  bool has_seconds = false;
  Fields in(bytes);
  while (in.next()) {
    if (in.field() == 1 && in.is_varint()) {
      out.seconds = static_cast<std::int64_t>(in.number());
      has_seconds = true;
    } else if (in.field() == 2 && in.is_fixed32() && in.number() <= kNanosecondsMax) {
      out.nanoseconds = static_cast<std::uint32_t>(in.number());
    } else {
      return std::nullopt;
    }
  }
  if (!in.is_whole() || !has_seconds) return std::nullopt;
  return out;
}

bool decode_unixfs(ByteView bytes, DagNode& out) {
  bool has_type = false;
  Fields in(bytes);
  while (in.next()) {
    const bool is_number = in.is_varint();
    switch (in.field()) {
      case 1:
        if (!is_number || in.number() > 5 || in.number() == 3) return false;
        out.type = static_cast<NodeType>(in.number());
        has_type = true;
        break;
      case 2:
        if (!in.is_bytes()) return false;
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
        if (!is_number) return false;
        out.hash_type = in.number();
        break;
      case 6:
        if (!is_number) return false;
        out.fanout = in.number();
        break;
      case 7:
        if (!is_number || in.number() > 0xffff'ffff) return false;
        out.attributes.mode = static_cast<std::uint32_t>(in.number());
        break;
      case 8:
        if (!in.is_bytes()) return false;
        out.attributes.modified = decode_time(in.bytes());
        if (!out.attributes.modified) return false;
        break;
      default:
        return false;
    }
  }
  return in.is_whole() && has_type;
}

}  // namespace

bool is_entry_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Explained unsound(const Cid& cid, std::string what) {
  return {.what = "the data of " + cid.text() + " makes no sense: " + std::move(what),
          .cause = "whoever made it wrote a wrong DAG; the bytes are what the id names",
          .next = "tell whoever gave you the id",
          .trouble = Trouble::kIntegrity};
}

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
  if (attributes.mode) put_number(unixfs, 7, *attributes.mode);
  if (attributes.modified) put_bytes(unixfs, 8, encode_time(*attributes.modified));
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
