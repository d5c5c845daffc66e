"""Calls of operators: rows 9, 10, 15, 16 and 33."""

import json

from diagnosis.scenario import cause_of_device, expect_cause, scenario
from harness import pki, sas
from harness.credentials import Certificate, symmetric_key
from harness.device_sdks import X509_REFUSED, PythonMqtt
from harness.errors import expect, expect_that, refusal
from harness.raw_https import request

CONTROL = "api-version=2022-02-05"
SERVICE = "api-version=2021-10-01"


def arm(case, method, path, body=None, headers=None):
    """A call of the control plane about the default provisioning service."""
    sent = {"Authorization": f"Bearer {case.env['MUSTER_BEARER_TOKEN']}", **(headers or {})}
    return request(case, method, f"{case.env['MUSTER_RESOURCE_ID']}{path}?{CONTROL}", body, sent)


def service(case, method, path, body=None, headers=None):
    """A call of the service API."""
    sent = {"Authorization": sas.service_token(case.service_connection_string), **(headers or {})}
    return request(case, method, f"{path}?{SERVICE}", body, sent)


def logged(case, answer):
    """The one line of a call, by the request id that its answer has."""
    return case.log.of_error({"trackingId": answer.headers["x-ms-request-id"]})


def upload(case, authority):
    """Uploads a CA certificate, unverified; gives its name and etag."""
    name = case.name("ca")
    answer = arm(case, "PUT", f"/certificates/{name}", {"properties": {"certificate": authority.pem}})
    expect_that(answer.status in (200, 201), f"upload: {answer.status} {answer.raw}")
    etag = answer.json["etag"]
    case.at_end(lambda: arm(case, "DELETE", f"/certificates/{name}", headers={"If-Match": "*"}))
    return name, etag


@scenario("proof-signed-by-another-ca", 15)
def proof_signed_by_another_ca(case):
    """The root was uploaded, the intermediate signed the proof."""
    root = pki.authority(case.name("root"))
    intermediate = pki.authority(case.name("line"), root)
    name, etag = upload(case, root)
    answer = arm(case, "POST", f"/certificates/{name}/generateVerificationCode", {}, {"If-Match": etag})
    expect(answer.status, 200, "generateVerificationCode")
    code, etag = answer.json["properties"]["verificationCode"], answer.json["etag"]
    proof = pki.device(code, intermediate)
    answer = arm(case, "POST", f"/certificates/{name}/verify", {"certificate": proof.pem}, {"If-Match": etag})
    expect(answer.status, 400, "verify")
    expect_cause(logged(case, answer), "POP_WRONG_ISSUER", intermediate.certificate.subject.rfc4514_string())
    proof = pki.device("another code", root)
    answer = arm(case, "POST", f"/certificates/{name}/verify", {"certificate": proof.pem}, {"If-Match": etag})
    expect_cause(logged(case, answer), "POP_WRONG_CODE", "another code")


@scenario("chain-to-an-unverified-ca", 9)
def chain_to_an_unverified_ca(case):
    """The root is uploaded and nobody proved to hold its key; no group names it."""
    root = pki.authority(case.name("root"))
    name, _ = upload(case, root)
    registration_id = case.name()
    error = refusal(None, PythonMqtt().register, case, registration_id, Certificate(pki.device(registration_id, root)))
    PythonMqtt().expect_refused(error, *X509_REFUSED)
    cause = cause_of_device(case, registration_id, "X509_NO_VERIFIED_ANCHOR", name)
    expect_that(f"--certificate-name {name}" in cause["fix"][0]["command"], f"fix {cause['fix']}")


@scenario("stale-etag", 16)
def stale_etag(case):
    """Somebody else changed the enrollment meanwhile."""
    registration_id = case.name()
    shown = case.enroll(registration_id, symmetric_key(sas.new_key(), sas.new_key()))
    path = f"/enrollments/{registration_id}"
    body = {"registrationId": registration_id, "attestation": {"type": "symmetricKey"}}
    headers = {"If-Match": f'"{shown["etag"].strip(chr(34))}"'}
    expect(service(case, "PUT", path, body, headers).status, 200, "first update")
    answer = service(case, "PUT", path, body, headers)
    expect(answer.status, 412, "second update")
    expect_cause(case.log.of_error(answer.json), "ETAG_STALE")


@scenario("ca-certificate-in-use", 10)
def ca_certificate_in_use(case):
    """A group refers to the certificate: deleting it is refused, and the group named."""
    root, group = pki.authority(case.name("root")), case.name("group")
    name = case.name("ca")
    uploaded = {"properties": {"certificate": root.pem, "isVerified": True}}
    answer = arm(case, "PUT", f"/certificates/{name}", uploaded)
    expect_that(answer.status in (200, 201), f"upload: {answer.status}")
    case.at_end(lambda: arm(case, "DELETE", f"/certificates/{name}", headers={"If-Match": "*"}))
    case.enroll_group(group, {"type": "x509", "x509": {"caReferences": {"primary": name}}})
    answer = arm(case, "DELETE", f"/certificates/{name}", headers={"If-Match": answer.json["etag"]})
    expect(answer.status, 409, "delete")
    expect_cause(logged(case, answer), "IN_USE", group)


@scenario("key-that-is-no-base64", 33)
def key_that_is_no_base64(case):
    """The service API names the character and its place."""
    registration_id = case.name()
    keys = {"primaryKey": "not_base64!", "secondaryKey": sas.new_key()}
    body = {"registrationId": registration_id, "attestation": {"type": "symmetricKey", "symmetricKey": keys}}
    answer = service(case, "PUT", f"/enrollments/{registration_id}", body)
    expect(answer.status, 400, "status")
    expect_that("base64" in json.dumps(answer.json), f"message {answer.json}")
    expect_cause(case.log.of_error(answer.json), "ARGUMENT_INVALID", "base64")
