// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

#include "base/temporary_folder.h"
#include "disk/store.h"

namespace rosebud::disk {

namespace fs = std::filesystem;

/// A directory of its own, removed at the end, and objects to put into it.
class DiskTest : public testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    auto store = Store::open({.path = path / "db",
                              .segment_bytes = 300'000,
                              .reserve_bytes = 1000,
                              .free_bytes = [this] { return free_bytes.load(); }});
    EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().text());
    return std::move(*store);
  }
  static wire::StoredObject block(std::string_view bytes) {
    const auto key = crypto::SecretKey::from_seed({});
    const wire::HoldStatement hold{.holder = key.public_key(), .serial = 1, .count = 1};
    wire::Hold one{.statement = wire::sign(crypto::ed25519(), key, hold), .size = bytes.size()};
    return {.id = wire::ObjectId::block(crypto::sha256(as_bytes(bytes))),
            .holds = {one},
            .content = Buffer::copy_of(as_bytes(bytes))};
  }
  /// Version `version` of the record that a fixed owner keeps under `salt`.
  static wire::StoredObject record(std::string_view salt, std::uint64_t version,
                                   std::string_view value) {
    const auto key = crypto::SecretKey::from_seed({});
    const wire::RecordStatement statement{.owner = key.public_key(),
                                          .salt = to_bytes(as_bytes(salt)),
                                          .version = {version},
                                          .value_size = static_cast<std::uint32_t>(value.size()),
                                          .value_hash = wire::record_value_hash(as_bytes(value))};
    return {.id = wire::ObjectId::record(statement.id().placement),
            .record = wire::sign(crypto::ed25519(), key, statement),
            .holds = block(value).holds,
            .content = Buffer::copy_of(as_bytes(value))};
  }
  static std::vector<wire::StorageWrite> put(const wire::StoredObject& object) {
    return {wire::PutObject{.object = object, .content_size = object.content.size()}};
  }
  static Status<wire::StorageError> commit(Store& store,
                                           const std::vector<wire::StorageWrite>& writes) {
    return store.commit({&writes});
  }

  TemporaryFolder temporary;
  const fs::path& path = temporary.path();
  std::atomic<std::uint64_t> free_bytes{1ULL << 40};
};

}  // namespace rosebud::disk
