"""Bad input: a clear error for its sender, no harm to anyone else.

Each case that throws garbage at a port registers a device afterwards.
"""

import contextlib
import os
import socket
import ssl
import struct

from cases import SUITE
from harness import raw_https, sas
from harness.credentials import symmetric_key
from harness.device_sdks import expect_error_body
from harness.errors import expect, expect_member, expect_that
from harness.raw_https import HttpDevice, request
from harness.raw_mqtt import CONNECT, PUBLISH, REGISTER, RESPONSES, SUBSCRIBE, RawMqtt, packet, text

GARBAGE = (
    b"\x00" * 64,
    b"\xff" * 4096,
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\xff\xff" + b"\x01" * 100,
    b"\x16\x03\x01\x00\x05hello",
    b"SSH-2.0-x\r\n",
)

# The server answered and closed while the client was still sending.
GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)


def enrolled(case):
    """A device with an enrollment of its own."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    return HttpDevice(case, registration_id, key)


def expect_error(answer, status, what):
    """An HTTP error with the error body and its tracking id in the headers."""
    expect(answer.status, status, f"status, {what}: {answer.raw[:200]}")
    expect_error_body(answer.json, None, None)
    expect(answer.json["errorCode"] // 1000, status, f"errorCode, {what}")
    expect(answer.headers.get("x-ms-request-id"), answer.json["trackingId"], f"x-ms-request-id, {what}")
    expect_that(answer.headers.get("content-type", "").startswith("application/json"), f"Content-Type, {what}")


def expect_still_serving(case):
    """A device registers as if nothing had been."""
    expect(enrolled(case).register().status, 202, "status of a register request afterwards")


@SUITE.case("bad-input/wrong-method")
def wrong_method(case):
    """405 where a route exists for another method."""
    device = enrolled(case)
    operation = f"{device.path}/operations/4.0000000000000000.0{device.query}"
    wrong = (
        ("POST", f"{device.path}/register{device.query}"),
        ("DELETE", f"{device.path}/register{device.query}"),
        ("PUT", operation),
        ("DELETE", f"{device.path}{device.query}"),
    )
    for method, path in wrong:
        expect_error(request(case, method, path, {}, device.authorization()), 405, f"{method} {path}")


@SUITE.case("bad-input/wrong-media-type")
def wrong_media_type(case):
    """415 for a register request whose body is declared as something else, or as nothing."""
    device = enrolled(case)
    for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded", None):
        answer = device.register(headers={"Content-Type": media_type})
        expect_error(answer, 415, f"Content-Type: {media_type}")
    answer = device.register(headers={"Content-Type": "Application/JSON;charset=UTF-8"})
    expect(answer.status, 202, "status with another spelling of the right type")


@SUITE.case("bad-input/unknown-routes")
def unknown_routes(case):
    """404 with the error body for paths that nobody serves."""
    scope, token = case.id_scope, sas.service_token(case.service_connection_string)
    for path in ("/nowhere", f"/{scope}", f"/{scope}/registrations/x/nowhere", "/enrollments/a/b/c", "/%ff"):
        answer = request(case, "GET", f"{path}?api-version=2021-10-01", headers={"Authorization": token})
        expect_error(answer, 404, path)


@SUITE.case("bad-input/bad-json")
def bad_json(case):
    """400 for bodies that are no JSON object."""
    device = enrolled(case)
    bodies = (b"{", b"}", b"[]", b"1", b'"x"', b"\xff\xfe\x00", b'{"a":1}{', b'{"payload":' + b"[" * 90_000)
    for body in bodies:
        expect_error(device.register(body=body), 400, f"the body {body[:20]!r}")
    expect(device.register().status, 202, "status of a good request afterwards")


@SUITE.case("bad-input/oversized-body")
def oversized_body(case):
    """A body beyond every limit is refused without being read to its end."""
    device = enrolled(case)
    body = b'{"payload":"' + b"x" * 4_000_000 + b'"}'
    try:
        answer = device.register(body=body)
    except GONE:
        answer = None
    if answer is not None:
        expect_member(answer.status, (400, 413), "status")
        expect_error_body(answer.json, None, None)
    expect(device.register().status, 202, "status of a good request afterwards")


@SUITE.case("bad-input/oversized-headers-and-path")
def oversized_head(case):
    """A head beyond every limit, likewise."""
    device = enrolled(case)
    for options in ({"headers": {"X-Long": "x" * 300_000}}, {"token": "x" * 300_000}):
        try:
            expect_that(device.register(**options).status >= 400, "a head of 300 kB is refused")
        except GONE:
            continue
    long_name = HttpDevice(case, "x" * 60_000, device.key)
    with contextlib.suppress(*GONE):
        expect_that(400 <= long_name.register().status < 500, "a path of 60 kB is refused")
    expect(device.register().status, 202, "status of a good request afterwards")


@SUITE.case("bad-input/registration-ids")
def registration_ids(case):
    """Ids that are none, in the path and in the enrollment."""
    token = {"Authorization": sas.service_token(case.service_connection_string)}
    for name in ("a b", "a/b", "ä", "a%00b", "x" * 129, "end.", "end_", "a\nb", "'; DROP TABLE x; --"):
        answer = HttpDevice(case, name, sas.new_key()).register()
        expect_member(answer.status, (400, 401, 404), f"status of registering {name[:20]!r}")
        expect_error_body(answer.json, None, None)
        path = f"/enrollments/{raw_https.quote(name, safe='')}?api-version=2021-10-01"
        body = {"registrationId": name, "attestation": symmetric_key()}
        expect_error(request(case, "PUT", path, body, token), 400, f"enrolling {name[:20]!r}")


@SUITE.case("bad-input/body-of-another-device")
def body_of_another_device(case):
    """The path and the token say who it is; a body that says otherwise is refused."""
    device = enrolled(case)
    answer = device.register(body={"registrationId": "someone-else"})
    expect_error(answer, 400, "a body with another registrationId")
    answer = device.register(body={"registrationId": device.registration_id.upper()})
    expect(answer.status, 202, "status with the same id in another case")


@SUITE.case("bad-input/garbage-instead-of-tls")
def garbage_instead_of_tls(case):
    """Bytes that are no TLS, on both ports."""
    for port in (case.https_port, case.mqtt_port):
        for data in GARBAGE:
            with socket.create_connection((case.host, port), 10) as plain:
                plain.sendall(data)
                plain.shutdown(socket.SHUT_WR)
                drain(plain)
    expect_still_serving(case)


@SUITE.case("bad-input/garbage-inside-tls")
def garbage_inside_tls(case):
    """TLS, and then bytes that are neither HTTP nor MQTT."""
    for port in (case.https_port, case.mqtt_port):
        for data in (b"\x00" * 64, b"\xff" * 4096, os.urandom(4096), b"PUT\r\n\r\n", b"\x10\xff\xff\xff\xff\xff"):
            with raw_https.connect(case, port) as tls:
                tls.sendall(data)
                drain(tls, within=5)
    expect_still_serving(case)


def drain(connection, within=20):
    """Reads until the server closes, or until it has nothing more to say."""
    connection.settimeout(within)
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


@SUITE.case("bad-input/mqtt-packets")
def mqtt_packets(case):
    """Packets against the protocol end the connection, before and after CONNECT."""
    device = enrolled(case)
    head = text("MQTT") + bytes([4, 2]) + struct.pack(">H", 60)
    before = {
        "PUBLISH first": packet(PUBLISH, 0, text("x") + b"y"),
        "a reserved type": packet(15, 0, b""),
        "another protocol": packet(CONNECT, 0, text("MQIsdp") + bytes([3, 2, 0, 60]) + text("x")),
        "a client id beyond the packet": packet(CONNECT, 0, head + b"\xff\xff"),
        "a reserved connect flag": packet(CONNECT, 0, text("MQTT") + bytes([4, 3, 0, 60]) + text("x")),
        "a packet of 256 MB": bytes([CONNECT << 4, 0xFF, 0xFF, 0xFF, 0x7F]),
    }
    for what, data in before.items():
        with RawMqtt(case) as mqtt:
            mqtt.send(data)
            mqtt.expect_closed(what)
    after = {
        "a second CONNECT": packet(CONNECT, 0, head + text("x")),
        "QoS 3": packet(PUBLISH, 6, text(REGISTER + "1") + b"\x00\x01{}"),
        "a topic beyond the packet": packet(PUBLISH, 2, b"\xff\xff"),
        "SUBSCRIBE with wrong flags": packet(SUBSCRIBE, 0, b"\x00\x01" + text(RESPONSES) + b"\x01"),
        "SUBSCRIBE to nothing": packet(SUBSCRIBE, 2, b"\x00\x01"),
        "PUBLISH of 4 MB": packet(PUBLISH, 0, text(REGISTER + "1") + b"x" * 4_000_000),
    }
    for what, data in after.items():
        with RawMqtt(case) as mqtt:
            expect(mqtt.connect_device(case, device.registration_id, device.key)[1], 0, "CONNACK")
            with contextlib.suppress(*GONE):
                mqtt.send(data)
            mqtt.expect_closed(what)
    expect_still_serving(case)


@SUITE.case("bad-input/silent-clients-cost-nobody-else")
def silent_clients(case):
    """Connections that say nothing, in every stage of silence, while a device registers."""
    held = []
    try:
        for port in (case.https_port, case.mqtt_port):
            for _ in range(50):
                held.append(socket.create_connection((case.host, port), 10))
            for _ in range(10):
                held.append(raw_https.connect(case, port))
        half = raw_https.connect(case)
        half.sendall(b"PUT /x/registrations/y/register HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        held.append(half)
        expect_still_serving(case)
    finally:
        for connection in held:
            connection.close()


@SUITE.case("bad-input/mqtt-without-connect-is-closed", full=True)
def mqtt_without_connect(case):
    """A client that never sends CONNECT is sent away within a minute."""
    with RawMqtt(case) as mqtt:
        mqtt.expect_closed("no CONNECT", within=60)
