"""What bench/run and bench/peers/run share: a development cluster of ours, the disk alone, the median round."""
import contextlib
import os
import subprocess
import time


def synced_mib_per_second(folder):
    """What the disk takes in writes of 4 MiB, each synced."""
    data = os.urandom(4 << 20)
    path = os.path.join(folder, "synced")
    begin = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(64):
            file.write(data)
            os.fdatasync(file.fileno())
    took = time.monotonic() - begin
    os.remove(path)
    return 256 / took


@contextlib.contextmanager
def development_cluster(binary, folder):
    """Four nodes of four organisations, f = 1; gives a function that runs a command there and returns its output."""
    environment = dict(os.environ, XDG_CONFIG_HOME=os.path.join(folder, "config"))
    cluster = os.path.join(folder, "cluster")

    def rosebud(*arguments):
        return subprocess.run([binary, "--cluster", cluster, *arguments], env=environment, check=True,
                              capture_output=True, timeout=600).stdout

    subprocess.run([binary, "dev", "up", "--orgs", "4", "--nodes", "4", "--dir", cluster], env=environment, check=True,
                   capture_output=True, timeout=120)
    try:
        yield rosebud
    finally:
        rosebud("dev", "down")


def median_run(runs):
    """The run whose rate is the median."""
    return sorted(runs, key=lambda run: run["per_second"])[len(runs) // 2]
