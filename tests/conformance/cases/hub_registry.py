"""What DPS writes on the hub, and the hub's registry, as `azure-iothub` sees them."""

from cases import SUITE
from cases.provisioning_matrix import (
    SymmetricGroup,
    SymmetricIndividual,
    X509Group,
    X509Individual,
)
from harness import sas
from harness.device_sdks import NodeHttp
from harness.errors import expect, expect_that, refusal

HUB = "hub-b.test"
STATIC = {"allocationPolicy": "static", "iotHubs": [HUB]}


def identity_after(case, kind, slot="primary", **fields):
    """Provisions a device with one of its credentials; returns (what the hub has, enrolled)."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id, **STATIC, **fields)
    result = NodeHttp().register(case, registration_id, getattr(enrolled, slot))
    expect(result["assignedHub"], HUB, "assignedHub")
    case.at_end(case.registry, HUB, "delete", result["deviceId"])
    device = case.registry(HUB, "get", result["deviceId"])
    expect((device["deviceId"], device["status"]), (registration_id, "enabled"), "deviceId and status")
    return device, enrolled


@SUITE.case("registry/dps-writes-the-enrollment-keys", own_server=True)
def enrollment_keys(case):
    """A symmetric-key device has the enrollment's own keys at the hub."""
    device, enrolled = identity_after(case, SymmetricIndividual())
    expect(device["authentication"]["type"], "sas", "authentication.type")
    keys = {"primaryKey": enrolled.primary.value, "secondaryKey": enrolled.secondary.value}
    expect(device["authentication"]["symmetricKey"], keys, "authentication.symmetricKey")


@SUITE.case("registry/dps-writes-the-derived-keys", own_server=True)
def derived_keys(case):
    """A device of a group has the keys derived for it, both, whichever it registered with."""
    for slot in ("primary", "secondary"):
        device, enrolled = identity_after(case, SymmetricGroup(), slot)
        expect(device["authentication"]["type"], "sas", "authentication.type")
        keys = {"primaryKey": enrolled.primary.value, "secondaryKey": enrolled.secondary.value}
        expect(device["authentication"]["symmetricKey"], keys, f"symmetricKey after the {slot}")


@SUITE.case("registry/dps-writes-the-leaf-thumbprint", own_server=True)
def leaf_thumbprint(case):
    """An X.509 device is `selfSigned` with the SHA-256 of the leaf that it presented."""
    kinds = (X509Individual("x509-individual", signed_by_ca=True), X509Group("x509-group", "root"))
    for kind in kinds:
        for slot in ("primary", "secondary"):
            device, enrolled = identity_after(case, kind, slot)
            expect(device["authentication"]["type"], "selfSigned", "authentication.type")
            presented = getattr(enrolled, slot).identity.sha256_thumbprint
            thumbprints = device["authentication"]["x509Thumbprint"]
            expect(thumbprints["primaryThumbprint"], presented, f"primaryThumbprint after the {slot}")


@SUITE.case("registry/dps-writes-the-initial-twin-once", own_server=True)
def initial_twin_once(case):
    """Tags and desired properties are set at the first assignment, and not again."""
    twin = {"tags": {"site": "north"}, "properties": {"desired": {"interval": 15}}}
    device, enrolled = identity_after(case, SymmetricIndividual(), initialTwin=twin)
    device_id = device["deviceId"]
    first = case.registry(HUB, "getTwin", device_id)
    expect(first["tags"], {"site": "north"}, "tags")
    expect(first["properties"]["desired"]["interval"], 15, "desired.interval")
    change = {"tags": {"site": "south"}, "properties": {"desired": {"interval": 20}}}
    case.registry(HUB, "updateTwin", device_id, change, first["etag"])
    NodeHttp().register(case, device_id, enrolled.primary)
    again = case.registry(HUB, "getTwin", device_id)
    expect(again["tags"], {"site": "south"}, "tags after registering again")
    expect(again["properties"]["desired"]["interval"], 20, "desired.interval after registering again")


@SUITE.case("registry/dps-writes-edge-capability", own_server=True)
def edge_capability(case):
    """`capabilities.iotEdge` of the enrollment becomes the device's."""
    device, _ = identity_after(case, SymmetricIndividual(), capabilities={"iotEdge": True})
    expect(device["capabilities"]["iotEdge"], True, "capabilities.iotEdge")


@SUITE.case("registry/life-of-a-device", own_server=True)
def life_of_a_device(case):
    """Create, get, list, update, delete, through the SDK's own forms of them."""
    device_id = case.name("made")
    made = case.registry(HUB, "create", {"deviceId": device_id})
    case.at_end(case.registry, HUB, "delete", device_id)
    expect(made["deviceId"], device_id, "deviceId")
    keys = made["authentication"]["symmetricKey"]
    expect_that(keys["primaryKey"] and keys["secondaryKey"], "the hub generates empty keys")
    expect_that(keys["primaryKey"] != keys["secondaryKey"], "the generated keys differ")
    expect((made["status"], made["connectionState"]), ("enabled", "Disconnected"), "status and connection")
    expect(case.registry(HUB, "get", device_id)["etag"], made["etag"], "etag of get")

    listed = case.registry(HUB, "list")
    expect_that(device_id in [device["deviceId"] for device in listed], "the list has the device")
    refusal("DeviceAlreadyExistsError", case.registry, HUB, "create", {"deviceId": device_id})

    change = {**made, "status": "disabled", "statusReason": "for a test"}
    updated = case.registry(HUB, "update", change)
    expect((updated["status"], updated["statusReason"]), ("disabled", "for a test"), "after the update")
    expect(updated["authentication"]["symmetricKey"], keys, "keys after the update")
    expect_that(updated["etag"] != made["etag"], "the etag changes with an update")

    case.registry(HUB, "delete", device_id)
    error = refusal("DeviceNotFoundError", case.registry, HUB, "get", device_id)
    expect(error.status, 404, "HTTP status")


@SUITE.case("registry/x509-device", own_server=True)
def x509_device(case):
    """A device made with thumbprints."""
    device_id = case.name("made")
    thumbprints = {"primaryThumbprint": "A" * 64, "secondaryThumbprint": "B" * 64}
    authentication = {"x509Thumbprint": thumbprints}
    case.registry(HUB, "create", {"deviceId": device_id, "authentication": authentication})
    case.at_end(case.registry, HUB, "delete", device_id)
    made = case.registry(HUB, "get", device_id)["authentication"]
    expect(made["type"], "selfSigned", "authentication.type")
    expect(made["x509Thumbprint"], thumbprints, "x509Thumbprint")


@SUITE.case("registry/twin-by-etag", own_server=True)
def twin_by_etag(case):
    """A twin changes only under the etag that one has seen, or under `*`."""
    device_id = case.name("made")
    case.registry(HUB, "create", {"deviceId": device_id})
    case.at_end(case.registry, HUB, "delete", device_id)
    twin = case.registry(HUB, "getTwin", device_id)
    expect((twin["deviceId"], twin["tags"]), (device_id, {}), "a fresh twin")
    patch = {"tags": {"a": {"b": 1, "c": 2}}, "properties": {"desired": {"x": 1}}}
    updated = case.registry(HUB, "updateTwin", device_id, patch, twin["etag"])
    expect(updated["tags"], {"a": {"b": 1, "c": 2}}, "tags")
    version = updated["properties"]["desired"]["$version"]
    refusal("InvalidEtagError", case.registry, HUB, "updateTwin", device_id, patch, "AAAAAAAAAAA=")
    patch = {"tags": {"a": {"b": None}}, "properties": {"desired": {"x": 2}}}
    updated = case.registry(HUB, "updateTwin", device_id, patch, "*")
    expect(updated["tags"], {"a": {"c": 2}}, "tags after a null")
    expect(updated["properties"]["desired"]["x"], 2, "desired.x")
    expect(updated["properties"]["desired"]["$version"], version + 1, "desired.$version")
    expect_that("$metadata" in updated["properties"]["desired"], "desired.$metadata is there")


@SUITE.case("registry/wrong-service-key", own_server=True)
def wrong_service_key(case):
    """A policy's name with another key."""
    fields = sas.parse(case.hub_connection_string(HUB))
    text = f"HostName={HUB};SharedAccessKeyName={fields['SharedAccessKeyName']};SharedAccessKey={sas.new_key()}"
    call = {"connectionString": text, "method": "list", "parameters": []}
    error = refusal("UnauthorizedError", case.node.call, "registry", **call)
    expect(error.status, 401, "HTTP status")


@SUITE.case("registry/bulk", own_server=True)
def bulk(case):
    """Several devices at once."""
    names = [case.name("bulk") for _ in range(3)]
    devices = [{"deviceId": name, "authentication": {"type": "sas"}} for name in names]
    answer = case.registry(HUB, "addDevices", devices)
    expect((answer["isSuccessful"], answer["errors"]), (True, []), "addDevices")
    answer = case.registry(HUB, "removeDevices", [{"deviceId": name} for name in names], True)
    expect(answer["isSuccessful"], True, "removeDevices")


@SUITE.case("registry/query", own_server=True)
def query(case):
    """The registry's query language: all devices."""
    device_id = case.name("made")
    case.registry(HUB, "create", {"deviceId": device_id})
    case.at_end(case.registry, HUB, "delete", device_id)
    text = case.hub_connection_string(HUB)
    devices = case.node.call("registryQuery", connectionString=text, query="SELECT * FROM devices")
    expect_that(device_id in [device["deviceId"] for device in devices], "the query finds the device")
