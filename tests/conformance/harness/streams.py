"""Byte streams to the server for clients by hand: TLS on a port of its own, or a WebSocket on the HTTPS port.

Owns: RFC 6455 as a client speaks it, frame by frame, wrong frames included. It must not know what
the bytes of a stream say.
"""

import base64
import contextlib
import hashlib
import os
import struct
import time

from harness.errors import Unexpected, expect
from harness.event_log import Peer, clock
from harness.raw_https import connect

WAIT_SECONDS = 30
MOST_AT_ONCE = 65_536

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATH = "/$iothub/websocket"
# RFC 6455 §1.3.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def upgrade_fields(offered, key="dGhlIHNhbXBsZSBub25jZQ=="):
    """The header fields that ask for a WebSocket."""
    version = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": offered}
    return {"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket", **version}


class TlsStream:
    """TLS on one of the server's ports; a context manager."""

    def __init__(self, case, port, files=None):
        since = clock()
        self.socket = connect(case, port, files)
        self.peer = Peer(self.socket.getsockname(), since)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """What came, at least a byte; nothing at the end."""
        try:
            return self.socket.recv(MOST_AT_ONCE)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def close(self):
        self.socket.close()

    def expect_end(self, what, within=WAIT_SECONDS):
        """The server ends the stream; gives what it said before."""
        deadline, said = time.monotonic() + within, b""
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                more = self.receive()
                if not more:
                    return said
                said += more
        raise Unexpected(f"the connection is still open {within} s after {what}")


class WebSocket(TlsStream):
    """The same through a WebSocket; `chosen` is which of the offered sub-protocols the server takes."""

    def __init__(self, case, offered, files=None, path=PATH, chosen=None, piece=None):
        super().__init__(case, case.https_port, files)
        self.buffer, self._piece = b"", piece
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": case.host, **upgrade_fields(offered, key)}
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        super().send(f"{head}\r\n".encode())
        self._expect_upgraded(key, chosen or offered)

    def send(self, data):
        """Bytes as one binary message: a frame, or as many as pieces of that size need."""
        size = self._piece or len(data)
        for begin in range(0, len(data), size):
            piece, opcode = data[begin : begin + size], CONTINUATION if begin else BINARY
            self.frame(opcode, piece, final=begin + size >= len(data))

    def frame(self, opcode, data, final=True, mask=None):
        """A frame as a client sends it; an empty `mask` leaves it unmasked, which is against the rules."""
        mask = os.urandom(4) if mask is None else mask
        length, masked = len(data), 0x80 if mask else 0
        if length < 126:
            head = struct.pack(">B", masked | length)
        elif length < 65_536:
            head = struct.pack(">BH", masked | 126, length)
        else:
            head = struct.pack(">BQ", masked | 127, length)
        if mask:
            whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
            data = whole.to_bytes(length, "big")
        super().send(bytes([(0x80 if final else 0) | opcode]) + head + mask + data)

    def receive(self):
        """The payload of the next binary frames; nothing once the server has closed."""
        while True:
            opcode, data = self.receive_frame()
            if opcode is None or opcode == CLOSE:
                return b""
            if opcode in (BINARY, CONTINUATION) and data:
                return data

    def receive_frame(self):
        """The next frame as (opcode, payload); (None, nothing) at the end of the stream."""
        while True:
            frame = self._parse()
            if frame is not None:
                return frame
            more = super().receive()
            if not more:
                return None, b""
            self.buffer += more

    def expect_closed(self, code, what, to_the_end=True):
        """The server's close frame with that code, answered, and then the end of the stream."""
        while True:
            opcode, data = self.receive_frame()
            if opcode is None:
                raise Unexpected(f"the stream ended without a close frame after {what}")
            if opcode == CLOSE:
                break
        expect(struct.unpack(">H", data[:2])[0] if data else None, code, f"code of the close after {what}")
        with contextlib.suppress(OSError):
            self.frame(CLOSE, data[:2])
        if to_the_end:
            expect(self.receive_frame(), (None, b""), f"after the close that answers {what}")

    def _expect_upgraded(self, key, subprotocol):
        while b"\r\n\r\n" not in self.buffer:
            more = super().receive()
            if not more:
                raise ConnectionError(f"no answer to the upgrade: {self.buffer!r}")
            self.buffer += more
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        expect(status.split()[1], "101", f"status of the upgrade: {head!r}")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        accepted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        expect(fields.get("sec-websocket-accept"), accepted, "Sec-WebSocket-Accept")
        expect(fields.get("sec-websocket-protocol"), subprotocol, "Sec-WebSocket-Protocol")

    def _parse(self):
        if len(self.buffer) < 2:
            return None
        opcode, length, at = self.buffer[0] & 0xF, self.buffer[1], 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(self.buffer) < 2 + size:
                return None
            length, at = int.from_bytes(self.buffer[2 : 2 + size], "big"), 2 + size
        if len(self.buffer) < at + length:
            return None
        data, self.buffer = self.buffer[at : at + length], self.buffer[at + length :]
        return opcode, data
