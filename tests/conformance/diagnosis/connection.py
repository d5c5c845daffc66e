"""TLS, ports and requests: rows 25, 48, 49, 52 and 64."""

import socket
import ssl

from diagnosis.scenario import expect_cause, scenario
from harness import sas
from harness.errors import expect_that
from harness.event_log import Peer, clock
from harness.raw_https import HttpDevice, request


@scenario("server-certificate-not-trusted", 48, 52, 64)
def server_certificate_not_trusted(case):
    """A device with another root pinned says so in an alert."""
    context = ssl.create_default_context()
    since = clock()
    with socket.create_connection((case.host, case.mqtt_port)) as plain:
        peer = Peer(plain.getsockname()[:2], since)
        try:
            context.wrap_socket(plain, server_hostname=case.host)
        except ssl.SSLCertVerificationError:
            pass
        else:
            expect_that(False, "the handshake succeeded")
    expect_cause(case.log.of_connection(peer), "TLS_CLIENT_ALERT_UNKNOWN_CA")


@scenario("no-tls-at-all", 48, 64)
def no_tls_at_all(case):
    """Plain MQTT on the port with TLS."""
    since = clock()
    with socket.create_connection((case.host, case.mqtt_port)) as plain:
        peer = Peer(plain.getsockname()[:2], since)
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00" * 4)
        plain.settimeout(10)
        plain.recv(100)
    expect_cause(case.log.of_connection(peer), "TLS_NOT_SPOKEN")


@scenario("wrong-path-method-and-version", 25, 49)
def wrong_requests(case):
    """What is refused whoever asks is named, too."""
    device = HttpDevice(case, case.name(), sas.new_key())
    for method, query, status, code in (
        ("PUT", "", 400, "API_VERSION_UNKNOWN"),
        ("DELETE", device.query, 405, "METHOD_NOT_ALLOWED"),
    ):
        answer = request(case, method, f"{device.path}/register{query}", {}, device.authorization())
        expect_that(answer.status == status, f"{method}: {answer.status}")
        expect_cause(case.log.of_error(answer.json), code)
