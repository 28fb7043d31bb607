"""When which fault strikes: a pure function of the seed, the time, the kinds and the shape of the cluster."""
import random as random_module
from dataclasses import dataclass

from faults import KINDS


@dataclass
class Shape:
    """What faults are planned on."""
    names: list          # of the nodes
    clients: list
    faulty: str          # the one organisation that may do anything

    @property
    def organisations(self):
        return sorted({name.split("-")[0] for name in self.names})

    def of(self, organisation):
        return [name for name in self.names if name.startswith(organisation + "-")]

    def some(self, random):
        """Mostly one node or one organisation, with which everything goes on; sometimes more, and nothing does."""
        what = random.random()
        if what < 0.45:
            return [random.choice(self.names)]
        if what < 0.8:
            return self.of(random.choice(self.organisations))
        return sorted(random.sample(self.names, random.randint(2, len(self.names))))


@dataclass
class Planned:
    at: float  # seconds from the beginning
    fault: object

    def __str__(self):
        return f"{self.at:8.1f} s  for {self.fault.duration:5.1f} s  {self.fault.describe()}"


def make_schedule(seed, seconds, kinds, shape):
    random = random_module.Random(seed)
    out = []
    at = random.uniform(1, 3)
    while True:
        fault = KINDS[random.choice(sorted(kinds))](random, shape)
        if at + fault.duration > seconds:
            return out
        out.append(Planned(at, fault))
        # Some come together, others find everything well again.
        at += random.choice([random.uniform(0.2, 1.5), random.uniform(1, 6)])
