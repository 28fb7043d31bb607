// Messages: encoding, and decoding with limits.
#include <benchmark/benchmark.h>

#include "wire/codec.h"

namespace rosebud::wire {
namespace {

Hold hold() {
  const auto key = crypto::SecretKey::generate();
  const auto organisation = crypto::SecretKey::generate();
  const AdmissionStatement admission{.organisation = organisation.public_key(),
                                     .subject = key.public_key(),
                                     .role = Role::kClient,
                                     .capacity_bytes = 1U << 30,
                                     .not_after = Timestamp(2'000'000'000),
                                     .name = "bench"};
  const HoldStatement statement{.holder = key.public_key(),
                                .organisation = organisation.public_key(),
                                .serial = 1,
                                .expiry = Timestamp(2'000'000'000),
                                .count = 1};
  return {.statement = sign(crypto::model_scheme(), key, statement),
          .admission = sign(crypto::model_scheme(), organisation, admission),
          .size = 1024};
}

SignedRecord record() {
  const auto key = crypto::SecretKey::generate();
  const RecordStatement statement{
      .owner = key.public_key(), .salt = Bytes(20, 1), .version = Version{7}, .value_size = 1024};
  return {.statement = sign(crypto::model_scheme(), key, statement), .value = Buffer(Bytes(1024))};
}

const ObjectId kId = ObjectId::block(crypto::sha256({}));

Message get_record() { return Request{.body = GetRecord{.id = kId}}; }
Message record_held() { return Answer{.body = RecordHeld{.record = record(), .hold = hold()}}; }
Message put_block() {
  return Request{.body = PutBlock{.id = kId, .hold = hold(), .bytes = Buffer(Bytes(1 << 20))}};
}

EncodedMessage encode_any(const Message& message) {
  return std::visit([](const auto& one) { return encode(one); }, message);
}

template <Message (*make)()>
void Encode(benchmark::State& state) {
  const Message message = make();
  for (auto _ : state) benchmark::DoNotOptimize(encode_any(message));
}
template <Message (*make)()>
void Decode(benchmark::State& state) {
  const EncodedMessage encoded = encode_any(make());
  for (auto _ : state) benchmark::DoNotOptimize(decode(encoded.header, encoded.bulk));
}
BENCHMARK(Encode<get_record>);
BENCHMARK(Decode<get_record>);
BENCHMARK(Encode<record_held>);
BENCHMARK(Decode<record_held>);
BENCHMARK(Encode<put_block>);
BENCHMARK(Decode<put_block>);

}  // namespace
}  // namespace rosebud::wire
