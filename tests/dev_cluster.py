"""A development cluster of real processes and load on it, for the tests beside this file."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

DEADLINE = 60  # seconds until everybody must have got somewhere; nothing waits so long when all is well


class Failed(Exception):
    pass


class Cluster:
    """A development cluster in a folder of its own, and the commands of a user on it."""
    def __init__(self, binaries, *shape):
        self.rosebud = os.path.join(binaries, "rosebud")
        self.trial = os.path.join(binaries, "rosebud-trial")
        self.work = tempfile.mkdtemp(prefix="rosebud-cluster-")
        self.folder = os.path.join(self.work, "cluster")
        os.environ["XDG_CONFIG_HOME"] = os.path.join(self.work, "config")
        try:
            self.run("dev", "up", "--dir", self.folder, *shape)
            self.names = sorted(os.listdir(os.path.join(self.folder, "nodes")))
            self.prepare()
        except Exception:
            self.end()  # nothing may go on running
            raise

    def prepare(self):
        """For who needs more than a cluster that is up."""

    def run(self, *arguments, data=None):
        done = subprocess.run([self.rosebud, "--cluster", self.folder, *arguments], input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120, check=False)
        if done.returncode != 0:
            raise Failed(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def ask(self, name, path, post=False):
        with open(os.path.join(self.folder, "nodes", name, "admin.port"), encoding="ascii") as file:
            port = int(file.read())
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST" if post else "GET")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def status(self, name):
        return json.loads(self.ask(name, "/v1/status"))

    def wait(self, what, is_true, deadline=DEADLINE):
        end = time.monotonic() + deadline
        while not (missing := is_true()) is True:
            if time.monotonic() > end:
                raise Failed(f"{what}: not after {deadline} s: {missing}")
            time.sleep(0.05)

    def wait_for_epoch(self, epoch, names, deadline=DEADLINE):
        def everybody():
            behind = {name: status["epoch"] for name in names if (status := self.status(name))["epoch"] != epoch}
            return not behind or behind
        self.wait(f"epoch {epoch}", everybody, deadline)

    def wait_until_serving(self, names):
        def everybody():
            waiting = {name: f"{status['arcs_serving']} of {status['arcs']}" for name in names
                       if not (status := self.status(name))["serving"]}
            return not waiting or waiting
        self.wait("serving", everybody)

    def end(self):
        subprocess.run([self.rosebud, "dev", "down", "--dir", self.folder], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.work, ignore_errors=True)


class Load:
    """Adds and reads files and sets a reference, one after the other, through all epochs."""
    def __init__(self, cluster, source):
        self.cluster, self.source = cluster, source
        self.files = {}
        self.count = 0

    def step(self):
        data = self.source.randbytes(self.source.randrange(1, 200000))
        path = os.path.join(self.cluster.work, "file")
        with open(path, "wb") as file:
            file.write(data)
        file_id = self.cluster.run("add", "-q", path).decode().strip()
        self.files[file_id] = data
        old = self.source.choice(sorted(self.files))
        if self.cluster.run("cat", old) != self.files[old]:
            raise Failed(f"{old} came back with other bytes")
        self.count += 1
        self.cluster.run("ref", "set", "head", str(self.count))
        if self.cluster.run("ref", "get", "-q", "head").decode().strip() != str(self.count):
            raise Failed("ref get does not give what was set")

    def read_all(self):
        for file_id, data in self.files.items():
            if self.cluster.run("cat", file_id) != data:
                raise Failed(f"{file_id} came back with other bytes")
