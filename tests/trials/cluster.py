"""Nodes as real processes, each with a disk, an address and a clock of its own, as administrators set them up."""
import json
import os
import select
import signal
import subprocess
import threading
import time
import urllib.request

import machine
from disk import Disk
from machine import run
from network import OWN_PORT, PUBLIC_PORT, Network, Proxy

ORGANISATIONS = ["alpha", "beta", "gamma", "delta"]


class Node:
    """Runs as long as nobody wants it down. Whoever takes it down or stops it gives a reason, and takes it back; it
    runs when no reason is left, so that faults may overlap. Thread-safe."""

    def __init__(self, cluster, name, organisation, disk, address):
        self.cluster, self.name, self.organisation = cluster, name, organisation
        self.disk, self.address = disk, address
        self.proxy = None
        self.ended_by_itself = []  # (exit code, last line of its log)
        self._process = None
        self._down_for, self._stopped_for = set(), set()
        self._lock = threading.RLock()
        self._clock_file = os.path.join(cluster.folder, "run", name + ".clock")
        self._port_file = os.path.join(cluster.folder, "run", name + ".port")
        self.log = os.path.join(cluster.folder, "logs", name + ".log")
        self.set_clock(0)

    def __str__(self):
        return self.name

    # ---- The process ----

    def _environment(self):
        out = dict(os.environ, ROSEBUD_ADMIN_PORT_FILE=self._port_file, ROSEBUD_DEVELOPMENT="true",
                   ROSEBUD_MEMORY_BYTES="134217728", ROSEBUD_RECONCILE_SECONDS="5", ROSEBUD_SCRUB_INTERVAL_MS="50",
                   ROSEBUD_RESERVE_BYTES="100000000")
        if self.proxy:
            out["ROSEBUD_LISTEN"] = f"{self.address}:{OWN_PORT}"
        preload = []
        if self.cluster.machine.has_faketime:
            preload.append(machine.FAKETIME)
            out.update(FAKETIME_TIMESTAMP_FILE=self._clock_file, FAKETIME_CACHE_DURATION="1", NO_FAKE_STAT="1",
                       FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
        if self.cluster.machine.has_fiu:
            preload += [machine.FIU_RUN, machine.FIU_POSIX]
            out["FIU_CTRL_FIFO"] = self._fiu_prefix
        if preload:
            out["LD_PRELOAD"] = ":".join(preload)
        return out

    def _start(self):
        if os.path.exists(self._port_file):
            os.remove(self._port_file)
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [*self.cluster.network.inside(self.name), self.cluster.rosebud, "node", "run", "--config",
                 os.path.join(self.disk.folder, "node.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment())

    def _reap(self):
        """Notes a process that ended although nobody wanted it."""
        if self._process is None or self._process.poll() is None:
            return
        self.ended_by_itself.append((self._process.returncode, self.last_line()))
        self._process = None

    def _settle(self):
        """Starts or signals the process as the reasons want it."""
        self._reap()
        if self._down_for:
            if self._process:
                self._process.kill()
                self._process.wait()
                self._process = None
            return
        if not self._process:
            self._start()
        self._process.send_signal(signal.SIGSTOP if self._stopped_for else signal.SIGCONT)

    def take_down(self, reason):
        """kill -9."""
        with self._lock:
            self._down_for.add(reason)
            self._settle()

    def let_run(self, reason):
        with self._lock:
            self._down_for.discard(reason)
            self._settle()

    def stop(self, reason):
        with self._lock:
            self._stopped_for.add(reason)
            self._settle()

    def go_on(self, reason):
        with self._lock:
            self._stopped_for.discard(reason)
            self._settle()

    def supervise(self):
        """As a service manager does: starts again what ended by itself."""
        with self._lock:
            self._settle()

    def freeze(self):
        """At once, before anything else of a power cut."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.send_signal(signal.SIGSTOP)

    def last_line(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()
        return lines[-1] if lines else ""

    # ---- What it says ----

    def ask(self, path, post=False):
        """The answer of its admin listener, or None."""
        def request():
            with open(self._port_file, encoding="ascii") as file:
                port = int(file.read())
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}",
                                                               method="POST" if post else "GET"), timeout=2) as answer:
                return answer.read().decode()
        return self.cluster.network.call_inside(self.name, request)

    def is_serving(self):
        return self.ask("/readyz") is not None

    # ---- What is done to it ----

    def set_clock(self, shift_seconds):
        draft = self._clock_file + ".new"
        with open(draft, "w", encoding="ascii") as file:
            file.write(f"{shift_seconds:+d}\n")
        os.replace(draft, self._clock_file)

    @property
    def _fiu_prefix(self):
        return os.path.join(self.cluster.folder, "run", self.name + ".fiu")

    def order_fiu(self, *orders):
        """Tells libfiu in the process, through its pipes, what is to fail. Waits little: a process that is stopped obeys
        when it goes on, one that ended has nothing to obey. (fiu-ctrl would wait for both.)"""
        with self._lock:
            pipe = f"{self._fiu_prefix}-{self._process.pid}" if self._process else None
        if not pipe:
            return
        try:
            answers = os.open(pipe + ".out", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return
        try:
            commands = os.open(pipe + ".in", os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(commands, "".join(order + "\n" for order in orders).encode())
            finally:
                os.close(commands)
            select.select([answers], [], [], 0.3)
        except OSError:
            pass  # nobody reads: it ended
        finally:
            os.close(answers)

    def end(self):
        with self._lock:
            self._down_for.add("end")
            self._settle()


class Cluster:
    def __init__(self, binaries, folder, machine_, node_count, disk_megabytes, has_proxies, seed, bug=None):
        self.rosebud = os.path.join(binaries, "rosebud")
        self.trial = os.path.join(binaries, "rosebud-trial")
        self.folder, self.machine = folder, machine_
        if bug:
            os.environ["ROSEBUD_BUG"] = bug
        os.environ["XDG_CONFIG_HOME"] = os.path.join(folder, "config")
        for name in ["run", "logs", "orgs", "disks", "clients", "history"]:
            os.mkdir(os.path.join(folder, name))
        self.network = Network(machine_.has_networks)
        self.nodes = [self._make_node(i, disk_megabytes) for i in range(node_count)]
        self._make_genesis()
        if has_proxies:
            for i, node in enumerate(self.nodes):
                node.proxy = Proxy(self.trial, self.network, node.name, node.address, seed + i)

    def _make_node(self, number, disk_megabytes):
        organisation = ORGANISATIONS[number % len(ORGANISATIONS)]
        name = f"{organisation}-{number // len(ORGANISATIONS) + 1}"
        home = os.path.join(self.folder, "orgs", organisation)
        if not os.path.exists(home):
            run(self.rosebud, "org", "new", organisation, "--dir", home)
        image = os.path.join(self.folder, "disks", name + ".image") if self.machine.has_disks else None
        disk = Disk(os.path.join(home, "nodes", name), image, disk_megabytes)
        address = self.network.add(name)
        run(self.rosebud, "node", "new", name, "--address", f"{address}:{PUBLIC_PORT}", "--dir", disk.folder)
        return Node(self, name, organisation, disk, address)

    def _make_genesis(self):
        orgs = [os.path.join(self.folder, "orgs", name) for name in ORGANISATIONS]
        run(self.rosebud, "cluster", "init", *[word for org in orgs for word in ("--org", org)], "--dir",
            os.path.join(self.folder, "genesis"))
        self.genesis = os.path.join(self.folder, "genesis", "genesis")
        for node in self.nodes:
            run(self.rosebud, "node", "init", "--dir", node.disk.folder, "--genesis", self.genesis)
        os.sync()

    def add_client(self, name, organisation, key_of=None):
        """A folder with a rosebud.toml. `key_of`: another client whose key this one has too, with notes of its own."""
        folder = os.path.join(self.folder, "clients", name)
        os.mkdir(folder)
        if key_of:
            run("cp", "-p", os.path.join(self.folder, "clients", key_of, "client.key"), folder)
        run(self.rosebud, "org", "admit-client", "--org", os.path.join(self.folder, "orgs", organisation), "--genesis",
            self.genesis, "--name", name, "--dir", folder)
        return folder

    def of(self, organisation):
        return [node for node in self.nodes if node.organisation == organisation]

    def start(self):
        for node in self.nodes:
            node.supervise()

    def wait_until_serving(self, nodes, seconds):
        """Those that do not serve at the end of this time."""
        deadline = time.monotonic() + seconds
        waiting = list(nodes)
        while waiting and time.monotonic() < deadline:
            for node in self.nodes:
                node.supervise()
            waiting = [node for node in waiting if not node.is_serving()]
            if waiting:
                time.sleep(0.2)
        return waiting

    def status(self):
        """name -> what the node says of itself, where it does."""
        answers = {node.name: node.ask("/v1/status") for node in self.nodes}
        return {name: json.loads(answer) for name, answer in answers.items() if answer}

    def end(self):
        for node in self.nodes:
            node.end()
            if node.proxy:
                node.proxy.end()
        for node in self.nodes:
            if node.disk.image:
                subprocess.run(["umount", "-l", node.disk.folder], stderr=subprocess.DEVNULL)
