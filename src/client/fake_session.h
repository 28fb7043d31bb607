// A session without a cluster, for the tests of this folder.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "client/session.h"
#include "membership/test_cluster.h"

namespace rosebud::client {

/// A store that keeps blocks and the newest record, and ends writes of records as it was told.
class FakeSession final : public Session {
 public:
  explicit FakeSession(std::shared_ptr<const membership::Configuration> configuration)
      : configuration_(std::move(configuration)), key_(crypto::SecretKey::generate()) {}

  std::shared_ptr<const membership::Configuration> configuration() const override {
    return configuration_;
  }
  const crypto::SecretKey& key() const override { return key_; }
  const crypto::SignatureScheme& scheme() const override { return crypto::ed25519(); }
  void write_block(const wire::ObjectId& id, Buffer bytes, Duration, Done done) override {
    {
      const std::lock_guard lock(mutex);
      blocks[id.placement] = std::move(bytes);
    }
    done({.outcome = objects::Outcome::kDone});
  }
  void read_block(const wire::ObjectId& id, Duration, Done done) override {
    objects::OperationResult result{.outcome = objects::Outcome::kNotFound};
    {
      const std::lock_guard lock(mutex);
      if (const auto at = blocks.find(id.placement); at != blocks.end())
        result = {.outcome = objects::Outcome::kDone, .bytes = at->second};
    }
    done(std::move(result));
  }
  void write_record(const wire::ObjectId&, wire::SignedRecord record, Duration,
                    Done done) override {
    objects::OperationResult result{.outcome = objects::Outcome::kDone};
    {
      const std::lock_guard lock(mutex);
      sent.push_back(record);
      if (!outcomes.empty()) {
        result.outcome = outcomes.front();
        outcomes.pop_front();
      }
      if (result.outcome == objects::Outcome::kDone) held = std::move(record);
    }
    done(std::move(result));
  }
  void read_record(const wire::ObjectId&, Duration, Done done) override {
    const std::lock_guard lock(mutex);
    done({.outcome = held ? objects::Outcome::kDone : objects::Outcome::kNotFound, .record = held});
  }
  std::shared_ptr<const membership::Configuration> learn_newest(Duration) override { return {}; }
  std::optional<std::uint8_t> hand_in(const Bytes&, Duration) override { return std::nullopt; }
  std::vector<Buffer> descriptions_after(const wire::ConfigurationNumber&, Duration) override {
    return {};
  }
  std::vector<Observed> observations() const override { return {}; }
  std::vector<std::string> problems() const override { return {}; }
  std::string staleness() const override { return {}; }
  std::optional<std::string> refusal() const override { return std::nullopt; }

  std::mutex mutex;
  std::vector<wire::SignedRecord> sent;
  std::deque<objects::Outcome> outcomes;  // of the next writes; kDone when there are none
  std::optional<wire::SignedRecord> held;
  std::map<crypto::Digest, Buffer> blocks;

 private:
  std::shared_ptr<const membership::Configuration> configuration_;
  crypto::SecretKey key_;
};

}  // namespace rosebud::client
