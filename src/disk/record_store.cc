#include "disk/record_store.h"

#include <rocksdb/db.h>

#include "base/files.h"
#include "disk/database_log.h"
#include "disk/log_files.h"

namespace rosebud::disk {
namespace {

// Keys in the database: 'o' is the owner, 'r' and a key is a record.
constexpr char kOwner = 'o';
constexpr char kRecord = 'r';

rocksdb::Slice slice(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string record_key(ByteView key) { return kRecord + std::string(as_text(key)); }

Explained trouble(const std::filesystem::path& folder, std::string_view doing,
                  const rocksdb::Status& status) {
  return {.what = "cannot " + std::string(doing) + " the records in " + folder.string() + ": " +
                  status.ToString(),
          .cause = status.IsCorruption() ? "its files are damaged" : "",
          .next = {},
          .trouble = status.IsCorruption() ? Trouble::kIntegrity : Trouble::kLocal};
}

class RocksRecords final : public RecordStore {
 public:
  RocksRecords(std::filesystem::path folder, std::unique_ptr<rocksdb::Env> env,
               std::unique_ptr<rocksdb::DB> db)
      : folder_(std::move(folder)), env_(std::move(env)), db_(std::move(db)) {}
  ~RocksRecords() override { db_->Close(); }

  Status<Explained> commit(std::span<const Write> writes) override {
    rocksdb::WriteBatch batch;
    for (const Write& write : writes) {
      const std::string key = record_key(write.key);
      const auto status =
          write.value ? batch.Put(key, slice(write.value->view())) : batch.Delete(key);
      if (!status.ok()) return fail(trouble(folder_, "write", status));
    }
    return write_synced(batch);
  }

  Result<std::vector<std::pair<Bytes, Bytes>>, Explained> read_all() const override {
    std::vector<std::pair<Bytes, Bytes>> out;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
    for (it->Seek(std::string(1, kRecord)); it->Valid() && it->key()[0] == kRecord; it->Next()) {
      out.emplace_back(to_bytes(as_bytes(it->key().ToStringView().substr(1))),
                       to_bytes(as_bytes(it->value().ToStringView())));
    }
    if (!it->status().ok()) return fail(trouble(folder_, "read", it->status()));
    return out;
  }

  Status<Explained> check_owner(ByteView owner) {
    std::string found;
    const std::string key(1, kOwner);
    const auto status = db_->Get({}, key, &found);
    if (status.IsNotFound()) {
      rocksdb::WriteBatch batch;
      if (const auto put = batch.Put(key, slice(owner)); !put.ok())
        return fail(trouble(folder_, "write", put));
      return write_synced(batch);
    }
    if (!status.ok()) return fail(trouble(folder_, "read", status));
    if (equal(as_bytes(found), owner)) return {};
    return fail(Explained{.what = "the records in " + folder_.string() + " are another's",
                          .cause = "the folder belongs to another key or group",
                          .next = "name the right folder, or an empty one"});
  }

 private:
  Status<Explained> write_synced(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions options;
    options.sync = true;
    if (const auto status = db_->Write(options, &batch); !status.ok())
      return fail(trouble(folder_, "write", status));
    return {};
  }

  std::filesystem::path folder_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

Result<std::unique_ptr<RecordStore>, Explained> RecordStore::open(
    const std::filesystem::path& folder, ByteView owner) {
  if (auto made = make_folder(folder); !made) return fail(made.error());
  auto env = with_filled_logs(rocksdb::Env::Default());
  rocksdb::Options options;
  options.env = env.get();
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.track_and_verify_wals_in_manifest = true;
  options.info_log = std::make_shared<DatabaseLog>(folder);
  options.max_background_jobs = 2;
  options.max_file_opening_threads = 1;
  options.write_buffer_size = 16U << 20;
  options.max_total_wal_size = 64U << 20;
  options.compression = rocksdb::kNoCompression;
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::Open(options, folder.string(), &opened);
  if (!status.ok()) return fail(trouble(folder, "open", status));
  auto out =
      std::make_unique<RocksRecords>(folder, std::move(env), std::unique_ptr<rocksdb::DB>(opened));
  if (auto owned = out->check_owner(owner); !owned) return fail(owned.error());
  return out;
}

}  // namespace rosebud::disk
