"""AMQP 1.0 by hand: Apache Qpid's protocol engine (`proton`) over a stream of ours, and single frames as bytes.

Owns: the engine's input and output, and waiting for what it learns. Whatever is sent is the case's
doing. It must not judge an answer.
"""

import contextlib
import struct
import time

from harness.errors import Unexpected, expect, expect_that

try:
    import proton
    from proton import Data, Delivery, Described, Endpoint, Message, symbol, uint, ulong
except ImportError:
    # It could not be built: no case that needs it runs.
    proton = None

# Where Azure's gateway says why it closes at once, among the properties of OPEN.
OPEN_ERROR = "com.microsoft:open-error"
WAIT_SECONDS = 30
MOST_AT_ONCE = 65_536

AMQP_HEADER, SASL_HEADER = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SOURCE, TARGET = 0x28, 0x29
SASL_MECHANISMS, SASL_INIT, SASL_CHALLENGE, SASL_RESPONSE, SASL_OUTCOME = range(0x40, 0x45)
OPERATION_TYPE, OPERATION_ID = "iotdps-operation-type", "iotdps-operation-id"
API_VERSION, CLIENT_VERSION = "com.microsoft:api-version", "com.microsoft:client-version"


class Amqp:
    """One connection with its engine; a context manager.

    With `user` and `password` it begins with SASL PLAIN, else without SASL.
    """

    def __init__(self, stream, user=None, password=None, max_frame_size=None, idle_seconds=None):
        self.stream = stream
        self.transport, self.connection = proton.Transport(), proton.Connection()
        if max_frame_size is not None:
            self.transport.max_frame_size = max_frame_size
        if idle_seconds is not None:
            self.transport.idle_timeout = idle_seconds
        if user is not None:
            sasl = self.transport.sasl()
            sasl.allowed_mechs("PLAIN")
            # The engine does not know of the TLS around it.
            sasl.allow_insecure_mechs = True
            self.connection.user, self.connection.password = user, password
        self.connection.container, self.connection.hostname = "conformance", "localhost"
        self.transport.bind(self.connection)
        self._tags = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def write(self):
        """Hands on what the engine has to say."""
        self.transport.tick(time.monotonic())
        while (length := self.transport.pending()) > 0:
            data = bytes(self.transport.peek(min(length, MOST_AT_ONCE)))
            self.stream.send(data)
            self.transport.pop(len(data))

    def until(self, condition, what):
        """Writes and reads until it holds; the end of the stream comes too early for it."""
        deadline = time.monotonic() + WAIT_SECONDS
        self.write()
        while not condition():
            if time.monotonic() > deadline:
                raise Unexpected(f"no {what} after {WAIT_SECONDS} s")
            data = self.stream.receive()
            if not data:
                raise ConnectionError(f"the stream ended before {what}: {self.ended()}")
            self.take(data)
            self.write()

    def take(self, data):
        """Gives bytes to the engine, which reads up to its end and no further."""
        while data and (room := self.transport.capacity()) > 0:
            self.transport.push(data[:room])
            data = data[room:]

    def ended(self):
        """Why, as far as either side said."""
        return self.connection.remote_condition or self.transport.condition

    def open(self, properties=None):
        """OPEN, answered; CLOSE may have followed."""
        self.connection.properties = properties
        self.connection.open()
        answered = Endpoint.REMOTE_ACTIVE | Endpoint.REMOTE_CLOSED
        self.until(lambda: self.connection.state & answered, "OPEN")
        return self

    def begin(self):
        """BEGIN, answered."""
        session = self.connection.session()
        session.open()
        self.until(lambda: session.state & Endpoint.REMOTE_ACTIVE, "BEGIN")
        return session

    def attach(self, session, role, address, properties=None, name=None):
        """ATTACH of a receiver or a sender, answered; DETACH may follow."""
        link = getattr(session, role)(name or role)
        (link.source if role == "receiver" else link.target).address = address
        link.properties = {symbol(key): value for key, value in (properties or {}).items()}
        link.open()
        answered = Endpoint.REMOTE_ACTIVE | Endpoint.REMOTE_CLOSED
        self.until(lambda: link.state & answered, f"ATTACH of the {role}")
        return link

    def close(self):
        """CLOSE, answered."""
        self.connection.close()
        self.until(lambda: self.connection.state & Endpoint.REMOTE_CLOSED, "CLOSE")
        self.write()

    def closed(self, what):
        """The server's CLOSE, answered; gives its error."""
        self.until(lambda: self.connection.state & Endpoint.REMOTE_CLOSED, f"CLOSE after {what}")
        self.connection.close()
        with contextlib.suppress(OSError):
            self.write()
        condition = self.connection.remote_condition
        expect_that(condition, f"CLOSE after {what} says why")
        return condition

    def send(self, sender, message, settled=False, pieces=1):
        """A message, in at least so many transfers; gives its delivery."""
        encoded = message if isinstance(message, bytes) else bytes(message.encode())
        over = Endpoint.REMOTE_CLOSED
        self.until(lambda: sender.credit > 0 or self.connection.state & over, "credit")
        self._tags += 1
        delivery = sender.delivery(str(self._tags))
        size = -(-len(encoded) // pieces)
        for begin in range(0, len(encoded), size):
            if begin:
                # What the engine was given so far leaves in transfers, with more to come.
                self.write()
            sender.stream(encoded[begin : begin + size])
        sender.advance()
        if settled:
            delivery.settle()
        self.write()
        return delivery

    def verdict(self, delivery):
        """The server's outcome of a message, settled: None when it was accepted, else the error."""
        self.until(lambda: delivery.settled or delivery.remote_state, "verdict")
        expect_that(delivery.settled, "the verdict settles the message")
        outcome = int(delivery.remote_state)
        condition = delivery.remote.condition
        delivery.settle()
        if outcome == int(Delivery.ACCEPTED):
            return None
        expect(outcome, int(Delivery.REJECTED), "outcome")
        return condition

    def answered(self, receiver):
        """Whether a whole message is there."""
        current = receiver.current
        return current is not None and current.readable and not current.partial

    def answer(self, receiver):
        """The next message, accepted."""
        self.until(lambda: self.answered(receiver), "answer")
        delivery, message = receiver.current, Message()
        message.decode(receiver.recv(delivery.pending))
        if isinstance(message.body, memoryview):
            # It would not outlive the message.
            message.body = bytes(message.body)
        receiver.advance()
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        self.write()
        return message


def request(operation, body=b"", correlation_id=None, **properties):
    """A request as the SDKs shape it: bytes are a data section, anything else a value."""
    named = {OPERATION_TYPE: operation, **properties}
    named = {name: value for name, value in named.items() if value is not None}
    return Message(body, inferred=isinstance(body, bytes), properties=named, correlation_id=correlation_id)


def poll(operation_id, body=b"", correlation_id=None):
    """A request for the state of an operation."""
    return request("iotdps-get-operationstatus", body, correlation_id, **{OPERATION_ID: operation_id})


def encode(descriptor, value):
    """A described value; the descriptor is a number or, as the standard also allows, a symbol."""
    data = Data()
    data.put_object(Described(ulong(descriptor) if isinstance(descriptor, int) else symbol(descriptor), value))
    return bytes(data.encode())


def frame(code, *fields, channel=0, payload=b"", kind=0):
    """A whole frame; `kind` is 1 for SASL."""
    body = encode(code, list(fields)) + payload
    return struct.pack(">IBBH", 8 + len(body), 2, kind, channel) + body


def opening(max_frame_size=None, idle_ms=None):
    """OPEN."""
    return frame(OPEN, "conformance", "localhost", _uint(max_frame_size), None, _uint(idle_ms))


def beginning(channel=0, window=100):
    """BEGIN."""
    return frame(BEGIN, None, uint(0), uint(window), uint(window), channel=channel)


def attaching(role, address, handle=0, channel=0, name=None):
    """ATTACH of a "receiver" or a "sender"."""
    receives = role == "receiver"
    ends = (Described(ulong(code), [address]) for code in (SOURCE, TARGET))
    first = None if receives else uint(0)
    name = name or f"{role}-{handle}"
    return frame(ATTACH, name, uint(handle), receives, None, None, *ends, None, None, first, channel=channel)


def detaching(handle=0, closed=True, channel=0):
    """DETACH."""
    return frame(DETACH, uint(handle), closed, channel=channel)


def transferring(payload, handle=0, delivery=0, more=False, continues=False):
    """TRANSFER of a message, or of bytes that begin or continue one."""
    if isinstance(payload, Message):
        payload = bytes(payload.encode())
    begins = (None,) * 4 if continues else (uint(delivery), str(delivery).encode(), uint(0), False)
    return frame(TRANSFER, uint(handle), *begins, more, payload=payload)


def flowing(window, echo=False):
    """FLOW of the session alone."""
    return frame(FLOW, uint(0), uint(window), uint(0), uint(100), *(None,) * 5, echo)


def granting(handle=0, credit=1, window=100):
    """FLOW with credit for a link that sends to us."""
    return frame(FLOW, uint(0), uint(window), uint(0), uint(100), uint(handle), uint(0), uint(credit))


def choosing(mechanism, response=b""):
    """SASL-INIT."""
    return frame(SASL_INIT, symbol(mechanism), response, kind=1)


def responding(response):
    """SASL-RESPONSE."""
    return frame(SASL_RESPONSE, response, kind=1)


def _uint(number):
    return None if number is None else uint(number)


class Frames:
    """A conversation of single frames, where the engine would not say what a case says."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = b""

    def exactly(self, length):
        """So many bytes."""
        while len(self.buffer) < length:
            more = self.stream.receive()
            if not more:
                raise ConnectionError(f"the stream ended within {length} bytes, after {self.buffer!r}")
            self.buffer += more
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def header(self, header):
        """A protocol header, answered with the same."""
        self.stream.send(header)
        expect(self.exactly(8), header, "answer to the protocol header")

    def next(self):
        """The next frame as (code, fields); (None, []) for a heartbeat."""
        size, offset, _, _ = struct.unpack(">IBBH", self.exactly(8))
        body = self.exactly(size - 8)[offset * 4 - 8 :]
        if not body:
            return None, []
        data = Data()
        data.decode(body)
        data.rewind()
        data.next()
        described = data.get_object()
        # The engine's views of bytes would not outlive what it decoded them from.
        fields = [bytes(field) if isinstance(field, memoryview) else field for field in described.value]
        return int(described.descriptor), fields

    def of(self, code, what):
        """The next frame of that code; heartbeats and credit pass by."""
        while True:
            found, fields = self.next()
            if found not in (None, FLOW):
                expect(found, code, f"performative, {what}")
                return fields

    def closed(self, what):
        """The server's CLOSE and the end of the stream; gives its error as (condition, description)."""
        fields = self.of(CLOSE, what)
        with contextlib.suppress(OSError):
            self.stream.send(frame(CLOSE))
        expect(self.stream.expect_end(what), b"", f"after the CLOSE, {what}")
        expect_that(fields and fields[0] is not None, f"CLOSE says why, {what}")
        return tuple(fields[0].value[:2])
