"""A device that speaks AMQP by hand to the device API: its proof, its address, its two links.

Owns: the order in which an SDK does it. What is asked and how it is answered is the case's.
"""

import json
import time

from harness import pki, sas
from harness.amqp import API_VERSION, Amqp, poll, request
from harness.credentials import Certificate, client_certificates, symmetric_key
from harness.errors import Unexpected, expect
from harness.streams import TlsStream, WebSocket

POLL_SECONDS = 30
# Five polls in ten seconds is what one device may do under every profile of limits.
PAUSE_SECONDS = 2


class AmqpDevice:
    """An enrolled device with a symmetric key (SASL PLAIN) or with a certificate (no SASL)."""

    def __init__(self, case, x509=False, websocket=False, prefix="amqp"):
        self.case, self.websocket, self.piece = case, websocket, None
        self.registration_id = case.name(prefix)
        self.key = self.files = None
        if x509:
            leaf = Certificate(pki.device(self.registration_id))
            self.files = leaf.files(case.scratch(), "device")
            case.enroll(self.registration_id, client_certificates(leaf.identity))
        else:
            self.key = sas.new_key()
            case.enroll(self.registration_id, symmetric_key(self.key, sas.new_key()))

    @staticmethod
    def certificate(case, registration_id):
        """The files of a certificate with that name that is enrolled nowhere."""
        return Certificate(pki.device(registration_id)).files(case.scratch(), "device")

    @property
    def address(self):
        return f"{self.case.id_scope}/registrations/{self.registration_id}"

    def stream(self):
        """A new stream to the server, with this device's certificate if it has one."""
        if self.websocket:
            return WebSocket(self.case, "AMQPWSB10", self.files, piece=self.piece)
        return TlsStream(self.case, self.case.amqp_port, self.files)

    def dial(self, key=None, user=None, **options):
        """A connection with its proof; nothing is opened. `key` and `user` replace the right ones."""
        if self.key is not None:
            options["user"] = user or self.address
            options["password"] = sas.token(self.address, key or self.key, "registration")
        return Amqp(self.stream(), **options)

    def connect(self, credit=100, properties=None, **options):
        """A connection with both links, the receiving one first."""
        amqp = self.dial(**options)
        return self.attach(amqp.open(), credit, properties)

    def attach(self, amqp, credit=100, properties=None):
        """Both links on a session of their own."""
        session = amqp.begin()
        properties = {API_VERSION: "2019-03-31", **(properties or {})}
        properties = {name: value for name, value in properties.items() if value is not None}
        amqp.receiver = amqp.attach(session, "receiver", self.address, properties)
        if credit:
            amqp.receiver.flow(credit)
        amqp.sender = amqp.attach(session, "sender", self.address, properties)
        return amqp

    def register(self, amqp, **options):
        """Asks to be registered; gives the answer's body."""
        return ask(amqp, request("iotdps-register", self.body(), **options))

    def body(self):
        """The body of a register request as the Node SDK writes it."""
        return json.dumps({"registrationId": self.registration_id}).encode()

    def poll(self, amqp, operation_id):
        """Polls until the operation is over; gives the body."""
        deadline = time.monotonic() + POLL_SECONDS
        while time.monotonic() < deadline:
            body = ask(amqp, poll(operation_id))
            if body["status"] != "assigning":
                return body
            time.sleep(PAUSE_SECONDS)
        raise Unexpected(f"still assigning after {POLL_SECONDS} s")


def ask(amqp, message):
    """A request that is accepted and answered; gives the answer's body."""
    refused = amqp.verdict(amqp.send(amqp.sender, message))
    expect(refused, None, "verdict")
    return json.loads(amqp.answer(amqp.receiver).body)


def refused(amqp, message):
    """A request that is rejected; gives the condition and the error body."""
    condition = amqp.verdict(amqp.send(amqp.sender, message))
    if condition is None:
        raise Unexpected("the request was accepted")
    try:
        return condition.name, json.loads(condition.description)
    except json.JSONDecodeError:
        raise Unexpected(f"no JSON in {condition}") from None
