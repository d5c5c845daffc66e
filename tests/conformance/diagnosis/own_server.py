"""A development server of a scenario's own, at an address of its own on the SDKs' ports: its clock can be moved, its
hubs are nobody else's.

Owns: that server, and asking it for a device's timeline. It must not judge what the timeline says.
"""

import time

from harness.errors import Unexpected
from harness.node_sdk import Node
from harness.raw_https import request
from harness.sandbox import OWN_SERVERS
from harness.server import Muster
from harness.world import Case, World

WAIT_SECONDS = 20
# Longer than any gap is waited for before it is told.
LATER_SECONDS = 300


def own_server(case, place, hubs=1):
    """The case as it is at a server of its own; gone with the case."""
    host, folder = f"{place}.test", case.scratch()
    names = [word for hub in hubs_of(place)[:hubs] for word in ("--hub", hub)]
    arguments = ["--host", host, "--bind", OWN_SERVERS[place], "--http-port", "0", *names]
    server = Muster(case.muster, folder / "data", *arguments)
    case.at_end(server.kill)
    server.start()
    node = Node(case.node.modules, server.env["MUSTER_CA_FILE"], folder / "node.log")
    case.at_end(node.close)
    own = Case(World(server.env, node, folder, server.data_dir, case.muster))
    case.at_end(own.__exit__)
    return own


def hubs_of(place):
    """The host names of that server's hubs."""
    return [f"hub-{letter}.{place}.test" for letter in "ab"]


def later(case):
    """The server's clock goes on at once to when every gap is told."""
    answer = request(case, "PUT", "/dev/clock", {"offsetSeconds": LATER_SECONDS})
    if answer.status != 200:
        raise Unexpected(f"the clock was not moved: {answer.status} {answer.raw}")


def diagnosis(case, path):
    """What `Muster.Diagnosis` says there."""
    headers = {"Authorization": f"Bearer {case.env['MUSTER_BEARER_TOKEN']}"}
    path = f"{case.env['MUSTER_RESOURCE_ID']}/providers/Muster.Diagnosis/{path}?api-version=2026-11-01"
    return request(case, "GET", path, headers=headers)


def timeline(case, registration_id, *kinds):
    """The device's timeline, once it has entries of those kinds: lines are written a moment after the answer."""
    deadline, seen = time.monotonic() + WAIT_SECONDS, "no timeline"
    while time.monotonic() < deadline:
        answer = diagnosis(case, f"devices/{registration_id}/timeline")
        if answer.status == 200:
            seen = [entry["kind"] for entry in answer.json["entries"]]
            if set(kinds) <= set(seen):
                return answer.json
        time.sleep(0.05)
    raise Unexpected(f"the timeline of {registration_id} after {WAIT_SECONDS} s: {seen}, expected {kinds}")
