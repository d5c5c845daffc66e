"""Links of AMQP and what flows over them: credit, windows, settling, splitting, and their bounds.

Owns: what an answer waits for, and what is told when there is too much of something. What the
answers say is `amqp_by_hand`'s.
"""

import json

from cases.amqp_by_hand import by_hand
from cases.amqp_protocol import expect_logged, opened
from harness.amqp import (
    ATTACH,
    DETACH,
    DISPOSITION,
    TRANSFER,
    attaching,
    detaching,
    flowing,
    granting,
    proton,
    request,
    transferring,
)
from harness.amqp_device import AmqpDevice, refused
from harness.errors import expect, expect_that

# The descriptor of an outcome.
ACCEPTED = 0x24


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


@by_hand("windows-hold-answers-back")
def windows(case):
    """A session without window gets no transfer, however much credit its link has; and a flow is echoed when asked."""
    device = AmqpDevice(case, x509=True)
    links = attaching("receiver", device.address) + attaching("sender", device.address, handle=1)
    with opened(case, device, links + granting(credit=5, window=0)) as frames:
        for _ in range(2):
            frames.of(ATTACH, "ATTACH")
        for delivery in range(2):
            frames.stream.send(transferring(request("iotdps-register"), handle=1, delivery=delivery))
            # No transfer comes before the second verdict, though the first answer is there by then.
            frames.of(DISPOSITION, "the verdict")
        frames.stream.send(flowing(1, echo=True))
        frames.of(TRANSFER, "the first answer")
        frames.stream.send(transferring(request("iotdps-register"), handle=1, delivery=2))
        frames.of(DISPOSITION, "the third verdict")
        frames.stream.send(flowing(100))
        for _ in range(2):
            frames.of(TRANSFER, "the answers that waited")


@by_hand("settle-modes-of-the-receiver")
def settle_modes(case):
    """Answers are settled when sent, or by the receiver, or by both in turn, as its ATTACH demands."""
    device = AmqpDevice(case)
    modes = proton.Link.SND_SETTLED, proton.Link.SND_UNSETTLED, proton.Link.SND_MIXED
    for sends in modes:
        with device.dial() as amqp:
            link = receiver(amqp, device, snd_settle_mode=sends)
            expect(link.remote_snd_settle_mode, sends, "mode, as it was asked for")
            expect(device.register(amqp)["status"], "assigning", f"status in mode {sends}")
            expect_asked(amqp, device)
            expect(link.current.settled, sends == proton.Link.SND_SETTLED, f"settled when sent, in mode {sends}")
    with device.dial() as amqp:
        link = receiver(amqp, device, rcv_settle_mode=proton.Link.RCV_SECOND)
        expect(link.remote_rcv_settle_mode, proton.Link.RCV_SECOND, "mode, as it was asked for")
        expect_asked(amqp, device)
        delivery = link.current
        link.recv(delivery.pending)
        link.advance()
        delivery.update(proton.Delivery.ACCEPTED)
        amqp.until(lambda: delivery.settled, "the server's settling")
        expect(int(delivery.remote_state), int(proton.Delivery.ACCEPTED), "outcome that the server settled with")


def receiver(amqp, device, **options):
    """Both links, the receiving one with these properties, which has credit."""
    session = amqp.open().begin()
    link = session.receiver("receiver")
    link.source.address = device.address
    for name, value in options.items():
        setattr(link, name, value)
    link.open()
    link.flow(10)
    amqp.receiver = link
    amqp.sender = amqp.attach(session, "sender", device.address)
    return link


def expect_asked(amqp, device):
    """A register request is accepted, and its answer is there to be read."""
    expect(amqp.verdict(amqp.send(amqp.sender, request("iotdps-register", device.body()))), None, "verdict")
    amqp.until(lambda: amqp.answered(amqp.receiver), "answer")


@by_hand("answers-that-cannot-be-sent-are-told/too-many")
def too_many_answers(case):
    """A device that asks on and on and never grants credit is told what ends its connection."""
    device = AmqpDevice(case)
    with device.connect(credit=0) as amqp:
        # More than wait on any link.
        for _ in range(100):
            if amqp.connection.state & proton.Endpoint.REMOTE_CLOSED:
                break
            amqp.send(amqp.sender, request("iotdps-register", device.body()), settled=True)
        condition = amqp.closed("answers beyond what waits")
        expect(condition.name, "amqp:resource-limit-exceeded", "condition")


@by_hand("answers-that-cannot-be-sent-are-told/too-large")
def too_large_answer(case):
    """So is one that takes no message as large as an answer."""
    device = AmqpDevice(case)
    with device.dial() as amqp:
        receiver(amqp, device, max_message_size=100)
        amqp.send(amqp.sender, request("iotdps-register", device.body()))
        condition = amqp.closed("an answer that is too large")
        expect(condition.name, "amqp:link:message-size-exceeded", "condition")


@by_hand("transfers-in-pieces")
def transfers_in_pieces(case):
    """Deliveries of two links may interleave, and one that is aborted is none."""
    device = AmqpDevice(case, x509=True)
    links = attaching("receiver", device.address) + b"".join(
        attaching("sender", device.address, handle=handle) for handle in (1, 2)
    )
    message = bytes(request("iotdps-register", b"{}").encode())
    half = len(message) // 2
    with opened(case, device, links + granting(credit=10)) as frames:
        for _ in range(3):
            frames.of(ATTACH, "ATTACH")
        said = transferring(message[:half], 1, 0, more=True) + transferring(message[:half], 2, 1, more=True)
        said += transferring(message[half:], 2, continues=True) + transferring(message[half:], 1, continues=True)
        frames.stream.send(said)
        for delivery in (1, 0):
            fields = frames.of(DISPOSITION, f"the verdict about delivery {delivery}")
            expect((int(fields[1]), int(fields[4].descriptor)), (delivery, ACCEPTED), "delivery and outcome")
            frames.of(TRANSFER, "the answer")
    device = AmqpDevice(case)
    with device.connect() as amqp:
        amqp.until(lambda: amqp.sender.credit > 0, "credit")
        delivery = amqp.sender.delivery("aborted")
        amqp.sender.stream(message[:half])
        amqp.write()
        delivery.abort()
        expect(device.register(amqp)["status"], "assigning", "status of a request behind an aborted one")


@by_hand("receiver-that-leaves-early")
def receiver_leaves(case):
    """A request behind the DETACH of the answers' link is told that nothing can be answered; the link may come back."""
    device = AmqpDevice(case, x509=True)
    links = attaching("receiver", device.address) + attaching("sender", device.address, handle=1) + granting()
    with opened(case, device, links) as frames:
        for _ in range(2):
            frames.of(ATTACH, "ATTACH")
        said = transferring(request("iotdps-register"), 1, 0) + detaching(0)
        frames.stream.send(said + transferring(request("iotdps-register"), 1, 1))
        for code, what in ((DISPOSITION, "the first verdict"), (TRANSFER, "its answer"), (DETACH, "DETACH")):
            frames.of(code, what)
        error = frames.of(DISPOSITION, "the second verdict")[4].value[0].value
        expect(str(error[0]), "com.microsoft:argument-error", "condition of the second verdict")
        case.log.of_error(json.loads(error[1]))
        frames.stream.send(attaching("receiver", device.address, name="again") + granting())
        frames.of(ATTACH, "ATTACH of the new link")
        frames.stream.send(transferring(request("iotdps-register"), 1, 2))
        frames.of(DISPOSITION, "the third verdict")
        frames.of(TRANSFER, "its answer")


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
    rows = case.log.of_device(device.registration_id, ("Unrouted",))
    expect([row["resultSignature"] for row in rows], ["400"], "the wrong one in the log")


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


@by_hand("sessions-and-their-bound")
def sessions(case):
    """Requests on one session are answered on the link of another; a fifth session is one too many."""
    device = AmqpDevice(case)
    with device.dial() as amqp:
        first, second = amqp.open().begin(), amqp.begin()
        amqp.receiver = amqp.attach(first, "receiver", device.address)
        amqp.receiver.flow(10)
        amqp.sender = amqp.attach(second, "sender", device.address)
        expect(device.register(amqp)["status"], "assigning", "status over two sessions")
        second.close()
        amqp.until(lambda: second.state & proton.Endpoint.REMOTE_CLOSED, "END")
        amqp.sender = amqp.attach(first, "sender", device.address, name="again")
        expect(device.register(amqp)["status"], "assigning", "status over what is left")
        for _ in range(3):
            amqp.begin()
        amqp.connection.session().open()
        condition = amqp.closed("a fifth session")
        expect(condition.name, "amqp:resource-limit-exceeded", "condition")
        expect_logged(case, amqp.stream, "sessions")


@by_hand("links-and-their-bound")
def links(case):
    """Many links of one device work, the newest receiver gets the answers; beyond the bound the connection ends."""
    device = AmqpDevice(case)
    with device.connect() as amqp:
        session = amqp.begin()
        older = amqp.receiver
        for number in range(14):
            link = amqp.attach(session, ("receiver", "sender")[number % 2], device.address, name=f"link-{number}")
            if number % 2 == 0:
                link.flow(1)
                amqp.receiver = link
            else:
                amqp.sender = link
            expect_that(link.state & proton.Endpoint.REMOTE_ACTIVE, f"link {number} is attached")
        expect(device.register(amqp)["status"], "assigning", "status over the newest links")
        expect(amqp.answered(older), False, "an answer on the oldest link")
        session.receiver("one-too-many").open()
        condition = amqp.closed("a seventeenth link")
        expect(condition.name, "amqp:resource-limit-exceeded", "condition")
        expect_logged(case, amqp.stream, "16 links")
