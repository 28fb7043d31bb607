"""What this machine lets a trial do. Each is found out by doing it once, and what cannot be done is said."""
import os
import shutil
import subprocess
import tempfile

FIU_RUN = "/usr/lib/fiu/fiu_run_preload.so"
FIU_POSIX = "/usr/lib/fiu/fiu_posix_preload.so"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def run(*command, **options):
    """Runs a command that must succeed; its standard output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def enter_namespaces():
    """Starts this program again in namespaces of its own for mounts, networks and processes: whatever happens, nothing
    of a trial outlives it. Returns in the inner one."""
    if os.environ.get("ROSEBUD_TRIAL_INSIDE") == "1":
        run("mount", "--make-rprivate", "/")
        return
    import sys
    flags = ["-m", "-n", "-p", "-f", "--kill-child", "--mount-proc"]
    for as_user in ([], ["-r"]):
        if subprocess.run(["unshare", *as_user, *flags, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            environment = dict(os.environ, ROSEBUD_TRIAL_INSIDE="1")
            os.execvpe("unshare", ["unshare", *as_user, *flags, sys.executable, *sys.argv], environment)
    print("not possible here: namespaces; nodes are killed one by one at the end, networks and disks stay whole",
          flush=True)


class Machine:
    """`has_…`, and `missing`: for each fault that is not possible, why."""

    def __init__(self):
        self.missing = {}
        self.has_disks = self._try("a file system in a file (loop device, ext4)", self._mount_a_file,
                                   ["power", "full"])
        self.has_networks = self._try("network namespaces with iptables", self._make_a_network, ["cut"])
        self.has_fiu = self._try("libfiu (Debian: fiu-utils)", lambda: self._need(FIU_RUN, FIU_POSIX), ["io"])
        self.has_faketime = self._try("libfaketime (Debian: libfaketime)", lambda: self._need(FAKETIME), ["clock"])

    def _try(self, what, attempt, faults):
        try:
            attempt()
            return True
        except (OSError, RuntimeError) as error:
            for fault in faults:
                self.missing[fault] = f"{what}: {error}"
            return False

    @staticmethod
    def _need(*files):
        for file in files:
            if not os.path.exists(file):
                raise RuntimeError(f"{file} is not there")

    @staticmethod
    def _mount_a_file():
        folder = tempfile.mkdtemp(prefix="rosebud-probe-")
        try:
            image, mounted = os.path.join(folder, "image"), os.path.join(folder, "mounted")
            os.mkdir(mounted)
            with open(image, "wb") as file:
                file.truncate(64 << 20)
            run("mkfs.ext4", "-q", "-F", image)
            run("mount", "-o", "loop", image, mounted)
            run("umount", mounted)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _make_a_network():
        if os.environ.get("ROSEBUD_TRIAL_INSIDE") != "1":
            raise RuntimeError("no namespaces")
        os.makedirs("/run/netns", exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")  # names of ours alone
        run("ip", "netns", "add", "probe")
        run("ip", "link", "add", "probe0", "type", "bridge")
        run("ip", "link", "add", "probe1", "type", "veth", "peer", "name", "eth0", "netns", "probe")
        run("ip", "netns", "exec", "probe", "iptables", "-A", "INPUT", "-s", "10.77.0.1", "-j", "DROP")
        run("ip", "link", "del", "probe1")
        run("ip", "link", "del", "probe0")
        run("ip", "netns", "del", "probe")
