"""The device API over MQTT by `paho-mqtt`, over TLS and WebSocket, and by single packets; and what the log says of it.

Owns: refusals as the operator sees them beside the client. The order of packets in the good
conversations is `device_mqtt`'s, garbage is `bad_input`'s.
"""

import contextlib
import json
import struct
import time

import paho.mqtt.client as mqtt

from cases import SUITE
from cases.bad_input import GONE
from cases.device_mqtt import enrolled, register
from harness import pki, sas
from harness.credentials import Certificate, client_certificates
from harness.device_sdks import expect_error_body
from harness.errors import Unexpected, expect, expect_that
from harness.paho import Paho
from harness.raw_mqtt import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBLISH,
    REGISTER,
    RESPONSES,
    STATUS,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    RawMqtt,
    packet,
    text,
    username,
)
from harness.sandbox import HUBS

POLL_SECONDS = 30
NO_SCOPE = "0ne00000NOT"
NOT_SUPPORTED_IN_5 = 132
MOST_UNACKNOWLEDGED = 64
RESPONSE = "$dps/registrations/res"


class Device:
    """An enrolled device with a key or with a certificate, and its way to the server."""

    def __init__(self, case, x509=False, websocket=False):
        self.case, self.websocket, self.key, self.files = case, websocket, None, None
        if x509:
            self.registration_id = case.name()
            leaf = Certificate(pki.device(self.registration_id))
            self.files = leaf.files(case.scratch(), "device")
            case.enroll(self.registration_id, client_certificates(leaf.identity))
        else:
            self.registration_id, self.key = enrolled(case)

    def client(self, **options):
        """A client of its name."""
        return Paho(self.case, self.registration_id, websocket=self.websocket, files=self.files, **options)

    def connect(self, client, key=None):
        """CONNECT with its proof, subscribed."""
        key = key or self.key
        password = sas.device_token(self.case.id_scope, self.registration_id, key) if key else None
        tail = "api-version=2019-03-31&ClientVersion=conformance%2F1"
        code, flags = client.connect(username(self.case.id_scope, self.registration_id, tail), password)
        expect((code, flags["session present"]), (0, 0), "CONNACK")
        expect(client.subscribe(RESPONSES), (1,), "granted QoS")


def ask(client, topic, rid, payload=b""):
    """A request at QoS 1; gives (status, rest of the topic, body). The PUBACK comes before the answer."""
    _, number = client.client.publish(topic, payload, 1)
    client.next("published", number)
    answered, message = client.next("message")
    head, _, rest = answered.removeprefix(RESPONSE + "/").partition("/?")
    expect_that(answered.startswith(RESPONSE) and rest.startswith(f"$rid={rid}"), f"topic: {answered}")
    expect((message.qos, message.retain), (1, False), "QoS and retain flag of the answer")
    return head, rest.removeprefix(f"$rid={rid}"), json.loads(message.payload)


def register_and_poll(case, device):
    """The whole conversation, and the server's account of it."""
    with device.client(clean=False) as client:
        device.connect(client)
        payload = json.dumps({"registrationId": device.registration_id, "payload": {"ü": [1]}}).encode()
        status, rest, body = ask(client, REGISTER + "first", "first", payload)
        expect((status, rest, body["status"]), ("202", "&retry-after=3", "assigning"), "first answer")
        state = poll(client, body["operationId"])["registrationState"]
        expect((state["status"], state["deviceId"]), ("assigned", device.registration_id), "status and deviceId")
        expect_that(case.muster is None or state["assignedHub"] in HUBS, f"assignedHub: {state}")
        client.unsubscribe(RESPONSES)
    seen = case.log.of_device(device.registration_id)[-1]["properties"]
    expect(seen["protocol"], "MqttWs" if device.websocket else "Mqtt", "protocol in the log")
    expect((seen["client"], seen["operationId"]), ("conformance/1", body["operationId"]), "client and operation")
    expect(seen["mechanism"], "x509" if device.files else "symmetricKey", "mechanism in the log")


def poll(client, operation_id):
    """Polls until the operation is over; gives the body."""
    deadline, number = time.monotonic() + POLL_SECONDS, 0
    while time.monotonic() < deadline:
        number += 1
        rid = f"poll-{number}"
        status, _, body = ask(client, f"{STATUS}{rid}&operationId={operation_id}", rid)
        if status == "200":
            return body
        expect(status, "202", "status of a poll")
        # Five polls in ten seconds is what one device may do under every profile of limits.
        time.sleep(2)
    raise Unexpected(f"still assigning after {POLL_SECONDS} s")


def wrong_proof(case, device):
    """CONNECT succeeds; the refusal comes on the response topic, and the log knows its tracking id."""
    if device.files:
        device.files = Certificate(pki.device(device.registration_id)).files(case.scratch(), "other")
        code, reason = 401002, "X509_CERTIFICATE_NOT_ENROLLED"
    else:
        device.key = sas.new_key()
        code, reason = 401000, "SAS_SIGNATURE_MISMATCH"
    with device.client() as client:
        device.connect(client)
        for rid in ("one", "two"):
            status, rest, body = ask(client, REGISTER + rid, rid)
            expect((status, rest), ("401", ""), "status and rest of the topic")
            expect_error_body(body, code, ("Unauthorized",))
            row = case.log.of_error(body)
            expect((row["resultSignature"], row["properties"]["reason"]), ("401", reason), "in the log")


def declare(name, function):
    """One case for each proof and way."""
    for proof in ("key", "x509"):
        for way in ("tls", "ws"):
            options = {"x509": proof == "x509", "websocket": way == "ws"}
            SUITE.add(
                f"mqtt/paho/{name}/{proof}-{way}",
                lambda case, options=options: function(case, Device(case, **options)),
            )


declare("register-and-poll", register_and_poll)
declare("wrong-proof-is-told-and-logged", wrong_proof)


def expect_logged(case, peer, *mentions, protocol="Mqtt", claimed=None):
    """The one line about that connection names all of this."""
    row = case.log.of_connection(peer)
    for mention in mentions:
        expect_that(mention in row["resultDescription"], f"{mention!r} in the log: {row['resultDescription']}")
    expect((row["operationName"], row["properties"]["protocol"]), ("Connection", protocol), "in the log")
    if claimed is not None:
        expect(row["properties"]["claimed"], claimed, "whose, in the log")


@SUITE.case("mqtt/paho/connack-and-its-reason")
def connack(case):
    """CONNACK is a number; the log has the words, whichever way the client came."""
    registration_id, key = enrolled(case)
    token = sas.device_token(case.id_scope, registration_id, key)
    right = username(case.id_scope, registration_id)
    wanted = (
        ("an unknown scope", registration_id, username(NO_SCOPE, registration_id), 3, "CONNACK 3"),
        ("another client id", "someone-else", right, 5, "client id"),
        ("a user name that is none", registration_id, "nonsense", 5, "CONNACK 5"),
        ("no user name", registration_id, None, 5, "there is no user name"),
    )
    for websocket in (False, True):
        for what, client_id, name, code, mention in wanted:
            with Paho(case, client_id, websocket=websocket) as client:
                expect(client.connect(name, token)[0], code, f"CONNACK for {what}")
                client.next("disconnected")
                protocol = "MqttWs" if websocket else "Mqtt"
                expect_logged(case, client.peer, mention, protocol=protocol, claimed=name)


@SUITE.case("mqtt/paho/other-versions-get-connack-1")
def other_versions(case):
    """MQTT 5 and 3.1 are told that they are not spoken, in the form that every version reads."""
    registration_id, _ = enrolled(case)
    for version, code in ((mqtt.MQTTv5, NOT_SUPPORTED_IN_5), (mqtt.MQTTv31, 1)):
        for websocket in (False, True):
            with Paho(case, registration_id, websocket=websocket, version=version) as client:
                told = client.connect(username(case.id_scope, registration_id), "x")[0]
                expect(getattr(told, "value", told), code, f"code for version {version}")
                protocol = "MqttWs" if websocket else "Mqtt"
                expect_logged(case, client.peer, "CONNACK 1", protocol=protocol)
    head = text("MQTT") + bytes([5, 2]) + struct.pack(">H", 60) + b"\x00" + text("x")
    with RawMqtt(case) as raw:
        raw.send(packet(CONNECT, 0, head))
        expect(raw.receive(), (CONNACK, 0, b"\x00\x01"), "the bytes of CONNACK")
        raw.expect_closed("CONNACK 1")


@SUITE.case("mqtt/paho/will-is-refused")
def will(case):
    """A will cannot be served, and CONNACK 5 says so before anybody relies on it."""
    device = Device(case)
    with device.client() as client:
        client.client.will_set("last/words", b"x", 1)
        token = sas.device_token(case.id_scope, device.registration_id, device.key)
        name = username(case.id_scope, device.registration_id)
        expect(client.connect(name, token)[0], 5, "CONNACK")
        expect_logged(case, client.peer, "will", claimed=name)


def connected(case, subscribed=True):
    """A device's connection by packets, and what the log calls it."""
    registration_id, key = enrolled(case)
    raw = RawMqtt(case)
    case.at_end(raw.socket.close)
    expect(raw.connect_device(case, registration_id, key), (0, 0), "CONNACK")
    if subscribed:
        expect(raw.subscribe(), 1, "granted QoS")
    return raw, f"{case.id_scope}/registrations/{registration_id}"


@SUITE.case("mqtt/packets-that-end-the-connection-are-logged")
def closing_packets(case):
    """What this service does not serve ends the connection, and the log says what it was."""
    head = text("MQTT") + bytes([4, 2]) + struct.pack(">H", 60)
    named = text(REGISTER + "1")
    wrong = {
        "QoS 2": (packet(PUBLISH, 4, named + b"\x00\x07{}"), "quality of service 2"),
        "a retained message": (packet(PUBLISH, 3, named + b"\x00\x07{}"), "retained"),
        "a duplicate at QoS 0": (packet(PUBLISH, 8, named + b"{}"), ""),
        "a topic of a hub": (packet(PUBLISH, 0, text("devices/x/messages/events/") + b"{}"), "topic"),
        "a topic with a wildcard": (packet(PUBLISH, 0, text("$dps/registrations/#") + b"{}"), ""),
        "a DPS topic without a request id": (packet(PUBLISH, 0, text(REGISTER.partition("?")[0]) + b"{}"), "topic"),
        "no topic": (packet(PUBLISH, 0, text("") + b"{}"), ""),
        "packet id 0": (packet(PUBLISH, 2, named + b"\x00\x00{}"), ""),
        "a second CONNECT": (packet(CONNECT, 0, head + text("x")), "CONNECT"),
        "CONNACK from a client": (packet(CONNACK, 0, b"\x00\x00"), ""),
        "QoS 3 in SUBSCRIBE": (packet(SUBSCRIBE, 2, b"\x00\x07" + text("x") + b"\x03"), ""),
        "a filter that is none": (packet(SUBSCRIBE, 2, b"\x00\x07" + text("a/#/b") + b"\x00"), ""),
        "UNSUBSCRIBE from nothing": (packet(UNSUBSCRIBE, 2, b"\x00\x07"), ""),
        "a packet above the bound": (packet(PUBLISH, 0, named + b"x" * 110_000), ""),
    }
    for what, (said, mention) in wrong.items():
        raw, claimed = connected(case)
        with contextlib.suppress(*GONE):
            raw.send(said)
        raw.expect_closed(what)
        row = case.log.of_connection(raw.peer)
        told = row["resultDescription"]
        expect_that(told.startswith("protocol: ") and mention in told, f"{what}, in the log: {told}")
        expect_that(row["properties"]["claimed"] in (None, claimed), f"whose, in the log: {row['properties']}")


@SUITE.case("mqtt/violations-name-their-device")
def violations_name_their_device(case):
    """The operator reads whose connection it was that ended for a broken rule."""
    raw, claimed = connected(case)
    raw.send(packet(PUBLISH, 4, text(REGISTER + "1") + b"\x00\x07{}"))
    raw.expect_closed("QoS 2")
    expect_logged(case, raw.peer, "quality of service 2", claimed=claimed)


@SUITE.case("mqtt/answers-that-are-not-acknowledged")
def not_acknowledged(case):
    """So many answers may wait for their PUBACK; one more ends the connection, and the log says so."""
    raw, _ = connected(case)
    for number in range(1, MOST_UNACKNOWLEDGED + 1):
        raw.publish(REGISTER + "1", b"{}", identifier=number)
        kinds = [raw.receive()[0] for _ in range(2)]
        expect(kinds, [PUBACK, PUBLISH], f"answer {number}")
    raw.publish(REGISTER + "1", b"{}")
    raw.expect_closed("an answer beyond the bound")
    expect_logged(case, raw.peer, f"{MOST_UNACKNOWLEDGED} messages", "PUBACK")


@SUITE.case("mqtt/repeated-and-last-packets")
def repeated(case):
    """A request that comes again as a duplicate is answered again; nothing is read behind DISCONNECT."""
    raw, _ = connected(case)
    body = text(REGISTER + "1") + b"\x00\x07{}"
    raw.send(packet(PUBLISH, 2, body) + packet(PUBLISH, 10, body))
    for _ in range(2):
        expect(raw.receive(), (PUBACK, 0, b"\x00\x07"), "PUBACK")
        expect_that(raw.receive_publish()[0].startswith(f"{RESPONSE}/202/?$rid=1"), "the answer")
    raw.send(packet(DISCONNECT, 0, b"") + packet(PUBLISH, 2, body))
    expect(raw.rest(), b"", "answer to what follows DISCONNECT")


@SUITE.case("mqtt/request-before-subscribe-ends-the-connection")
def before_subscribe(case):
    """There is nowhere to answer; nor is there after UNSUBSCRIBE, or in a new session of a client that had one."""
    raw, _ = connected(case, subscribed=False)
    raw.publish(REGISTER + "1", b"{}")
    raw.expect_closed("a request before SUBSCRIBE")
    expect_logged(case, raw.peer, "protocol", "subscri")
    raw, _ = connected(case)
    raw.send(packet(UNSUBSCRIBE, 2, struct.pack(">H", 9) + text(RESPONSES)))
    expect(raw.receive(), (UNSUBACK, 0, struct.pack(">H", 9)), "answer to UNSUBSCRIBE")
    raw.publish(REGISTER + "1", b"{}")
    raw.expect_closed("a request after UNSUBSCRIBE")
    registration_id, key = enrolled(case)
    for subscribes in (True, False):
        with RawMqtt(case) as raw:
            expect(raw.connect_device(case, registration_id, key, clean=False), (0, 0), "CONNACK")
            if subscribes:
                raw.subscribe()
                continue
            raw.publish(REGISTER + "1", b"{}")
            raw.expect_closed("a request on a subscription of an older session")


@SUITE.case("mqtt/filters-and-what-is-granted")
def filters(case):
    """Only the responses are granted; everything else is refused in SUBACK, and the connection serves on."""
    raw, _ = connected(case, subscribed=False)
    asked = ("#", "+/#", "$dps/#", "$dps/registrations/+/#", "$dps/registrations/res/+", "devices/x/#", RESPONSES)
    body = struct.pack(">H", 5) + b"".join(text(topic) + bytes([number % 3]) for number, topic in enumerate(asked))
    raw.send(packet(SUBSCRIBE, 2, body))
    granted = b"\x80" * (len(asked) - 1) + b"\x00"
    expect(raw.receive(), (SUBACK, 0, struct.pack(">H", 5) + granted), "SUBACK")
    raw.publish(REGISTER + "7", b"{}", qos=0)
    topic, _, qos = raw.receive_publish()
    expect((topic.partition("&")[0], qos), (f"{RESPONSE}/202/?$rid=7", 0), "topic and QoS of the answer")
    expect(raw.subscribe(qos=1, identifier=6), 1, "granted when asked again")
    raw.publish(REGISTER + "8", b"{}", qos=0)
    expect(raw.receive_publish()[2], 1, "QoS of the answer from then on")


@SUITE.case("mqtt/dps-topics-that-are-wrong-are-told")
def wrong_dps_topics(case):
    """A DPS topic with a request id and no operation behind it is answered with 400, and the connection lives on."""
    raw, _ = connected(case)
    for name in ("PUT/iotdps-unregister", "POST/iotdps-register", "GET/iotdps-get-operationstatus", "x"):
        topic, body = register(raw, "ok")
        expect_that(topic.startswith(f"{RESPONSE}/202/"), f"topic of a good one: {topic}")
        raw.publish(f"$dps/registrations/{name}/?$rid=w", b"{}", qos=0)
        topic, payload, _ = raw.receive_publish()
        expect(topic, f"{RESPONSE}/400/?$rid=w", f"topic of the answer to {name}")
        body = json.loads(payload)
        expect_error_body(body, 400004, None)
        expect(case.log.of_error(body)["resultSignature"], "400", "in the log")


@SUITE.case("mqtt/large-requests")
def large_requests(case):
    """A body within the bound registers, one above it that fits a packet is told; CONNECT has a bound of its own."""
    raw, _ = connected(case)
    for size, status in ((90_000, "202"), (99_000, "413")):
        payload = json.dumps({"payload": "x" * size}).encode()
        topic, body = register(raw, "l", payload)
        expect(topic.partition("&")[0], f"{RESPONSE}/{status}/?$rid=l", f"topic of the answer to {size} bytes")
    expect_error_body(body, 413000, None)
    case.log.of_error(body)
    with RawMqtt(case) as mute:
        head = text("MQTT") + bytes([4, 0x82]) + struct.pack(">H", 60) + text("x")
        mute.send(packet(CONNECT, 0, head + text("u" * 10_000)))
        mute.expect_closed("a CONNECT of 10 kB")
        expect_logged(case, mute.peer)


@SUITE.case("mqtt/keep-alive-is-kept")
def keep_alive(case):
    """A client that promised to speak every second and does not is sent away, without a line in the log."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as raw:
        expect(raw.connect_device(case, registration_id, key, keepalive=1), (0, 0), "CONNACK")
        raw.expect_closed("silence")
    # Paho pings by itself.
    device = Device(case)
    with device.client() as client:
        token = sas.device_token(case.id_scope, device.registration_id, device.key)
        name = username(case.id_scope, device.registration_id)
        expect(client.connect(name, token, keepalive=1)[0], 0, "CONNACK")
        for _ in range(2):
            client.next("pong")
        expect(client.subscribe(RESPONSES), (1,), "granted QoS after the silence")


@SUITE.case("mqtt/two-connections-of-one-device")
def two_connections(case):
    """Both are served: they are one device, and neither takes the other's place."""
    registration_id, key = enrolled(case)
    with RawMqtt(case) as first, RawMqtt(case) as second:
        for raw in (first, second):
            expect(raw.connect_device(case, registration_id, key), (0, 0), "CONNACK")
            raw.subscribe()
        operations = {register(raw, "x")[1]["operationId"] for raw in (second, first)}
        expect_that(1 <= len(operations) <= 2, f"operations: {operations}")
