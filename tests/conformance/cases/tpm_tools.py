"""What this server issues for a TPM, in the hands of Debian's `tpm2-tools`: an implementation that is none of ours.

Owns: the whole way from an enrollment to the hub, by raw requests. What an SDK sees is in `tpm`.
"""

import base64
import time
from urllib.parse import quote

from cases import SUITE
from harness import raw_https
from harness.credentials import tpm
from harness.device_sdks import expect_error_body
from harness.errors import Unexpected, expect, expect_that
from harness.paho import Paho
from harness.tpm import Swtpm
from harness.tpm2_tools import CommandFailed, Tools, host_order

POLL_SECONDS = 30
API_VERSION = "api-version=2021-06-01"
REFUSED = 5


class Device:
    """A chip with the tools on it, under a registration id."""

    def __init__(self, case, high_range=False):
        self.case, self.registration_id = case, case.name("tools")
        folder = case.scratch()
        chip = Swtpm(folder)
        case.at_end(chip.close)
        self.tools = Tools(chip, folder, high_range)
        self.path = f"/{case.id_scope}/registrations/{self.registration_id}"

    def enroll(self, endorsement_key=None, **fields):
        """Enrolls the endorsement key, in the order of the wire unless it is given."""
        text = base64.b64encode(endorsement_key or self.tools.endorsement_key).decode()
        shown = self.case.enroll(self.registration_id, tpm(text), **fields)
        expect(shown["attestation"]["tpm"]["endorsementKey"], text, "endorsementKey of the enrollment")
        return text

    def register(self, token=None):
        """Sends the register request, with a token if there is one."""
        body = {"registrationId": self.registration_id, "tpm": self.tools.keys}
        headers = {"Authorization": token} if token else {}
        return raw_https.request(self.case, "PUT", f"{self.path}/register?{API_VERSION}", body, headers)

    def challenge(self):
        """Asks for a challenge; gives the blob."""
        answer = self.register()
        expect((answer.status, answer.json["keyName"]), (401, "registration"), "status and keyName of the challenge")
        return base64.b64decode(answer.json["authenticationKey"])

    def token(self, resource, policy=None, lifetime=3600):
        """A token that the chip signs."""
        encoded, until = quote(resource, safe=""), int(time.time()) + lifetime
        signature = base64.b64encode(self.tools.sign(f"{encoded}\n{until}")).decode()
        name = f"&skn={policy}" if policy else ""
        return f"SharedAccessSignature sr={encoded}&sig={quote(signature, safe='')}&se={until}{name}"

    def own_token(self, **options):
        """A token for this device's registration."""
        return self.token(self.path.removeprefix("/"), "registration", **options)

    def poll(self, operation_id, token):
        """Polls until the operation is over; gives the registration's state."""
        deadline = time.monotonic() + POLL_SECONDS
        path = f"{self.path}/operations/{operation_id}?{API_VERSION}"
        while time.monotonic() < deadline:
            answer = raw_https.request(self.case, "GET", path, headers={"Authorization": token})
            if answer.status == 200:
                return answer.json["registrationState"]
            expect(answer.status, 202, f"status of a poll: {answer.raw[:200]}")
            # Five polls in ten seconds is what one device may do under every profile of limits.
            time.sleep(2)
        raise Unexpected(f"still assigning after {POLL_SECONDS} s")

    def greet(self, state, code=0):
        """Connects to the hub with a token that the chip signs; CONNACK has that code, and an accepted device sends."""
        hub, device_id = state["assignedHub"], state["deviceId"]
        token = self.token(f"{hub}/devices/{device_id}")
        with Paho(self.case, device_id, host=hub) as device:
            expect(device.connect(f"{hub}/{device_id}/?api-version=2021-04-12", token)[0], code, "CONNACK of the hub")
            if code == 0:
                _, number = device.client.publish(f"devices/{device_id}/messages/events/", "from a chip", 1)
                device.next("published", number)


def tools_case(name):
    """A case that needs the tools and a chip."""
    return SUITE.case(f"tpm2-tools/{name}", needs=("swtpm", "tpm2-tools"))


def whole_way(case, high_range, in_host_order):
    """Challenged, activated, registered; the second blob activated, and with its key on the hub."""
    device = Device(case, high_range)
    written = device.enroll(host_order(device.tools.endorsement_key) if in_host_order else None)
    expect(written[:4], "OgEA" if in_host_order else "AToA", "first letters of the enrolled key")
    # The high range allows use by its password too, which is empty.
    device.tools.activate(device.challenge(), by_policy=not high_range)
    token = device.own_token()
    answer = device.register(token)
    expect(answer.status, 202, f"status with the chip's token: {answer.raw[:200]}")
    state = device.poll(answer.json["operationId"], token)
    expect((state["status"], state["deviceId"]), ("assigned", device.registration_id), "status and deviceId")
    # The key of the challenge is none of the hub's.
    device.greet(state, code=REFUSED)
    device.tools.activate(base64.b64decode(state["tpm"]["authenticationKey"]))
    device.greet(state)
    rows = [row["properties"] for row in case.log.of_device(device.registration_id, least=2)]
    expect([row["outcome"]["result"] for row in rows], ["challenged", "success"], "outcomes in the log")
    expect({row["mechanism"] for row in rows}, {"tpm"}, "mechanism in the log")


def declare(name, high_range, in_host_order):
    """One combination of template and spelling."""
    tools_case(f"on-its-hub/{name}")(lambda case: whole_way(case, high_range, in_host_order))


for _template, _high_range in (("low-range", False), ("high-range", True)):
    for _order, _in_host_order in (("wire-order", False), ("host-order", True)):
        declare(f"{_template}/{_order}", _high_range, _in_host_order)


@tools_case("answer-is-used-once")
def used_once(case):
    """The key of a challenge is good for one registration: the same token repeats that, another one is refused."""
    device = Device(case)
    device.enroll()
    device.tools.activate(device.challenge())
    token, another = device.own_token(), device.own_token(lifetime=1800)
    first = device.register(token)
    expect(first.status, 202, "status of the first use")
    again = device.register(token)
    expect((again.status, again.json["operationId"]), (202, first.json["operationId"]), "the same token again")
    answer = device.register(another)
    expect(answer.status, 401, "status of another token")
    expect_error_body(answer.json, 401000, ("Unauthorized",))
    reason = case.log.of_error(answer.json)["properties"]["reason"]
    expect(reason, "TPM_KEY_NOT_ACTIVATED", "reason in the log")
    device.tools.activate(device.challenge())
    expect(device.register(device.own_token()).status, 202, "status after another challenge")


@tools_case("blob-is-for-one-chip")
def for_one_chip(case):
    """Another chip cannot take in what was wrapped for this one."""
    device, other = Device(case), Device(case)
    device.enroll()
    blob = device.challenge()
    try:
        other.tools.activate(blob)
    except CommandFailed as failure:
        expect_that("activatecredential" in str(failure), f"another step failed: {failure}")
    else:
        raise Unexpected("another chip activates the blob")
    device.tools.activate(blob)
    expect(device.register(device.own_token()).status, 202, "status of the chip that it was for")


@tools_case("spellings-of-one-key-are-one-key")
def one_key(case):
    """Re-enrolled in the other order of bytes, a device goes on as the same one."""
    device = Device(case)
    states, key = [], device.tools.endorsement_key
    for fields in ({"endorsement_key": key}, {"endorsement_key": host_order(key), "etag": "*"}):
        device.enroll(**fields)
        device.tools.activate(device.challenge())
        token = device.own_token()
        states.append(device.poll(device.register(token).json["operationId"], token))
    expect(states[1]["assignedHub"], states[0]["assignedHub"], "assignedHub")
    expect(states[1]["createdDateTimeUtc"], states[0]["createdDateTimeUtc"], "createdDateTimeUtc")
