"""The faults of a trial. Each is planned from random numbers alone, begins and ends, and says in a few words what it
does.

At most one organisation is faulty in the sense of the design (section 2): its disks rot or are restored from an old
copy, its nodes lie. With f = 1 that is never more than f replicas of a group. What happens to the others costs progress
only: they crash, stop, are cut off, are slow, are full, have wrong clocks, see errors of their disks."""
import os


class Fault:
    """`begin` and `end` work on whatever state the cluster is in: faults overlap."""
    name = ""
    seconds = (1, 8)  # how long it lasts, from and to

    def __init__(self, random, cluster_shape):
        self.plan(random, cluster_shape)
        self.duration = random.uniform(*self.seconds)

    def plan(self, random, shape):
        self.targets = shape.some(random)

    def nodes(self, cluster):
        return [node for node in cluster.nodes if node.name in self.targets]

    def describe(self):
        return f"{self.name} {' '.join(self.targets)}"

    def begin(self, trial):
        raise NotImplementedError

    def end(self, trial):
        raise NotImplementedError


class Kill(Fault):
    """kill -9, then a start."""
    name = "kill"
    seconds = (0.2, 8)

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.take_down(self)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.let_run(self)


class Stop(Fault):
    """SIGSTOP for seconds: to the others it is silent, to itself no time has passed."""
    name = "stop"
    seconds = (0.5, 12)

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.stop(self)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.go_on(self)


class Power(Fault):
    """The power fails, half of the time everybody's at once: what was not synced is gone."""
    name = "power"
    seconds = (0.2, 4)

    def plan(self, random, shape):
        self.targets = shape.names if random.random() < 0.5 else shape.some(random)

    def describe(self):
        return f"{self.name} {' '.join(self.targets)}: what was not synced is lost"

    def begin(self, trial):
        nodes = self.nodes(trial.cluster)
        for node in nodes:
            node.freeze()
        for node in nodes:
            if node.disk.image:
                node.disk.cut_power()
        for node in nodes:
            node.take_down(self)
            if node.disk.image:
                node.disk.power_again()

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.let_run(self)


class Full(Fault):
    """Somebody else fills the disk: below the node's reserve, or to the last byte."""
    name = "full"
    seconds = (2, 10)

    def plan(self, random, shape):
        self.targets = shape.names if random.random() < 0.2 else shape.some(random)
        self.leave_bytes = random.choice([0, 0, 1 << 20, 60 << 20])

    def describe(self):
        return f"{super().describe()}: {self.leave_bytes} bytes left"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.disk.fill(self.leave_bytes)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.disk.empty()


class InputOutput(Fault):
    """Reads, writes and syncs fail: often at one organisation, or now and then at everybody."""
    name = "io"
    seconds = (1, 6)
    CALLS = ["posix/io/rw/pread", "posix/io/rw/pwrite", "posix/io/rw/write", "posix/io/sync/fsync",
             "posix/io/sync/fdatasync", "posix/io/oc/open"]

    def plan(self, random, shape):
        is_everywhere = random.random() < 0.4
        self.targets = shape.names if is_everywhere else shape.of(random.choice(shape.organisations))
        self.probability = 0.01 if is_everywhere else random.choice([0.05, 0.3])
        self.calls = random.sample(self.CALLS, random.randint(1, len(self.CALLS)))

    def describe(self):
        calls = " ".join(call.split("/")[-1] for call in self.calls)
        return f"{super().describe()}: EIO for {self.probability:.0%} of {calls}"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.order_fiu(*[f"enable_random name={call},probability={self.probability},failinfo=5"
                             for call in self.calls])

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.order_fiu(*[f"disable name={call}" for call in self.calls])


class Cut(Fault):
    """What one sends to another is lost; the other way it still goes, unless that is cut too."""
    name = "cut"
    seconds = (1, 10)

    def plan(self, random, shape):
        self.pairs = []
        for _ in range(random.choice([1, 1, 2, 4])):
            source, target = random.sample([*shape.names, "clients"], 2)
            self.pairs.append((source, target))

    def describe(self):
        return f"{self.name} " + ", ".join(f"{source} to {target}" for source, target in self.pairs)

    def begin(self, trial):
        for source, target in self.pairs:
            trial.cluster.network.drop(source, target, True)

    def end(self, trial):
        for source, target in self.pairs:
            trial.cluster.network.drop(source, target, False)


class Clock(Fault):
    """The wall clock jumps, and jumps back."""
    name = "clock"
    seconds = (1, 15)

    def plan(self, random, shape):
        super().plan(random, shape)
        self.shift = random.choice([-1, 1]) * random.choice([2, 90, 3600, 86_400, 30 * 86_400])

    def describe(self):
        return f"{super().describe()}: {self.shift:+d} s"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.set_clock(self.shift)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.set_clock(0)


class Delay(Fault):
    """Messages to a node, and its answers, are late; or they stall and come all at once."""
    name = "delay"
    seconds = (1, 10)

    def plan(self, random, shape):
        self.targets = shape.names if random.random() < 0.25 else shape.some(random)
        if random.random() < 0.3:
            self.order = "stall"
        else:
            there, back = random.choice([0, 5, 80, 700]), random.choice([0, 5, 80, 700])
            self.order = f"delay {there} {back} {random.choice([5, 20, 400])}"

    def describe(self):
        return f"{super().describe()}: {self.order}"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.proxy.order(self.order)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.proxy.order("pass")


class Client(Fault):
    """A client dies in the middle of its writes, and starts again with its notes."""
    name = "client"
    seconds = (0.1, 3)

    def plan(self, random, shape):
        self.targets = [random.choice(shape.clients)]

    def begin(self, trial):
        trial.load.kill(self.targets[0])

    def end(self, trial):
        trial.load.start(self.targets[0])


# ---- Of the faulty organisation alone ----

class Flip(Fault):
    """Bits flip in its files."""
    name = "flip"
    seconds = (0, 0)

    def plan(self, random, shape):
        self.targets = [random.choice(shape.of(shape.faulty))]
        self.count = random.choice([1, 3, 30])
        self.random = type(random)(random.random())

    def describe(self):
        return f"{super().describe()}: {self.count} bits"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.disk.flip_bits(self.random, self.count)

    def end(self, trial):
        pass


class Old(Fault):
    """Its disk is copied, and some time later restored from that copy."""
    name = "old"
    seconds = (3, 25)

    def plan(self, random, shape):
        self.targets = [random.choice(shape.of(shape.faulty))]

    def describe(self):
        return f"{super().describe()}: its disk will be as it is now again in {self.duration:.1f} s"

    def _copy(self, trial, node):
        return os.path.join(trial.folder, "run", f"{node.name}.copy.{id(self)}")

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.take_down(self)
            node.disk.copy_data(self._copy(trial, node))
            node.let_run(self)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.take_down(self)
            node.disk.restore_data(self._copy(trial, node))
            node.let_run(self)


class Lie(Fault):
    """Its nodes answer nothing, wrong things, old things, or different things to different askers."""
    name = "lie"
    seconds = (2, 15)

    def plan(self, random, shape):
        self.targets = shape.of(shape.faulty)
        self.mode = random.choice(["mute", "lie", "stale", "garbage", "equivocate"])

    def describe(self):
        return f"{super().describe()}: {self.mode}"

    def begin(self, trial):
        for node in self.nodes(trial.cluster):
            node.ask(f"/v1/misbehave?mode={self.mode}", post=True)

    def end(self, trial):
        for node in self.nodes(trial.cluster):
            node.ask("/v1/misbehave?mode=honest", post=True)


KINDS = {kind.name: kind for kind in [Kill, Stop, Power, Full, InputOutput, Cut, Clock, Delay, Client, Flip, Old, Lie]}
