// Messages to and from frames: the first gate (decode with limits).
#pragma once

#include "wire/messages.h"

namespace rosebud::wire {

/// A frame without its lengths: what net/ sends and receives.
struct EncodedMessage {
  Bytes header;
  Buffer bulk;
};

/// Longest header, bytes: a fetched object with every hold it may have, or descriptions.
inline constexpr std::size_t kHeaderSizeMax = 8 * 1024 * 1024;
/// Longest header of a request: a record or a block's id with one hold, which are 2,500 bytes.
inline constexpr std::size_t kRequestHeaderSizeMax = 16 * 1024;
inline constexpr std::size_t kBulkSizeMax = kBlockSizeMax;

EncodedMessage encode(const Request& request);
EncodedMessage encode(const Answer& answer);
EncodedMessage encode(const Message& message);

enum class DecodeError : std::uint8_t {
  kNotAMessage,   // protobuf does not parse
  kUnknownKind,   // a kind of message of a later version
  kWrongLength,   // a field shorter or longer than its kind allows
  kOutOfRange,    // a number or a list beyond its limit
  kBulkMismatch,  // bulk bytes where none belong
};
std::string_view name_of(DecodeError error);

/// Whatever comes, returns; the work is bounded by the frame's length, the memory by a small
/// multiple of it.
Result<Message, DecodeError> decode(ByteView header, Buffer bulk);

}  // namespace rosebud::wire
