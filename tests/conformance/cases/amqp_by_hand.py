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
    encode,
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


def by_hand(name, **options):
    """A case that needs the independent client."""
    return SUITE.case(f"amqp/{name}", needs=("proton",), **options)


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


HEADER, DELIVERY, MESSAGE, PROPERTIES, APPLICATION, DATA, SEQUENCE, VALUE, FOOTER = range(0x70, 0x79)


def sections(*body):
    """A register request of those sections behind its application properties."""
    asked = encode(APPLICATION, {OPERATION_TYPE: "iotdps-register"})
    return asked + b"".join(encode(code, value) for code, value in body)


@by_hand("sections-of-a-message")
def message_sections(case):
    """Whatever else a message may hold does not matter, and data may come in several sections."""
    device = AmqpDevice(case)
    word = proton.symbol
    before = encode(HEADER, [True, proton.ubyte(9), proton.uint(60_000)]) + encode(DELIVERY, {word("a"): 1})
    named = [proton.ulong(4), b"user", "to", "subject", "reply", "mark", word("application/json"), word("gzip")]
    before += encode(MESSAGE, {word("x-opt-a"): [1, {"b": None}]}) + encode(PROPERTIES, named)
    bodies = (
        sections((DATA, b"{}")),
        sections((DATA, b'{"pay'), (DATA, b'load":{"a":'), (DATA, b"1}}")),
        sections((VALUE, "{}"), (FOOTER, {word("crc"): 1})),
        sections(),
    )
    with device.connect() as amqp:
        for body in bodies:
            for message, mark in ((body, None), (before + body, "mark")):
                expect(amqp.verdict(amqp.send(amqp.sender, message)), None, f"verdict about {message!r}")
                answer = amqp.answer(amqp.receiver)
                expect(json.loads(answer.body)["status"], "assigning", "status")
                expect(answer.correlation_id, mark, "correlation id")
        condition, body = refused(amqp, sections((SEQUENCE, [1])))
        expect((condition, body["errorCode"]), ("com.microsoft:argument-error", 400006), "a body that is a sequence")


@by_hand("messages-that-cannot-be-read")
def unreadable_messages(case):
    """Bytes that are no message are rejected as any bad request is, with a line in the log; the next one is served."""
    device = AmqpDevice(case)
    wrong = (
        sections((DATA, b"{}")) + b"\x00\x53\x99\x40",
        sections((VALUE, "{}"), (DATA, b"{}")),
        sections((DATA, b"{}"))[:-1],
        b"\xff" * 40,
    )
    with device.connect() as amqp:
        for message in wrong:
            _, body = refused(amqp, message)
            expect_error_body(body, 400006, None)
            expect(case.log.of_error(body)["resultSignature"], "400", "in the log")
        expect(device.register(amqp)["status"], "assigning", "status of a good one afterwards")


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
