"""WebSockets on the HTTPS port, frame by frame: the upgrade, what is a byte stream, and what ends it.

Owns: RFC 6455 as MQTT and AMQP clients use and break it. What is said inside is other modules'.
"""

import json
import struct

from cases import SUITE
from harness import raw_https
from harness.amqp import request
from harness.amqp_device import AmqpDevice
from harness.device_sdks import expect_error_body
from harness.errors import expect, expect_that
from harness.raw_mqtt import CONNACK, CONNECT, PINGREQ, PINGRESP, packet, text
from harness.streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATH,
    PING,
    PONG,
    TEXT,
    WebSocket,
    upgrade_fields,
)

SASL_HEADER = b"AMQP\x03\x01\x00\x00"
NOBODY = packet(CONNECT, 0, text("MQTT") + bytes([4, 0x82]) + struct.pack(">H", 60) + text("x") + text("nonsense"))
REFUSED = packet(CONNACK, 0, b"\x00\x05")
NORMAL, PROTOCOL_ERROR, NOT_ACCEPTED, TOO_BIG = 1000, 1002, 1003, 1009
LARGEST_MESSAGE = 1024 * 1024


def hello(case, registration_id):
    """A CONNECT that is accepted: a wrong token is told later."""
    user = f"{case.id_scope}/registrations/{registration_id}/api-version=2019-03-31"
    body = text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 60) + text(registration_id) + text(user) + text("x")
    return packet(CONNECT, 0, body)


def expect_logged(case, stream, protocol, *mentions):
    """The one line about that connection names all of this."""
    row = case.log.of_connection(stream.peer)
    for mention in mentions:
        expect_that(mention in row["resultDescription"], f"{mention!r} in the log: {row['resultDescription']}")
    expect(row["properties"]["protocol"], protocol, "protocol in the log")


@SUITE.case("websocket/any-path-and-any-spelling")
def paths_and_spellings(case):
    """The sub-protocol decides, whatever the path; its first spelling that is known comes back as it was."""
    asked = (
        (PATH, "mqtt", "mqtt"),
        ("/", "MQTT", "MQTT"),
        ("/mqtt", "Mqtt, mqttv3.1", "Mqtt"),
        (f"{PATH}?iothub-no-client-cert=true", "chat, mqtt", "mqtt"),
        (PATH, "AMQPWSB10", "AMQPWSB10"),
        ("/", "amqpwsb10", "amqpwsb10"),
        (f"/{case.id_scope}/registrations/x/register", "AmqpWsb10,mqtt", "AmqpWsb10"),
    )
    for path, offered, chosen in asked:
        with WebSocket(case, offered, path=path, chosen=chosen) as stream:
            is_mqtt = chosen.lower() == "mqtt"
            stream.send(NOBODY if is_mqtt else SASL_HEADER)
            expect(stream.receive()[:8], REFUSED if is_mqtt else SASL_HEADER, f"answer on {path}")


@SUITE.case("websocket/upgrades-that-are-refused")
def refused_upgrades(case):
    """400 with the error body and the version that is spoken, a line in the log each."""
    good = upgrade_fields("mqtt")
    wrong = {
        "no sub-protocol": {"Sec-WebSocket-Protocol": None},
        "an unknown sub-protocol": {"Sec-WebSocket-Protocol": "chat, mqttv5"},
        "no key": {"Sec-WebSocket-Key": None},
        "a key that is none": {"Sec-WebSocket-Key": "c2hvcnQ="},
        "no version": {"Sec-WebSocket-Version": None},
        "version 8": {"Sec-WebSocket-Version": "8"},
    }
    for what, fields in wrong.items():
        answer = raw_https.request(case, "GET", PATH, headers={**good, **fields})
        expect(answer.status, 400, f"status, {what}: {answer.raw[:200]}")
        expect_error_body(answer.json, 400004, None)
        expect(answer.headers.get("sec-websocket-version"), "13", f"Sec-WebSocket-Version, {what}")
        expect(case.log.of_error(answer.json)["resultSignature"], "400", f"in the log, {what}")
    answer = raw_https.request(case, "POST", PATH, headers=good)
    expect((answer.status, answer.headers.get("allow")), (405, "GET"), "status and Allow of POST")
    case.log.of_error(answer.json)


@SUITE.case("websocket/pings-and-fragments")
def pings_and_fragments(case):
    """Messages mean nothing: a packet in fragments, pings between them, empty frames, pongs that nobody asked for."""
    with WebSocket(case, "AMQPWSB10") as stream:
        stream.frame(BINARY, SASL_HEADER[:3], final=False)
        stream.frame(PING, b"between")
        expect(stream.receive_frame(), (PONG, b"between"), "answer to a ping within a protocol header")
        stream.frame(CONTINUATION, SASL_HEADER[3:])
        expect(stream.receive()[:8], SASL_HEADER, "protocol header")
    whole = hello(case, case.name())
    with WebSocket(case, "mqtt") as stream:
        stream.frame(BINARY, whole[:5], final=False)
        stream.frame(PING, b"between")
        expect(stream.receive_frame(), (PONG, b"between"), "answer to a ping within a message")
        stream.frame(CONTINUATION, b"", final=False)
        stream.frame(PONG, b"unasked")
        stream.frame(CONTINUATION, whole[5:])
        expect(stream.receive_frame(), (BINARY, packet(CONNACK, 0, b"\x00\x00")), "CONNACK")
        stream.frame(PING, b"")
        expect(stream.receive_frame(), (PONG, b""), "answer to an empty ping")
        stream.frame(PING, b"x" * 125)
        expect(stream.receive_frame(), (PONG, b"x" * 125), "answer to the longest ping")
        ping = packet(PINGREQ, 0, b"")
        stream.frame(BINARY, b"")
        # Two packets in one message, and one in two.
        stream.frame(BINARY, ping + ping + ping[:1])
        stream.frame(BINARY, ping[1:])
        answers = b""
        while len(answers) < 6:
            answers += stream.receive()
        expect(answers, packet(PINGRESP, 0, b"") * 3, "answers to three pings of MQTT")


@SUITE.case("websocket/frames-that-are-wrong")
def wrong_frames(case):
    """Each is closed with the code that says so, before and after the first packet, and logged."""
    wrong = {
        "text": (lambda stream: stream.frame(TEXT, b"hello"), NOT_ACCEPTED, "text"),
        "not masked": (lambda stream: stream.frame(BINARY, b"\xc0\x00", mask=b""), PROTOCOL_ERROR, "mask"),
        "a continuation of nothing": (
            lambda stream: stream.frame(CONTINUATION, b"x"),
            PROTOCOL_ERROR,
            "continues nothing",
        ),
        "an unknown opcode": (lambda stream: stream.frame(3, b"x"), PROTOCOL_ERROR, "opcode"),
        "a fragmented ping": (lambda stream: stream.frame(PING, b"", final=False), PROTOCOL_ERROR, "fragmented"),
        "a ping of 126 bytes": (lambda stream: stream.frame(PING, b"x" * 126), PROTOCOL_ERROR, "125"),
        "a close of one byte": (lambda stream: stream.frame(CLOSE, b"\x03"), PROTOCOL_ERROR, "code"),
        "a message above 1 MiB": (
            lambda stream: stream.socket.sendall(b"\x82\xff" + struct.pack(">Q", LARGEST_MESSAGE + 1) + b"mask"),
            TOO_BIG,
            "1048576",
        ),
    }
    inside = (("mqtt", "MqttWs", hello(case, case.name())), ("AMQPWSB10", "AmqpWs", SASL_HEADER))
    for what, (break_it, code, mention) in wrong.items():
        for subprotocol, protocol, greeting in inside:
            for greeted in (False, True):
                with WebSocket(case, subprotocol) as stream:
                    if greeted:
                        stream.send(greeting)
                        stream.receive()
                    break_it(stream)
                    # The server reads no frame any more, and gives the client time to go.
                    stream.expect_closed(code, what, to_the_end=False)
                expect_logged(case, stream, protocol, mention)


@SUITE.case("websocket/closes")
def closes(case):
    """A close is answered with its own code and the end; what the protocol inside ends is closed as normal."""
    for code in (b"", struct.pack(">H", NORMAL), struct.pack(">H", 1001) + "très bien".encode()):
        for offered in ("mqtt", "AMQPWSB10"):
            with WebSocket(case, offered) as stream:
                stream.frame(CLOSE, code)
                expect(stream.receive_frame(), (CLOSE, code[:2]), "answer to the close")
                expect(stream.receive_frame(), (None, b""), "after the close")
    with WebSocket(case, "mqtt") as stream:
        stream.send(NOBODY)
        expect(stream.receive(), REFUSED, "answer to a user name that is none")
        stream.expect_closed(NORMAL, "CONNACK 5")
        expect_logged(case, stream, "MqttWs", "CONNACK 5")
    with WebSocket(case, "AMQPWSB10") as stream:
        stream.send(b"GET / HTTP/1.1\r\n\r\n")
        expect(stream.receive(), SASL_HEADER, "answer to another protocol")
        stream.expect_closed(NORMAL, "another protocol")
        expect_logged(case, stream, "AmqpWs", "protocol header")


@SUITE.case("websocket/amqp-in-pieces", needs=("proton",))
def amqp_in_pieces(case):
    """Frames of AMQP cut into messages of a few bytes, or large ones in one message, are the same conversation."""
    for piece in (1, 7, 1000, None):
        for x509 in (False, True):
            device = AmqpDevice(case, x509=x509, websocket=True)
            device.piece = piece
            with device.connect() as amqp:
                expect(device.register(amqp)["status"], "assigning", f"status, in pieces of {piece}")
                if piece != 1:
                    body = json.dumps({"payload": "x" * 90_000}).encode()
                    delivery = amqp.send(amqp.sender, request("iotdps-register", body))
                    expect(amqp.verdict(delivery), None, f"verdict of a large one, in pieces of {piece}")
                    answer = json.loads(amqp.answer(amqp.receiver).body)
                    expect(answer["status"], "assigning", f"status of a large one, in pieces of {piece}")
                amqp.close()
