// What a kernel asks of a volume that is mounted to write.
//
// Content of an inode changes through this kernel alone, so it keeps what it has of that; names and
// attributes it asks for again after a second, since others publish, too.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "mount/fuse_mount.h"
#include "mount/fuse_parts.h"
#include "mount/publications.h"

namespace rosebud::mount {
namespace {

constexpr double kAskAgainSeconds = 1;
/// Publications that one write waits for: others may take the room that they make.
constexpr int kRoomAttemptsMax = 4;

WritableFileSystem& file_system(fuse_req_t request) { return *served(request).writable; }

using Reading = ReadingDirectory<ListedDirectory, ListedEntry>;

/// What `question` answers, which takes who may give up. Before the reply, which ends the request.
template <typename Question>
auto ask(fuse_req_t request, Question question) {
  const Asker asker(request);
  return question(file_system(request), asker.given_up());
}

/// As ask(); what is done is a change.
template <typename Question>
auto change(fuse_req_t request, Question question) {
  auto answer = ask(request, question);
  if (answer) served(request).publications->on_change();
  return answer;
}

void reply_done(fuse_req_t request, const Answer<void>& answer) {
  fuse_reply_err(request, answer ? 0 : static_cast<int>(answer.error()));
}

fuse_entry_param entry_of(const Attributes& attributes) {
  fuse_entry_param out{};
  out.ino = attributes.id;
  out.attr = status_of(attributes);
  out.attr_timeout = kAskAgainSeconds;
  out.entry_timeout = kAskAgainSeconds;
  return out;
}

void reply_entry(fuse_req_t request, const Answer<Attributes>& found) {
  if (!found) return refuse(request, found.error());
  const fuse_entry_param entry = entry_of(*found);
  // Nobody waits for it any more: the kernel does not know of this lookup.
  WritableFileSystem& files = file_system(request);
  if (fuse_reply_entry(request, &entry) == -ENOENT) files.forget(found->id, 1);
}

void reply_attributes(fuse_req_t request, const Answer<Attributes>& found) {
  if (!found) return refuse(request, found.error());
  const struct stat status = status_of(*found);
  fuse_reply_attr(request, &status, kAskAgainSeconds);
}

void on_init(void* data, fuse_conn_info* connection) {
  // The content of an inode changes through this kernel alone, also when it shows another time.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
  tell_ready(data);
}

// ---- Names ----

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  reply_entry(request, ask(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
                return files.look_up(parent, name, given_up);
              }));
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

void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  reply_entry(request, change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
                return files.make_directory(parent, name, mode, given_up);
              }));
}

void on_symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  reply_entry(request, change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
                return files.make_link(parent, name, target, given_up);
              }));
}

/// A volume keeps regular files alone: no devices, pipes or sockets.
void on_mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t) {
  if (!S_ISREG(mode)) return refuse(request, ErrorNumber{EPERM});
  reply_entry(request,
              change(request,
                     [&](WritableFileSystem& files, const GivenUp* given_up) -> Answer<Attributes> {
                       auto made = files.create(parent, name, mode, given_up);
                       if (!made) return fail(made.error());
                       files.close(*made->file);
                       return made->attributes;
                     }));
}

/// A file of a volume has one name.
void on_link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) {
  refuse(request, ErrorNumber{EPERM});
}

void on_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  reply_done(request, change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
               return files.remove(parent, name, given_up);
             }));
}

void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  reply_done(request, change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
               return files.remove_directory(parent, name, given_up);
             }));
}

void on_rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE)) != 0)
    return refuse(request, ErrorNumber{EINVAL});
  const auto replacing = flags != 0 ? WritableFileSystem::Replacing::kRefused
                                    : WritableFileSystem::Replacing::kAllowed;
  reply_done(request, change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
               return files.rename({parent, name}, {new_parent, new_name}, replacing, given_up);
             }));
}

// ---- Attributes ----

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  reply_attributes(request, file_system(request).attributes(inode));
}

fs::ModificationTime now() {
  struct timespec out{};
  ::clock_gettime(CLOCK_REALTIME, &out);
  return {.seconds = out.tv_sec, .nanoseconds = static_cast<std::uint32_t>(out.tv_nsec)};
}

void on_setattr(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int what,
                fuse_file_info*) {
  // Everything belongs to who mounted it.
  if (((what & FUSE_SET_ATTR_UID) != 0 && wanted->st_uid != ::getuid()) ||
      ((what & FUSE_SET_ATTR_GID) != 0 && wanted->st_gid != ::getgid()))
    return refuse(request, ErrorNumber{EPERM});
  AttributeChange becomes;
  if ((what & FUSE_SET_ATTR_MODE) != 0) becomes.mode = wanted->st_mode;
  if ((what & FUSE_SET_ATTR_SIZE) != 0) becomes.bytes = static_cast<std::uint64_t>(wanted->st_size);
  if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    becomes.modified = now();
  } else if ((what & FUSE_SET_ATTR_MTIME) != 0) {
    becomes.modified = {.seconds = wanted->st_mtim.tv_sec,
                        .nanoseconds = static_cast<std::uint32_t>(wanted->st_mtim.tv_nsec)};
  }
  // When it was read is not kept.
  if (!becomes.mode && !becomes.bytes && !becomes.modified)
    return reply_attributes(request, file_system(request).attributes(inode));
  reply_attributes(request, change(request, [&](WritableFileSystem& files, const GivenUp*) {
                     return files.change_attributes(inode, becomes);
                   }));
}

void on_readlink(fuse_req_t request, fuse_ino_t inode) {
  const auto target = file_system(request).link_target(inode);
  if (!target) return refuse(request, target.error());
  fuse_reply_readlink(request, target->c_str());
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  const auto usage = ask(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
    return files.usage(given_up);
  });
  if (!usage) return refuse(request, usage.error());
  struct statvfs out{};
  out.f_bsize = kBlockSize;
  out.f_frsize = kBlockSize;
  out.f_bfree = usage->free_bytes / kBlockSize;
  out.f_bavail = out.f_bfree;
  out.f_blocks = usage->bytes / kBlockSize + (usage->bytes % kBlockSize != 0) + out.f_bfree;
  out.f_namemax = fs::kNameMax;
  out.f_flag = ST_NOSUID;
  fuse_reply_statfs(request, &out);
}

// ---- Files ----

void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  const bool writes = (info->flags & O_ACCMODE) != O_RDONLY;
  const bool is_anew = (info->flags & O_TRUNC) != 0;
  using Opening = WritableFileSystem::Opening;
  auto file = file_system(request).open(inode, is_anew  ? Opening::kAnew
                                               : writes ? Opening::kToWrite
                                                        : Opening::kToRead);
  if (!file) return refuse(request, file.error());
  if (is_anew) served(request).publications->on_change();
  info->fh = handle_of(*file);
  info->keep_cache = 1;  // what the kernel has of it, it has written itself or read since
  info->noflush = !writes;
  WritableFileSystem& files = file_system(request);
  if (fuse_reply_open(request, info) != -ENOENT) return;
  // A signal took who asked: nobody will give it back.
  files.close(**file);
  delete opened<WritableFile>(info);
}

void on_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  const auto made = change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
    return files.create(parent, name, mode, given_up);
  });
  if (!made) return refuse(request, made.error());
  info->fh = handle_of(made->file);
  info->keep_cache = 1;
  const fuse_entry_param entry = entry_of(made->attributes);
  WritableFileSystem& files = file_system(request);
  if (fuse_reply_create(request, &entry, info) != -ENOENT) return;
  files.close(*made->file);
  files.forget(made->attributes.id, 1);
  delete opened<WritableFile>(info);
}

void on_read(fuse_req_t request, fuse_ino_t, std::size_t count, off_t offset,
             fuse_file_info* info) {
  WritableFile& file = **opened<WritableFile>(info);
  const auto pieces = ask(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
    return files.read(file, static_cast<std::uint64_t>(offset), count, given_up);
  });
  if (!pieces) return refuse(request, pieces.error());
  reply_pieces(request, *pieces);
}

void on_write(fuse_req_t request, fuse_ino_t inode, const char* bytes, std::size_t count,
              off_t offset, fuse_file_info*) {
  const ByteView view(reinterpret_cast<const std::uint8_t*>(bytes), count);
  const auto written = change(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
    auto done = files.write(inode, static_cast<std::uint64_t>(offset), view);
    // What is pending fills its room: whoever writes waits until some of it is published.
    for (int i = 0; i < kRoomAttemptsMax && !done && done.error() == ErrorNumber{ENOSPC}; ++i) {
      if (!served(request).publications->make_room(given_up)) break;
      done = files.write(inode, static_cast<std::uint64_t>(offset), view);
    }
    return done;
  });
  if (!written) return refuse(request, written.error());
  fuse_reply_write(request, count);
}

/// Somebody closes it; the release follows some time later. What was written by mmap() has come
/// before this.
void on_flush(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if (opened<WritableFile>(info)->get()->writes) file_system(request).flush(inode);
  fuse_reply_err(request, 0);
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  const WritableFile& file = **opened<WritableFile>(info);
  file_system(request).close(file);
  if (file.writes) served(request).publications->on_change();
  delete opened<WritableFile>(info);
  fuse_reply_err(request, 0);
}

void publish_all(fuse_req_t request) {
  const auto done = [&] {
    const Asker asker(request);
    return served(request).publications->publish_all(asker.given_up());
  }();
  reply_done(request, done);
}

void on_fsync(fuse_req_t request, fuse_ino_t inode, int, fuse_file_info*) {
  file_system(request).take_as_it_is(inode);
  publish_all(request);
}
void on_fsyncdir(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) { publish_all(request); }

// ---- Directories ----

void on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  auto directory = file_system(request).open_directory(inode);
  if (!directory) return refuse(request, directory.error());
  auto reading = std::make_shared<Reading>();
  reading->directory = std::move(*directory);
  info->fh = handle_of(std::move(reading));
  if (fuse_reply_open(request, info) == -ENOENT) delete opened<Reading>(info);
}

void on_readdir(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                fuse_file_info* info) {
  Reading& reading = **opened<Reading>(info);
  const std::lock_guard lock(reading.mutex);
  if (offset == 0) {
    // Whoever rewinds sees what is there now.
    if (auto now = file_system(request).open_directory(inode)) reading.directory = std::move(*now);
    reading.page_after.reset();
  }
  const ListedDirectory& directory = *reading.directory;
  const auto read = [&](Cursor after) {
    return ask(request, [&](WritableFileSystem& files, const GivenUp* given_up) {
      return files.read_directory(directory, after, kPageEntries, given_up);
    });
  };
  DirectoryReply reply(request, size, offset);
  reply.add_dots(directory.number, directory.parent_number);
  reply.fill_and_send([&](Cursor after) { return reading.entries_after(after, read); },
                      [&](const ListedEntry& entry) {
                        return reply.add(entry.name, entry.number,
                                         entry.kind ? type_of(*entry.kind) : 0, entry.next);
                      });
}

void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete opened<Reading>(info);
  fuse_reply_err(request, 0);
}

// ---- For `rosebud umount` ----

void on_ioctl(fuse_req_t request, fuse_ino_t, unsigned command, void*, fuse_file_info*, unsigned,
              const void*, std::size_t, std::size_t room) {
  if (command != kAskUnpublished || room < sizeof(ToldUnpublished))
    return refuse(request, ErrorNumber{ENOTTY});
  ToldUnpublished out;
  if (const auto pending = served(request).publications->unpublished()) {
    out.why = pending->why.why;
    std::string text = pending->why.explained.text();
    for (const std::string& path : pending->paths) text += '\n' + path;
    std::copy_n(text.data(), std::min(text.size(), out.text.size() - 1), out.text.data());
  }
  fuse_reply_ioctl(request, 0, &out, sizeof out);
}

}  // namespace

/// What is not here the kernel answers itself: access() from the modes; extended attributes and
/// fallocate() with ENOTSUP; locks among the processes of this machine.
fuse_lowlevel_ops writing_operations() {
  fuse_lowlevel_ops out{};
  out.init = on_init;
  out.lookup = on_lookup;
  out.forget = on_forget;
  out.forget_multi = on_forget_multi;
  out.getattr = on_getattr;
  out.setattr = on_setattr;
  out.readlink = on_readlink;
  out.mknod = on_mknod;
  out.mkdir = on_mkdir;
  out.unlink = on_unlink;
  out.rmdir = on_rmdir;
  out.symlink = on_symlink;
  out.rename = on_rename;
  out.link = on_link;
  out.open = on_open;
  out.create = on_create;
  out.read = on_read;
  out.write = on_write;
  out.flush = on_flush;
  out.release = on_release;
  out.fsync = on_fsync;
  out.opendir = on_opendir;
  out.readdir = on_readdir;
  out.releasedir = on_releasedir;
  out.fsyncdir = on_fsyncdir;
  out.statfs = on_statfs;
  out.ioctl = on_ioctl;
  return out;
}

}  // namespace rosebud::mount
