// A session that writes down every operation: what others build on sessions (record writers, files)
// runs over it as it is, and its history is complete.
#pragma once

#include "client/session.h"
#include "history/json_lines.h"

namespace rosebud::trial {

/// The first half of a hash is enough to tell values apart and to order them.
history::Point point_of(std::uint64_t version, const crypto::Digest& value_hash);
std::string object_name(const wire::ObjectId& id);
history::Outcome outcome_of(objects::Outcome outcome);

/// What comes back is verified here once more: bytes against the id, a record against its owner's
/// key and signature. `inner` and `recorder` must outlive it.
class RecordingSession final : public client::Session {
 public:
  RecordingSession(client::Session& inner, history::Recorder& recorder)
      : inner_(inner), recorder_(recorder) {}

  std::shared_ptr<const membership::Configuration> configuration() const override {
    return inner_.configuration();
  }
  const crypto::SecretKey& key() const override { return inner_.key(); }
  const crypto::SignatureScheme& scheme() const override { return inner_.scheme(); }

  void write_block(const wire::ObjectId& id, Buffer bytes, Duration timeout, Done done) override;
  void read_block(const wire::ObjectId& id, Duration timeout, Done done) override;
  void write_record(const wire::ObjectId& id, wire::SignedRecord record, Duration timeout,
                    Done done) override;
  void read_record(const wire::ObjectId& id, Duration timeout, Done done) override;

  std::shared_ptr<const membership::Configuration> learn_newest(Duration timeout) override {
    return inner_.learn_newest(timeout);
  }
  std::optional<std::uint8_t> hand_in(const Bytes& operation, Duration timeout) override {
    return inner_.hand_in(operation, timeout);
  }
  std::vector<Buffer> descriptions_after(const wire::ConfigurationNumber& after,
                                         Duration timeout) override {
    return inner_.descriptions_after(after, timeout);
  }
  std::vector<Observed> observations() const override { return inner_.observations(); }
  std::vector<std::string> problems() const override { return inner_.problems(); }
  std::string staleness() const override { return inner_.staleness(); }
  std::optional<std::string> refusal() const override { return inner_.refusal(); }

 private:
  client::Session& inner_;
  history::Recorder& recorder_;
};

}  // namespace rosebud::trial
