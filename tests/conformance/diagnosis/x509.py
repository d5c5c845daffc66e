"""Certificates: rows 1 to 9, 11, 12, 14, 15 and 63."""

import json
from urllib.parse import quote

from cases.provisioning_matrix import X509Group
from diagnosis.scenario import cause_of_device, expect_cause, scenario
from harness import pki
from harness.credentials import Certificate, client_certificates, signing_certificates
from harness.device_sdks import PROVISIONING, X509_REFUSED, NodeHttp, NodeMqtt, PythonMqtt
from harness.errors import expect, expect_that, refusal
from harness.paho import Paho
from harness.raw_https import request
from harness.raw_mqtt import REGISTER, RESPONSES, username


def refused(case, registration_id, identity, code, *named, sdk=None, inferred=False, **options):
    """A device with that certificate is refused as every wrong one is, and the cause named."""
    sdk = sdk or PythonMqtt()
    error = refusal(None, sdk.register, case, registration_id, Certificate(identity, **options))
    sdk.expect_refused(error, *X509_REFUSED)
    return cause_of_device(case, registration_id, code, *named, inferred=inferred)


for SDK in PROVISIONING:

    @scenario(f"leaf-alone/{SDK.name}", 1, 2, 4, 6, 7, 14)
    def leaf_alone(case, sdk=SDK):
        """A three-tier chain of which the leaf alone is sent, with every SDK."""
        chain = X509Group.chain(case.name("chain"))
        case.enroll_group(case.name("group"), signing_certificates(chain["root"]))
        registration_id = case.name()
        leaf = pki.device(registration_id, chain["intermediate"])
        issuer = chain["intermediate"].certificate.subject.rfc4514_string()
        refused(case, registration_id, leaf, "X509_CHAIN_INCOMPLETE", issuer, sdk=sdk, inferred=True, leaf_only=True)


WINDOWS = "Microsoft.Azure.Devices.Provisioning.Client/1.19.3 (.NET 6.0.25; Microsoft Windows 10.0.19045; X64)"
LINUX = "Microsoft.Azure.Devices.Provisioning.Client/1.19.3 (.NET 6.0.25; Linux 5.15; X64)"


def over_https(case, registration_id, files, agent):
    """Registers as that client over HTTPS; the status."""
    path = f"/{case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
    body = {"registrationId": registration_id}
    return request(case, "PUT", path, body, {"User-Agent": agent}, files=files).status


def over_mqtt(case, registration_id, files, agent):
    """The same over MQTT, which has the client's name in the user name."""
    with Paho(case, registration_id, files=files) as client:
        tail = f"api-version=2019-03-31&ClientVersion={quote(agent, safe='')}"
        code, _ = client.connect(username(case.id_scope, registration_id, tail))
        expect(code, 0, "CONNACK")
        client.subscribe(RESPONSES)
        client.client.publish(f"{REGISTER}1", json.dumps({"registrationId": registration_id}), qos=1)
        client.next("published")
        topic, _ = client.next("message")
        return int(topic.split("/")[3])


for TRANSPORT in (over_https, over_mqtt):

    @scenario(f"windows-leaves-the-chain-away/{TRANSPORT.__name__}", 3)
    def windows(case, transport=TRANSPORT):
        """A client that names its platform, with the leaf alone as Schannel sends it: the machine's store is the fix. The
        same bytes of a client on Linux do not ask for it; with the chain both are let in."""
        chain = X509Group.chain(case.name("chain"))
        case.enroll_group(case.name("group"), signing_certificates(chain["root"]))
        for agent, is_windows in ((WINDOWS, True), (LINUX, False)):
            registration_id = case.name()
            leaf = Certificate(pki.device(registration_id, chain["intermediate"]), leaf_only=True)
            files = leaf.files(case.scratch(), "leaf")
            expect(transport(case, registration_id, files, agent), 401, f"status of {agent}")
            issuer = chain["intermediate"].certificate.subject.rfc4514_string()
            cause = cause_of_device(case, registration_id, "X509_CHAIN_INCOMPLETE", issuer, inferred=True)
            told = any("intermediate certification authorities" in fix["text"] for fix in cause["fix"])
            expect(told, is_windows, f"the store of Windows is told to {agent}")
            whole = Certificate(leaf.identity).files(case.scratch(), "chain")
            expect(transport(case, registration_id, whole, agent), 202, "with the chain")


@scenario("chain-draws-its-broken-edge", 5, 8)
def broken_edge(case):
    """Of two intermediates the upper one is missing: the fix is to send it or to enroll the lower one."""
    root = pki.authority(case.name("root"))
    upper = pki.authority(case.name("upper"), root)
    lower = pki.authority(case.name("lower"), upper)
    case.enroll_group(case.name("group"), signing_certificates(root))
    registration_id = case.name()
    leaf = pki.device(registration_id, lower)
    broken = pki.Identity(leaf.certificate, leaf.key, pki.Identity(lower.certificate, lower.key, pki.Identity(upper.certificate, upper.key)))
    cause = refused(
        case, registration_id, broken, "X509_CHAIN_INCOMPLETE", upper.certificate.subject.rfc4514_string(), inferred=True
    )
    expect_that(any("group create" in fix.get("command", "") for fix in cause["fix"]), f"fix {cause['fix']}")


@scenario("leaf-is-the-groups-certificate", 11)
def leaf_is_the_groups_certificate(case):
    """The CA's certificate was installed on the device."""
    registration_id = case.name()
    root = pki.authority(registration_id)
    group = case.name("group")
    case.enroll_group(group, signing_certificates(root))
    refused(case, registration_id, root, "X509_LEAF_IS_CA", group)


@scenario("ca-was-issued-anew", 12)
def ca_was_issued_anew(case):
    """The same name with another key: what was enrolled is not what signs."""
    name, group = case.name("root"), case.name("group")
    old, new = pki.authority(name), pki.authority(name)
    case.enroll_group(group, signing_certificates(old))
    registration_id = case.name()
    refused(case, registration_id, pki.device(registration_id, new), "X509_SIGNER_REISSUED", group)


@scenario("chain-ends-at-another-root", 12)
def another_root(case):
    """A complete chain of somebody else's CA."""
    case.enroll_group(case.name("group"), signing_certificates(pki.authority(case.name("root"))))
    foreign = pki.authority(case.name("foreign"))
    registration_id = case.name()
    leaf = pki.device(registration_id, foreign)
    subject = foreign.certificate.subject.rfc4514_string()
    refused(case, registration_id, leaf, "X509_ISSUER_UNKNOWN", subject, inferred=True, with_root=True)


@scenario("certificate-was-renewed", 17)
def certificate_was_renewed(case):
    """An individual enrollment has the old certificate; both thumbprints are told."""
    registration_id = case.name()
    old, new = pki.device(registration_id), pki.device(registration_id)
    case.enroll(registration_id, client_certificates(old))
    cause = refused(case, registration_id, new, "X509_CERTIFICATE_NOT_ENROLLED", new.sha256_thumbprint, sdk=NodeMqtt())
    expect_that(old.sha256_thumbprint in cause["sentence"], "the enrolled thumbprint is told")


@scenario("expired-certificate", 12)
def expired_certificate(case):
    """A leaf beyond its time."""
    root, group = pki.authority(case.name("root")), case.name("group")
    case.enroll_group(group, signing_certificates(root))
    registration_id = case.name()
    leaf = pki.device(registration_id, root, valid_days=(-30, -1))
    refused(case, registration_id, leaf, "X509_CERTIFICATE_EXPIRED", group)


@scenario("accepted-by-one-of-two-groups", 63)
def one_of_two_groups(case):
    """Why one group let the device in and the other did not."""
    root = pki.authority(case.name("root"))
    intermediate = pki.authority(case.name("line"), root, valid_days=(-30, -1))
    near, far = case.name("near"), case.name("far")
    case.enroll_group(far, signing_certificates(root))
    case.enroll_group(near, signing_certificates(intermediate))
    registration_id = case.name()
    other = pki.authority(intermediate.certificate.subject.rfc4514_string().removeprefix("CN="), root)
    leaf = pki.device(registration_id, other)
    result = NodeHttp().register(case, registration_id, Certificate(leaf))
    expect(result["status"], "assigned", "status")
    row = case.log.of_device(registration_id)[-1]
    cause = expect_cause(row, "ATTESTED", far, near)
    expect_that(cause["sentence"].startswith(f"let in by {far}"), cause["sentence"])
