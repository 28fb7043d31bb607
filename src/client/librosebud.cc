#include "client/files.h"
#include "client/record_writer.h"
#include "rosebud/rosebud.h"

namespace rosebud {
namespace {

Error error_of(const client::Failure& failure) {
  return {static_cast<ErrorCode>(failure.code), failure.explained.text()};
}
Error local(const Explained& explained) {
  return {static_cast<ErrorCode>(client::code_of(explained)), explained.text()};
}

}  // namespace

struct Cluster::Impl {
  client::ClusterFile file;
  std::unique_ptr<client::Session> session;
  Duration timeout;

  template <typename Import>
  Outcome<std::string> add(Import import) {
    client::StoreSink sink(*session, timeout);
    const Result<fs::Imported, Explained> imported = import(sink);
    if (const auto failure = sink.finish()) return std::unexpected(error_of(*failure));
    if (!imported) return std::unexpected(local(imported.error()));
    return imported->cid.text();
  }
};

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cluster::~Cluster() = default;
Cluster::Cluster(Cluster&&) noexcept = default;
Cluster& Cluster::operator=(Cluster&&) noexcept = default;

Outcome<Cluster> Cluster::open(const std::filesystem::path& given,
                               std::chrono::milliseconds timeout) {
  const auto path = client::find_cluster_file(given.string());
  if (!path) return std::unexpected(local(path.error()));
  auto file = client::read_cluster_file(*path);
  if (!file) return std::unexpected(local(file.error()));
  auto session = client::Session::open(*file);
  if (!session) return std::unexpected(local(session.error()));
  return Cluster(std::make_unique<Impl>(Impl{std::move(*file), std::move(*session), timeout}));
}

Outcome<std::string> Cluster::add(std::string_view bytes) {
  return impl_->add([&](client::StoreSink& sink) {
    fs::MemorySource source(as_bytes(bytes));
    return fs::import_file(source, sink);
  });
}

Outcome<std::string> Cluster::add_path(const std::filesystem::path& path) {
  return impl_->add([&](client::StoreSink& sink) { return fs::import_path(path, sink, {}); });
}

Outcome<std::uint64_t> Cluster::read(
    std::string_view id, const std::function<bool(std::span<const std::uint8_t>)>& take) {
  client::StoreSource source(*impl_->session, impl_->timeout);
  std::uint64_t taken = 0;
  bool is_stopped = false;
  const auto failed = [&](const Explained& explained) {
    return std::unexpected(source.failure() ? error_of(*source.failure()) : local(explained));
  };
  const auto cid = fs::resolve(id, source);
  if (!cid) return failed(cid.error());
  const auto done = fs::read_file(*cid, source, [&](ByteView bytes) -> Status<Explained> {
    is_stopped = !take(bytes);
    taken += bytes.size();
    if (is_stopped) return fail(Explained{.what = "stopped"});
    return {};
  });
  if (!done && !is_stopped) return failed(done.error());
  return taken;
}

Outcome<std::string> Cluster::cat(std::string_view id) {
  std::string out;
  const auto done = read(id, [&](std::span<const std::uint8_t> bytes) {
    out.append(as_text(bytes));
    return true;
  });
  if (!done) return std::unexpected(done.error());
  return out;
}

Outcome<std::uint64_t> Cluster::set(std::string_view name, std::string_view value,
                                    std::optional<std::uint64_t> expected) {
  if (name.empty() || name.size() > wire::kSaltSizeMax) {
    return std::unexpected(Error{ErrorCode::kLocal, "a name has 1 to 64 bytes"});
  }
  client::RecordWriter writer(*impl_->session, impl_->file.state, to_bytes(as_bytes(name)));
  const auto version = expected ? std::optional(wire::Version{*expected}) : std::nullopt;
  const auto written = writer.write(as_bytes(value), version, impl_->timeout);
  if (!written) return std::unexpected(error_of(written.error()));
  return written->version.value;
}

Outcome<Record> Cluster::get(std::string_view name, std::string_view owner) {
  std::optional<crypto::PublicKey> key = impl_->session->key().public_key();
  if (!owner.empty()) {
    const auto bytes = from_hex(owner);
    key = bytes ? crypto::PublicKey::from(*bytes) : std::nullopt;
  }
  if (!key || name.empty() || name.size() > wire::kSaltSizeMax) {
    return std::unexpected(
        Error{ErrorCode::kLocal, "a name has 1 to 64 bytes, an owner 64 hexadecimal digits"});
  }
  const auto record = client::read_record(*impl_->session, *key, as_bytes(name), impl_->timeout);
  if (!record) return std::unexpected(error_of(record.error()));
  return Record{std::string(as_text(record->value.view())), record->version.value};
}

std::string Cluster::public_key() const {
  return to_hex(impl_->session->key().public_key().view());
}

}  // namespace rosebud
