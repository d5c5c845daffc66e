"""Devices with a TPM: `azure-iot-security-tpm` over HTTPS and AMQP, each device with an `swtpm` of its own.

Owns: what is true of TPM attestation for an SDK's user, and how a refusal looks on each way. Left out
where no swtpm can be had.
"""

import base64
import json

from cases import SUITE
from harness import raw_https
from harness.amqp import (
    AMQP_HEADER,
    OPEN,
    OPEN_ERROR,
    SASL_CHALLENGE,
    SASL_HEADER,
    SASL_MECHANISMS,
    SASL_OUTCOME,
    Frames,
    choosing,
    opening,
    responding,
)
from harness.credentials import tpm
from harness.device_sdks import expect_error_body
from harness.errors import Unexpected, expect, expect_that, refusal
from harness.sandbox import HUBS
from harness.streams import TlsStream, WebSocket
from harness.tpm import Swtpm

SASL_OK = 0


class Device:
    """A chip, and the SDK that uses it over that transport."""

    def __init__(self, case, transport):
        self.case, self.transport = case, transport
        self.chip = Swtpm(case.scratch())
        case.at_end(self.chip.close)
        identity = case.node.call("tpmIdentity", port=self.chip.port)
        self.keys = identity["keys"]
        self.endorsement_key = self.keys["endorsementKey"]
        self.default_id = identity["registrationId"]

    def enroll(self, registration_id, **fields):
        """Enrolls the chip under that id."""
        return self.case.enroll(registration_id, tpm(self.endorsement_key), **fields)

    def register(self, registration_id):
        """Registers; returns the result or raises `SdkError`."""
        return self.case.node.call(
            "tpmProvision",
            transport=self.transport,
            host=self.case.host,
            idScope=self.case.id_scope,
            registrationId=registration_id,
            port=self.chip.port,
        )

    def greet(self, assigned):
        """Connects to the assigned hub with the key that the chip was given, and sends something."""
        handle, hub = self.case.name("tpm"), assigned["assignedHub"]
        device = {"hub": hub, "deviceId": assigned["deviceId"], "port": self.chip.port}
        self.case.node.call("tpmOpen", handle=handle, transport="mqtt", **device)
        self.case.node.call("deviceSend", handle=handle, body="from a chip")
        self.case.node.call("deviceClose", handle=handle)


class Http:
    """HTTPS: the challenge is a 401 with a key in it, a refusal an error without."""

    transport, protocol, by_hand = "http", "Http", ()

    def expect_refused(self, device, registration_id, code):
        """The SDK misses what it calls a challenge; on the wire there is the error body, which the log knows."""
        name, text = {
            404201: ("InvalidOperationError", "did NOT respond with an unauthorized error"),
            401000: ("FormatError", "appropriately formatted authentication blob"),
        }[code]
        error = refusal(name, device.register, registration_id)
        expect_that(text in error.message, f"message: {error.message}")
        path = f"/{device.case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
        body = {"registrationId": registration_id, "tpm": device.keys}
        answer = raw_https.request(device.case, "PUT", path, body)
        expect(answer.status, code // 1000, "status")
        expect_error_body(answer.json, code, None)
        device.case.log.of_error(answer.json)


class Amqp:
    """AMQP: the mechanism TPM of SASL. SASL has no words, so a refusal is told at OPEN."""

    by_hand = ("proton",)

    def __init__(self, transport, protocol, websocket):
        self.transport, self.protocol, self.websocket = transport, protocol, websocket

    def expect_refused(self, device, registration_id, code):
        """The SDK leaves its user waiting for ever; on the wire OPEN's answer and CLOSE say why."""
        error = refusal("Error", device.register, registration_id)
        expect(error.message, "silence: the connection ended before the challenge", "message")
        with self.stream(device.case) as stream:
            frames = Frames(stream)
            frames.header(SASL_HEADER)
            frames.of(SASL_MECHANISMS, "the offer")
            endorsement_key, storage_root_key = map(base64.b64decode, device.keys.values())
            names = f"\0{device.case.id_scope}\0{registration_id}\0".encode()
            stream.send(choosing("TPM", names + endorsement_key))
            (challenge,) = frames.of(SASL_CHALLENGE, "the challenge before the storage root key")
            expect(bytes(challenge), b"\0", "the challenge before the storage root key")
            stream.send(responding(b"\0" + storage_root_key))
            expect(int(frames.of(SASL_OUTCOME, "the outcome")[0]), SASL_OK, "outcome")
            frames.header(AMQP_HEADER)
            stream.send(opening())
            expect_that(OPEN_ERROR in str(frames.of(OPEN, "OPEN")), "the error is in OPEN's properties")
            condition, description = frames.closed("a TPM that is not challenged")
            expect(condition, {404201: "amqp:not-found", 401000: "amqp:unauthorized-access"}[code], "condition")
            body = json.loads(description)
            expect_error_body(body, code, None)
            device.case.log.of_error(body)

    def stream(self, case):
        """A stream to where this transport goes."""
        return WebSocket(case, "AMQPWSB10") if self.websocket else TlsStream(case, case.amqp_port)


WAYS = (Http(), Amqp("amqp", "Amqp", websocket=False), Amqp("amqp-ws", "AmqpWs", websocket=True))


def tpm_case(name, by_hand=False):
    """Declares the function once for each way; `by_hand` if it also looks at a refusal on the wire."""

    def declare(function):
        for way in WAYS:
            needs = ("swtpm", *(way.by_hand if by_hand else ()))
            SUITE.add(f"tpm/node-{way.transport}/{name}", lambda case, way=way: function(case, way), needs=needs)
        return function

    return declare


def expect_assigned(case, result, registration_id):
    """The device is on one of the hubs; gives its state."""
    state = result.get("registrationState", result)
    expect((result["status"], state["deviceId"]), ("assigned", registration_id), "status and deviceId")
    expect_that(case.muster is None or state["assignedHub"] in HUBS, f"assignedHub: {state}")
    return state


def expect_logged(case, way, registration_id, *wanted):
    """The log's lines of a device's register requests: each one's result, or the code of a refusal. Gives the last."""
    rows = [row["properties"] for row in case.log.of_device(registration_id, least=len(wanted))]
    expect({row["protocol"] for row in rows}, {way.protocol}, "protocol in the log")
    outcomes = [row["outcome"].get("code") or row["outcome"]["result"] for row in rows]
    expect(outcomes, list(wanted), "outcomes in the log")
    return rows[-1]


@tpm_case("assigned-and-on-its-hub")
def assigned(case, way):
    """Challenged, assigned, on its hub with the key that came wrapped for the chip; and all that again."""
    device, registration_id = Device(case, way.transport), case.name("tpm")
    answer = device.enroll(registration_id)
    shown = answer["attestation"]["tpm"]["endorsementKey"]
    expect(shown, device.endorsement_key, "endorsementKey of the enrollment")
    first = expect_assigned(case, device.register(registration_id), registration_id)
    device.greet(first)
    again = expect_assigned(case, device.register(registration_id), registration_id)
    expect(again["assignedHub"], first["assignedHub"], "assignedHub of the second registration")
    device.greet(again)
    row = expect_logged(case, way, registration_id, *("challenged", "success") * 2)
    expect(row["mechanism"], "tpm", "mechanism in the log")


@tpm_case("registration-id-made-of-the-key")
def default_registration_id(case, way):
    """Without a registration id the SDK makes one of the endorsement key."""
    device = Device(case, way.transport)
    device.enroll(device.default_id)
    expect_assigned(case, device.register(None), device.default_id)


@tpm_case("unknown-is-not-found", by_hand=True)
def unknown(case, way):
    """A device that nobody enrolled is no device of this service: 404 to the operator, and no challenge."""
    device, registration_id = Device(case, way.transport), case.name("tpm")
    way.expect_refused(device, registration_id, 404201)
    expect_logged(case, way, registration_id, 404201, 404201)


@tpm_case("another-key-is-refused", by_hand=True)
def another_key(case, way):
    """Another chip under an enrolled id gets no challenge; the right chip gets in."""
    device, stranger = Device(case, way.transport), Device(case, way.transport)
    registration_id = case.name("tpm")
    if device.endorsement_key == stranger.endorsement_key:
        raise Unexpected("two chips have one endorsement key")
    device.enroll(registration_id)
    way.expect_refused(stranger, registration_id, 401000)
    row = expect_logged(case, way, registration_id, 401000, 401000)
    expect(row["reason"], "EK_CHANGED", "reason in the log")
    expect_assigned(case, device.register(registration_id), registration_id)


@tpm_case("disabled-says-so")
def disabled(case, way):
    """A disabled enrollment is challenged like any other, and then answers with its status."""
    device, registration_id = Device(case, way.transport), case.name("tpm")
    device.enroll(registration_id, provisioningStatus="disabled")
    error = refusal("SyntaxError", device.register, registration_id)
    expect(error.message, "status is disabled", "message")
    expect(error.result["registrationState"]["status"], "disabled", "status of the state")
    expect_logged(case, way, registration_id, "challenged", "success")
