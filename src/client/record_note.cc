#include "client/record_note.h"

namespace rosebud::client {

std::string RecordNote::encode() const {
  wire::Writer out;
  out.u8(is_done ? 1 : 0);
  wire::write(out, record.statement);
  out.bytes32(record.value.view());
  return to_hex(out.bytes()) + "\n";
}

std::optional<RecordNote> RecordNote::decode(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const auto bytes = from_hex(text);
  if (!bytes) return std::nullopt;
  wire::Reader in(*bytes);
  RecordNote out;
  const std::uint8_t done = in.u8();
  out.is_done = done == 1;
  out.record.statement = wire::read_signed_bytes(in, wire::kStatementSizeMax);
  out.record.value = Buffer::copy_of(in.bytes32(wire::kRecordValueSizeMax));
  if (!in.done() || done > 1) return std::nullopt;
  const auto statement = wire::RecordStatement::decode(out.record.statement.statement);
  const bool is_whole = statement && statement->value_size == out.record.value.size() &&
                        statement->value_hash == wire::record_value_hash(out.record.value.view());
  if (!is_whole) return std::nullopt;
  return out;
}

}  // namespace rosebud::client
