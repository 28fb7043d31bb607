"""Process trials: real nodes under load and faults; every operation is recorded, and the record is judged.

Run by scripts/trials, which builds first."""
import argparse
import os
import random
import shlex
import shutil
import sys
import tempfile

import machine
from faults import KINDS
from trial import Trial, node_names


def parse():
    kinds = ", ".join(KINDS)
    parser = argparse.ArgumentParser(prog="scripts/trials", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1, help="of load under faults (default 1)")
    parser.add_argument("--seed", type=int, help="of the schedule, the sizes and the choices; default: a new one")
    parser.add_argument("--faults", default=",".join(KINDS), help=f"kinds of faults, of {kinds}; default: all")
    parser.add_argument("--nodes", type=int, choices=range(4, 9), help="default: by the seed")
    parser.add_argument("--pause-ms", type=int, default=20,
                        help="of each lane of load between two operations (default 20)")
    parser.add_argument("--disk-megabytes", type=int, default=2000, help="of each node; space is taken as it is used")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a trial that went well too")
    parser.add_argument("--plan", action="store_true", help="print the schedule and do nothing")
    parser.add_argument("--bug", help="plant this bug in nodes and clients; needs the preset `bugs`")
    parser.add_argument("--binaries", default="build/release/bin", help="folder of rosebud and rosebud-trial")
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    options.binaries = os.path.abspath(options.binaries)
    options.kinds = sorted(set(options.faults.split(",")) - {""})
    for kind in options.kinds:
        if kind not in KINDS:
            parser.error(f"no fault is called '{kind}'; there are {kinds}")
    choices = random.Random(options.seed)
    options.nodes = options.nodes or choices.choice([4, 5, 8])
    options.faulty = choices.choice(["alpha", "beta", "gamma", "delta"])
    return options


def command_of(options):
    """The command that repeats the schedule."""
    words = ["scripts/trials", "--seed", str(options.seed), "--minutes", f"{options.minutes:g}", "--nodes",
             str(options.nodes), "--faults", ",".join(options.kinds)]
    return shlex.join(words + (["--bug", options.bug] if options.bug else []))


def main():
    options = parse()
    if options.plan:
        for planned in Trial(options, None, None).plan(node_names(options.nodes), options.kinds):
            print(planned)
        return 0
    machine.enter_namespaces()
    here = machine.Machine()
    for kind in options.kinds:
        if kind in here.missing:
            print(f"not possible here: fault '{kind}': {here.missing[kind]}")
    kinds = [kind for kind in options.kinds if kind not in here.missing]
    folder = tempfile.mkdtemp(prefix="rosebud-trial-")
    print(f"seed {options.seed}: {options.nodes} nodes of 4 organisations, f = 1, {options.faulty} is the faulty one; "
          f"{options.minutes:g} minutes of {' '.join(kinds) or 'no fault'}; in {folder}", flush=True)
    trial = Trial(options, here, folder)
    is_right = False
    try:
        is_right = trial.run(kinds)
    except (RuntimeError, OSError) as error:
        trial.problems.append(f"the trial could not be run to its end: {error}")
    for problem in trial.problems:
        print("FAILED: " + problem)
    if is_right:
        print("trials: nothing lost, the history is right")
    if is_right and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"histories, faults, schedule and logs: {folder}\nagain: {command_of(options)}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
