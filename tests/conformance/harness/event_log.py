"""The server's own account: one line of JSON for each attempt and each refused connection, in `DATA_DIR/logs`.

Owns: reading the lines as they come, and finding the one that a client's error leads to. It must not
judge what a line says.
"""

import datetime
import json
import threading
import time
from dataclasses import dataclass

from harness.errors import Unexpected, expect

WAIT_SECONDS = 20
# The recorder writes what came together in one go, a few milliseconds later.
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Peer:
    """A client's end of a connection. Ports are used again, so the time before it was dialled belongs to it."""

    address: tuple
    since: str


def clock():
    """Now, as the log writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


class EventLog:
    """The lines of one server; cases on many threads ask for theirs."""

    def __init__(self, folder):
        self._folder = folder
        self._lock = threading.Lock()
        self._offsets = {}
        self._rows = []

    def of_error(self, body):
        """The one line of a refused request or connection: its error body names it."""
        tracking_id = body["trackingId"]
        return self._only(f"the error {tracking_id}", lambda row: row["correlationId"] == tracking_id)

    def of_connection(self, peer):
        """The one line of a connection that was refused before there was a request, by its client's end."""
        address = f"{peer.address[0]}:{peer.address[1]}"

        def wanted(row):
            refused = row["operationName"] == "Connection" and row["time"] >= peer.since
            return refused and row["properties"]["peer"] == address

        return self._only(f"the connection from {address}", wanted)

    def of_device(self, registration_id, operations=("AttestationAttempt", "AttestationChallenge"), least=1):
        """All lines of a device's register requests, in order, or of other operations; at least so many."""

        def wanted(row):
            named = row["properties"].get("registrationId")
            return row["operationName"] in operations and named == registration_id

        return self._wait(f"{' or '.join(operations)} of {registration_id}", wanted, least)

    def of_service_call(self, name):
        """The lines of calls of the service API about something of that name."""

        def wanted(row):
            return row["category"] == "ServiceOperations" and name in json.dumps(row["properties"])

        return self._wait(f"a service call about {name}", wanted)

    def of_link(self, hub):
        """The last line that a probe of that hub's link wrote."""

        def wanted(row):
            return row["operationName"] == "LinkedHubProbe" and row["properties"]["hub"] == hub

        return self._wait(f"the link of {hub}", wanted)[-1]

    def of_hub_device(self, device_id):
        """Refused connections of a device at a development hub."""

        def wanted(row):
            named = row["properties"].get("hubDevice") or {}
            return row["operationName"] == "Connection" and named.get("deviceId") == device_id

        return self._wait(f"the device {device_id} at a hub", wanted)

    def _only(self, what, wanted):
        rows = self._wait(what, wanted)
        expect(len(rows), 1, f"lines in the log about {what}")
        return rows[0]

    def _wait(self, what, wanted, least=1):
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            found = [row for row in self._all() if wanted(row)]
            if len(found) >= least:
                return found
            time.sleep(LOOK_SECONDS)
        raise Unexpected(f"{len(found)} lines in the log about {what} after {WAIT_SECONDS} s, expected {least}")

    def _all(self):
        with self._lock:
            for path in sorted(self._folder.glob("attempts-*.jsonl")):
                with open(path, "rb") as file:
                    file.seek(self._offsets.get(path, 0))
                    # The last line may be half written.
                    whole = file.read().rpartition(b"\n")[0]
                self._offsets[path] = self._offsets.get(path, 0) + (len(whole) + 1 if whole else 0)
                self._rows.extend(json.loads(line) for line in whole.splitlines())
            return list(self._rows)
