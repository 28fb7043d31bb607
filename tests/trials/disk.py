"""The disk of a node: an ext4 file system in a file, so that its power can be cut, it can fill up, and nothing of it is
shared. Where the machine has no loop devices, a plain folder."""
import fcntl
import os
import shutil
import struct

from machine import run

# _IOR('X', 125, __u32) of linux/ext4.h with EXT4_GOING_FLAGS_NOLOGFLUSH: from now on nothing more reaches the device,
# not even what the kernel still holds.
EXT4_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
NO_LOG_FLUSH = 2


class Disk:
    def __init__(self, folder, image, megabytes):
        """`image`: None for a plain folder."""
        self.folder, self.image = folder, image
        os.makedirs(folder)
        if image:
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            # Time stamps and checks at mount play no part; an emptied block must not stay on the host.
            run("mkfs.ext4", "-q", "-F", "-m", "0", image)
            self.mount()

    def mount(self):
        run("mount", "-o", "loop,noatime,discard", self.image, self.folder)

    def cut_power(self):
        """What was not synced is lost. Requires: an image."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def power_again(self):
        """Requires: nobody has a file open there."""
        run("umount", self.folder)
        self.mount()

    @property
    def _balloon(self):
        return os.path.join(self.folder, "balloon")

    def fill(self, leave_bytes):
        """Somebody else takes the space, but for so much."""
        handle = os.open(self._balloon, os.O_CREAT | os.O_WRONLY)
        try:
            piece = 64 << 20
            while piece >= 4096:
                space = os.statvfs(self.folder)
                piece = min(piece, space.f_bavail * space.f_frsize - leave_bytes)
                try:
                    os.posix_fallocate(handle, os.fstat(handle).st_size, max(piece, 1))
                except OSError:
                    piece //= 2  # the file system needs some itself
        finally:
            os.close(handle)

    def empty(self):
        if not os.path.exists(self._balloon):
            return
        os.remove(self._balloon)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)  # a power cut would bring it back
        finally:
            os.close(handle)

    # ---- What only the faulty organisation's disks suffer ----

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def copy_data(self, to):
        """Requires: the node is down."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.data, to)

    def restore_data(self, copy):
        """An old copy takes the place of everything. Requires: the node is down."""
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)
        run("sync", "--file-system", self.folder)  # whoever restores a backup waits for that

    def flip_bits(self, random, count):
        """In files of contents and of the index, not in those without which nothing opens. How many were flipped."""
        files = []
        for folder, _, names in os.walk(self.data):
            files += [os.path.join(folder, name) for name in names if name.endswith((".segment", ".sst", ".blob"))]
        flipped = 0
        for _ in range(count if files else 0):
            file = random.choice(sorted(files))
            try:
                with open(file, "r+b") as handle:
                    size = os.fstat(handle.fileno()).st_size
                    at = random.randrange(size) if size else 0
                    handle.seek(at)
                    byte = handle.read(1)
                    if byte:
                        handle.seek(at)
                        handle.write(bytes([byte[0] ^ (1 << random.randrange(8))]))
                        flipped += 1
            except FileNotFoundError:
                pass  # compacted away meanwhile
        return flipped
