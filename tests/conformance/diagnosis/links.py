"""Links to hubs that do not work: rows 19 and 36 to 40."""

import json
import subprocess
import urllib.request
from pathlib import Path

from azure.core.exceptions import HttpResponseError

from cases.control_plane import GROUP, Service, link
from cases.production import Production
from cases.provisioning_matrix import SymmetricIndividual
from diagnosis.scenario import assignment, expect_cause, scenario
from harness import sas
from harness.credentials import Key, symmetric_key
from harness.device_sdks import NodeHttp, PythonMqtt
from harness.dns import NoSuchName
from harness.errors import Unexpected, expect, expect_that, refusal
from harness.useless import ForeignTls
from harness.node_sdk import Node
from harness.sandbox import HUBS, STALE
from harness.world import Case, World


def production(case, place, links):
    """A production server with those links, and the case as it is there."""
    host, address = place
    server = Production(case, host, address, links, probe="1s").start()
    folder, keys = server.folder, server.keys()
    env = {
        "MUSTER_DEVICE_HOST": host,
        "MUSTER_ID_SCOPE": keys["MUSTER_ID_SCOPE"],
        "MUSTER_HTTPS_PORT": "443",
        "MUSTER_MQTT_PORT": "8883",
        "MUSTER_AMQP_PORT": "5671",
        "MUSTER_CA_FILE": str(folder / "root.pem"),
        "MUSTER_SERVICE_CONNECTION_STRING": keys["MUSTER_SERVICE_CONNECTION_STRING"],
        "MUSTER_HUB_HOST": case.first_hub,
        "MUSTER_HUB_CONNECTION_STRING": case.env["MUSTER_HUB_CONNECTION_STRING"],
    }
    node = Node(case.node.modules, env["MUSTER_CA_FILE"], folder / "node.log")
    case.at_end(node.close)
    own = Case(World(env, node, folder, folder / "data", case.muster))
    case.at_end(own.__exit__)
    return server, own


def probed(case, address, hub):
    """What the probe of that link told, in the log and in /health, before any device came."""
    row = case.log.of_link(hub)
    expect(row["properties"]["news"], "Down", "news of the link")
    with urllib.request.urlopen(f"http://{address}:8080/health", timeout=10) as answer:
        links = {one["hub"]: one for one in json.load(answer)["linkedHubs"]}
    expect(links[hub]["up"], False, f"/health: {links[hub]}")
    return row


def provisioned_in_vain(case, registration_id, hub, code, *named):
    """The hub of the enrollment does not do what it is asked; gives what the device was told and the cause."""
    enrolled = SymmetricIndividual().enroll(case, registration_id, allocationPolicy="static", iotHubs=[hub])
    error = refusal(None, NodeHttp().register, case, registration_id, enrolled.primary)
    state = error.result["registrationState"]
    expect((error.result["status"], state["status"]), ("failed", "failed"), "status")
    expect_that(code not in json.dumps(error.result), "the cause is not told to the device")
    row = assignment(case, registration_id)
    expect_that(row["properties"]["outcome"]["code"] == state["errorCode"], "the log has the code that was told")
    cause = expect_cause(row, code, hub, *named)
    expect_that(cause["sentence"].startswith("attestation passed"), cause["sentence"])
    return state, row


def string(hub, policy="iothubowner", key=None):
    """A connection string."""
    return f"HostName={hub};SharedAccessKeyName={policy};SharedAccessKey={key or sas.new_key()}"


@scenario("stale-key-of-a-link", 19, 36, own_server=True, needs=("openssl",))
def stale_key(case):
    """The hub's key was rolled: the probe tells it before a device does, and every device fails until it is mended."""
    hub = HUBS[0]
    server, own = production(case, STALE["key"], [string(hub)])
    row = probed(own, STALE["key"][1], hub)
    expect_cause(row, "HUB_LINK_UNAUTHORIZED", hub)
    registration_id = own.name()
    state, _ = provisioned_in_vain(own, registration_id, hub, "HUB_LINK_UNAUTHORIZED")
    expect_that("IotHubUnauthorizedAccess" in state["errorMessage"], f"the hub's words are handed on: {state}")
    error = refusal(None, PythonMqtt().register, own, registration_id, own_key(own, registration_id))
    expect_that("failed registration status" in error.cause, f"what the Python client says: {error}")
    expect(server.stop(), 0, "exit status")
    server.link([case.hub_connection_string(hub)])
    server.start()
    result = PythonMqtt().register(own, registration_id, own_key(own, registration_id))
    case.at_end(case.registry, hub, "delete", registration_id)
    expect((result["status"], result["assignedHub"]), ("assigned", hub), "once the link is mended")


def own_key(case, registration_id):
    """The primary key that the service made or was given."""
    keys = case.service("getIndividualEnrollmentAttestationMechanism", registration_id)
    return Key(keys["symmetricKey"]["primaryKey"])


@scenario("policy-and-suffix-of-a-link", 37, own_server=True, full=True, needs=("openssl",))
def policy_and_suffix(case):
    """Another policy than the hub's owner, and the name of another cloud."""
    hub, elsewhere = HUBS[1], "hub-a.azure-devices.gone.test"
    NoSuchName.answer()
    _, own = production(case, STALE["policy"], [string(hub, policy="service"), string(elsewhere)])
    expect_cause(probed(own, STALE["policy"][1], hub), "HUB_LINK_UNAUTHORIZED", hub)
    expect_cause(probed(own, STALE["policy"][1], elsewhere), "HUB_NOT_FOUND", elsewhere)
    state, row = provisioned_in_vain(own, own.name(), hub, "HUB_LINK_UNAUTHORIZED")
    expect(row["properties"]["hubAnswer"]["status"], 401, "the hub's status")
    expect_that("RegistryReadWrite" in str(row["properties"]["causes"][0]["fix"]), "the rights that it takes are told")
    state, _ = provisioned_in_vain(own, own.name(), elsewhere, "HUB_NOT_FOUND", "does not resolve")
    expect((state["errorCode"], state["errorMessage"]), (401001, "iothub not found"), "Azure's words")


@scenario("hub-that-cannot-be-reached", 40, own_server=True, full=True)
def hub_unreachable(case):
    """No name, no listener, a certificate of a foreign CA: each is told as its stage."""
    foreign = ForeignTls(case)
    links = {
        "DNS": "hub.nowhere.test",
        "TCP": f"127.0.0.1:{case.port()}",
        "TLS": f"localhost:{foreign.port}",
    }
    made = Service(case, "linked-one", iotHubs=[written(string(host)) for host in links.values()])
    service = made.service()
    for stage, host in links.items():
        hub, registration_id, key = host.partition(":")[0], case.name(), sas.new_key()
        attestation = symmetric_key(key, sas.new_key())
        enrollment = {"registrationId": registration_id, "attestation": attestation, "allocationPolicy": "static"}
        service.enrollment.create_or_update(registration_id, {**enrollment, "iotHubs": [hub]})
        error = refusal(None, made.provision, registration_id, key=key)
        expect_that("failed registration status" in error.cause, f"{stage}: {error}")
        row = assignment(case, registration_id)
        expect_cause(row, "HUB_UNREACHABLE", hub, f"{stage}:")
        expect(row["properties"]["hubAnswer"]["stage"], stage, "stage of the hub's answer")
        told = row["properties"]["outcome"]
        expect((told["code"], told["message"]), (500101, "An error occurred while sending the request."), stage)


def written(text):
    """A link as an operator writes it."""
    return {"connectionString": text, "location": "westus"}


def refused_link(case, call, code, *named):
    """The control plane refuses a link, and the log says why."""
    try:
        call()
    except HttpResponseError as error:
        expect(error.status_code, 400, f"status of {error.message}")
        for text in named:
            expect_that(text in error.message, f"{text!r} is not in {error.message!r}")
        tracking_id = error.response.headers["x-ms-request-id"]
        expect_cause(case.log.of_error({"trackingId": tracking_id}), code, *named)
        return
    raise Unexpected("the link was taken")


@scenario("link-that-is-wrong-from-the-start", 38, own_server=True)
def wrong_from_the_start(case):
    """A hub that refuses the key of a new link: told when it is applied, and the links stay as they were."""
    hub = case.first_hub
    made = Service(case, "linked-two", iotHubs=[link(case)])
    before = made.client.iot_dps_resource.get("linked-two", GROUP).as_dict()["properties"]["iotHubs"]
    wrong = written(string(HUBS[1]))
    named = ("properties.iotHubs[1].connectionString", HUBS[1])
    refused_link(case, lambda: made.put(iotHubs=[link(case), wrong]), "HUB_LINK_UNAUTHORIZED", *named)
    stale = written(string(hub))
    named = ("properties.iotHubs[0].connectionString", hub)
    refused_link(case, lambda: made.put(iotHubs=[stale]), "HUB_LINK_UNAUTHORIZED", *named)
    broken = written(f"HostName={hub};SharedAccessKey=AQID")
    named = ("properties.iotHubs[0].connectionString", "SharedAccessKeyName")
    refused_link(case, lambda: made.put(iotHubs=[broken]), "ARGUMENT_INVALID", *named)
    after = made.client.iot_dps_resource.get("linked-two", GROUP).as_dict()["properties"]["iotHubs"]
    expect(after, before, "the links, untouched")
    # Who has a hub that is not there yet may link it; the probe tells at once that it is not.
    NoSuchName.answer()
    absent = "hub.later.gone.test"
    made.put(iotHubs=[link(case), written(string(absent))])
    expect_cause(case.log.of_link(absent), "HUB_NOT_FOUND", absent, "does not resolve")


@scenario("hub-that-is-linked-twice", 39, own_server=True)
def linked_twice(case):
    """The same link again changes nothing; twice in one list is refused in Azure's words; the command line names it."""
    made = Service(case, "linked-three", iotHubs=[link(case, weight=5)])
    hub = case.first_hub
    shown = made.put(iotHubs=[link(case, weight=5)])["properties"]["iotHubs"]
    expect([(one["name"], one["allocationWeight"]) for one in shown], [(hub, 5)], "links after the same PUT")
    twice = [link(case), {**link(case), "allocationWeight": 9}]
    refused_link(case, lambda: made.put(iotHubs=twice), "ARGUMENT_INVALID", "IH400303", hub)
    file = case.scratch() / "hub"
    file.write_text(case.hub_connection_string(hub), encoding="ascii")
    command = [case.muster, "linked-hub", "create", "--data-dir", Path(case.ca_file).parent]
    ended = subprocess.run(
        [*command, "--connection-string", f"@{file}"], capture_output=True, text=True, timeout=60, check=False
    )
    expect(ended.returncode, 4, f"exit status: {ended.stderr}")
    expect_that(f"{hub} is linked already" in ended.stderr, ended.stderr)
