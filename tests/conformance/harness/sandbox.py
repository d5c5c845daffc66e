"""A network of our own: the SDKs dial fixed ports (443, 8883) and verify host names.

Owns: the network and mount namespaces, loopback, the private /etc/hosts and resolv.conf. Nothing of the machine
outside is touched. Standard library alone.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile

# The host names of the two development hubs; `.test` is reserved for tests (RFC 6761).
HUBS = ("hub-a.test", "hub-b.test")
# A second server beside the first, on the same ports.
PRODUCTION, PRODUCTION_ADDRESS = "production.test", "127.0.0.2"
# Those of the examples of docs/guides/ci.md.
CI = {"python": ("ci-python.test", "127.0.0.3"), "node": ("ci-node.test", "127.0.0.4")}
# Production servers whose links do not work, and development servers of one scenario each: `{name}.test` with two hubs.
STALE = {"key": ("stale-key.test", "127.0.0.5"), "policy": ("stale-policy.test", "127.0.0.6")}
OWN_SERVERS = {
    name: f"127.0.0.{number}"
    for number, name in enumerate(("unpolled", "unanswered", "moved", "unretried"), start=10)
}

# Provisioning services that cases make: each answers under a host name of its own.
SERVICES = (
    *(f"made-{number}" for number in ("one", "two", "three", "four")),
    "alerted-one",
    *(f"metered-{number}" for number in ("one", "two", "three", "four", "five", "idle")),
    *(f"settings-{number}" for number in ("one", "two", "three")),
    *(f"logged-{number}" for number in ("one", "two", "three", "four", "idle")),
    *(f"linked-{number}" for number in ("one", "two", "three")),
)

# Where a resolver of this run would be.
NAME_SERVER = "127.0.0.1"

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def wrap(command):
    """The command, run in namespaces of its own: as root, else in a user namespace."""
    for namespaces in (["-n", "-m"], ["-U", "-r", "-n", "-m"]):
        if permitted(["unshare", *namespaces, "true"]):
            return ["unshare", *namespaces, *command]
    sys.exit("cannot make a network namespace: run as root, or allow user namespaces (unshare -Urnm)")


def permitted(command):
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def enter():
    """Inside the namespaces: brings loopback up and gives hubs and services their names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    with tempfile.NamedTemporaryFile("w", prefix="hosts-", encoding="utf-8") as hosts:
        hosts.write("127.0.0.1 localhost " + " ".join(HUBS) + "\n")
        hosts.write(f"{PRODUCTION_ADDRESS} {PRODUCTION}\n")
        for name, address in (*CI.values(), *STALE.values()):
            hosts.write(f"{address} {name}\n")
        for name, address in OWN_SERVERS.items():
            hosts.write(f"{address} {name}.test hub-a.{name}.test hub-b.{name}.test\n")
        hosts.write("127.0.0.1 " + " ".join(f"{name}.localhost" for name in SERVICES) + "\n")
        bind(hosts, "/etc/hosts")
    # Nobody outside is asked for a name; `harness.dns` answers when a case wants it.
    if os.path.exists("/etc/resolv.conf"):
        with tempfile.NamedTemporaryFile("w", prefix="resolv-", encoding="utf-8") as resolver:
            resolver.write(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\n")
            bind(resolver, "/etc/resolv.conf")


def bind(file, place):
    """The file stands in that place, for this run alone."""
    file.flush()
    subprocess.run(["mount", "--bind", file.name, place], check=True, timeout=30)
