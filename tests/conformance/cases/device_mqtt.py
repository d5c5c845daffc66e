"""The device API over MQTT as it is on the wire: the order of packets, topics, CONNACK codes."""

import json
import struct
import time

from cases import SUITE
from harness import pki, sas
from harness.credentials import Certificate, client_certificates, symmetric_key
from harness.device_sdks import expect_error_body
from harness.errors import Unexpected, expect, expect_member, expect_that
from harness.raw_mqtt import (
    PINGREQ,
    PINGRESP,
    PUBACK,
    REGISTER,
    RESPONSES,
    STATUS,
    UNSUBACK,
    UNSUBSCRIBE,
    RawMqtt,
    packet,
    text,
    username,
)

POLL_SECONDS = 30


def enrolled(case):
    """A device with an enrollment of its own: its name and key."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    return registration_id, key


def register(mqtt, rid, payload=b"{}", qos=1):
    """Sends the register request; returns (topic, body) of the answer. With QoS 1 the PUBACK comes first."""
    mqtt.publish(REGISTER + rid, payload, qos)
    if qos:
        kind, _, body = mqtt.receive()
        expect((kind, body), (PUBACK, struct.pack(">H", 2)), "the packet before the response")
    topic, payload, _ = mqtt.receive_publish()
    return topic, json.loads(payload)


def poll(mqtt, operation_id):
    """Polls until the operation is over; returns the body of the 200."""
    deadline = time.monotonic() + POLL_SECONDS
    number = 0
    while time.monotonic() < deadline:
        number += 1
        mqtt.publish(f"{STATUS}p{number}&operationId={operation_id}", b" ", qos=0)
        topic, payload, _ = mqtt.receive_publish()
        if topic.startswith("$dps/registrations/res/200/"):
            expect(topic, f"$dps/registrations/res/200/?$rid=p{number}", "topic of the 200")
            return json.loads(payload)
        expect(topic, f"$dps/registrations/res/202/?$rid=p{number}&retry-after=3", "topic of a 202")
        time.sleep(2)
    raise Unexpected(f"still assigning after {POLL_SECONDS} s")


@SUITE.case("mqtt/register-and-poll")
def register_and_poll(case):
    """The whole conversation, QoS 1, with a persistent session asked for and none given."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as mqtt:
        expect(mqtt.connect_device(case, registration_id, key, clean=False), (0, 0), "CONNACK")
        expect(mqtt.subscribe(), 1, "granted QoS")
        body = json.dumps({"registrationId": registration_id, "payload": None}).encode()
        topic, answer = register(mqtt, "1a2b-3c", body)
        expect(topic, "$dps/registrations/res/202/?$rid=1a2b-3c&retry-after=3", "topic of the 202")
        expect(set(answer), {"operationId", "status"}, "members of the 202")
        done = poll(mqtt, answer["operationId"])
        expect((done["status"], done["registrationState"]["status"]), ("assigned", "assigned"), "status")
        expect(done["registrationState"]["deviceId"], registration_id, "deviceId")


@SUITE.case("mqtt/bodies-as-the-sdks-spell-them")
def body_spellings(case):
    """Empty, blank and payload-only bodies, and QoS 0: what the other SDKs send."""
    for body in (b"", b" ", b"{}", b'{"payload":{"a":1}}'):
        registration_id, key = enrolled(case)
        with RawMqtt(case) as mqtt:
            mqtt.connect_device(case, registration_id, key, keepalive=0)
            mqtt.subscribe(qos=0)
            topic, _ = register(mqtt, "7", body, qos=0)
            expect(topic, "$dps/registrations/res/202/?$rid=7&retry-after=3", f"topic after {body!r}")


@SUITE.case("mqtt/ping-and-unsubscribe-are-answered")
def ping_and_unsubscribe(case):
    """The Node client waits for the UNSUBACK; QoS 2 is granted as 1."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as mqtt:
        mqtt.connect_device(case, registration_id, key)
        expect(mqtt.subscribe(qos=2), 1, "granted QoS")
        mqtt.send(packet(PINGREQ, 0, b""))
        expect(mqtt.receive()[0], PINGRESP, "answer to PINGREQ")
        mqtt.send(packet(UNSUBSCRIBE, 2, struct.pack(">H", 9) + text(RESPONSES)))
        expect(mqtt.receive()[::2], (UNSUBACK, struct.pack(">H", 9)), "answer to UNSUBSCRIBE")


@SUITE.case("mqtt/wrong-key-is-told-on-the-topic")
def wrong_key(case):
    """CONNECT succeeds; the refusal follows the register request, with `$rid` first."""
    registration_id, _ = enrolled(case)
    with RawMqtt(case) as mqtt:
        expect(mqtt.connect_device(case, registration_id, sas.new_key()), (0, 0), "CONNACK")
        mqtt.subscribe()
        topic, body = register(mqtt, "r-1")
        expect(topic.split("&")[0], "$dps/registrations/res/401/?$rid=r-1", "topic")
        expect_error_body(body, 401000, ("Unauthorized",))


@SUITE.case("mqtt/connack-codes")
def connack_codes(case):
    """3 for a scope that nobody has; 5 for a user name that is none, or of another client id."""
    token = sas.device_token(case.id_scope, "x", sas.new_key())
    wanted = (
        ("an unknown scope", "x", username("0ne00000NOT", "x"), 3),
        ("another client id", "y", username(case.id_scope, "x"), 5),
        ("no user name of a device", "x", "nonsense", 5),
        ("no registration id", "x", f"{case.id_scope}/registrations//api-version=2019-03-31", 5),
    )
    for what, client_id, name, code in wanted:
        with RawMqtt(case) as mqtt:
            expect(mqtt.connect(client_id, name, token), (0, code), f"CONNACK for {what}")
            mqtt.expect_closed(what)


@SUITE.case("mqtt/x509-without-a-password")
def x509_without_password(case):
    """A certificate from the handshake, no password flag at all."""
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id))
    case.enroll(registration_id, client_certificates(leaf.identity))
    with RawMqtt(case, files=leaf.files(case.scratch(), "device")) as mqtt:
        expect(mqtt.connect(registration_id, username(case.id_scope, registration_id)), (0, 0), "CONNACK")
        mqtt.subscribe()
        expect(register(mqtt, "1")[1]["status"], "assigning", "status")


@SUITE.case("mqtt/other-topics-end-the-connection")
def other_topics(case):
    """Only the DPS topics are served."""
    registration_id, key = enrolled(case)
    for topic in ("$dps/registrations/PUT/other/?$rid=1", "devices/x/messages/events/", "$SYS/x"):
        with RawMqtt(case) as mqtt:
            mqtt.connect_device(case, registration_id, key)
            mqtt.publish(topic, b"{}", qos=0)
            mqtt.expect_closed(f"PUBLISH to {topic}")


@SUITE.case("mqtt/bad-json-is-told-on-the-topic")
def bad_json(case):
    """A body that is no JSON gets a 400 with the error body, and the connection lives on."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as mqtt:
        mqtt.connect_device(case, registration_id, key)
        mqtt.subscribe()
        for body in (b"{", b"[]", b'"x"', b"\xff\xfe", b'{"payload":' + b"[" * 5000):
            topic, answer = register(mqtt, "b", body)
            expect(topic.split("&")[0], "$dps/registrations/res/400/?$rid=b", f"topic after {body[:20]!r}")
            expect_error_body(answer, None, None)
        topic, _ = register(mqtt, "g")
        expect_that(topic.startswith("$dps/registrations/res/202/"), f"topic of a good one after: {topic}")


@SUITE.case("mqtt/unknown-operation-is-told-on-the-topic")
def unknown_operation(case):
    """A poll for an operation that is not there."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as mqtt:
        mqtt.connect_device(case, registration_id, key)
        mqtt.subscribe()
        for operation_id in ("4.0000000000000000.00000000-0000-0000-0000-000000000000", "x", ""):
            mqtt.publish(f"{STATUS}u&operationId={operation_id}", b" ", qos=0)
            topic, payload, _ = mqtt.receive_publish()
            status = topic.removeprefix("$dps/registrations/res/").split("/")[0]
            expect_member(status, ("400", "404"), f"status of operation {operation_id!r}")
            expect_that(topic.split("/?")[1].startswith("$rid=u"), f"topic: {topic}")
            expect_error_body(json.loads(payload), None, None)
