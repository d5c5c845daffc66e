"""After the assignment: the provisioned device at its development hub, over MQTT and AMQP.

Owns: one story told by two SDKs over four transports and two kinds of credential: connect, telemetry,
initial twin, reported properties, a desired property from the service side.
"""

import queue
import time

from azure.iot.device import MethodResponse

from cases import SUITE
from cases.provisioning_matrix import SymmetricGroup, SymmetricIndividual, X509Group, X509Individual
from harness import python_sdk, sas
from harness.credentials import Key
from harness.device_sdks import (
    NodeAmqp,
    NodeAmqpWebSocket,
    NodeMqtt,
    NodeMqttWebSocket,
    PythonMqtt,
    PythonMqttWebSocket,
)
from harness.errors import SdkError, Unexpected, expect, expect_that, refusal

HUB = "hub-a.test"
WAIT_SECONDS = 20
INITIAL_TWIN = {
    "tags": {"site": "north", "floor": 3},
    "properties": {"desired": {"interval": 15, "nested": {"on": True}}},
}
FIELDS = {"allocationPolicy": "static", "iotHubs": [HUB], "initialTwin": INITIAL_TWIN}


class PythonDevice:
    """A device of `azure-iot-device`."""

    name = "python"
    provisioning = PythonMqtt()
    websockets = False

    def __init__(self, case, hub, device_id, credential):
        proof = PythonMqtt._proof(case, credential)  # noqa: SLF001, the same proof as at DPS
        self.client = python_sdk.device(hub, device_id, case.ca_pem, websockets=self.websockets, **proof)
        case.at_end(self.client.shutdown)

    def send(self, body):
        self.client.send_message(body)

    def twin(self):
        return self.client.get_twin()

    def report(self, patch):
        self.client.patch_twin_reported_properties(patch)

    def watch_desired(self):
        # The SDK subscribes by itself when it is first asked for a patch.
        self.client.receive_twin_desired_properties_patch(block=False)

    def desired(self):
        patch = self.client.receive_twin_desired_properties_patch(timeout=WAIT_SECONDS)
        if patch is None:
            raise Unexpected(f"no desired properties after {WAIT_SECONDS} s")
        return patch

    def listen(self):
        self.messages = queue.Queue()
        self.client.on_message_received = self.messages.put

    def message(self):
        message = self.messages.get(timeout=WAIT_SECONDS)
        return message.data.decode(), dict(message.custom_properties)

    def close(self):
        self.client.shutdown()


class PythonWebSocketDevice(PythonDevice):
    """The same over WebSocket, at DPS and at the hub."""

    name = "python-mqtt-ws"
    provisioning = PythonMqttWebSocket()
    websockets = True


class NodeDevice:
    """A device of `azure-iot-device-mqtt`."""

    name = "node"
    provisioning = NodeMqtt()
    transport = "mqtt"

    def __init__(self, case, hub, device_id, credential):
        self.case, self.handle = case, case.name("handle")
        if isinstance(credential, Key):
            proof = {"connectionString": f"HostName={hub};DeviceId={device_id};SharedAccessKey={credential.value}"}
        else:
            proof = {
                "connectionString": f"HostName={hub};DeviceId={device_id};x509=true",
                "certificate": credential.pem,
                "privateKey": credential.identity.key_pem,
            }
        self._call("deviceOpen", transport=self.transport, **proof)
        case.at_end(self.close)

    def _call(self, name, **arguments):
        return self.case.node.call(name, timeout=WAIT_SECONDS + 20, handle=self.handle, **arguments)

    def send(self, body):
        self._call("deviceSend", body=body, properties={"kind": "test & more", "ü": "ö"})

    def twin(self):
        return self._call("deviceTwin")

    def report(self, patch):
        self._call("deviceReport", patch=patch)

    def watch_desired(self):
        self._call("deviceWatchDesired")

    def desired(self):
        return self._call("deviceDesired")

    def listen(self):
        self._call("deviceListen")

    def message(self):
        message = self._call("deviceMessage")
        return message["body"], message["properties"]

    def close(self):
        self._call("deviceClose")


class NodeWebSocketDevice(NodeDevice):
    """The same over WebSocket, at DPS and at the hub."""

    name = "node-mqtt-ws"
    provisioning = NodeMqttWebSocket()
    transport = "mqtt-ws"


class NodeAmqpDevice(NodeDevice):
    """A device of `azure-iot-device-amqp`: its token goes to `$cbs`."""

    name = "node-amqp"
    provisioning = NodeAmqp()
    transport = "amqp"


class NodeAmqpWebSocketDevice(NodeDevice):
    """The same over WebSocket, at DPS and at the hub."""

    name = "node-amqp-ws"
    provisioning = NodeAmqpWebSocket()
    transport = "amqp-ws"


SDKS = (
    PythonDevice,
    PythonWebSocketDevice,
    NodeDevice,
    NodeWebSocketDevice,
    NodeAmqpDevice,
    NodeAmqpWebSocketDevice,
)
KINDS = (
    SymmetricIndividual(),
    SymmetricGroup(),
    X509Individual("x509-individual", signed_by_ca=False),
    X509Group("x509-group", "intermediate"),
)


def provisioned(case, sdk, kind):
    """A device that this SDK has just provisioned: its id and credential."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id, **FIELDS)
    result = sdk.provisioning.register(case, registration_id, enrolled.primary)
    expect((result["status"], result["assignedHub"]), ("assigned", HUB), "status and assignedHub")
    case.at_end(case.registry, HUB, "delete", result["deviceId"])
    return result["deviceId"], enrolled.primary


def connect_and_work(case, sdk, kind):
    """The whole story."""
    device_id, credential = provisioned(case, sdk, kind)
    device = sdk(case, HUB, device_id, credential)
    device.send('{"temperature": 21.5}')

    twin = device.twin()
    expect(twin["desired"]["interval"], 15, "desired.interval")
    expect(twin["desired"]["nested"], {"on": True}, "desired.nested")
    expect_that("$version" in twin["desired"], f"desired.$version is missing: {twin}")
    expect_that("tags" not in twin and "site" not in str(twin), f"a device sees tags: {twin}")

    device.report({"state": "running", "counters": {"starts": 1}})
    seen = case.registry(HUB, "getTwin", device_id)
    expect(seen["properties"]["reported"]["state"], "running", "reported.state at the service")
    expect(seen["properties"]["reported"]["counters"]["starts"], 1, "reported.counters at the service")
    expect(seen["tags"], INITIAL_TWIN["tags"], "tags at the service")

    device.watch_desired()
    change = {"properties": {"desired": {"interval": 30, "nested": None}}}
    updated = case.registry(HUB, "updateTwin", device_id, change, seen["etag"])
    patch = device.desired()
    expect((patch["interval"], patch["nested"]), (30, None), "the desired patch")
    expect(patch["$version"], updated["properties"]["desired"]["$version"], "$version of the patch")

    twin = device.twin()
    expect(twin["desired"]["interval"], 30, "desired.interval afterwards")
    expect_that("nested" not in twin["desired"], f"a removed property is still there: {twin}")
    expect(twin["reported"]["state"], "running", "reported.state afterwards")
    device.close()


def wrong_credential(case, sdk, kind):
    """The hub refuses a credential that is not the device's."""
    device_id, _ = provisioned(case, sdk, kind)

    def connect(stranger):
        device = sdk(case, HUB, device_id, stranger)
        # Over AMQP a certificate is judged with the first link.
        device.send("in another's name")

    error = refusal(None, connect, kind.stranger(device_id))
    if issubclass(sdk, PythonDevice):
        expect((error.name, error.message), ("CredentialError", "Credentials invalid, could not connect"), "error")
    else:
        expect(error.name, "UnauthorizedError", f"class of {error}")


def disabled_at_the_hub(case, sdk):
    """A device that the hub's owner has disabled cannot connect, whatever DPS thinks."""
    device_id, credential = provisioned(case, sdk, SymmetricIndividual())
    case.registry(HUB, "update", {**case.registry(HUB, "get", device_id), "status": "disabled"})
    error = refusal(None, sdk, case, HUB, device_id, credential)
    expect(error.name, "CredentialError" if issubclass(sdk, PythonDevice) else "UnauthorizedError", f"class of {error}")


def connection_state_is_shown(case, sdk):
    """The registry says who is connected."""
    device_id, credential = provisioned(case, sdk, SymmetricIndividual())
    expect(case.registry(HUB, "get", device_id)["connectionState"], "Disconnected", "connectionState before")
    device = sdk(case, HUB, device_id, credential)
    expect(case.registry(HUB, "get", device_id)["connectionState"], "Connected", "connectionState during")
    device.close()
    deadline = time.monotonic() + WAIT_SECONDS
    while case.registry(HUB, "get", device_id)["connectionState"] != "Disconnected":
        expect_that(time.monotonic() < deadline, "connectionState: still Connected after the device left")
        time.sleep(0.1)


def direct_method(case, sdk):
    """The service calls a method of a connected device."""
    device_id, credential = provisioned(case, sdk, SymmetricIndividual())
    device = sdk(case, HUB, device_id, credential)
    answer_methods(device)
    answer = case.node.call(
        "serviceMethod",
        connectionString=case.hub_connection_string(HUB),
        deviceId=device_id,
        parameters={
            "methodName": "echo",
            "payload": {"a": 1},
            "responseTimeoutInSeconds": 15,
            # Over AMQP the device is ready when its links are, a moment after it asked for them.
            "connectTimeoutInSeconds": 15,
        },
    )
    expect((answer["status"], answer["payload"]), (201, {"echoed": {"a": 1}}), "answer")


def answer_methods(device):
    """Makes the device answer the method `echo` with 201 and its payload."""
    if isinstance(device, NodeDevice):
        device._call("deviceAnswerMethod", method="echo", status=201)  # noqa: SLF001
        return
    def answer(request):
        response = MethodResponse.create_from_method_request(request, 201, {"echoed": request.payload})
        device.client.send_method_response(response)

    device.client.on_method_request_received = answer


def cloud_to_device(case, sdk):
    """The service client, which speaks AMQP, sends a message to a connected device."""
    device_id, credential = provisioned(case, sdk, SymmetricIndividual())
    device = sdk(case, HUB, device_id, credential)
    device.listen()
    send = {"connectionString": case.hub_connection_string(HUB), "deviceId": device_id}
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        # Not every SDK says when it listens, and this hub keeps nothing for who does not.
        try:
            case.node.call("serviceSend", body="hello", properties={"colour": "blue"}, **send)
            break
        except SdkError as error:
            expect(error.name, "DeviceNotFoundError", f"class of {error}")
            expect_that(time.monotonic() < deadline, f"the device does not listen: {error}")
    expect(device.message(), ("hello", {"colour": "blue"}), "message and properties")


def declare(name, function, *arguments):
    """One case of this module; all need the second hub names of a server of this run."""
    SUITE.add(f"hub/{name}", lambda case: function(case, *arguments), own_server=True)


for _sdk in SDKS:
    for _kind in KINDS:
        declare(f"connect-and-work/{_sdk.name}/{_kind.name}", connect_and_work, _sdk, _kind)
    declare(f"wrong-credential/{_sdk.name}/symmetric-individual", wrong_credential, _sdk, KINDS[0])
    declare(f"wrong-credential/{_sdk.name}/x509-individual", wrong_credential, _sdk, KINDS[2])
    declare(f"disabled/{_sdk.name}", disabled_at_the_hub, _sdk)
    declare(f"connection-state/{_sdk.name}", connection_state_is_shown, _sdk)
    declare(f"direct-method/{_sdk.name}", direct_method, _sdk)
    declare(f"cloud-to-device/{_sdk.name}", cloud_to_device, _sdk)


@SUITE.case("hub/keys-of-dps-are-not-keys-of-another-hub", own_server=True)
def not_on_the_other_hub(case):
    """The device exists on its own hub alone."""
    device_id, credential = provisioned(case, PythonDevice, SymmetricIndividual())
    error = refusal(None, PythonDevice, case, "hub-b.test", device_id, credential)
    expect(error.name, "CredentialError", f"class of {error}")
    refusal("DeviceNotFoundError", case.registry, "hub-b.test", "get", device_id)


@SUITE.case("hub/device-made-by-hand", own_server=True)
def device_made_by_hand(case):
    """A device that DPS never saw connects too: the hub is a hub."""
    device_id = case.name("byhand")
    made = case.registry(HUB, "create", {"deviceId": device_id})
    case.at_end(case.registry, HUB, "delete", device_id)
    for slot in ("primaryKey", "secondaryKey"):
        device = PythonDevice(case, HUB, device_id, Key(made["authentication"]["symmetricKey"][slot]))
        device.send("hello")
        device.close()
    error = refusal(None, PythonDevice, case, HUB, device_id, Key(sas.new_key()))
    expect(error.name, "CredentialError", f"class of {error}")
