"""The device provisioning SDKs under one face: register, and what a refusal looks like in each.

Owns: the exact texts and codes that a user of each SDK sees. A new SDK is a new class here.
"""

import json
import re

from harness import python_sdk
from harness.credentials import Key
from harness.errors import expect, expect_member, expect_that

GUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$")

SYMMETRIC_KEY_REFUSED = (401000, ("Unauthorized",))
X509_REFUSED = (
    401002,
    tuple(
        text + dot
        for text in (
            "Unauthorized",
            "Invalid certificate",
            "CA certificate not found",
            "Signing certificate info did not match chain elements",
        )
        for dot in ("", ".")
    ),
)


class PythonMqtt:
    """azure-iot-device, the synchronous client."""

    name = "python-mqtt"
    function = staticmethod(python_sdk.provision)

    def register(self, case, registration_id, credential, payload=None, id_scope=None):
        """Registers; returns the result or raises `SdkError`."""
        proof = self._proof(case, credential)
        scope = id_scope or case.id_scope
        return self.function(case.host, scope, registration_id, case.ca_pem, payload=payload, **proof)

    @staticmethod
    def _proof(case, credential):
        if isinstance(credential, Key):
            return {"key": credential.value}
        return {"files": credential.files(case.scratch(), "device")}

    def expect_refused(self, error, code, _messages):
        """The service answered the register request with an error."""
        self._expect(error, f"register request returned a service error status code {code // 1000}")

    def expect_disabled(self, error, _registration_id):
        """The service said that the enrollment is disabled."""
        status = "encountered an invalid registration status disabled with a status code of 200"
        self._expect(error, f"Query Status Operation {status}")

    def expect_unknown_scope(self, error):
        """The service refused the connection: CONNACK 3."""
        expect(error.name, "ConnectionFailedError", "class")
        expect(error.message, "Could not connect to the provisioning server", "message")
        expect_that("Connection Refused: broker unavailable." in error.cause, f"cause: {error.cause}")

    @staticmethod
    def _expect(error, cause):
        expect((error.name, error.message), ("ClientError", "Unexpected failure"), "error")
        expect(error.cause, f"ServiceError: {cause}", "cause")


class PythonMqttAsync(PythonMqtt):
    """azure-iot-device, the asynchronous client: the same wire, other texts."""

    name = "python-mqtt-async"
    function = staticmethod(python_sdk.provision_async)

    def expect_unknown_scope(self, error):
        """The service refused the connection: CONNACK 3."""
        expect((error.name, error.message), ("ConnectionFailedError", "Could not connect to IoTHub"), "error")


class PythonMqttWebSocket(PythonMqtt):
    """azure-iot-device over WebSocket on port 443."""

    name = "python-mqtt-ws"

    @staticmethod
    def function(*arguments, **keywords):
        """The synchronous client with `websockets=True`."""
        return python_sdk.provision(*arguments, websockets=True, **keywords)


class NodeMqtt:
    """azure-iot-provisioning-device with the MQTT transport."""

    name = "node-mqtt"
    transport = "mqtt"

    def register(self, case, registration_id, credential, payload=None, id_scope=None):
        """Registers; returns the result or raises `SdkError`."""
        if isinstance(credential, Key):
            proof = {"key": credential.value}
        else:
            proof = {"certificate": credential.pem, "privateKey": credential.identity.key_pem}
        return case.node.call(
            "provision",
            transport=self.transport,
            host=case.host,
            idScope=id_scope or case.id_scope,
            registrationId=registration_id,
            payload=payload,
            **proof,
        )

    def expect_refused(self, error, code, messages):
        """The service answered with an error whose body the SDK hands on in `result`."""
        expect((error.name, error.message), ("UnauthorizedError", "incoming message failure"), "error")
        expect_error_body(error.result, code, messages)

    def expect_disabled(self, error, registration_id):
        """The service said that the enrollment is disabled."""
        expect((error.name, error.message), ("SyntaxError", "status is disabled"), "error")
        body = error.result
        expect((body["operationId"], body["status"]), ("", "disabled"), "operationId and status")
        state = body["registrationState"]
        expect((state["registrationId"], state["status"]), (registration_id, "disabled"), "state")

    def expect_unknown_scope(self, error):
        """The service refused the connection: CONNACK 3."""
        expect_that("Connection refused: Server unavailable" in str(error), f"error: {error}")


class NodeMqttWebSocket(NodeMqtt):
    """The same over WebSocket on port 443."""

    name = "node-mqtt-ws"
    transport = "mqtt-ws"


class NodeHttp(NodeMqtt):
    """azure-iot-provisioning-device with the HTTP transport."""

    name = "node-http"
    transport = "http"

    def expect_refused(self, error, code, messages):
        """The service answered with an error whose raw body is the SDK's message."""
        expect(error.name, "UnauthorizedError", "class")
        expect_that(error.message.startswith("Error: {"), f"message: {error.message}")
        expect_error_body(json.loads(error.message.removeprefix("Error: ")), code, messages)

    def expect_unknown_scope(self, error):
        """The service answered with an error of its own catalogue."""
        expect((error.message, error.status), ("Not found", 404), "error")
        expect_error_body(error.result, 404204, None)


class NodeAmqp(NodeMqtt):
    """azure-iot-provisioning-device with the AMQP transport."""

    name = "node-amqp"
    transport = "amqp"

    def expect_refused(self, error, code, messages):
        """The service rejected the message: the SDK hands AMQP's error on as it came."""
        expect(error.name, "amqp:unauthorized-access", "condition")
        expect_error_body(error.result, code, messages)

    def expect_unknown_scope(self, error):
        """The service refused the connection."""
        expect(error.name, "amqp:not-found", "condition")
        expect_error_body(error.result, 404204, None)


class NodeAmqpWebSocket(NodeAmqp):
    """The same over WebSocket on port 443."""

    name = "node-amqp-ws"
    transport = "amqp-ws"


def expect_error_body(body, code, messages):
    """The error JSON that every protocol carries."""
    expect_that(isinstance(body, dict), f"error body: {body!r}")
    expect_that(isinstance(body.get("errorCode"), int), f"errorCode: {body!r}")
    expect_that(isinstance(body.get("message"), str) and body["message"], f"message: {body!r}")
    expect_that(GUID.match(str(body.get("trackingId"))), f"trackingId: {body!r}")
    expect_that(TIMESTAMP.match(str(body.get("timestampUtc"))), f"timestampUtc: {body!r}")
    if code is not None:
        expect(body["errorCode"], code, "errorCode")
    if messages is not None:
        expect_member(body["message"], messages, "message")


PROVISIONING = (
    PythonMqtt(),
    PythonMqttWebSocket(),
    NodeMqtt(),
    NodeMqttWebSocket(),
    NodeHttp(),
    NodeAmqp(),
    NodeAmqpWebSocket(),
)
