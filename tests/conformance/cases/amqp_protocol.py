"""AMQP 1.0 against the protocol, frame by frame: what its breaker is told, and what the server's log says.

Owns: connections that are refused or cut. Requests and their answers are `amqp_by_hand`'s.
"""

import contextlib
import json
import struct

from cases.amqp_by_hand import by_hand
from harness import sas
from harness.amqp import (
    AMQP_HEADER,
    ATTACH,
    BEGIN,
    CLOSE,
    DETACH,
    DISPOSITION,
    END,
    OPEN,
    OPEN_ERROR,
    SASL_HEADER,
    SASL_MECHANISMS,
    SASL_OUTCOME,
    TRANSFER,
    Amqp,
    Frames,
    attaching,
    beginning,
    choosing,
    detaching,
    encode,
    frame,
    granting,
    opening,
    proton,
    request,
    responding,
    transferring,
)
from harness.amqp_device import AmqpDevice
from harness.device_sdks import expect_error_body
from harness.errors import expect, expect_member, expect_that
from harness.streams import TlsStream

SASL_OK, SASL_AUTH = 0, 1
NO_SCOPE = "0ne00000NOT"


def expect_logged(case, stream, *mentions, claimed=None):
    """The one line about that connection names all of this."""
    row = case.log.of_connection(stream.peer)
    for mention in mentions:
        expect_that(mention in row["resultDescription"], f"{mention!r} in the log: {row['resultDescription']}")
    expect(row["properties"]["protocol"], "Amqp", "protocol in the log")
    if claimed is not None:
        expect(row["properties"]["claimed"], claimed, "whose, in the log")
    return row


def expect_still_serving(case):
    """A device registers as if nothing had been."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        expect(device.register(amqp)["status"], "assigning", "status of a register request afterwards")


@contextlib.contextmanager
def dialled(case, files=None):
    """A stream with its frames; nothing is said yet."""
    with TlsStream(case, case.amqp_port, files) as stream:
        yield Frames(stream)


@contextlib.contextmanager
def opened(case, device, *more):
    """A device's connection by certificate, open, with a session; then `more` is sent."""
    with dialled(case, device.files) as frames:
        frames.header(AMQP_HEADER)
        frames.stream.send(opening() + beginning())
        frames.of(OPEN, "OPEN")
        frames.of(BEGIN, "BEGIN")
        frames.stream.send(b"".join(more))
        yield frames


@by_hand("headers-that-are-not-served")
def headers(case):
    """Whoever speaks another protocol gets the header that is spoken here, and the end."""
    others = {
        "AMQP 0-9-1": b"AMQP\x00\x00\x09\x01",
        "AMQP 1.1": b"AMQP\x00\x01\x01\x00",
        "TLS inside TLS": b"AMQP\x02\x01\x00\x00",
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "MQTT": b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04xxxx",
    }
    for what, said in others.items():
        with dialled(case) as frames:
            frames.stream.send(said)
            expect(frames.exactly(8), SASL_HEADER, f"answer to {what}")
            expect(frames.stream.expect_end(what), b"", f"after the header, {what}")
            expect_logged(case, frames.stream, "protocol header")
    expect_still_serving(case)


@by_hand("sasl-offers-what-devices-use")
def sasl_mechanisms(case):
    """PLAIN and TPM are offered, in one frame of the size that SASL allows."""
    with dialled(case) as frames:
        frames.header(SASL_HEADER)
        (mechanisms,) = frames.of(SASL_MECHANISMS, "the offer")
        names = {str(name) for name in getattr(mechanisms, "elements", mechanisms)}
        expect(names & {"PLAIN", "TPM"}, {"PLAIN", "TPM"}, f"mechanisms ({names})")


@by_hand("sasl-mechanism-that-is-not-offered")
def sasl_not_offered(case):
    """Its outcome is `auth`, and the end."""
    with dialled(case) as frames:
        frames.header(SASL_HEADER)
        frames.of(SASL_MECHANISMS, "the offer")
        frames.stream.send(choosing("SCRAM-SHA-256", b"n,,n=x,r=y"))
        expect(int(frames.of(SASL_OUTCOME, "the outcome")[0]), SASL_AUTH, "outcome")
        expect(frames.stream.expect_end("the outcome"), b"", "after the outcome")
        expect_logged(case, frames.stream, "mechanism")


@by_hand("sasl-anonymous-is-no-device")
def sasl_anonymous(case):
    """Whoever has nothing but ANONYMOUS gets no link to a device's address."""
    address = f"{case.id_scope}/registrations/{case.name()}"
    with dialled(case) as frames:
        frames.header(SASL_HEADER)
        frames.of(SASL_MECHANISMS, "the offer")
        frames.stream.send(choosing("ANONYMOUS", b"nobody"))
        if int(frames.of(SASL_OUTCOME, "the outcome")[0]) == SASL_OK:
            frames.header(AMQP_HEADER)
            frames.stream.send(opening() + beginning() + attaching("sender", address))
            code, fields = frames.next()
            while code != CLOSE:
                if code == ATTACH:
                    # What is not there at the end of a list is not written.
                    expect(fields[6:7] or [None], [None], "target of the ATTACH that refuses")
                code, fields = frames.next()
            expect(str(fields[0].value[0]), "amqp:unauthorized-access", "condition")
            frames.stream.send(frame(CLOSE))
        frames.stream.expect_end("the refusal")
        expect_logged(case, frames.stream)


@by_hand("sasl-plain-that-is-nobodys")
def sasl_nobody(case):
    """A response that names no device's address, or is no response of PLAIN at all."""
    for response in (b"\x00nonsense\x00x", b"\x00\x00", b"x", b"", b"\x00a/b/c/d\x00x", b"\xff\xfe\x00\xff\x00\xff"):
        with dialled(case) as frames:
            frames.header(SASL_HEADER)
            frames.of(SASL_MECHANISMS, "the offer")
            frames.stream.send(choosing("PLAIN", response))
            expect(int(frames.of(SASL_OUTCOME, "the outcome")[0]), SASL_AUTH, f"outcome of {response!r}")
            expect(frames.stream.expect_end("the outcome"), b"", "after the outcome")
            expect_logged(case, frames.stream, "SASL PLAIN")
    expect_still_serving(case)


@by_hand("sasl-out-of-order")
def sasl_out_of_order(case):
    """Frames that are not due, frames of AMQP inside SASL, and frames beyond 512 bytes end the connection."""
    wrong = {
        "a response before a challenge": responding(b"x"),
        "an outcome from the client": frame(SASL_OUTCOME, proton.ubyte(0), kind=1),
        "OPEN inside SASL": opening(),
        "an init of 600 bytes": choosing("PLAIN", b"x" * 600),
        "no frame": b"\x00\x00\x00\x04" + b"\xff" * 60,
    }
    for what, said in wrong.items():
        with dialled(case) as frames:
            frames.header(SASL_HEADER)
            frames.of(SASL_MECHANISMS, "the offer")
            frames.stream.send(said)
            frames.stream.expect_end(what)
            expect_logged(case, frames.stream)
    expect_still_serving(case)


@by_hand("unknown-scope-is-refused-at-open")
def unknown_scope(case):
    """With SASL the scope is known before OPEN: it is answered with the error in its properties, then CLOSE."""
    device = AmqpDevice(case)
    user = f"{NO_SCOPE}/registrations/{device.registration_id}"
    with device.dial(user=user) as amqp:
        amqp.open()
        condition = amqp.closed("an unknown scope")
        expect(condition.name, "amqp:not-found", "condition of the CLOSE")
        body = json.loads(condition.description)
        expect_error_body(body, 404204, None)
        told = amqp.connection.remote_properties[OPEN_ERROR]
        expect([str(told.value[0]), told.value[1]], [condition.name, condition.description], OPEN_ERROR)
        row = expect_logged(case, amqp.stream, "OPEN", claimed=user)
        expect(row["correlationId"], body["trackingId"], "tracking id in the log")


def expect_attach_refused(case, amqp, link, condition, code, claimed):
    """ATTACH without the end that was asked for, DETACH, CLOSE; both say the same, and the log has it."""
    close = amqp.closed("a refused link")
    expect(close.name, condition, "condition of the CLOSE")
    body = json.loads(close.description)
    expect_error_body(body, code, None)
    expect(link.remote_target.address if link.is_sender else link.remote_source.address, None, "the refused end")
    expect((link.remote_condition.name, link.remote_condition.description), (close.name, close.description), "DETACH")
    row = expect_logged(case, amqp.stream, "ATTACH", claimed=claimed)
    expect(row["correlationId"], body["trackingId"], "tracking id in the log")
    return body


@by_hand("neither-sasl-nor-certificate-is-refused-at-attach")
def no_proof(case):
    """Without SASL a certificate is all that could speak for a device; until its link it may be a hub's, by token."""
    address = f"{case.id_scope}/registrations/{case.name()}"
    with Amqp(TlsStream(case, case.amqp_port)) as amqp:
        link = amqp.attach(amqp.open().begin(), "receiver", address)
        expect_attach_refused(case, amqp, link, "amqp:unauthorized-access", 401000, address)


@by_hand("address-of-another-shape-is-refused-at-attach")
def wrong_address(case):
    """In Azure's words, for both kinds of link and both proofs."""
    scope = case.id_scope
    addresses = ("", "/", "x", f"{scope}/registrations/", f"{scope}/enrollments/x", "a/registrations/b/c")
    for x509 in (False, True):
        device = AmqpDevice(case, x509=x509)
        for number, address in enumerate(addresses):
            with device.dial() as amqp:
                session = amqp.open().begin()
                link = amqp.attach(session, ("sender", "receiver")[number % 2], address)
                claimed = device.address if not x509 else None
                body = expect_attach_refused(case, amqp, link, "amqp:not-found", 404000, claimed)
                wanted = f"The link address '{address}' did not match any of the expected formats."
                expect(body["message"], wanted, "message")


@by_hand("address-of-another-device-is-refused-at-attach")
def address_of_another(case):
    """SASL said who speaks; a link to somebody else's address ends the connection, before or after a right one."""
    device, other = AmqpDevice(case), AmqpDevice(case)
    scope = f"{NO_SCOPE}/registrations/{device.registration_id}"
    for address, first in ((other.address, None), (other.address, device.address), (scope, None)):
        with device.dial() as amqp:
            session = amqp.open().begin()
            if first:
                amqp.attach(session, "receiver", first)
            link = amqp.attach(session, "sender", address)
            condition = "amqp:unauthorized-access"
            expect_attach_refused(case, amqp, link, condition, 401000, device.address)


@by_hand("two-devices-on-one-connection-are-refused")
def two_devices(case):
    """A certificate is one device's: the first link says whose, and a second device is none of it."""
    device, other = AmqpDevice(case, x509=True), AmqpDevice(case, x509=True)
    with device.dial() as amqp:
        session = amqp.open().begin()
        amqp.attach(session, "receiver", device.address)
        link = amqp.attach(session, "sender", other.address)
        expect_attach_refused(case, amqp, link, "amqp:unauthorized-access", 401000, device.address)
    with device.dial() as amqp:
        link = amqp.attach(amqp.open().begin(), "receiver", other.address)
        expect_attach_refused(case, amqp, link, "amqp:unauthorized-access", 401002, other.address)


@by_hand("unknown-scope-by-certificate-is-refused-at-attach")
def unknown_scope_by_certificate(case):
    """Without SASL nothing tells the scope before the first link."""
    device = AmqpDevice(case, x509=True)
    address = f"{NO_SCOPE}/registrations/{device.registration_id}"
    with device.dial() as amqp:
        link = amqp.attach(amqp.open().begin(), "receiver", address)
        expect_attach_refused(case, amqp, link, "amqp:not-found", 404204, address)


def broken_frames():
    """Bytes that no frame begins with, by what is wrong, each with the condition that tells it."""
    framing, decoding = "amqp:connection:framing-error", "amqp:decode-error"
    return {
        "a frame beyond the largest": (struct.pack(">IBBH", 65_537, 2, 0, 0) + b"\x00" * 1000, framing),
        "a frame of 4 GB": (b"\xff\xff\xff\xff\x02\x00\x00\x00", framing),
        "a frame of four bytes": (struct.pack(">IBBH", 4, 2, 0, 0), framing),
        "a data offset of one": (struct.pack(">IBBH", 8, 1, 0, 0), framing),
        "a data offset beyond the frame": (struct.pack(">IBBH", 8, 3, 0, 0), framing),
        "a frame of another type": (struct.pack(">IBBH", 8, 2, 7, 0), framing),
        "a performative that is none": (frame(0x99, "x"), decoding),
        "a body that is no value": (struct.pack(">IBBH", 12, 2, 0, 0) + b"\xff\xff\xff\xff", decoding),
        "ATTACH without its name": (frame(ATTACH, None, proton.uint(0), True), decoding),
        "ATTACH with a number for a name": (frame(ATTACH, proton.uint(1), proton.uint(0), True), decoding),
    }


@by_hand("frames-that-are-none")
def bad_frames(case):
    """CLOSE with the standard's condition and a sentence, the end, and a line in the log."""
    device = AmqpDevice(case, x509=True)
    for what, (said, wanted) in broken_frames().items():
        with opened(case, device, said) as frames:
            condition, description = frames.closed(what)
            expect(str(condition), wanted, f"condition, {what}")
            expect_that(description, f"a description, {what}")
            expect_logged(case, frames.stream, "protocol")
    expect_still_serving(case)


def misplaced(address):
    """Frames that are good and come where they do not belong, each with the condition that tells it."""
    number = proton.uint
    sender = attaching("sender", address, handle=1)
    return {
        "a second OPEN": (opening(), "amqp:illegal-state"),
        "BEGIN on a channel in use": (beginning(), "amqp:illegal-state"),
        "BEGIN beyond the highest channel": (beginning(channel=9000), "amqp:connection:framing-error"),
        "ATTACH without a session": (attaching("sender", address, channel=7), "amqp:not-allowed"),
        "ATTACH on a handle in use": (sender + sender, "amqp:session:handle-in-use"),
        "ATTACH beyond the highest handle": (
            attaching("sender", address, handle=100_000),
            "amqp:connection:framing-error",
        ),
        "DETACH of no link": (detaching(handle=9), "amqp:session:unattached-handle"),
        "FLOW for no link": (granting(handle=9), "amqp:session:unattached-handle"),
        "TRANSFER for no link": (transferring(request("x"), handle=9), "amqp:session:unattached-handle"),
        "TRANSFER without its delivery id": (
            sender + frame(TRANSFER, number(1), None, b"t", number(0), payload=b"x"),
            "amqp:invalid-field",
        ),
        "END of no session": (frame(END, channel=3), "amqp:not-allowed"),
        "a frame of SASL": (choosing("PLAIN"), "amqp:connection:framing-error"),
    }


@by_hand("frames-that-do-not-belong")
def misplaced_frames(case):
    """The same for the right frames at the wrong moment."""
    device = AmqpDevice(case, x509=True)
    for what, (said, wanted) in misplaced(device.address).items():
        with opened(case, device, said) as frames:
            code, fields = frames.next()
            while code != CLOSE:
                expect_member(code, (None, ATTACH, 0x13), f"a frame before CLOSE, {what}")
                code, fields = frames.next()
            condition, description = fields[0].value[:2]
            expect(str(condition), wanted, f"condition, {what}")
            expect_that(description, f"a description, {what}")
            frames.stream.expect_end(what)
            expect_logged(case, frames.stream, "protocol")
    expect_still_serving(case)


@by_hand("first-frame-must-be-open")
def first_frame(case):
    """Another one, or an OPEN whose frames would be too small, is answered by OPEN and CLOSE."""
    device = AmqpDevice(case, x509=True)
    firsts = {
        "BEGIN first": (beginning(), "amqp:illegal-state"),
        "CLOSE first": (frame(CLOSE), "amqp:illegal-state"),
        "frames of 511 bytes": (opening(max_frame_size=511), "amqp:invalid-field"),
    }
    for what, (said, wanted) in firsts.items():
        with dialled(case, device.files) as frames:
            frames.header(AMQP_HEADER)
            frames.stream.send(said)
            frames.of(OPEN, what)
            condition, _ = frames.closed(what)
            expect(str(condition), wanted, f"condition, {what}")
            expect_logged(case, frames.stream, "protocol")


@by_hand("closing-in-order")
def closing_in_order(case):
    """As the Node SDK closes: each detach, END and CLOSE is answered before the next one comes, without errors."""
    device = AmqpDevice(case, x509=True)
    links = attaching("receiver", device.address) + attaching("sender", device.address, handle=1)
    with opened(case, device, links) as frames:
        names = [frames.of(ATTACH, "ATTACH")[0] for _ in range(2)]
        expect(names, ["receiver-0", "sender-1"], "links, in the order of the asking")
        for handle in (1, 0):
            frames.stream.send(detaching(handle))
            fields = frames.of(DETACH, "DETACH")
            expect((fields[1], len(fields)), (True, 2), "closed, and no error")
        # The handle is free again.
        frames.stream.send(attaching("receiver", device.address, name="again"))
        expect(frames.of(ATTACH, "ATTACH")[0], "again", "name of the third link")
        frames.stream.send(frame(END))
        expect(frames.of(END, "END"), [], "END without an error")
        frames.stream.send(frame(CLOSE))
        expect(frames.of(CLOSE, "CLOSE"), [], "CLOSE without an error")
        expect(frames.stream.expect_end("CLOSE"), b"", "after CLOSE")


@by_hand("closing-at-once")
def closing_at_once(case):
    """CLOSE with links and sessions open, and END with links open, are answered alone."""
    device = AmqpDevice(case, x509=True)
    link = attaching("sender", device.address)
    with opened(case, device, link) as frames:
        frames.of(ATTACH, "ATTACH")
        error = proton.Described(proton.ulong(0x1D), [proton.symbol("amqp:internal-error"), "ours"])
        frames.stream.send(frame(CLOSE, error))
        expect(frames.of(CLOSE, "CLOSE"), [], "CLOSE without an error")
        expect(frames.stream.expect_end("CLOSE"), b"", "after CLOSE")
    with opened(case, device, link) as frames:
        frames.of(ATTACH, "ATTACH")
        frames.stream.send(frame(END))
        expect(frames.of(END, "END"), [], "END without an error")
        frames.stream.send(beginning() + link)
        frames.of(BEGIN, "BEGIN on the channel that is free again")
        frames.of(ATTACH, "ATTACH of the same name")
        frames.stream.send(frame(CLOSE))
        frames.of(CLOSE, "CLOSE")


@by_hand("descriptors-spelled-out")
def symbolic_descriptors(case):
    """The standard's other spelling of a performative, and fields behind those that it knows, are understood."""
    device = AmqpDevice(case, x509=True)
    body = encode("amqp:open:list", ["conformance", *(None,) * 9, "more", "fields"])
    said = struct.pack(">IBBH", 8 + len(body), 2, 0, 0) + body
    with dialled(case, device.files) as frames:
        frames.header(AMQP_HEADER)
        frames.stream.send(said + beginning())
        frames.of(OPEN, "OPEN")
        frames.of(BEGIN, "BEGIN")


@by_hand("violations-name-their-device")
def violations_name_their_device(case):
    """The operator reads whose connection it was that ended for a broken rule."""
    device = AmqpDevice(case, x509=True)
    with opened(case, device, attaching("receiver", device.address)) as frames:
        frames.of(ATTACH, "ATTACH")
        frames.stream.send(opening())
        frames.closed("a second OPEN")
        expect_logged(case, frames.stream, "open", claimed=device.address)


@by_hand("pipelined-from-the-first-byte")
def pipelined(case):
    """A client that does not wait for any answer is served in order."""
    device = AmqpDevice(case)
    plain = f"\0{device.address}\0{sas.token(device.address, device.key, 'registration')}".encode()
    said = SASL_HEADER + choosing("PLAIN", plain) + AMQP_HEADER + opening() + beginning()
    said += attaching("receiver", device.address) + attaching("sender", device.address, handle=1) + granting()
    with dialled(case) as frames:
        frames.stream.send(said + transferring(request("iotdps-register"), handle=1))
        expect(frames.exactly(8), SASL_HEADER, "first answer")
        frames.of(SASL_MECHANISMS, "the offer")
        expect(int(frames.of(SASL_OUTCOME, "the outcome")[0]), SASL_OK, "outcome")
        expect(frames.exactly(8), AMQP_HEADER, "second header")
        for code in (OPEN, BEGIN, ATTACH, ATTACH, DISPOSITION, TRANSFER):
            frames.of(code, "in order")


@by_hand("heartbeats-keep-an-idle-peer")
def heartbeats(case):
    """A peer that wants to hear something every second does, and is itself given four minutes."""
    device = AmqpDevice(case)
    # The engine gives up by itself when the server is silent for longer than this.
    with device.dial(idle_seconds=1) as amqp:
        amqp.open()
        expect(amqp.transport.remote_idle_timeout, 240.0, "idle time-out of the server")
        before = amqp.transport.frames_input
        amqp.until(lambda: amqp.transport.frames_input >= before + 4, "four heartbeats")
        expect(amqp.transport.condition, None, "the engine's own complaint")
        device.attach(amqp)
        expect(device.register(amqp)["status"], "assigning", "status after the silence")
    with dialled(case, AmqpDevice(case, x509=True).files) as frames:
        frames.header(AMQP_HEADER)
        frames.stream.send(opening(idle_ms=600))
        frames.of(OPEN, "OPEN")
        expect(frames.next(), (None, []), "an empty frame")


@by_hand("never-opened-is-cut", full=True)
def never_opened(case):
    """A client that stops before OPEN is sent away within a minute, in every stage."""
    files = AmqpDevice(case, x509=True).files
    stages = {"nothing": b"", "half a header": b"AMQP", "SASL": SASL_HEADER, "AMQP": AMQP_HEADER}
    with contextlib.ExitStack() as stack:
        streams = {}
        for what, said in stages.items():
            streams[what] = stack.enter_context(TlsStream(case, case.amqp_port, files))
            streams[what].send(said)
        for what, stream in streams.items():
            stream.expect_end(what, within=60)
            expect_logged(case, stream, "connect")
