#include "wire/statement.h"

#include <algorithm>

#include "base/check.h"
#include "wire/hold.h"

namespace rosebud::wire {
namespace {

constexpr std::uint8_t kLayout = 1;

void read_layout(Reader& in) {
  if (in.u8() != kLayout) in.fail();
}

template <typename Statement>
std::optional<Statement> if_done(const Reader& in, Statement&& statement) {
  if (!in.done()) return std::nullopt;
  return std::forward<Statement>(statement);
}

}  // namespace

void write(Writer& out, const SignedBytes& value) {
  out.bytes16(value.statement).raw(value.signature.view());
}

SignedBytes read_signed_bytes(Reader& in, std::size_t size_max) {
  SignedBytes out{.statement = Buffer::copy_of(in.bytes16(size_max))};
  out.signature = in.fixed<crypto::Signature>();
  return out;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameSizeMax) return false;
  if (text.front() == '-' || text.back() == '-') return false;
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

Bytes AdmissionStatement::encode() const {
  CHECK(is_name(name));
  Writer out;
  out.u8(kLayout)
      .raw(cluster.view())
      .raw(organisation.view())
      .raw(subject.view())
      .u8(static_cast<std::uint8_t>(role))
      .u64(capacity_bytes)
      .raw(directory.view())
      .u64(not_before.value)
      .u64(not_after.value)
      .text(name);
  if (role == Role::kNode) out.text(address);
  return out.take();
}

std::optional<AdmissionStatement> AdmissionStatement::decode(ByteView bytes) {
  Reader in(bytes);
  AdmissionStatement out;
  read_layout(in);
  out.cluster = in.fixed<crypto::ClusterId>();
  out.organisation = in.fixed<crypto::PublicKey>();
  out.subject = in.fixed<crypto::PublicKey>();
  const std::uint8_t role = in.u8();
  if (role != 1 && role != 2) in.fail();
  out.role = static_cast<Role>(role);
  out.capacity_bytes = in.u64();
  out.directory = in.fixed<DirectoryId>();
  out.not_before = Timestamp(in.u64());
  out.not_after = Timestamp(in.u64());
  out.name = in.text(kNameSizeMax);
  if (out.role == Role::kNode) out.address = in.text(kAddressSizeMax);
  if (!is_name(out.name) || out.not_before >= out.not_after) in.fail();
  return if_done(in, std::move(out));
}

Bytes HoldStatement::encode() const {
  CHECK(count > 0);
  return Writer()
      .u8(kLayout)
      .raw(cluster.view())
      .raw(holder.view())
      .raw(organisation.view())
      .u64(serial)
      .u64(expiry.value)
      .raw(root.view())
      .u32(count)
      .take();
}

std::optional<HoldStatement> HoldStatement::decode(ByteView bytes) {
  Reader in(bytes);
  HoldStatement out;
  read_layout(in);
  out.cluster = in.fixed<crypto::ClusterId>();
  out.holder = in.fixed<crypto::PublicKey>();
  out.organisation = in.fixed<crypto::PublicKey>();
  out.serial = in.u64();
  out.expiry = Timestamp(in.u64());
  out.root = in.fixed<crypto::Digest>();
  out.count = in.u32();
  if (out.count == 0 || out.count > kHoldLeavesMax) in.fail();
  return if_done(in, std::move(out));
}

Bytes RecordStatement::encode() const {
  CHECK(salt.size() <= kSaltSizeMax);
  CHECK(version.value > 0);
  return Writer()
      .u8(kLayout)
      .raw(cluster.view())
      .raw(owner.view())
      .bytes16(salt)
      .u64(version.value)
      .u8(is_tombstone ? 1 : 0)
      .u32(value_size)
      .raw(value_hash.view())
      .raw(parent.view())
      .take();
}

std::optional<RecordStatement> RecordStatement::decode(ByteView bytes) {
  Reader in(bytes);
  RecordStatement out;
  read_layout(in);
  out.cluster = in.fixed<crypto::ClusterId>();
  out.owner = in.fixed<crypto::PublicKey>();
  out.salt = to_bytes(in.bytes16(kSaltSizeMax));
  out.version = Version{in.u64()};
  const std::uint8_t flags = in.u8();
  out.is_tombstone = flags == 1;
  out.value_size = in.u32();
  out.value_hash = in.fixed<crypto::Digest>();
  out.parent = in.fixed<crypto::Digest>();
  if (flags > 1 || out.version.value == 0 || out.value_size > kRecordValueSizeMax) in.fail();
  if (out.is_tombstone && out.value_size != 0) in.fail();
  return if_done(in, std::move(out));
}

crypto::Digest record_value_hash(ByteView value) {
  return crypto::tagged_hash("rosebud record value 1", value);
}

crypto::Digest record_statement_hash(ByteView statement) {
  return crypto::tagged_hash("rosebud record parent 1", statement);
}

Bytes CompletenessStatement::encode() const {
  Writer out;
  out.u8(kLayout).raw(cluster.view());
  write(out, configuration);
  out.raw(node.view()).raw(directory.view()).raw(first.view()).raw(last.view());
  return out.take();
}

std::optional<CompletenessStatement> CompletenessStatement::decode(ByteView bytes) {
  Reader in(bytes);
  CompletenessStatement out;
  read_layout(in);
  out.cluster = in.fixed<crypto::ClusterId>();
  out.configuration = read_number(in);
  out.node = in.fixed<NodeKey>();
  out.directory = in.fixed<DirectoryId>();
  out.first = in.fixed<crypto::Digest>();
  out.last = in.fixed<crypto::Digest>();
  if (out.first > out.last) in.fail();
  return if_done(in, std::move(out));
}

}  // namespace rosebud::wire
