"""A bare MQTT 3.1.1 client, for the order and the bytes that SDKs hide, and for packets that they never send."""

import struct
import time
from urllib.parse import quote

from harness import sas
from harness.errors import Unexpected, expect
from harness.event_log import Peer, clock
from harness.raw_https import connect

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

RESPONSES = "$dps/registrations/res/#"
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="


def text(value):
    """A length-prefixed UTF-8 string."""
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def packet(kind, flags, body):
    """A whole packet with its fixed header."""
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind << 4 | flags]) + bytes(digits) + body


class RawMqtt:
    """One connection to port 8883; a context manager."""

    def __init__(self, case, files=None, version=None):
        since = clock()
        self.socket = connect(case, case.mqtt_port, files, version)
        self.peer = Peer(self.socket.getsockname(), since)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Bytes as they are."""
        self.socket.sendall(data)

    def connect(self, client_id, username, password=None, clean=True, keepalive=60):
        """CONNECT; returns (session present, return code)."""
        flags = 0x80 | (0x40 if password is not None else 0) | (0x02 if clean else 0)
        body = text("MQTT") + bytes([4, flags]) + struct.pack(">H", keepalive) + text(client_id) + text(username)
        self.send(packet(CONNECT, 0, body + (text(password) if password is not None else b"")))
        kind, _, answer = self.receive()
        expect(kind, CONNACK, "packet type after CONNECT")
        return answer[0], answer[1]

    def connect_device(self, case, registration_id, key, **options):
        """CONNECT as a device of the default scope with a token."""
        version = "api-version=2019-03-31&ClientVersion=conformance"
        username = f"{case.id_scope}/registrations/{registration_id}/{version}"
        token = sas.device_token(case.id_scope, registration_id, key)
        return self.connect(registration_id, username, token, **options)

    def subscribe(self, topic=RESPONSES, qos=1, identifier=1):
        """SUBSCRIBE; returns the granted QoS or 0x80."""
        self.send(packet(SUBSCRIBE, 2, struct.pack(">H", identifier) + text(topic) + bytes([qos])))
        kind, _, answer = self.receive()
        expect((kind, answer[:2]), (SUBACK, struct.pack(">H", identifier)), "SUBACK")
        return answer[2]

    def publish(self, topic, payload=b"", qos=1, identifier=2):
        """PUBLISH, without waiting for anything."""
        head = text(topic) + (struct.pack(">H", identifier) if qos else b"")
        self.send(packet(PUBLISH, qos << 1, head + payload))

    def receive(self):
        """The next packet: (type, flags, body); raises when the connection ends first."""
        while True:
            parsed = self._parse()
            if parsed:
                return parsed
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more

    def receive_publish(self):
        """The next PUBLISH as (topic, payload, qos), acknowledged when it asks for it."""
        kind, flags, body = self.receive()
        expect(kind, PUBLISH, "packet type")
        length = struct.unpack(">H", body[:2])[0]
        topic, rest, qos = body[2 : 2 + length].decode(), body[2 + length :], flags >> 1 & 3
        if qos:
            self.send(packet(PUBACK, 0, rest[:2]))
            rest = rest[2:]
        return topic, rest, qos

    def rest(self):
        """All that comes until the server closes."""
        while more := self.socket.recv(65536):
            self.buffer += more
        return self.buffer

    def expect_closed(self, what, within=20):
        """The server closes the connection, whatever it says before."""
        deadline = time.monotonic() + within
        try:
            while time.monotonic() < deadline:
                self.socket.settimeout(max(0.1, deadline - time.monotonic()))
                if not self.socket.recv(65536):
                    return
        except TimeoutError:
            pass
        except OSError:
            return
        raise Unexpected(f"the connection is still open {within} s after {what}")

    def _parse(self):
        length, shift = 0, 0
        for index, digit in enumerate(self.buffer[1:5], start=1):
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                end = index + 1 + length
                if len(self.buffer) < end:
                    return None
                whole, self.buffer = self.buffer[:end], self.buffer[end:]
                return whole[0] >> 4, whole[0] & 0xF, whole[index + 1 :]
        return None


def username(id_scope, registration_id, tail="api-version=2019-03-31"):
    """The user name of a device; the tail is the caller's."""
    return f"{id_scope}/registrations/{quote(registration_id, safe='')}/{tail}"
