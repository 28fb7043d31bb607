"""The clients of a trial: processes that write and read and record every operation."""
import json
import os
import signal
import subprocess
import threading

CLIENTS = {
    # name: (organisation, whose key, what it does)
    "alice": ("alpha", None, ["--records", "4", "--contested", "2", "--readers", "3"]),
    "alice-again": ("alpha", "alice", ["--records", "0", "--contested", "2", "--readers", "2", "--blocks", "0",
                                       "--files", "0"]),
    "bob": ("beta", None, ["--records", "4", "--readers", "3"]),
    "carol": ("gamma", None, ["--records", "0", "--readers", "5", "--blocks", "0", "--files", "0"]),
}
OWNERS = ["alice", "bob"]


class Load:
    def __init__(self, cluster, seed, pause_ms):
        self._cluster, self._seed, self._pause_ms = cluster, seed, pause_ms
        self.folders = {name: cluster.add_client(name, organisation, key_of)
                        for name, (organisation, key_of, _) in CLIENTS.items()}
        self._processes, self._lives = {}, {name: 0 for name in CLIENTS}
        self._counts = {}  # (client, life) -> {"read ok": …}
        self._lock = threading.Lock()
        self.problems = []

    def start(self, name):
        with self._lock:
            if name in self._processes:
                return
            self._lives[name] += 1
            life = self._lives[name]
            full_name = name if life == 1 else f"{name}.{life}"
            command = [self._cluster.trial, "load", "--client", self.folders[name], "--name", full_name, "--history",
                       os.path.join(self._cluster.folder, "history", full_name + ".jsonl"), "--seed",
                       str(self._seed * 1000 + life), "--pause-ms", str(self._pause_ms), *CLIENTS[name][2]]
            for owner in OWNERS:
                command += ["--peer", self.folders[owner]]
            with open(os.path.join(self._cluster.folder, "logs", name + ".log"), "ab") as log:
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
            self._processes[name] = process
            threading.Thread(target=self._listen, args=(name, life, process), daemon=True).start()

    def _listen(self, name, life, process):
        for line in process.stdout:
            try:
                counts = json.loads(line)
            except ValueError:
                continue  # it was killed while it printed
            with self._lock:
                self._counts[name, life] = counts

    def start_all(self):
        for name in CLIENTS:
            self.start(name)

    def kill(self, name):
        with self._lock:
            process = self._processes.pop(name, None)
        if process:
            process.kill()
            process.wait()

    def supervise(self):
        """A client that ended by itself is a failure of the trial."""
        with self._lock:
            for name, process in self._processes.items():
                if process.poll() is not None and not any(name in problem for problem in self.problems):
                    self.problems.append(
                        f"client {name} ended by itself with {process.returncode}, see logs/{name}.log")

    def counts(self, name=None):
        """Sums over all lives, of one client or of all."""
        out = {}
        with self._lock:
            for (client, _), counts in self._counts.items():
                for what, count in counts.items():
                    if name in (None, client):
                        out[what] = out.get(what, 0) + count
        return out

    def end(self, seconds):
        """SIGTERM: each finishes what is under way."""
        with self._lock:
            processes, self._processes = self._processes, {}
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in processes.items():
            try:
                if process.wait(seconds) != 0:
                    self.problems.append(f"client {name} ended with {process.returncode}, see logs/{name}.log")
            except subprocess.TimeoutExpired:
                self.problems.append(f"client {name} does not end {seconds} s after SIGTERM")
                process.kill()
                process.wait()
