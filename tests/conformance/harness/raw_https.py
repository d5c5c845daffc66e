"""Plain HTTPS requests, for what no SDK shows or sends: headers, status lines, wrong methods, other api-versions."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote

from harness import sas

API_VERSION = "2019-03-31"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: dict
    raw: bytes

    @property
    def json(self):
        return json.loads(self.raw)


def context(ca_file, files=None, version=None):
    """A TLS context that trusts the development CA alone, with an optional client certificate."""
    tls = ssl.create_default_context(cafile=ca_file)
    if version is not None:
        tls.minimum_version = tls.maximum_version = version
    if files is not None:
        tls.load_cert_chain(*files)
    return tls


def connect(case, port=None, files=None, version=None):
    """A TLS connection to the server; the caller closes it."""
    plain = socket.create_connection((case.host, port or case.https_port), TIMEOUT_SECONDS)
    try:
        return context(case.ca_file, files, version).wrap_socket(plain, server_hostname=case.host)
    except BaseException:
        plain.close()
        raise


def request(case, method, path, body=None, headers=None, files=None, version=None):
    """One request on a connection of its own. `body`: bytes, or anything that JSON can say."""
    sent = {"Content-Type": "application/json; charset=utf-8"}
    sent.update(headers or {})
    sent = {name: value for name, value in sent.items() if value is not None}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    tls = context(case.ca_file, files, version)
    connection = http.client.HTTPSConnection(case.host, case.https_port, timeout=TIMEOUT_SECONDS, context=tls)
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


class HttpDevice:
    """A device with a symmetric key that speaks plain HTTPS."""

    def __init__(self, case, registration_id, key, id_scope=None, api_version=API_VERSION):
        self.case = case
        self.registration_id = registration_id
        self.key = key
        self.id_scope = id_scope or case.id_scope
        self.api_version = api_version

    @property
    def path(self):
        return f"/{self.id_scope}/registrations/{quote(self.registration_id, safe='')}"

    @property
    def query(self):
        return "" if self.api_version is None else f"?api-version={self.api_version}"

    def authorization(self, **options):
        """The header with a token of this device's own."""
        return {"Authorization": sas.device_token(self.id_scope, self.registration_id, self.key, **options)}

    def register(self, body=None, token=None, headers=None, method="PUT"):
        """Sends the register request; `token` replaces the right one."""
        sent = self.authorization() if token is None else {"Authorization": token}
        sent.update(headers or {})
        body = {"registrationId": self.registration_id} if body is None else body
        return request(self.case, method, f"{self.path}/register{self.query}", body, sent)

    def status(self, operation_id):
        """Asks for the state of the operation, once."""
        path = f"{self.path}/operations/{quote(operation_id, safe='')}{self.query}"
        return request(self.case, "GET", path, headers=self.authorization())

    def lookup(self):
        """Asks for the device's registration."""
        path = f"{self.path}{self.query}"
        return request(self.case, "POST", path, {"registrationId": self.registration_id}, self.authorization())
