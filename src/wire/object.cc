#include "wire/object.h"

#include "base/check.h"

namespace rosebud::wire {
namespace {

constexpr std::uint8_t kLayout = 1;

}  // namespace

KeyRange whole_key_range() {
  KeyRange out;
  out.last.bytes.fill(0xff);
  return out;
}

crypto::Digest object_state(const ObjectId& id, const SignedBytes& record,
                            const std::vector<Hold>& holds) {
  crypto::Hasher hasher("rosebud object state 1");
  hasher.update(id.encode().view());
  if (!record.statement.empty()) {
    const auto statement = RecordStatement::decode(record.statement);
    CHECK(statement.has_value());
    hasher.update_u64(statement->version.value).update(statement->value_hash.view());
  }
  hasher.update_u64(holds.size());
  for (const Hold& hold : holds) {
    hasher.update(crypto::tagged_hash("rosebud hold state 1", hold.statement.statement).view());
  }
  return hasher.finish();
}

IndexEntry StoredObject::entry() const {
  return {.id = id,
          .content_size = content.size(),
          .state = object_state(id, record, holds),
          .is_damaged = is_damaged};
}

Bytes encode_object_meta(const StoredObject& object) {
  CHECK(object.holds.size() <= kHoldsPerObjectMax);
  Writer out;
  out.u8(kLayout).u8(object.is_damaged ? 1 : 0);
  write(out, object.record);
  out.u16(static_cast<std::uint16_t>(object.holds.size()));
  for (const Hold& hold : object.holds) write(out, hold);
  return out.take();
}

bool decode_object_meta(ByteView bytes, StoredObject& object) {
  Reader in(bytes);
  if (in.u8() != kLayout) return false;
  const std::uint8_t flags = in.u8();
  if (flags > 1) return false;
  object.is_damaged = flags == 1;
  object.record = read_signed_bytes(in, kStatementSizeMax);
  const std::size_t count = in.u16();
  if (count > kHoldsPerObjectMax) return false;
  object.holds.clear();
  for (std::size_t i = 0; in.ok() && i < count; ++i) object.holds.push_back(read_hold(in));
  return in.done();
}

}  // namespace rosebud::wire
