"""A network of our own: the SDKs dial fixed ports (443, 8883) and verify host names.

Owns: the network and mount namespaces, loopback, the private /etc/hosts. Nothing of the machine
outside is touched. Standard library alone.
"""

import fcntl
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

# Provisioning services that cases make: each answers under a host name of its own.
SERVICES = (
    *(f"made-{number}" for number in ("one", "two", "three", "four")),
    "alerted-one",
    *(f"metered-{number}" for number in ("one", "two", "three", "four", "five", "idle")),
    *(f"settings-{number}" for number in ("one", "two", "three")),
    *(f"logged-{number}" for number in ("one", "two", "three", "four", "idle")),
)

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
        for name, address in CI.values():
            hosts.write(f"{address} {name}\n")
        hosts.write("127.0.0.1 " + " ".join(f"{name}.localhost" for name in SERVICES) + "\n")
        hosts.flush()
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True, timeout=30)
