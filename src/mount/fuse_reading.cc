// What a kernel asks of a volume that is mounted to read.
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mount/file_system.h"
#include "mount/fuse_parts.h"

namespace rosebud::mount {
namespace {

/// What the kernel may keep until it is told otherwise.
constexpr double kLastingSeconds = 86'400;
constexpr double kAskAgain = 0;

FileSystem& file_system(fuse_req_t request) { return *served(request).file_system; }

/// While an answer is sent that is true of one state: whether it may be kept.
class Keeping {
 public:
  Keeping(Served& served, const Attributes& attributes) : kind_(attributes.kind) {
    const FileSystem& files = *served.file_system;
    // Who comes after the change began does not hold up who waits for those that came before.
    if (!files.is_settled(attributes.state)) return;
    lock_ = std::shared_lock(served.keeping);
    is_kept_ = files.is_settled(attributes.state);
  }
  double name_seconds() const { return is_kept_ ? kLastingSeconds : kAskAgain; }
  /// The content of a file is part of its inode (inodes.h): its attributes never change.
  double attribute_seconds() const {
    return kind_ == fs::Kind::kDirectory ? name_seconds() : kLastingSeconds;
  }

 private:
  fs::Kind kind_;
  std::shared_lock<std::shared_mutex> lock_;
  bool is_kept_ = false;
};

using Reading = ReadingDirectory<OpenDirectory, Entry>;

/// What `question` answers, which takes who may give up. Before the reply, which ends the request.
template <typename Question>
auto ask(fuse_req_t request, Question question) {
  const Asker asker(request);
  return question(file_system(request), asker.given_up());
}

// ---- Questions ----

void on_init(void* data, fuse_conn_info*) { tell_ready(data); }

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto found = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.look_up(parent, name, given_up);
  });
  if (!found) return refuse(request, found.error());
  const Keeping keeping(served(request), *found);
  fuse_entry_param entry{};
  entry.ino = found->id;
  entry.attr = status_of(*found);
  entry.attr_timeout = keeping.attribute_seconds();
  entry.entry_timeout = keeping.name_seconds();
  // Nobody waits for it any more: the kernel does not know of this lookup.
  FileSystem& files = file_system(request);
  if (fuse_reply_entry(request, &entry) == -ENOENT) files.forget(found->id, 1);
}

void on_forget(fuse_req_t request, fuse_ino_t inode, std::uint64_t lookups) {
  file_system(request).forget(inode, lookups);
  fuse_reply_none(request);
}

void on_forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgotten) {
  for (const fuse_forget_data& one : std::span(forgotten, count))
    file_system(request).forget(one.ino, one.nlookup);
  fuse_reply_none(request);
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const auto found = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.attributes(inode, given_up);
  });
  if (!found) return refuse(request, found.error());
  const struct stat status = status_of(*found);
  const Keeping keeping(served(request), *found);
  fuse_reply_attr(request, &status, keeping.attribute_seconds());
}

void on_readlink(fuse_req_t request, fuse_ino_t inode) {
  const auto target = file_system(request).link_target(inode);
  if (!target) return refuse(request, target.error());
  fuse_reply_readlink(request, target->c_str());
}

void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if ((info->flags & O_ACCMODE) != O_RDONLY) return refuse(request, ErrorNumber{EROFS});
  auto file = file_system(request).open(inode);
  if (!file) return refuse(request, file.error());
  info->fh = handle_of(std::move(*file));
  info->keep_cache = 1;  // another content is another inode
  info->noflush = 1;
  // A signal took who asked: nobody will give it back.
  if (fuse_reply_open(request, info) == -ENOENT) delete opened<OpenFile>(info);
}

void on_read(fuse_req_t request, fuse_ino_t, std::size_t count, off_t offset,
             fuse_file_info* info) {
  OpenFile& file = **opened<OpenFile>(info);
  const auto pieces = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.read(file, static_cast<std::uint64_t>(offset), count, given_up);
  });
  if (!pieces) return refuse(request, pieces.error());
  reply_pieces(request, *pieces);
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete opened<OpenFile>(info);
  fuse_reply_err(request, 0);
}

void on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  auto directory = ask(request, [&](FileSystem& files, const GivenUp* given_up) {
    return files.open_directory(inode, given_up);
  });
  if (!directory) return refuse(request, directory.error());
  auto reading = std::make_shared<Reading>();
  reading->directory = std::move(*directory);
  info->fh = handle_of(std::move(reading));
  if (fuse_reply_open(request, info) == -ENOENT) delete opened<Reading>(info);
}

void on_readdir(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset,
                fuse_file_info* info) {
  Reading& reading = **opened<Reading>(info);
  const OpenDirectory& directory = *reading.directory;
  const std::lock_guard lock(reading.mutex);
  const auto read = [&](Cursor after) {
    return ask(request, [&](FileSystem& files, const GivenUp* given_up) {
      return files.read_directory(directory, after, kPageEntries, given_up);
    });
  };
  DirectoryReply reply(request, size, offset);
  reply.add_dots(directory.number, directory.parent_number);
  reply.fill_and_send([&](Cursor after) { return reading.entries_after(after, read); },
                      [&](const Entry& entry) {
                        const std::string& name = entry.link.name;
                        // Only a raw block says by its id what it is.
                        const bool is_raw = entry.link.cid.codec == fs::Codec::kRaw;
                        return reply.add(name, inode_number(directory.number, name),
                                         is_raw ? mode_t{S_IFREG} : 0, entry.next);
                      });
}

void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete opened<Reading>(info);
  fuse_reply_err(request, 0);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  const auto usage = ask(
      request, [&](FileSystem& files, const GivenUp* given_up) { return files.usage(given_up); });
  if (!usage) return refuse(request, usage.error());
  struct statvfs out{};
  out.f_bsize = kBlockSize;
  out.f_frsize = kBlockSize;
  out.f_blocks = usage->bytes / kBlockSize + (usage->bytes % kBlockSize != 0);
  out.f_namemax = fs::kNameMax;
  out.f_flag = ST_RDONLY | ST_NOSUID;
  fuse_reply_statfs(request, &out);
}

}  // namespace

/// What is not here the kernel answers itself: writing with EROFS, since the mount is read-only;
/// access() from the modes; extended attributes with ENOTSUP.
fuse_lowlevel_ops reading_operations() {
  fuse_lowlevel_ops out{};
  out.init = on_init;
  out.lookup = on_lookup;
  out.forget = on_forget;
  out.forget_multi = on_forget_multi;
  out.getattr = on_getattr;
  out.readlink = on_readlink;
  out.open = on_open;
  out.read = on_read;
  out.release = on_release;
  out.opendir = on_opendir;
  out.readdir = on_readdir;
  out.releasedir = on_releasedir;
  out.statfs = on_statfs;
  return out;
}

}  // namespace rosebud::mount
