"""Devices with a TPM: `azure-iot-security-tpm` over HTTPS, each device with an `swtpm` of its own.

Owns: what is true of TPM attestation for an SDK's user. Left out where no swtpm can be had.
"""

from cases import SUITE
from harness import raw_https
from harness.credentials import tpm
from harness.device_sdks import expect_error_body
from harness.errors import Unexpected, expect, expect_that, refusal
from harness.sandbox import HUBS
from harness.tpm import Swtpm

SDK = "node-http"


class Device:
    """A chip, and the SDK that uses it."""

    def __init__(self, case):
        self.case = case
        self.chip = Swtpm(case.scratch())
        case.at_end(self.chip.close)
        identity = case.node.call("tpmIdentity", port=self.chip.port)
        self.keys = identity["keys"]
        self.endorsement_key = self.keys["endorsementKey"]
        self.default_id = identity["registrationId"]

    def enroll(self, registration_id):
        """Enrolls the chip under that id."""
        return self.case.enroll(registration_id, tpm(self.endorsement_key))

    def register(self, registration_id):
        """Registers; returns the result or raises `SdkError`."""
        return self.case.node.call(
            "tpmProvision",
            transport="http",
            host=self.case.host,
            idScope=self.case.id_scope,
            registrationId=registration_id,
            port=self.chip.port,
        )

    def ask(self, registration_id):
        """The first request of a registration as it is on the wire: what the SDK hides of the answer."""
        path = f"/{self.case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
        body = {"registrationId": registration_id, "tpm": self.keys}
        return raw_https.request(self.case, "PUT", path, body)

    def greet(self, assigned):
        """Connects to the assigned hub with the key that the chip was given, and sends something."""
        handle, hub = self.case.name("tpm"), assigned["assignedHub"]
        device = {"hub": hub, "deviceId": assigned["deviceId"], "port": self.chip.port}
        self.case.node.call("tpmOpen", handle=handle, transport="mqtt", **device)
        self.case.node.call("deviceSend", handle=handle, body="from a chip")
        self.case.node.call("deviceClose", handle=handle)


def tpm_case(name):
    """Declares a case that needs swtpm."""
    return SUITE.case(f"tpm/{SDK}/{name}", needs=("swtpm",))


def expect_assigned(case, result, registration_id):
    """The device is on one of the hubs; gives its state."""
    state = result.get("registrationState", result)
    expect((result["status"], state["deviceId"]), ("assigned", registration_id), "status and deviceId")
    expect_that(case.muster is None or state["assignedHub"] in HUBS, f"assignedHub: {state}")
    return state


@tpm_case("assigned-and-on-its-hub")
def assigned(case):
    """Challenged, assigned, on its hub with the key that came wrapped for the chip; and all that again."""
    device, registration_id = Device(case), case.name("tpm")
    answer = device.enroll(registration_id)
    shown = answer["attestation"]["tpm"]["endorsementKey"]
    expect(shown, device.endorsement_key, "endorsementKey of the enrollment")
    first = expect_assigned(case, device.register(registration_id), registration_id)
    device.greet(first)
    again = expect_assigned(case, device.register(registration_id), registration_id)
    expect(again["assignedHub"], first["assignedHub"], "assignedHub of the second registration")
    device.greet(again)


@tpm_case("registration-id-made-of-the-key")
def default_registration_id(case):
    """Without a registration id the SDK makes one of the endorsement key."""
    device = Device(case)
    device.enroll(device.default_id)
    expect_assigned(case, device.register(None), device.default_id)


@tpm_case("unknown-is-not-found")
def unknown(case):
    """A device that nobody enrolled is answered 404, which to this SDK is no challenge."""
    device, registration_id = Device(case), case.name("tpm")
    error = refusal("InvalidOperationError", device.register, registration_id)
    expect_that("did NOT respond with an unauthorized error" in error.message, f"message: {error.message}")
    answer = device.ask(registration_id)
    expect(answer.status, 404, "status")
    expect_error_body(answer.json, 404201, None)


@tpm_case("another-key-is-refused")
def another_key(case):
    """Another chip under an enrolled id gets a 401 without a challenge in it; the right chip gets in."""
    device, stranger, registration_id = Device(case), Device(case), case.name("tpm")
    if device.endorsement_key == stranger.endorsement_key:
        raise Unexpected("two chips have one endorsement key")
    device.enroll(registration_id)
    error = refusal("FormatError", stranger.register, registration_id)
    expect_that("appropriately formatted authentication blob" in error.message, f"message: {error.message}")
    answer = stranger.ask(registration_id)
    expect(answer.status, 401, "status")
    expect_error_body(answer.json, 401000, None)
    expect_assigned(case, device.register(registration_id), registration_id)
