"""A network namespace for each node, joined by a bridge on which the clients are; drops in one direction. And proxies
that delay, one in front of each node. Where there are no namespaces, loopback addresses."""
import ctypes
import os
import subprocess
import threading

from machine import run

CLIENTS = "10.77.0.1"
CLONE_NEWNET = 0x40000000
PUBLIC_PORT, OWN_PORT = 7000, 7001


class Network:
    def __init__(self, has_namespaces):
        self.has_namespaces = has_namespaces
        self._addresses = {"clients": CLIENTS}
        subprocess.run(["ip", "link", "set", "lo", "up"], stderr=subprocess.DEVNULL)
        if has_namespaces:
            run("ip", "link", "add", "bridge", "type", "bridge")
            run("ip", "address", "add", CLIENTS + "/16", "dev", "bridge")
            run("ip", "link", "set", "bridge", "up")

    def add(self, name):
        """The address of a new member."""
        number = len(self._addresses)
        if not self.has_namespaces:
            self._addresses[name] = f"127.77.1.{number}"
            return self._addresses[name]
        address = self._addresses[name] = f"10.77.1.{number}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"veth{number}", "master", "bridge", "up")
        run("ip", "-n", name, "address", "add", address + "/16", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        return address

    def inside(self, name):
        """What to put before a command that is to run at this member."""
        # Not `ip netns exec`: each would keep a copy of all mounts, and no disk could be mounted anew.
        return ["nsenter", f"--net=/run/netns/{name}"] if self.has_namespaces else []

    def call_inside(self, name, function):
        """Runs it on a thread that is in the member's network; its result, or None after any OSError."""
        if not self.has_namespaces:
            return _or_none(function)
        result = []

        def enter_and_call():
            handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) == 0:
                    result.append(_or_none(function))
            finally:
                os.close(handle)

        thread = threading.Thread(target=enter_and_call)
        thread.start()
        thread.join()
        return result[0] if result else None

    def drop(self, source, target, is_on):
        """What `source` sends to `target` is lost, or no more. One of the two is a node; the other may be "clients"."""
        place, rule = ((source, ["OUTPUT", "-d", self._addresses[target]]) if source != "clients" else
                       (target, ["INPUT", "-s", CLIENTS]))
        run(*self.inside(place), "iptables", "-A" if is_on else "-D", *rule, "-j", "DROP")


def _or_none(function):
    try:
        return function()
    except OSError:
        return None


class Proxy:
    """Passes on what comes to a node's public address; delays, or stalls, when told."""

    def __init__(self, binary, network, name, address, seed):
        self._process = subprocess.Popen(
            [*network.inside(name), binary, "proxy", "--listen", f"{address}:{PUBLIC_PORT}", "--to",
             f"{address}:{OWN_PORT}", "--seed", str(seed)], stdin=subprocess.PIPE, text=True)

    def order(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self):
        self._process.stdin.close()
        self._process.wait()
