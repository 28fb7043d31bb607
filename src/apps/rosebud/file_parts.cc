#include "apps/rosebud/file_parts.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cctype>
#include <system_error>

#include "apps/rosebud/words.h"

namespace rosebud::apps {
namespace {

namespace stdfs = std::filesystem;

/// As in `ls -l`: what sort it is and who may do what. Dashes where nothing was stored.
std::string mode_text(const fs::Described& described) {
  constexpr std::string_view kKinds = "-dl";
  std::string out(1, kKinds[static_cast<std::size_t>(described.kind)]);
  const auto mode = described.attributes.mode;
  if (!mode) return out + "---------";
  constexpr std::string_view kBits = "rwxrwxrwx";
  for (std::size_t i = 0; i < kBits.size(); ++i)
    out.push_back((*mode >> (kBits.size() - 1 - i) & 1) != 0 ? kBits[i] : '-');
  constexpr std::string_view kSpecial = "sst";
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    char& execute = out[3 * (i + 1)];
    if ((*mode >> (11 - i) & 1) != 0)
      execute = execute == '-' ? static_cast<char>(std::toupper(kSpecial[i])) : kSpecial[i];
  }
  return out;
}

/// A raw block is a file without more; everything else says itself what it is.
fs::Described describe_entry(const fs::DirectoryEntry& entry, fs::BlockSource& blocks,
                             const client::StoreSource& store) {
  if (entry.cid.codec == fs::Codec::kRaw) return {.bytes = entry.tsize};
  auto described = fs::describe(entry.cid, blocks);
  if (!described) stop_reading(store, described.error());
  return std::move(*described);
}

}  // namespace

Result<std::size_t, Explained> DescriptorSource::read(std::span<std::uint8_t> into) {
  while (true) {
    const ssize_t n = ::read(fd_, into.data(), into.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(Explained{.what = "reading " + name_ +
                                    " failed: " + std::generic_category().message(errno)});
    }
    if (progress_) progress_->add(static_cast<std::uint64_t>(n));
    return static_cast<std::size_t>(n);
  }
}

std::uint64_t size_below(const stdfs::path& path) {
  std::error_code error;
  std::uint64_t total = 0;
  if (stdfs::is_regular_file(path, error)) {
    total = stdfs::file_size(path, error);
    return error ? 0 : total;
  }
  for (stdfs::recursive_directory_iterator
           it(path, stdfs::directory_options::skip_permission_denied, error),
       end;
       !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->is_symlink(gone) || !it->is_regular_file(gone)) continue;
    const std::uint64_t size = it->file_size(gone);
    if (!gone) total += size;
  }
  return total;
}

void stop_reading(const client::StoreSource& source, const Explained& explained) {
  if (source.failure()) throw Stop{*source.failure()};
  stop(client::code_of(explained), explained);
}

Status<Explained> write_to_stdout(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(cannot_print(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

nlohmann::json entry_json(const fs::DirectoryEntry& entry, const fs::Described& described) {
  constexpr const char* kKinds[] = {"file", "directory", "symlink"};
  nlohmann::json json = {{"id", entry.cid.text()},
                         {"tsize", entry.tsize},
                         {"kind", kKinds[static_cast<std::size_t>(described.kind)]}};
  put_text(json, "name", entry.name);
  if (described.kind == fs::Kind::kFile) json["bytes"] = described.bytes;
  if (described.kind == fs::Kind::kSymlink) put_text(json, "target", described.target);
  const auto& [mode, modified] = described.attributes;
  if (mode) json["mode"] = fmt::format("{:04o}", *mode & 07777U);
  if (modified) json["mtime"] = time_text(modified->seconds, modified->nanoseconds);
  return json;
}

std::string entry_text(const fs::DirectoryEntry& entry, const fs::Described& described) {
  const auto& modified = described.attributes.modified;
  const std::string target =
      described.kind == fs::Kind::kSymlink ? " -> " + visible(described.target) : "";
  return fmt::format("{}  {:>10}  {:<30}  {}  {}{}", mode_text(described),
                     human_bytes(static_cast<double>(entry.tsize)),
                     modified ? time_text(modified->seconds, modified->nanoseconds) : "-",
                     entry.cid.text(), visible(entry.name), target);
}

void list(const Globals& globals, const fs::Cid& directory, fs::BlockSource& blocks,
          const client::StoreSource& store, bool is_long) {
  const auto entries = fs::list_directory(directory, blocks);
  if (!entries) stop_reading(store, entries.error());
  for (const auto& entry : *entries) {
    if (is_long) {
      const auto described = describe_entry(entry, blocks, store);
      print(globals, entry_json(entry, described),
            globals.is_quiet ? entry.cid.text() : entry_text(entry, described));
      continue;
    }
    nlohmann::json json = {{"id", entry.cid.text()}, {"tsize", entry.tsize}};
    put_text(json, "name", entry.name);
    print(globals, json,
          globals.is_quiet
              ? entry.cid.text()
              : fmt::format("{}  {:>10}  {}", entry.cid.text(),
                            human_bytes(static_cast<double>(entry.tsize)), visible(entry.name)));
  }
}

void tell_interruption() {
  struct sigaction before{};
  if (::sigaction(SIGINT, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) return;
  struct sigaction action{};
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  action.sa_handler = [](int signal) {
    constexpr std::string_view kText =
        "\nrosebud: interrupted; run the same command again: it moves only what is missing\n";
    (void)!::write(STDERR_FILENO, kText.data(), kText.size());
    (void)::raise(signal);
  };
  ::sigaction(SIGINT, &action, nullptr);
}

}  // namespace rosebud::apps
