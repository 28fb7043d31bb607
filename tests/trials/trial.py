"""One trial: a cluster under load, faults by a schedule, healing, progress, and everything read back and judged."""
import json
import os
import subprocess
import time

from cluster import Cluster
from load import CLIENTS, Load
from picture import Picture
from schedule import Shape, make_schedule

SERVING_SECONDS = 180   # all nodes serve so long after everything was healed, or the trial fails
FAULTY_SECONDS = 20     # so long more those of the faulty organisation have
PROGRESS_SECONDS = 90   # then every client gets an operation of each of its kinds done in this time


class Nemesis:
    """Begins and ends the faults of a schedule, each in its time, and writes down when it really did."""

    def __init__(self, trial, schedule, log):
        self._trial, self._log = trial, log
        events = [(planned.at, True, planned.fault) for planned in schedule]
        events += [(planned.at + planned.fault.duration, False, planned.fault) for planned in schedule]
        self._events = sorted(events, key=lambda event: event[0])
        self._begun = {}  # fault -> nanoseconds
        self.late = 0.0   # seconds, at most: the machine was busy, or a fault took long to bring about

    def step(self, begin):
        """What is due by now; `begin`: of the trial, by the monotonic clock."""
        while self._events and self._events[0][0] <= (now := time.monotonic() - begin):
            due, is_begin, fault = self._events.pop(0)
            self.late = max(self.late, now - due)
            if is_begin:
                self._trial.picture.say(f"{now:8.1f} s  {fault.describe()}")
                self._begun[fault] = time.monotonic_ns()
                fault.begin(self._trial)
            else:
                self._end(fault)

    def _end(self, fault):
        fault.end(self._trial)
        self._log.write(json.dumps({"kind": fault.name, "begin": self._begun.pop(fault), "end": time.monotonic_ns(),
                                    "what": fault.describe()}) + "\n")
        self._log.flush()

    def active(self):
        return list(self._begun)

    def heal(self):
        """Ends what is there; what has not begun never will."""
        self._events.clear()
        for fault in list(self._begun):
            self._end(fault)


class Trial:
    def __init__(self, options, machine, folder):
        self.options, self.machine, self.folder = options, machine, folder
        self.picture = Picture()
        self.problems = []

    def plan(self, names, kinds):
        self.shape = Shape(names=names, clients=list(CLIENTS), faulty=self.options.faulty)
        return make_schedule(self.options.seed, self.options.minutes * 60, kinds, self.shape)

    def run(self, kinds):
        """True: nothing was lost, the history is right, and everything went on after healing."""
        names = node_names(self.options.nodes)
        schedule = self.plan(names, kinds)
        with open(os.path.join(self.folder, "schedule"), "w", encoding="utf-8") as file:
            file.writelines(f"{planned}\n" for planned in schedule)
        self.cluster = Cluster(self.options.binaries, self.folder, self.machine, self.options.nodes,
                               self.options.disk_megabytes, "delay" in kinds, self.options.seed, self.options.bug)
        try:
            self.cluster.start()
            silent = self.cluster.wait_until_serving(self.cluster.nodes, SERVING_SECONDS)
            if silent:
                raise RuntimeError(f"{silent[0]} does not serve at the beginning: {silent[0].last_line()}")
            self.load = Load(self.cluster, self.options.seed, self.options.pause_ms)
            self.load.start_all()
            self._suffer(schedule)
            self._demand_progress()
            self.load.end(60)
            self._read_back()
        finally:
            self.cluster.end()
        self._judge()
        self._look_at_nodes()
        self.problems += self.load.problems
        return not self.problems

    # ---- The parts of a trial ----

    def _suffer(self, schedule):
        begin = time.monotonic()
        seconds = self.options.minutes * 60
        with open(os.path.join(self.folder, "faults"), "w", encoding="utf-8") as log:
            nemesis = Nemesis(self, schedule, log)
            while (now := time.monotonic() - begin) < seconds:
                nemesis.step(begin)
                for node in self.cluster.nodes:
                    node.supervise()
                self.load.supervise()
                self.picture.show(seconds - now, self.load.counts(), nemesis.active())
                time.sleep(0.05)
            nemesis.heal()
        for node in self.cluster.nodes:
            node.disk.empty()  # a power cut may have undone that space was given back
        self.picture.say(f"faults came at most {nemesis.late:.1f} s later than planned")

    def _demand_progress(self):
        self.load.start_all()
        self.picture.say("healed; now everything must go on")
        begin = time.monotonic()
        faulty = self.cluster.of(self.options.faulty)
        correct = [node for node in self.cluster.nodes if node not in faulty]
        for node in self.cluster.wait_until_serving(correct, SERVING_SECONDS):
            self.problems.append(f"{node} does not serve {SERVING_SECONDS} s after everything was healed: "
                                 f"{node.last_line()}")
        self.picture.say(f"all nodes of the others serve after {time.monotonic() - begin:.1f} s")
        for node in self.cluster.wait_until_serving(faulty, FAULTY_SECONDS):
            # A disk whose bits were flipped may be beyond what its node can use: then it says so and ends.
            what = f"{node} does not serve {FAULTY_SECONDS} s later: {node.last_line()}"
            if node.ended_by_itself:
                self.picture.say("(allowed) " + what)
            else:
                self.problems.append(what)
        before = {name: self.load.counts(name) for name in CLIENTS}
        deadline = time.monotonic() + PROGRESS_SECONDS
        while (stuck := self._clients_without_progress(before)) and time.monotonic() < deadline:
            time.sleep(0.2)
        for name, what in stuck:
            self.problems.append(f"no progress: {name} got no {what} in {PROGRESS_SECONDS} s after healing")

    def _clients_without_progress(self, before):
        out = []
        for name in CLIENTS:
            now = self.load.counts(name)
            kinds = ["read ok"] if name == "carol" else ["read ok", "write ok"]
            out += [(name, kind) for kind in kinds if now.get(kind, 0) <= before[name].get(kind, 0)]
        return out

    def _tool(self, *arguments):
        done = subprocess.run([self.cluster.trial, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        self.picture.say(done.stdout.rstrip())
        return done.returncode

    def _read_back(self):
        if self._tool("readback", "--client", self.load.folders["carol"], "--histories",
                      os.path.join(self.folder, "history")) != 0:
            self.problems.append("not everything that was acknowledged was read back")

    def _judge(self):
        histories, faults = (os.path.join(self.folder, name) for name in ("history", "faults"))
        if self._tool("check", histories, "--faults", faults) != 0:
            self.problems.append("the history is not right")

    def _look_at_nodes(self):
        faulty = self.cluster.of(self.options.faulty)
        for node in self.cluster.nodes:
            for code, line in node.ended_by_itself:
                # A node may end with a word of explanation when its disk fails. It never dies of a signal.
                allowed = {1, 6} if "flip" in self.options.kinds and node in faulty else {1}
                if code not in allowed:
                    self.problems.append(f"{node} died with {code}: {line}")
            if node.ended_by_itself:
                self.picture.say(f"{node} ended by itself {len(node.ended_by_itself)} times, the last time with "
                                 f"{node.ended_by_itself[-1][0]}: {node.ended_by_itself[-1][1]}")


def node_names(count):
    organisations = ["alpha", "beta", "gamma", "delta"]
    return [f"{organisations[i % 4]}-{i // 4 + 1}" for i in range(count)]
