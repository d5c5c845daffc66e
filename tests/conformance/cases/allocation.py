"""Which hub a device gets and what moves with it: webhooks, latencies, reprovisioning, as the SDKs see them."""

from cases import SUITE
from cases.provisioning_matrix import SymmetricGroup, SymmetricIndividual, X509Individual
from harness.device_sdks import NodeHttp, NodeMqtt, PythonMqtt
from harness.errors import Unexpected, expect, expect_that, refusal
from harness.raw_https import HttpDevice
from harness.server import FREE_PORTS
from harness.webhook import Webhook

A, B = "hub-a.test", "hub-b.test"


def to(hub, **more):
    """The answer that names a hub."""
    return lambda _asked: (200, {"iotHubHostName": hub, **more})


@SUITE.case("allocation/webhook-is-asked-and-decides", own_server=True)
def webhook_decides(case):
    """Three SDKs, three kinds of credential: the webhook hears of the device, and its answer reaches it."""
    webhook = Webhook(case, to(B, payload={"welcome": "b"}))
    for sdk, kind, member, mechanism in (
        (NodeHttp(), SymmetricIndividual(), "individualEnrollment", "symmetricKey"),
        (PythonMqtt(), SymmetricGroup(), "enrollmentGroup", "symmetricKey"),
        (NodeMqtt(), X509Individual("x509-individual", signed_by_ca=False), "individualEnrollment", "x509"),
    ):
        registration_id = case.name()
        enrolled = kind.enroll(case, registration_id, **webhook.fields())
        result = sdk.register(case, registration_id, enrolled.primary, payload={"model": 7})
        case.at_end(case.registry, B, "delete", registration_id)
        expect(result["assignedHub"], B, f"{sdk.name}: assignedHub")
        expect(result.get("payload"), {"welcome": "b"}, f"{sdk.name}: payload")
        asked = webhook.asked[-1]
        context = {"registrationId": registration_id, mechanism: {}, "payload": {"model": 7}}
        expect(asked["deviceRuntimeContext"], context, f"{sdk.name}: deviceRuntimeContext")
        expect(sorted(asked["linkedHubs"]), [A, B], f"{sdk.name}: linkedHubs")
        shown = asked[member]["customAllocationDefinition"]["webhookUrl"]
        expect(shown, webhook.url.replace("code=s3cret", "****"), f"{sdk.name}: webhookUrl")
        expect_that("s3cret" not in str(asked), "the key of the URL is not in the request")
        expect_that("primaryKey" not in str(asked), "no key of the enrollment is in the request")
        expect(webhook.paths[-1], "/api/allocate?code=s3cret", "path")


@SUITE.case("allocation/webhook-twin-is-the-first-one", own_server=True)
def webhook_twin(case):
    """The twin of the answer takes the place of the enrollment's at the first assignment alone."""
    twin = {"tags": {"by": "webhook"}, "properties": {"desired": {"n": 1}}}
    webhook = Webhook(case, to(A, initialTwin=twin))
    registration_id = case.name()
    own = {"tags": {"by": "enrollment"}}
    enrolled = SymmetricIndividual().enroll(case, registration_id, **webhook.fields(initialTwin=own))
    case.at_end(case.registry, A, "delete", registration_id)
    for _ in range(2):
        NodeHttp().register(case, registration_id, enrolled.primary)
        shown = case.registry(A, "getTwin", registration_id)
        expect(shown["tags"], {"by": "webhook"}, "tags")
        expect(shown["properties"]["desired"]["n"], 1, "desired.n")
        twin["tags"] = {"by": "too late"}


@SUITE.case("allocation/webhook-failures", own_server=True)
def webhook_failures(case):
    """Every row of what an answer means ends in `failed` with Azure's code and words."""
    status = "Custom allocation failed with status code: {}"
    rows = (
        (lambda _: (200, {}), 400208, "Custom allocation did not specify an IoT hub."),
        (lambda _: (200, {"iotHubHostName": None}), 400208, "Custom allocation did not specify an IoT hub."),
        (lambda _: (401, {}), 400209, "Custom allocation was not authorized."),
        (to("elsewhere.test"), 400207, status.format(200)),
        (lambda _: (200, b"no json"), 400207, status.format(200)),
        (lambda _: (400, {}), 400207, status.format(400)),
        (lambda _: (404, {}), 400207, status.format(404)),
        (lambda _: (302, {}), 400207, status.format(302)),
    )
    webhook = Webhook(case, None)
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id, **webhook.fields())
    for answer, code, message in rows:
        webhook.answer = answer
        error = refusal(None, NodeHttp().register, case, registration_id, enrolled.primary)
        state = error.result["registrationState"]
        expect((state["errorCode"], state["errorMessage"]), (code, message), "errorCode and errorMessage")
    webhook.answer = to(A)
    case.at_end(case.registry, A, "delete", registration_id)
    result = NodeHttp().register(case, registration_id, enrolled.primary)
    expect(result["assignedHub"], A, "assignedHub once the webhook is mended")


@SUITE.case("allocation/webhook-busy-is-asked-again", own_server=True)
def webhook_busy(case):
    """A webhook that answers 429 and 503 is asked again, while the device sees `assigning` and waits."""
    answers = [(429, {}), (503, {})]
    webhook = Webhook(case, lambda asked: answers.pop(0) if answers else to(A)(asked))
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id, **webhook.fields())
    case.at_end(case.registry, A, "delete", registration_id)
    result = NodeHttp().register(case, registration_id, enrolled.primary)
    expect((result["assignedHub"], len(webhook.asked)), (A, 3), "assignedHub, and how often it was asked")


def on(hub, update, migrate):
    """The members of an enrollment that allows one hub."""
    policy = {"updateHubAssignment": update, "migrateDeviceData": migrate}
    twin = {"tags": {"made": hub}, "properties": {"desired": {"from": "enrollment"}}}
    return {"allocationPolicy": "static", "iotHubs": [hub], "reprovisionPolicy": policy, "initialTwin": twin}


def sections(twin):
    """Tags, desired and reported properties without what the hub adds."""
    own = lambda part: {key: value for key, value in part.items() if not key.startswith("$")}  # noqa: E731
    return own(twin["tags"]), own(twin["properties"]["desired"]), own(twin["properties"]["reported"])


def moved(case, update, migrate):
    """A device that lived on hub A registers again when its enrollment names B; (result, lived, enrolled)."""
    registration_id = case.name()
    kind = SymmetricIndividual()
    enrolled = kind.enroll(case, registration_id, **on(A, update, migrate))
    first = NodeHttp().register(case, registration_id, enrolled.primary)
    expect((first["assignedHub"], first["substatus"]), (A, "initialAssignment"), "first assignment")
    for hub in (A, B):
        case.at_end(case.registry, hub, "delete", registration_id)
    report(case, A, registration_id, enrolled.primary, {"firmware": "1.2", "nested": {"a": [1, 2]}})
    lived = case.registry(A, "getTwin", registration_id)
    enrollment = case.service("getIndividualEnrollment", registration_id)
    case.service("createOrUpdateIndividualEnrollment", {**enrollment, **on(B, update, migrate)})
    result = NodeHttp().register(case, registration_id, enrolled.primary)
    return registration_id, result, lived


def report(case, hub, device_id, credential, patch):
    """The device reports at its hub."""
    from harness import python_sdk  # noqa: PLC0415, the SDK is slow to load

    client = python_sdk.device(hub, device_id, case.ca_pem, key=credential.value)
    client.patch_twin_reported_properties(patch)
    client.shutdown()


def gone(case, hub, device_id):
    """The hub has no such device any more."""
    refusal("DeviceNotFoundError", case.registry, hub, "get", device_id)


@SUITE.case("reprovision/migrate", own_server=True)
def migrate(case):
    """The device leaves A and arrives at B with tags, desired and reported properties."""
    device_id, result, lived = moved(case, True, True)
    expect((result["assignedHub"], result["substatus"]), (B, "deviceDataMigrated"), "assignment")
    gone(case, A, device_id)
    now = case.registry(B, "getTwin", device_id)
    expect(sections(now), sections(lived), "the twin")
    expect(now["properties"]["reported"]["$version"], 2, "reported.$version")


@SUITE.case("reprovision/reset", own_server=True)
def reset(case):
    """The device leaves A and begins anew at B."""
    device_id, result, _ = moved(case, True, False)
    expect((result["assignedHub"], result["substatus"]), (B, "deviceDataReset"), "assignment")
    gone(case, A, device_id)
    now = case.registry(B, "getTwin", device_id)
    expect(sections(now), ({"made": B}, {"from": "enrollment"}, {}), "the twin")
    expect(now["properties"]["reported"]["$version"], 1, "reported.$version")


@SUITE.case("reprovision/never", own_server=True)
def never(case):
    """The device stays at A with its twin, whatever the enrollment names."""
    device_id, result, lived = moved(case, False, True)
    assignment = (A, "reprovisionedToInitialAssignment")
    expect((result["assignedHub"], result["substatus"]), assignment, "assignment")
    expect(sections(case.registry(A, "getTwin", device_id)), sections(lived), "the twin")
    gone(case, B, device_id)


@SUITE.case("allocation/geo-latency-by-file", own_server=True)
def geo_latency(case):
    """The operator's file says where clients call from; the nearest hub gets the device."""
    folder = case.scratch()
    networks = folder / "networks"
    networks.write_text("# this machine\n127.0.0.0/8 northeurope\n", encoding="utf-8")
    hubs = ("us.test=eastus", "eu.test=westeurope")
    arguments = [*FREE_PORTS, "--regions", str(networks)]
    for hub in hubs:
        arguments += ["--hub", hub.split("=")[0], "--hub-location", hub]
    for latencies, nearest in (("", "eu.test"), ("northeurope us.test 3\n", "us.test")):
        measured = folder / "latencies"
        measured.write_text(latencies, encoding="utf-8")
        assigned = by_latency(case, folder / nearest, [*arguments, "--latencies", str(measured)])
        expect(assigned, {nearest}, f"hubs with the latencies {latencies!r}")


def by_latency(case, data_dir, arguments):
    """The hubs that ten devices get at a server of this case's own."""
    from cases.dev_mode import Own  # noqa: PLC0415, its cases are another subject
    from harness import sas  # noqa: PLC0415

    own = Own(case, *arguments, data_dir=data_dir).start()
    group, key = case.name("group"), sas.new_key()
    keys = {"primaryKey": key, "secondaryKey": sas.new_key()}
    body = {
        "enrollmentGroupId": group,
        "attestation": {"type": "symmetricKey", "symmetricKey": keys},
        "allocationPolicy": "geoLatency",
    }
    answer = own.service("PUT", f"/enrollmentGroups/{group}", body)
    expect(answer.status, 200, f"status of the group: {answer.raw[:200]}")
    assigned = set()
    for number in range(10):
        registration_id = f"dev-{number}"
        device = HttpDevice(own, registration_id, sas.derived_key(key, registration_id))
        assigned.add(provisioned(device))
    own.server.stop()
    return assigned


def provisioned(device):
    """Registers and polls; the assigned hub."""
    from cases.device_https import poll  # noqa: PLC0415

    answer = device.register()
    expect(answer.status, 202, "status of register")
    state = poll(device, answer.json["operationId"]).json
    if state["status"] != "assigned":
        raise Unexpected(f"not assigned: {state}")
    return state["registrationState"]["assignedHub"]
