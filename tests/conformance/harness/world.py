"""What a case is given: the running server, the SDK drivers, fresh names, and enrollments that go away again.

Owns: the lifetime of what one case creates. Enrollments are created through the official service
client, as users do.
"""

import contextlib
import itertools
import uuid
from pathlib import Path

from harness import python_sdk, sas
from harness.event_log import EventLog


class World:
    """One run: a server, a Node worker and a scratch folder, shared by all cases."""

    def __init__(self, env, node, folder, data_dir, muster=None):
        self.env = env
        self.node = node
        self.folder = Path(folder)
        self.muster = muster
        self.log = EventLog(Path(data_dir) / "logs")
        self.host = env["MUSTER_DEVICE_HOST"]
        self.id_scope = env["MUSTER_ID_SCOPE"]
        self.https_port = int(env["MUSTER_HTTPS_PORT"])
        self.mqtt_port = int(env["MUSTER_MQTT_PORT"])
        self.amqp_port = int(env["MUSTER_AMQP_PORT"])
        self.ca_file = env["MUSTER_CA_FILE"]
        self.ca_pem = Path(self.ca_file).read_text(encoding="ascii")
        self.service_connection_string = env["MUSTER_SERVICE_CONNECTION_STRING"]
        self.first_hub = env["MUSTER_HUB_HOST"]
        self._numbers = itertools.count(1)

    def hub_connection_string(self, hub):
        """The owner's connection string of any development hub: all share policy and key."""
        fields = sas.parse(self.env["MUSTER_HUB_CONNECTION_STRING"])
        fields["HostName"] = hub
        return ";".join(f"{name}={value}" for name, value in fields.items())

    def number(self):
        return next(self._numbers)


class Case:
    """The run as one case sees it; leaving the `with` block deletes what it created."""

    def __init__(self, world):
        self.world = world
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._undo.close()

    def __getattr__(self, name):
        return getattr(self.world, name)

    def name(self, prefix="dev"):
        """A name that nothing else in this server has."""
        return f"{prefix}-{self.world.number()}-{uuid.uuid4().hex[:8]}"

    def port(self):
        """A free port: below the range that the kernel gives out, in a network of this run's own."""
        return 20_000 + self.world.number()

    def at_end(self, undo, *arguments):
        """Runs `undo` when the case is over; that it fails then is no matter."""
        self._undo.callback(self._quietly, undo, *arguments)

    def service(self, method, *parameters):
        """A method of the Node service client."""
        return self.node.call(
            "service",
            connectionString=self.service_connection_string,
            method=method,
            parameters=list(parameters),
        )

    def registry(self, hub, method, *parameters):
        """A method of the Node registry client of that hub."""
        return self.node.call(
            "registry",
            connectionString=self.hub_connection_string(hub),
            method=method,
            parameters=list(parameters),
        )

    def enroll(self, registration_id, attestation, **fields):
        """Creates an individual enrollment; returns what the service answered."""
        self.at_end(self.service, "deleteIndividualEnrollment", registration_id)
        enrollment = {"registrationId": registration_id, "attestation": attestation, **fields}
        return self.service("createOrUpdateIndividualEnrollment", enrollment)

    def enroll_group(self, group_id, attestation, **fields):
        """Creates an enrollment group; returns what the service answered."""
        self.at_end(self.service, "deleteEnrollmentGroup", group_id)
        group = {"enrollmentGroupId": group_id, "attestation": attestation, **fields}
        return self.service("createOrUpdateEnrollmentGroup", group)

    def python_service(self):
        """A Python service client."""
        client = python_sdk.service_client(self.service_connection_string, self.ca_file)
        self.at_end(client.close)
        return client

    def scratch(self):
        """A folder of this case's own."""
        folder = self.folder / self.name("case")
        folder.mkdir()
        return folder

    @staticmethod
    def _quietly(undo, *arguments):
        with contextlib.suppress(Exception):
            undo(*arguments)
