"""What is wrong, or unusual, in an enrollment when it is written: rows 13, 42, 59 and 72."""

import base64
import json

from cases.provisioning_matrix import SymmetricIndividual, X509Group
from diagnosis.management import service
from diagnosis.scenario import expect_cause, scenario
from harness import pki, sas
from harness.credentials import Certificate, symmetric_key
from harness.device_sdks import NodeHttp, PythonMqtt
from harness.errors import expect, expect_that, refusal


def refused(case, registration_id, call, *named, number=400004, code="ARGUMENT_INVALID"):
    """An official service client is told what to mend, and the log says the same of the call."""
    error = refusal(None, call)
    expect(error.status, 400, f"status of {error}")
    expect(error.result["errorCode"], number, "errorCode")
    row = case.log.of_error(error.result)
    cause = expect_cause(row, code, *named)
    expect_that(registration_id in json.dumps(row["properties"]), "the call's line names the enrollment")
    return error.result["message"], cause


@scenario("bundle-as-a-devices-certificate", 13)
def bundle(case):
    """A file with the whole chain is uploaded for one device, in any order and form: its leaf is picked, and shown."""
    chain = X509Group.chain(case.name("chain"))
    for number, order in enumerate((("leaf", "intermediate", "root"), ("root", "intermediate", "leaf"))):
        registration_id = case.name()
        leaf = pki.device(registration_id, chain["intermediate"])
        pem = "".join({"leaf": leaf, **chain}[name].pem for name in order)
        text = base64.b64encode(pem.encode()).decode() if number else pem
        attestation = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": text}}}}
        shown = case.enroll(registration_id, attestation)
        info = shown["attestation"]["x509"]["clientCertificates"]["primary"]["info"]
        expect(info["subjectName"], f"CN={registration_id}", "the certificate that was picked")
        expect(info["sha256Thumbprint"], leaf.sha256_thumbprint, "its thumbprint")
        result = PythonMqtt().register(case, registration_id, Certificate(leaf))
        expect(result["status"], "assigned", f"a device with that certificate, {order}")


@scenario("bundle-that-is-no-certificate", 13)
def no_certificate(case):
    """What is none is refused by name: a key in the file, a text that is no PEM, a CA's request."""
    registration_id = case.name()
    leaf = pki.device(registration_id)
    path = "attestation.x509.clientCertificates.primary.certificate"
    for text, said in (
        (leaf.pem + leaf.key_pem, "private key"),
        ("MIIB not base64", "neither PEM"),
        (leaf.pem.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "CERTIFICATE REQUEST"),
    ):
        attestation = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": text}}}}
        refused(case, registration_id, lambda sent=attestation: case.enroll(registration_id, sent), path, said)


@scenario("custom-allocation-without-its-definition", 42)
def no_definition(case):
    """Both official service clients are told Azure's words and the member that is missing."""
    registration_id, words = case.name(), "CustomAllocationDefinition is required"
    attestation = symmetric_key(sas.new_key(), sas.new_key())
    fields = {"allocationPolicy": "custom"}
    message, _ = refused(
        case, registration_id, lambda: case.enroll(registration_id, attestation, **fields), "customAllocationDefinition"
    )
    expect_that(words in message, message)
    enrollment = {"registrationId": registration_id, "attestation": attestation, **fields}
    client = case.python_service()

    def create(definition=None):
        from harness.python_sdk import raised  # noqa: PLC0415

        with raised():
            body = enrollment if definition is None else {**enrollment, "customAllocationDefinition": definition}
            client.enrollment.create_or_update(registration_id, body)

    refused(case, registration_id, create, "customAllocationDefinition")
    half = {"webhookUrl": "https://f.test/api"}
    broken = {"number": 400006, "code": "BODY_MALFORMED"}
    refused(case, registration_id, lambda: create(half), "customAllocationDefinition", "apiVersion", **broken)


TOO_DEEP = {"a": 1}
for _ in range(11):
    TOO_DEEP = {"a": TOO_DEEP}


@scenario("initial-twin-that-no-hub-takes", 72)
def initial_twin(case):
    """What every hub would refuse of each device is refused when it is written, with its place."""
    for section, path, said in (
        ({"tags": {"site": {"$version": 3}}}, "initialTwin.tags.site", "$version"),
        ({"tags": {"a.b": 1}}, "initialTwin.tags", "a.b"),
        ({"properties": {"desired": {"fan": {"max speed": 3}}}}, "initialTwin.properties.desired.fan", "max speed"),
        ({"properties": {"desired": TOO_DEEP}}, "initialTwin.properties.desired.a.a", "levels"),
        ({"tags": {"note": "x" * 5000}}, "initialTwin.tags.note", "4096"),
    ):
        registration_id = case.name()
        attestation = symmetric_key(sas.new_key(), sas.new_key())
        body = {"registrationId": registration_id, "attestation": attestation, "initialTwin": section}
        answer = service(case, "PUT", f"/enrollments/{registration_id}", body)
        expect((answer.status, answer.json["errorCode"]), (400, 400004), f"{section}")
        expect_that(path in answer.json["message"] and said in answer.json["message"], answer.json["message"])
        expect_cause(case.log.of_error(answer.json), "ARGUMENT_INVALID", path, said)


@scenario("members-that-a-client-adds", 72)
def added_members(case):
    """A client that writes members of its own into the twin: what is kept is echoed, and on the hub it is the same."""
    registration_id = case.name()
    twin = {"tags": {"version": "7", "site": {"floor": 3}}, "properties": {"desired": {"version": 2}}}
    sent = {**twin, "additional_properties": {"x": 1}}
    shown = SymmetricIndividual().enroll(case, registration_id, initialTwin=sent)
    kept = case.service("getIndividualEnrollment", registration_id)["initialTwin"]
    expect((kept["tags"], kept["properties"]), (twin["tags"], twin["properties"]), "what is kept")
    hub = NodeHttp().register(case, registration_id, shown.primary)["assignedHub"]
    case.at_end(case.registry, hub, "delete", registration_id)
    on_hub = case.registry(hub, "getTwin", registration_id)
    expect(on_hub["tags"], twin["tags"], "tags on the hub")
    expect(on_hub["properties"]["desired"]["version"], 2, "desired properties on the hub")


@scenario("endorsement-key-that-is-none", 59)
def malformed_key(case):
    """Both official service clients: a key that is cut off, of too few bits or of another kind is decoded and told."""
    registration_id = case.name()
    client = case.python_service()

    def create(key):
        from harness.python_sdk import raised  # noqa: PLC0415

        with raised():
            attestation = {"type": "tpm", "tpm": {"endorsementKey": key}}
            body = {"registrationId": registration_id, "attestation": attestation}
            client.enrollment.create_or_update(registration_id, body)

    def create_by_node(key):
        case.enroll(registration_id, {"type": "tpm", "tpm": {"endorsementKey": key}})

    member = "attestation.tpm.endorsementKey"
    for key, said in keys():
        for call in (create, create_by_node):
            refused(case, registration_id, lambda call=call, key=key: call(key), member, said)


def keys():
    """Public areas that cannot be challenged, and what is said of each."""
    whole = public_area(bits=2048)
    yield text(whole[:40]), "38 follow"
    yield text(public_area(bits=1024)), "1024 bits"
    yield text(public_area(kind=0x0023)), "ECC"
    yield "not base64 at all!", "not base64"
    yield "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq\n", "PEM"


def text(raw):
    """As it is sent."""
    return base64.b64encode(raw).decode()


def public_area(kind=0x0001, bits=2048):
    """A TPM2B_PUBLIC of the standard template with another type, or of another length."""
    policy = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
    head = kind.to_bytes(2, "big") + b"\x00\x0b" + (0x000300B2).to_bytes(4, "big") + b"\x00\x20" + policy
    cipher = b"\x00\x06\x00\x80\x00\x43" + b"\x00\x10" + bits.to_bytes(2, "big") + bytes(4)
    modulus = b"\xff" * (bits // 8)
    area = head + cipher + (bits // 8).to_bytes(2, "big") + modulus
    return len(area).to_bytes(2, "big") + area
