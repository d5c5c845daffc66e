"""A provisioning service and a hub for the tests: one `muster dev` a run, empty at the start of each test."""

import base64
import json
import os
import secrets
import shlex
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from azure.iot.device import ProvisioningDeviceClient
from azure.iot.deviceprovisioning import DeviceProvisioningClient

START_SECONDS = 30
STOP_SECONDS = 30


class Muster:
    """A running `muster dev`. The SDKs dial ports 443 and 8883, so it has those."""

    def __init__(self, folder):
        arguments = shlex.split(os.environ.get("MUSTER_ARGUMENTS", ""))
        command = [os.environ.get("MUSTER", "muster"), "dev", "--data-dir", str(folder / "data"), *arguments]
        self.log = folder / "muster.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.env = self._read(folder / "data" / "dev.env")
        self.ca = Path(self.env["MUSTER_CA_FILE"]).read_text()
        self._tls = ssl.create_default_context(cadata=self.ca)

    def _read(self, dev_env):
        """What the server announces, once it serves."""
        deadline = time.monotonic() + START_SECONDS
        while not dev_env.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"muster dev does not start: {self.log.read_text()}")
            time.sleep(0.05)
        pairs = (word.partition("=") for word in shlex.split(dev_env.read_text()))
        return {key: value for key, _, value in pairs}

    def control(self, method, path, body=None):
        """One of the routes of dev mode."""
        url = f"{self.env['MUSTER_MANAGEMENT_URL']}/dev/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, context=self._tls, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def fault(self, kind, match=None, **members):
        """From now on that goes wrong, for whom `match` says."""
        return self.control("POST", "faults", {"match": match or {}, "fault": {"kind": kind, **members}})

    def service(self):
        """A client of the service API."""
        return DeviceProvisioningClient.from_connection_string(
            self.env["MUSTER_SERVICE_CONNECTION_STRING"], connection_verify=self.env["MUSTER_CA_FILE"]
        )

    def enroll(self, registration_id):
        """An enrollment with a key of its own; gives the key."""
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        keys = {"primaryKey": key, "secondaryKey": key}
        attestation = {"type": "symmetricKey", "symmetricKey": keys}
        enrollment = {"registrationId": registration_id, "attestation": attestation}
        self.service().enrollment.create_or_update(id=registration_id, enrollment=enrollment)
        return key

    def provision(self, registration_id, key):
        """What a device does first."""
        client = ProvisioningDeviceClient.create_from_symmetric_key(
            self.env["MUSTER_DEVICE_HOST"],
            registration_id,
            self.env["MUSTER_ID_SCOPE"],
            key,
            server_verification_cert=self.ca,
        )
        return client.register()

    def stop(self):
        self.process.terminate()
        self.process.wait(STOP_SECONDS)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    muster = Muster(tmp_path_factory.mktemp("muster"))
    yield muster
    muster.stop()


@pytest.fixture
def muster(server):
    """The server, without anything that an earlier test left: enrollments, devices, faults, another time."""
    server.control("POST", "reset")
    return server
