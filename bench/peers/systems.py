"""The systems that bench/peers/run compares: how each is started, loaded and stopped.

Every server is a process of its own on loopback, with its data and its log in the run's folder; it is stopped by its
id, and by the kernel should the script die.
"""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

from measure import development_cluster

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build", "peers")
SECONDS_TO_START = 60


class Failed(Exception):
    """What a person should read: what happened, and the end of the logs."""


def tail(text, lines=15):
    return "\n".join("    " + line for line in text.strip().split("\n")[-lines:])


def build_drivers(say, *targets):
    """Builds the drivers of all systems, or those named, as far as what they need is installed; `say` is told what failed."""
    for command in (["cmake", "--preset", "peers"],
                    ["cmake", "--build", BUILD, "--target", *(targets or ["peers"]), "-j", "2", "--", "-k", "0"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            say(f"{' '.join(command)} failed:\n{tail(done.stdout + done.stderr, 30)}")


def free_ports(count, kind=socket.SOCK_STREAM):
    """Ports that nobody uses now; all are held until the last is found, so that they differ."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class System:
    """One system under load."""
    name = ""
    promise = ""   # copies, durable or not, faults that it bears, signatures
    packages = ()  # that apt-get must install; of others scripts/setup --peers says more
    driver = ""    # of build/peers/bin; "" when the system brings its own
    size = 1024    # bytes of a value

    def __init__(self):
        self.servers = []  # (process, path of its log)
        self.ports = []

    def missing(self):
        """True when what it needs is not installed."""
        return not os.path.exists(self.driver_path())

    def start(self, folder):
        """Returns when it takes requests; raises Failed."""

    def stop(self):
        """Ends what start() began; raises Failed when something may be left."""
        for process, _ in self.servers:
            process.terminate()
        for process, _ in self.servers:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def load(self, work, in_flight, seconds, warm_up):
        """One run; what it measured, as `rosebud --json bench` says it. Raises Failed."""
        processes = ",".join(str(process.pid) for process, _ in self.servers)
        command = [self.driver_path(), work, "--in-flight", str(in_flight), "--seconds", str(seconds), "--warm-up",
                   str(warm_up), "--size", str(self.size)]
        command += ["--ports", ",".join(map(str, self.ports)), "--processes", processes] if self.servers else []
        command += self.driver_options()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + warm_up + 120)
        except subprocess.TimeoutExpired as late:
            raise Failed("the load did not end\n" + self.logs()) from late
        if done.returncode != 0:
            raise Failed(f"the load ended with {done.returncode}\n{tail(done.stderr)}\n{self.logs()}")
        return json.loads(done.stdout)

    def driver_options(self):
        return []

    def driver_path(self):
        return os.path.join(BUILD, "bin", self.driver)

    def serve(self, folder, name, *command):
        log = os.path.join(folder, f"{name}.log")
        with open(log, "wb") as out:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=out, cwd=folder)
        self.servers.append((process, log))

    def logs(self):
        """The end of the log of one server that has ended, or else of the first."""
        for process, log in sorted(self.servers, key=lambda server: server[0].poll() is None)[:1]:
            state = "runs" if process.poll() is None else f"ended with {process.returncode}"
            with open(log, encoding="utf-8", errors="replace") as file:
                return f"  {os.path.basename(log)} ({state}):\n{tail(file.read())}"
        return ""

    def wait_until(self, is_ready):
        end = time.monotonic() + SECONDS_TO_START
        while not is_ready():
            if any(process.poll() is not None for process, _ in self.servers):
                raise Failed("a server ended at once\n" + self.logs())
            if time.monotonic() > end:
                raise Failed(f"not ready after {SECONDS_TO_START} s\n" + self.logs())
            time.sleep(0.1)


class Rosebud(System):
    name = "Rosebud, 4 nodes"
    promise = "4 copies, 3 synced; 1 of 4 may lie; signed"

    def __init__(self, binary):
        super().__init__()
        self.binary = binary
        self.cluster = contextlib.ExitStack()

    def missing(self):
        return not os.path.exists(self.binary)

    def start(self, folder):
        try:
            self.rosebud = self.cluster.enter_context(development_cluster(self.binary, folder))
        except subprocess.SubprocessError as error:
            raise Failed(said_by(error)) from error

    def stop(self):
        try:
            self.cluster.close()
        except subprocess.SubprocessError as error:
            raise Failed(said_by(error)) from error

    def load(self, work, in_flight, seconds, warm_up):
        try:
            return json.loads(self.rosebud("--json", "bench", work, "--in-flight", str(in_flight), "--seconds",
                                           str(seconds), "--warm-up", str(warm_up), "--size", str(self.size)))
        except subprocess.SubprocessError as error:
            raise Failed(said_by(error)) from error


def said_by(error):
    return f"{error}\n{tail((error.stderr or b'').decode(errors='replace'))}"


class RocksDb(System):
    name = "RocksDB"
    promise = "1 copy, synced"
    packages = ("librocksdb-dev",)
    driver = "peer-rocksdb"

    def start(self, folder):
        self.folder = folder

    def driver_options(self):
        return ["--folder", os.path.join(self.folder, "db")]


class Etcd(System):
    name = "etcd, 3 members"
    promise = "3 copies, 2 synced; 1 of 3 may stop"
    packages = ("etcd-server", "libgrpc++-dev", "protobuf-compiler-grpc")
    driver = "peer-etcd"

    def missing(self):
        return super().missing() or not shutil.which("etcd")

    def start(self, folder):
        ports = free_ports(6)
        self.ports = ports[:3]
        members = [f"http://127.0.0.1:{port}" for port in ports[3:]]
        for i, (client, peer) in enumerate(zip(self.ports, members)):
            url = f"http://127.0.0.1:{client}"
            self.serve(folder, f"member{i}", "etcd", "--name", f"member{i}", "--data-dir", f"member{i}",
                       "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
                       "--initial-advertise-peer-urls", peer, "--logger", "zap", "--log-outputs", "stderr",
                       "--initial-cluster", ",".join(f"member{j}={one}" for j, one in enumerate(members)))
        self.wait_until(lambda: all(map(is_healthy, self.ports)))


def is_healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return json.load(answer).get("health") == "true"
    except OSError:
        return False


class Dht(System):
    """A library whose nodes are processes of the driver itself; a client is one node more."""
    NODES = 8

    def start(self, folder):
        *self.ports, self.own_port = free_ports(self.NODES + 1, socket.SOCK_DGRAM)
        known = ",".join(map(str, self.ports))
        for port in self.ports:
            self.serve(folder, f"node-{port}", self.driver_path(), "--serve", str(port), "--ports", known)

    def driver_options(self):
        return ["--own-port", str(self.own_port)]


class OpenDht(Dht):
    name = "OpenDHT, 8 nodes"
    promise = "8 copies in memory, not durable; signed"
    driver = "peer-opendht"


class Bep44(Dht):
    name = "libtorrent BEP 44, 8 nodes"
    promise = "8 copies in memory, not durable; signed; 996 bytes"
    driver = "peer-bep44"
    size = 996  # with its length before it the most that BEP 44 allows, 1000
