"""The device API over AMQP as an independent client sees it: requests, answers, refusals.

The client is Apache Qpid's `proton`. What it would never send is in `amqp_protocol`.
"""

import json
import uuid

from cases import SUITE
from harness import sas
from harness.amqp import (
    API_VERSION,
    CLIENT_VERSION,
    OPERATION_ID,
    OPERATION_TYPE,
    poll,
    proton,
    request,
)
from harness.amqp_device import AmqpDevice, ask, refused
from harness.device_sdks import expect_error_body
from harness.errors import expect, expect_that
from harness.sandbox import HUBS

# The self-hosting profile allows 5 in ten seconds.
MANY_POLLS = 10
UNKNOWN_OPERATION = "4.0000000000000000.00000000-0000-0000-0000-000000000000"


def by_hand(name):
    """A case that needs the independent client."""
    return SUITE.case(f"amqp/{name}", needs=("proton",))


def for_each_proof(name):
    """Declares the function for both proofs, on the AMQP port and through a WebSocket."""

    def declare(function):
        for proof in ("plain", "x509"):
            for way in ("tls", "ws"):
                options = {"x509": proof == "x509", "websocket": way == "ws"}
                SUITE.add(
                    f"amqp/{name}/{proof}-{way}",
                    lambda case, options=options: function(case, AmqpDevice(case, **options)),
                    needs=("proton",),
                )
        return function

    return declare


@for_each_proof("register-and-poll")
def register_and_poll(case, device):
    """The whole conversation, and the server's account of it."""
    with device.connect(properties={CLIENT_VERSION: "conformance/1"}) as amqp:
        answer = device.register(amqp)
        expect(set(answer), {"operationId", "status"}, "members of the first answer")
        expect(answer["status"], "assigning", "status of the first answer")
        done = device.poll(amqp, answer["operationId"])
        state = done["registrationState"]
        expect((done["status"], state["deviceId"]), ("assigned", device.registration_id), "status and deviceId")
        expect_that(case.muster is None or state["assignedHub"] in HUBS, f"assignedHub: {state}")
        amqp.close()
    row = case.log.of_device(device.registration_id)[-1]
    seen = row["properties"]
    expect((row["resultType"], row["operationVersion"]), ("Success", "March2019"), "result and version")
    expect(seen["protocol"], "AmqpWs" if device.websocket else "Amqp", "protocol")
    expect((seen["client"], seen["operationId"]), ("conformance/1", answer["operationId"]), "client and operation")
    expect(bool(seen["chain"]), device.files is not None, "a certificate was shown")
    expect(seen["mechanism"], "x509" if device.files else "symmetricKey", "mechanism")


@for_each_proof("wrong-proof-is-rejected-and-logged")
def wrong_proof(case, device):
    """The connection opens; each request is rejected with an error of its own, which the log knows."""
    if device.files:
        # Another device's certificate of the same name.
        device.files = AmqpDevice.certificate(case, device.registration_id)
        code, reason = 401002, "X509_CERTIFICATE_NOT_ENROLLED"
    else:
        device.key = sas.new_key()
        code, reason = 401000, "SAS_SIGNATURE_MISMATCH"
    with device.connect() as amqp:
        bodies = []
        for _ in range(2):
            condition, body = refused(amqp, request("iotdps-register", device.body()))
            expect(condition, "amqp:unauthorized-access", "condition")
            expect_error_body(body, code, ("Unauthorized",))
            row = case.log.of_error(body)
            expect((row["resultType"], row["resultSignature"]), ("ClientError", "401"), "result in the log")
            expect(row["properties"]["reason"], reason, "reason in the log")
            bodies.append(body)
        expect_that(bodies[0]["trackingId"] != bodies[1]["trackingId"], "each refusal has an id of its own")


@by_hand("operation-type-missing-or-unknown")
def operation_type(case):
    """A message that asks for nothing is an argument error, and the next one is served."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        for operation in (None, "", "iotdps-unregister", "IOTDPS-REGISTER", 7, True):
            condition, body = refused(amqp, request(operation, device.body()))
            expect(condition, "com.microsoft:argument-error", f"condition of {operation!r}")
            expect_error_body(body, 400004, None)
            expect_that(OPERATION_TYPE in body["message"], f"message of {operation!r}: {body['message']}")
            row = case.log.of_error(body)
            expect((row["operationName"], row["resultSignature"]), ("Unrouted", "400"), "in the log")
            expect(row["properties"]["registrationId"], device.registration_id, "whose, in the log")
        expect(device.register(amqp)["status"], "assigning", "status of a good one afterwards")


@by_hand("operation-id-missing-or-unknown")
def operation_id(case):
    """A poll for nothing, for an operation that is not there, and for another device's."""
    device, other = AmqpDevice(case), AmqpDevice(case)
    with other.connect() as amqp:
        foreign = other.register(amqp)["operationId"]
    with device.connect() as amqp:
        condition, body = refused(amqp, request("iotdps-get-operationstatus"))
        expect(condition, "com.microsoft:argument-error", "condition without an id")
        expect_that(OPERATION_ID in body["message"], f"message: {body['message']}")
        for operation in (UNKNOWN_OPERATION, foreign):
            condition, body = refused(amqp, poll(operation))
            expect(condition, "amqp:not-found", f"condition of {operation}")
            expect(body["errorCode"] // 1000, 404, "errorCode")
            row = case.log.of_error(body)
            expect(row["operationName"], "OperationStatusLookup", "operation in the log")
        for operation in ("", "x", "x" * 300):
            condition, body = refused(amqp, poll(operation))
            expect(body["errorCode"] // 1000 in (400, 404), True, f"errorCode of {operation!r}: {body}")
            case.log.of_error(body)


@by_hand("unknown-api-version")
def unknown_api_version(case):
    """The version is the links' property; one that never was is told with the request, none is 2019-03-31."""
    device = AmqpDevice(case)
    for version in ("2001-01-01", "", "x" * 1000):
        with device.connect(properties={API_VERSION: version}) as amqp:
            condition, body = refused(amqp, request("iotdps-register", device.body()))
            expect(condition, "com.microsoft:argument-error", f"condition of {version[:20]!r}")
            expect_error_body(body, 400001, None)
            case.log.of_error(body)
    with device.connect(properties={API_VERSION: None}) as amqp:
        expect(device.register(amqp)["status"], "assigning", "status without a version")


@by_hand("answers-wait-for-credit")
def answers_wait_for_credit(case):
    """A link without credit gets nothing; each credit gets one answer, in order."""
    device = AmqpDevice(case)
    with device.connect(credit=0) as amqp:
        # Each verdict is written after the answer to the request before it would have been.
        for number in range(3):
            message = request("iotdps-register", device.body(), correlation_id=f"r{number}")
            expect(amqp.verdict(amqp.send(amqp.sender, message)), None, "verdict")
            expect(amqp.answered(amqp.receiver), False, "an answer without credit")
        for number in range(3):
            amqp.receiver.flow(1)
            expect(amqp.answer(amqp.receiver).correlation_id, f"r{number}", "correlation id")
            expect(amqp.answered(amqp.receiver), False, "an answer beyond the credit")
        expect(amqp.receiver.credit, 0, "credit left")


@by_hand("drain-uses-up-the-credit")
def drain(case):
    """A receiver that drains gets its credit back, since nothing waits."""
    device = AmqpDevice(case)
    with device.connect(credit=0) as amqp:
        amqp.receiver.drain(5)
        amqp.until(lambda: not amqp.receiver.draining(), "end of the drain")
        expect(amqp.receiver.credit, 0, "credit after the drain")
        amqp.receiver.drain_mode = False
        amqp.receiver.flow(1)
        expect(device.register(amqp)["status"], "assigning", "status of a request afterwards")


@by_hand("settled-requests")
def settled_requests(case):
    """A request that came settled gets its answer and no verdict; a wrong one gets nothing at all."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        amqp.send(amqp.sender, request("nonsense", correlation_id="wrong"), settled=True)
        amqp.send(amqp.sender, request("iotdps-register", device.body(), correlation_id="good"), settled=True)
        answer = amqp.answer(amqp.receiver)
        expect(answer.correlation_id, "good", "correlation id of the only answer")
        expect(json.loads(answer.body)["status"], "assigning", "status")
    rows = case.log.of_device(device.registration_id, "Unrouted")
    expect([row["resultSignature"] for row in rows], ["400"], "the wrong one in the log")


@by_hand("bodies-that-are-no-json")
def bad_bodies(case):
    """Bytes that are no JSON object, and sections that hold no text, are argument errors."""
    device = AmqpDevice(case)
    bodies = (b"{", b"[]", b'"x"', b"\xff\xfe", b'{"payload":' + b"[" * 5000, {"a": 1}, [1, 2], 7, True)
    with device.connect() as amqp:
        for body in bodies:
            condition, told = refused(amqp, request("iotdps-register", body))
            expect(condition, "com.microsoft:argument-error", f"condition of {str(body)[:20]}")
            expect_error_body(told, 400006, None)
            row = case.log.of_error(told)
            expect((row["operationName"], row["resultSignature"]), ("AttestationAttempt", "400"), "in the log")
        expect(device.register(amqp)["status"], "assigning", "status of a good one afterwards")


@by_hand("bodies-as-the-sdks-spell-them")
def body_spellings(case):
    """No body, an empty section, a text or binary value, and one with a payload: all are register requests."""
    device = AmqpDevice(case)
    text = device.body().decode()
    with device.connect() as amqp:
        for body in (None, b"", b" ", "", text, device.body(), b'{"payload":{"a":[1,2,3]}}'):
            answer = ask(amqp, request("iotdps-register", body))
            expect(answer["status"], "assigning", f"status with the body {body!r}")
        operation = answer["operationId"]
        # As many polls as every profile of limits allows.
        for body in (None, "", "iotdps-get-operationstatus", device.body(), {"any": "thing"}):
            answer = ask(amqp, poll(operation, body))
            expect(answer["operationId"], operation, f"operationId of a poll with the body {body!r}")


@by_hand("correlation-id-comes-back-as-it-was")
def correlation_ids(case):
    """Its type is kept: a string, a UUID, a number or bytes; without one there is none."""
    device = AmqpDevice(case)
    # `proton` gives an `ulong` back as `int`.
    ids = ("a-string", "", uuid.uuid4(), proton.ulong(2**63 + 5), proton.ulong(7), b"\x00\xff bytes", None)
    with device.connect() as amqp:
        for sent in ids:
            message = request("iotdps-register", device.body(), correlation_id=sent)
            expect(amqp.verdict(amqp.send(amqp.sender, message)), None, "verdict")
            answer = amqp.answer(amqp.receiver)
            came = answer.correlation_id
            came = bytes(came) if isinstance(came, memoryview) else came
            expect((type(came), came), (int if isinstance(sent, int) else type(sent), sent), "correlation id")


@SUITE.case("amqp/throttled-polls-are-told", needs=("proton",), own_server=True)
def throttled_polls(case):
    """More polls than one device may send are rejected with the seconds to wait, under both names."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        operation_id = device.register(amqp)["operationId"]
        for _ in range(MANY_POLLS):
            condition = amqp.verdict(amqp.send(amqp.sender, poll(operation_id)))
            if condition is not None:
                break
            amqp.answer(amqp.receiver)
        expect_that(condition, f"{MANY_POLLS} polls at once are served")
        expect(condition.name, "com.microsoft:device-container-throttled", "condition")
        body = json.loads(condition.description)
        expect_error_body(body, 429001, None)
        seconds = condition.info["retry-after"]
        expect_that(isinstance(seconds, proton.int32) and seconds > 0, f"retry-after: {condition.info}")
        expect(condition.info["Retry-After"], seconds, "Retry-After")
        expect(case.log.of_error(body)["resultSignature"], "429", "in the log")


@by_hand("answer-is-shaped-for-every-sdk")
def answer_shape(case):
    """One data section, both names of retry-after as `int`, sent unsettled with a tag."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        expect(amqp.verdict(amqp.send(amqp.sender, request("iotdps-register", device.body()))), None, "verdict")
        amqp.until(lambda: amqp.answered(amqp.receiver), "answer")
        delivery = amqp.receiver.current
        expect_that(0 < len(delivery.tag) <= 32, f"delivery tag: {delivery.tag!r}")
        answer = amqp.answer(amqp.receiver)
        expect(answer.inferred, True, "the body is a data section")
        named = {name: (type(value), int(value)) for name, value in answer.properties.items()}
        wanted = (proton.int32, 3)
        expect(named, {"retry-after": wanted, "Retry-After": wanted}, "application properties")


@by_hand("large-and-split-messages")
def split_messages(case):
    """A message in many transfers is one request, and an answer is split for a peer with small frames."""
    # An id of this length makes the last answer longer than a frame.
    device = AmqpDevice(case, prefix="a" * 100)
    payload = json.dumps({"payload": "x" * 90_000}).encode()
    with device.connect(max_frame_size=512) as amqp:
        expect(amqp.transport.remote_max_frame_size, 65_536, "largest frame of the server")
        for pieces in (1, 2, 50):
            delivery = amqp.send(amqp.sender, request("iotdps-register", payload), pieces=pieces)
            expect(amqp.verdict(delivery), None, f"verdict of a message in {pieces} pieces")
            answer = json.loads(amqp.answer(amqp.receiver).body)
            expect(answer["status"], "assigning", f"status of a message in {pieces} pieces")
        done = device.poll(amqp, answer["operationId"])
        expect_that(len(json.dumps(done)) > 600, f"too short to be split: {done}")
        expect(done["registrationState"]["registrationId"], device.registration_id, "registrationId")


@by_hand("message-that-is-too-large/by-its-last-transfer")
def too_large_at_last(case):
    """The link says how much it takes; more detaches it with the standard's condition, and the log says so."""
    too_large(case, lambda amqp, size: amqp.send(amqp.sender, request("iotdps-register", b"x" * size)))


@by_hand("message-that-is-too-large/before-its-last-transfer")
def too_large_early(case):
    """The same while more is still announced."""

    def begin(amqp, size):
        amqp.until(lambda: amqp.sender.credit > 0, "credit")
        amqp.sender.delivery("endless")
        amqp.sender.stream(b"x" * (size + 1))
        amqp.write()

    too_large(case, begin)


def too_large(case, send):
    """A message above the link's bound."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        limit = amqp.sender.remote_max_message_size
        expect_that(0 < limit <= 256 * 1024, f"max-message-size: {limit}")
        send(amqp, limit)
        condition = amqp.closed("a message that is too large")
        expect(condition.name, "amqp:link:message-size-exceeded", "condition of the CLOSE")
        expect(amqp.sender.remote_condition.name, condition.name, "condition of the DETACH before it")
        row = case.log.of_connection(amqp.stream.peer)
    expect_that("message-size-exceeded" in row["resultDescription"], f"in the log: {row['resultDescription']}")
    expect(row["properties"]["claimed"], device.address, "whose, in the log")


@by_hand("body-that-is-too-large-is-told")
def body_too_large(case):
    """A body above the bound that still fits a message is rejected like any other, by its own code."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        body = b"x" * (amqp.sender.remote_max_message_size - 2048)
        condition, told = refused(amqp, request("iotdps-register", body))
        expect(condition, "amqp:link:message-size-exceeded", "condition")
        expect_error_body(told, 413000, None)
        case.log.of_error(told)
        expect(device.register(amqp)["status"], "assigning", "status of a good one afterwards")


@by_hand("request-without-a-link-for-its-answer")
def no_link_for_the_answer(case):
    """A device that only sends is told that nothing could be answered; the link then makes it good."""
    device = AmqpDevice(case)
    with device.dial() as amqp:
        session = amqp.open().begin()
        amqp.sender = amqp.attach(session, "sender", device.address)
        condition, body = refused(amqp, request("iotdps-register", device.body()))
        expect(condition, "com.microsoft:argument-error", "condition")
        expect_that("link" in body["message"], f"message: {body['message']}")
        case.log.of_error(body)
        amqp.receiver = amqp.attach(session, "receiver", device.address)
        amqp.receiver.flow(1)
        expect(device.register(amqp)["status"], "assigning", "status with both links")


@by_hand("address-forms-of-the-sdks")
def address_forms(case):
    """A whole URI (C), a leading slash (Java), escapes, another case of the id: one device."""
    device = AmqpDevice(case)
    forms = (
        f"amqps://{case.host}/{device.address}",
        f"amqps://{case.host}:5671/{device.address}",
        f"/{device.address}",
        device.address.replace("-", "%2d"),
        f"{case.id_scope}/registrations/{device.registration_id.upper()}",
    )
    for form in forms:
        with device.dial() as amqp:
            session = amqp.open().begin()
            amqp.receiver = amqp.attach(session, "receiver", form)
            amqp.sender = amqp.attach(session, "sender", form)
            amqp.receiver.flow(1)
            expect(amqp.sender.remote_target.address, form, "target address, as it was asked for")
            expect(device.register(amqp)["status"], "assigning", f"status at {form}")


@by_hand("again-on-one-connection")
def again(case):
    """Registered twice on one connection, and once more on another: one device on one hub."""
    device = AmqpDevice(case)
    hubs = set()
    for times in (2, 1):
        with device.connect() as amqp:
            for _ in range(times):
                done = device.poll(amqp, device.register(amqp)["operationId"])
                hubs.add(done["registrationState"]["assignedHub"])
            amqp.close()
    expect(len(hubs), 1, f"number of hubs ({hubs})")
