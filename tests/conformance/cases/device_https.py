"""The device API over HTTPS as it is on the wire: status lines, headers, versions, lookups, tokens.

A development server answers early polls truthfully, so nothing here waits out a Retry-After.
"""

import json
import ssl
import time

from cases import SUITE
from harness import pki, raw_https, sas
from harness.credentials import Certificate, client_certificates, symmetric_key
from harness.device_sdks import GUID, TIMESTAMP, expect_error_body
from harness.errors import Unexpected, expect, expect_member, expect_that
from harness.raw_https import HttpDevice

POLL_SECONDS = 30
API_VERSIONS = (
    "2017-08-31-preview", "2017-11-15", "2018-04-01", "2018-09-01-preview", "2019-03-31",
    "2021-06-01", "2021-10-01", "2021-11-01-preview", "2025-07-01-preview",
)  # fmt: skip


def enrolled(case, **options):
    """A device with an enrollment of its own."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    return HttpDevice(case, registration_id, key, **options)


def poll(device, operation_id):
    """Polls until the operation is over; each pending answer has the form of one."""
    deadline = time.monotonic() + POLL_SECONDS
    while time.monotonic() < deadline:
        answer = device.status(operation_id)
        if answer.status == 200:
            return answer
        expect(answer.status, 202, "status of a poll")
        expect(answer.json["status"], "assigning", "status of a pending poll")
        state = answer.json["registrationState"]
        expect(state["registrationId"], device.registration_id, "registrationId of a pending poll")
        expect(answer.headers.get("retry-after"), "3", "Retry-After of a pending poll")
        # Five polls in ten seconds is what one device may do under every profile of limits.
        time.sleep(2)
    raise Unexpected(f"still assigning after {POLL_SECONDS} s")


@SUITE.case("https/register-answers-202")
def register_answers_202(case):
    """The 202 of a register request: body and headers."""
    device = enrolled(case)
    answer = device.register()
    expect(answer.status, 202, "status")
    expect(set(answer.json), {"operationId", "status"}, "members")
    expect(answer.json["status"], "assigning", "status")
    operation_id = answer.json["operationId"]
    parts = operation_id.split(".")
    expect([len(part) for part in parts], [1, 16, 36], f"lengths in {operation_id}")
    expect_that(GUID.match(parts[2]) and not set(operation_id) - set("0123456789abcdef.-"), operation_id)
    headers = answer.headers
    expect(headers.get("retry-after"), "3", "Retry-After")
    expect(headers.get("content-type"), "application/json; charset=utf-8", "Content-Type")
    expect_that(GUID.match(headers.get("x-ms-request-id", "")), f"x-ms-request-id: {headers}")
    expect_that(headers.get("location", "").endswith(f"{device.path}/register"), f"Location: {headers}")
    expect_that("max-age=" in headers.get("strict-transport-security", ""), f"HSTS: {headers}")


@SUITE.case("https/status-then-lookup")
def status_then_lookup(case):
    """Operation status and registration lookup say the same, and neither says null."""
    device = enrolled(case)
    done = poll(device, device.register().json["operationId"])
    state = done.json["registrationState"]
    expect(state["assignedHub"] in ("hub-a.test", "hub-b.test") or case.muster is None, True, "assignedHub")
    expect(state["deviceId"], device.registration_id, "deviceId")
    expect((done.json["status"], state["status"]), ("assigned", "assigned"), "status")
    for member in ("createdDateTimeUtc", "lastUpdatedDateTimeUtc"):
        expect_that(TIMESTAMP.match(state[member]), f"{member}: {state[member]}")
    expect_that(b"null" not in done.raw, f"a null on the device plane: {done.raw}")
    lookup = device.lookup()
    expect(lookup.status, 200, "status of the lookup")
    for member in ("registrationId", "assignedHub", "deviceId", "status", "substatus", "etag"):
        expect(lookup.json[member], state[member], member)


@SUITE.case("https/poll-with-a-foreign-or-unknown-operation-id")
def foreign_operation_id(case):
    """Another device's operation is none of one's business, an unknown one does not exist."""
    device, other = enrolled(case), enrolled(case)
    operation_id = device.register().json["operationId"]
    unknown = operation_id[:-12] + "000000000000"
    for answer in (other.status(operation_id), device.status(unknown), device.status("x" * 200)):
        expect_member(answer.status, (400, 404), "status")
        expect_error_body(answer.json, None, None)


@SUITE.case("https/every-api-version")
def every_api_version(case):
    """Every version that Azure has served is served."""
    for version in API_VERSIONS:
        device = enrolled(case, api_version=version)
        answer = device.register()
        expect(answer.status, 202, f"status with api-version={version}: {answer.raw[:200]}")


@SUITE.case("https/unknown-api-version")
def unknown_api_version(case):
    """A version that never was, or none, is an argument error."""
    for version in ("2001-01-01", "abc", "", None):
        answer = enrolled(case, api_version=version).register()
        expect(answer.status, 400, f"status with api-version={version}")
        expect_error_body(answer.json, None, None)
        expect(answer.json["errorCode"] // 1000, 400, "errorCode")


@SUITE.case("https/tokens-as-the-sdks-spell-them")
def token_spellings(case):
    """Field order, `skn` and the encoding of `sr` differ from SDK to SDK; all are good."""
    device = enrolled(case)
    good = device.authorization()["Authorization"]
    fields = dict(part.split("=", 1) for part in good.removeprefix("SharedAccessSignature ").split("&"))
    spellings = {
        "without skn": sas.device_token(case.id_scope, device.registration_id, device.key, skn=None),
        "empty skn": sas.device_token(case.id_scope, device.registration_id, device.key, skn=""),
        "other order": "SharedAccessSignature " + "&".join(f"{name}={fields[name]}" for name in sorted(fields)),
        "lower-case scope": sas.device_token(case.id_scope.lower(), device.registration_id, device.key),
    }
    for what, token in spellings.items():
        answer = device.register(token=token)
        expect(answer.status, 202, f"status, {what}: {answer.raw[:200]}")


@SUITE.case("https/tokens-that-are-refused")
def refused_tokens(case):
    """Expired, mis-signed, for another device, for another scope, half, or no token at all."""
    device = enrolled(case)
    make = sas.device_token
    good = device.authorization()["Authorization"]
    bad = {
        "expired": make(case.id_scope, device.registration_id, device.key, lifetime=-3600),
        "expired in 1970": make(case.id_scope, device.registration_id, device.key, expiry=1),
        "wrong key": make(case.id_scope, device.registration_id, sas.new_key()),
        "another device": make(case.id_scope, "someone-else", device.key),
        "another scope": make("0ne00000NOT", device.registration_id, device.key),
        "later expiry, same signature": good.replace("se=", "se=9"),
        "no signature": good.replace("sig=", "gis="),
        "only the scheme": "SharedAccessSignature ",
        "another scheme": "Bearer abc",
        "empty": "",
    }
    for what, token in bad.items():
        answer = device.register(token=token)
        expect(answer.status, 401, f"status, {what}: {answer.raw[:200]}")
        expect_error_body(answer.json, None, None)
        expect(answer.json["errorCode"] // 1000, 401, f"errorCode, {what}")
        expect(answer.headers.get("x-ms-request-id"), answer.json["trackingId"], "x-ms-request-id")
    expired = device.register(token=bad["expired"])
    expect((expired.json["errorCode"], expired.json["message"]), (401000, "Unauthorized"), "expired token")
    expect(device.register().status, 202, "status of a good token afterwards")


@SUITE.case("https/unknown-scope-is-not-a-crash")
def unknown_scope(case):
    """Scopes that exist nowhere, among them such that are no scope at all."""
    for scope in ("0ne00000NOT", "x", "0ne" + "0" * 500, "%00", "..%2f.."):
        device = HttpDevice(case, "anyone", sas.new_key(), id_scope=scope)
        answer = device.register()
        expect_member(answer.status, (400, 401, 404), f"status with the scope {scope[:20]}")
        expect_error_body(answer.json, None, None)


@SUITE.case("https/ids-differ-in-case")
def ids_differ_in_case(case):
    """A registration id is one whatever its case; the spelling in the path is the one that is signed."""
    device = enrolled(case)
    shouting = HttpDevice(case, device.registration_id.upper(), device.key)
    done = poll(shouting, shouting.register().json["operationId"])
    expect(done.json["status"], "assigned", "status")
    expect(device.lookup().json["etag"], done.json["registrationState"]["etag"], "etag under the other spelling")


@SUITE.case("https/error-code-header")
def error_code_header(case):
    """The code of an error is in a header too."""
    answer = enrolled(case).register(token="SharedAccessSignature x")
    expect(answer.headers.get("x-ms-error-code"), str(answer.json["errorCode"]), "x-ms-error-code")


@SUITE.case("https/tls-versions")
def tls_versions(case):
    """TLS 1.2 and 1.3, without a client certificate and with one that nothing trusts."""
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id))
    case.enroll(registration_id, client_certificates(leaf.identity))
    files = leaf.files(case.scratch(), "device")
    path = f"/{case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        body = {"registrationId": registration_id}
        answer = raw_https.request(case, "PUT", path, body, files=files, version=version)
        expect(answer.status, 202, f"status with a certificate over {version.name}")
        answer = raw_https.request(case, "PUT", path, body, version=version)
        expect(answer.status, 401, f"status without a certificate over {version.name}")


@SUITE.case("https/http-2")
def http_2(case):
    """The same over HTTP/2, chosen by ALPN: two requests on one connection."""
    device = enrolled(case)
    path = f"{device.path}/register?api-version=2019-03-31"
    headers = {"content-type": "application/json", **device.authorization()}
    good = {"method": "PUT", "path": path, "headers": headers, "body": "{}"}
    bad = {**good, "headers": {**headers, "Authorization": "SharedAccessSignature x"}}
    origin = f"https://{case.host}:{case.https_port}"
    first, second = case.node.call("http2", origin=origin, requests=[good, bad])
    expect((first["status"], first["headers"]["retry-after"]), (202, "3"), "status and retry-after")
    expect(second["status"], 401, "status of the refused one")
    expect_error_body(json.loads(second["body"]), None, None)


@SUITE.case("https/keep-alive")
def keep_alive(case):
    """One connection serves many requests, refused ones among them."""
    device = enrolled(case)
    with raw_https.connect(case) as connection:
        for token, status in ((device.key[:20], b"401"), (None, b"202"), ("x", b"401"), (None, b"202")):
            authorization = token or device.authorization()["Authorization"]
            head = f"PUT {device.path}/register?api-version=2019-03-31 HTTP/1.1\r\nHost: {case.host}\r\n"
            head += f"Authorization: {authorization}\r\nContent-Type: application/json\r\n"
            connection.sendall((head + "Content-Length: 2\r\n\r\n{}").encode())
            expect(read_response(connection).split(b" ", 2)[1], status, "status")


def read_response(connection):
    """One HTTP/1.1 response with Content-Length or chunks, as bytes."""
    data = b""
    while True:
        head, separator, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        if separator and b"content-length:" in lower:
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(body) >= length:
                return data
        elif separator and b"chunked" in lower and body.endswith(b"0\r\n\r\n"):
            return data
        more = connection.recv(65536)
        if not more:
            raise Unexpected(f"the connection ended after {data[:200]!r}")
        data += more
