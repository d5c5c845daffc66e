"""What a device did not do, and at which step it went wrong: rows 53, 54, 60, 61, 68 and 69."""

import json

from azure.iot.device import IoTHubModuleClient

from cases.allocation import report
from cases.provisioning_matrix import SymmetricIndividual
from cases.tpm import Device
from diagnosis.own_server import hubs_of, later, own_server, timeline
from diagnosis.scenario import expect_cause, scenario
from harness import python_sdk, sas
from harness.credentials import Key, symmetric_key
from harness.device_sdks import NodeAmqp, NodeHttp, PythonMqtt
from harness.errors import expect, expect_that, refusal
from harness.paho import Paho
from harness.raw_https import HttpDevice, request
from harness.raw_mqtt import REGISTER, RESPONSES, username
from harness.webhook import Webhook


def gaps(told):
    """What is missing in a timeline, by the codes of the catalogue."""
    return [gap["cause"] for gap in told["gaps"]]


def titles(told, *kinds):
    """The titles of its entries of those kinds, in order."""
    return [entry["title"] for entry in told["entries"] if entry["kind"] in kinds]


def expect_gap(told, code, *named):
    """That is missing: named in the list of gaps, and as a cause with its fix where it belongs in the story."""
    expect_that(code in gaps(told), f"{code} is no gap of {gaps(told)}")
    causes = [cause for entry in told["entries"] if entry["result"] == "gap" for cause in entry["causes"]]
    (cause,) = [cause for cause in causes if cause["code"] == code]
    for text in named:
        expect_that(text in cause["sentence"], f"{code}: {text!r} is not in {cause['sentence']!r}")
    expect_that(cause["fix"] and cause["docs"].endswith(code.lower()), f"fix and page of {cause}")


def registers_and_goes(case, registration_id, key):
    """A client over MQTT that takes the 202 for the end."""
    with Paho(case, registration_id) as client:
        user = username(case.id_scope, registration_id)
        code, _ = client.connect(user, sas.device_token(case.id_scope, registration_id, key))
        expect(code, 0, "CONNACK")
        client.subscribe(RESPONSES)
        client.client.publish(f"{REGISTER}7", json.dumps({"registrationId": registration_id}), qos=1)
        client.next("published")
        topic, message = client.next("message")
        expect_that("/202/" in topic, topic)
        expect_that(json.loads(message.payload)["operationId"], "the operation's id was told")


@scenario("registered-never-polled", 53, own_server=True)
def never_polled(case):
    """Clients, over MQTT and over HTTPS, that never ask for the outcome."""
    own = own_server(case, "unpolled")
    over_mqtt, over_https = own.name("mqtt"), own.name("https")
    key = sas.new_key()
    for registration_id in (over_mqtt, over_https):
        own.enroll(registration_id, symmetric_key(key, sas.new_key()))
    registers_and_goes(own, over_mqtt, key)
    expect(HttpDevice(own, over_https, key).register().status, 202, "status")
    for registration_id in (over_mqtt, over_https):
        expect(gaps(timeline(own, registration_id, "assigned")), [], "nobody is missed at once")
    later(own)
    for registration_id in (over_mqtt, over_https):
        told = timeline(own, registration_id, "neverPolled")
        expect(gaps(told), ["NEVER_POLLED", "NEVER_SEEN_ON_HUB"], "gaps")
        expect_gap(told, "NEVER_POLLED", registration_id)


@scenario("challenge-never-answered", 60, own_server=True, full=True, needs=("swtpm",))
def challenge_never_answered(case):
    """A TPM is challenged, and nothing more comes of it."""
    own = own_server(case, "unanswered")
    device, registration_id = Device(own, "http"), own.name("tpm")
    device.enroll(registration_id)
    path = f"/{own.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
    answer = request(own, "PUT", path, {"registrationId": registration_id, "tpm": device.keys})
    expect(answer.status, 401, "status of the challenge")
    expect_that(answer.json["authenticationKey"], "the challenge")
    expect(gaps(timeline(own, registration_id, "attestation")), [], "there is time for the answer")
    later(own)
    told = timeline(own, registration_id, "challengeNotAnswered")
    expect(gaps(told), ["CHALLENGE_NEVER_ANSWERED"], "gaps")
    expect_gap(told, "CHALLENGE_NEVER_ANSWERED", registration_id)
    # What was missing stays in the story; once the device is there it is no gap any more.
    expect(device.register(registration_id)["status"], "assigned", "the SDK's own attempt")
    missing = gaps(timeline(own, registration_id, "assigned"))
    expect_that("CHALLENGE_NEVER_ANSWERED" not in missing, f"it is made up for: {missing}")


@scenario("moved-and-never-seen-again", 68, own_server=True, full=True)
def moved_and_never_seen(case):
    """A device is moved with its twin; the former hub has it no more, and the new one never sees it."""
    own = own_server(case, "moved", hubs=2)
    first, second = hubs_of("moved")
    registration_id = own.name()
    fields = {"allocationPolicy": "static", "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": True}}
    enrolled = SymmetricIndividual().enroll(own, registration_id, **fields, iotHubs=[first])
    NodeHttp().register(own, registration_id, enrolled.primary)
    report(own, first, registration_id, enrolled.primary, {"firmware": "1.2"})
    enrollment = own.service("getIndividualEnrollment", registration_id)
    own.service("createOrUpdateIndividualEnrollment", {**enrollment, "iotHubs": [second]})
    result = NodeHttp().register(own, registration_id, enrolled.primary)
    expect((result["assignedHub"], result["substatus"]), (second, "deviceDataMigrated"), "assignment")
    later(own)
    told = timeline(own, registration_id, "reprovisioned", "neverOnHub")
    steps = titles(told, "hubWrite")[-3:]
    read, put, removed = f"Twin of {registration_id} read", f"Identity {registration_id} written at {second}", "removed"
    expect_that(all(part in step for part, step in zip((read, put, removed), steps, strict=True)), f"steps {steps}")
    details = [entry["detail"] for entry in told["entries"] if entry["kind"] == "hubWrite"][-2:]
    expect_that("carried" in details[0] and first in details[1], f"the twin went along, out of {first}: {details}")
    moved = next(entry for entry in told["entries"] if entry["kind"] == "reprovisioned")
    expect([cause["code"] for cause in moved["causes"]], ["REPROVISIONED"], "causes of the move")
    expect_gap(told, "NEVER_SEEN_ON_HUB", second, registration_id)
    expect_that("NEVER_POLLED" not in gaps(told), f"it polled: {gaps(told)}")


@scenario("refused-then-mended-and-not-retried", 69, own_server=True, full=True)
def not_retried(case):
    """Refused once; what was wrong is mended, and the device keeps the refusal."""
    own = own_server(case, "unretried")
    registration_id, key = own.name(), sas.new_key()
    error = refusal(None, NodeHttp().register, own, registration_id, Key(key))
    NodeHttp().expect_refused(error, 401000, ("Unauthorized",))
    own.enroll(registration_id, symmetric_key(key, sas.new_key()))
    later(own)
    told = timeline(own, registration_id, "notRetried")
    expect(gaps(told), ["NOT_RETRIED_SINCE"], "gaps")
    expect_gap(told, "NOT_RETRIED_SINCE", registration_id)
    # Whoever restarts the device is right.
    expect(NodeHttp().register(own, registration_id, Key(key))["status"], "assigned", "the device's next attempt")
    expect_that("NOT_RETRIED_SINCE" not in gaps(timeline(own, registration_id, "assigned")), "it is made up for")


@scenario("which-step-failed", 61)
def which_step_failed(case):
    """The steps of a registration in order, each with its outcome, up to the one that failed."""
    webhook = Webhook(case, lambda _: (404, b""))
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id, **webhook.fields())
    refusal(None, NodeAmqp().register, case, registration_id, enrolled.primary)
    told = timeline(case, registration_id, "assignmentFailed", "polls")
    # The answer to the device is given as soon as it can be, be it before or after the webhook's.
    steps = {"connection": "info", "match": "ok", "attestation": "ok", "allocation": "ok", "webhook": "failed"}
    seen = {entry["kind"]: entry["result"] for entry in told["entries"] if entry["kind"] in steps}
    expect(list(seen.items()), list(steps.items()), "the steps in order, and their outcomes")
    expect(titles(told, "registration"), ["Registration accepted"], "the answer to the register request")
    failed = next(entry for entry in told["entries"] if entry["kind"] == "assignmentFailed")
    expect(failed["causes"][0]["code"], "WEBHOOK_FAILED", "why the last one failed")
    asked = next(entry for entry in told["entries"] if entry["kind"] == "webhook")
    expect_that(registration_id in str(asked["data"]["last"]), "what was asked is kept")
    expect(gaps(told), [], "gaps")


def connected_module(case, hub, device_id, key):
    """The module client, as it is used on a device that has no modules."""
    text = f"HostName={hub};DeviceId={device_id};ModuleId=sensor;SharedAccessKey={key}"
    options = {"server_verification_cert": case.ca_pem, "connection_retry": False}
    client = IoTHubModuleClient.create_from_connection_string(text, **options)
    try:
        with python_sdk.raised():
            client.connect()
    finally:
        client.shutdown()


def refused_by_hub(case, registration_id, code, *named):
    """The timeline says so at once, and the log names the cause of the connection."""
    told = timeline(case, registration_id, "assigned", "hubRefusal", "refusedByHub")
    expect(gaps(told), [code], "gaps")
    last = [entry for entry in told["entries"] if entry["kind"] == "hubRefusal"][-1]
    row = next(row for row in case.log.of_hub_device(registration_id) if row["correlationId"] == last["trackingId"])
    cause = expect_cause(row, code, *named)
    expect([cause["code"] for cause in last["causes"]], [cause["code"]], "causes in the timeline")


@scenario("assigned-and-refused-as-a-module", 54)
def refused_as_a_module(case):
    """Provisioned, then the application names a module that its hub does not have."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    hub = PythonMqtt().register(case, registration_id, enrolled.primary)["assignedHub"]
    case.at_end(case.registry, hub, "delete", registration_id)
    error = refusal(None, connected_module, case, hub, registration_id, enrolled.primary.value)
    expect(error.name, "CredentialError", "what the module client says")
    refused_by_hub(case, registration_id, "HUB_REFUSED_MODULE", registration_id, "sensor", hub)


def over_mqtt(case, hub, device_id, key):
    """Connects with the Python client, and goes."""
    python_sdk.device(hub, device_id, case.ca_pem, key=key).shutdown()


def over_amqp(case, hub, device_id, key):
    """The same with the Node client, which shows its token on a link."""
    text = f"HostName={hub};DeviceId={device_id};SharedAccessKey={key}"
    handle = case.name("device")
    case.node.call("deviceOpen", handle=handle, transport="amqp", connectionString=text)
    case.node.call("deviceClose", handle=handle)


for CONNECT, SAID in ((over_mqtt, "CredentialError"), (over_amqp, "UnauthorizedError")):

    @scenario(f"assigned-and-refused-with-another-key/{CONNECT.__name__}", 54)
    def refused_with_another_key(case, connect=CONNECT, said=SAID):
        """Provisioned, then connected with a key that is not the identity's; with the right one it is in."""
        registration_id = case.name()
        enrolled = SymmetricIndividual().enroll(case, registration_id)
        hub = NodeHttp().register(case, registration_id, enrolled.primary)["assignedHub"]
        case.at_end(case.registry, hub, "delete", registration_id)
        error = refusal(None, connect, case, hub, registration_id, sas.new_key())
        expect(error.name, said, "what the device client says")
        refused_by_hub(case, registration_id, "HUB_REFUSED_DEVICE", registration_id, hub)
        connect(case, hub, registration_id, enrolled.primary.value)
        told = timeline(case, registration_id, "hubConnection")
        expect(gaps(told), [], "once it is connected nothing is missing")
        expect_that(hub in titles(told, "hubConnection")[0], "the connection names the hub")
