"""Enrollments through the official service clients: `azure-iot-provisioning-service` (Node) and
`azure-iot-deviceprovisioning` (Python), and the shapes of the answers underneath.
"""

import base64
import re

from cases import SUITE
from harness import pki, python_sdk, raw_https, sas
from harness.credentials import Certificate, Key, client_certificates, signing_certificates, symmetric_key
from harness.device_sdks import TIMESTAMP, NodeHttp, expect_error_body
from harness.errors import expect, expect_member, expect_that, refusal

API = "?api-version=2021-10-01"
INFO = ("subjectName", "sha1Thumbprint", "sha256Thumbprint", "issuerName", "notBeforeUtc", "notAfterUtc",
        "serialNumber", "version")  # fmt: skip


def expect_key(text, what, sizes=(64,)):
    """Base64 of a key of that many bytes."""
    expect_member(len(base64.b64decode(text, validate=True)), sizes, f"length of the {what}")


def expect_etag(text):
    """Base64 of a quoted GUID."""
    plain = base64.b64decode(text, validate=True).decode()
    expect_that(re.match(r'^"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"$', plain), f"etag {text} is {plain}")


def expect_stamped(enrollment):
    """What the service adds to every enrollment."""
    expect_etag(enrollment["etag"])
    for member in ("createdDateTimeUtc", "lastUpdatedDateTimeUtc"):
        expect_that(TIMESTAMP.match(enrollment[member]), f"{member}: {enrollment[member]}")


def expect_certificate_info(attestation, member, identity):
    """Only `info` of a certificate is given back, and a missing secondary is a copy of the primary."""
    pair = attestation["x509"][member]
    expect(set(pair["primary"]), {"info"}, "members of the primary certificate")
    info = pair["primary"]["info"]
    expect(sorted(info), sorted(INFO), "members of info")
    expect(info["sha256Thumbprint"].upper(), identity.sha256_thumbprint, "sha256Thumbprint")
    expect(info["sha1Thumbprint"].upper(), identity.sha1_thumbprint, "sha1Thumbprint")
    expect(info["version"], 3, "version")
    expect(pair["secondary"], pair["primary"], "the missing secondary")


@SUITE.case("service-api/node/individual-symmetric-key")
def individual_symmetric_key(case):
    """PUT gives the keys back, GET does not; the mechanism is asked for by itself."""
    registration_id, primary, secondary = case.name(), sas.new_key(), sas.new_key()
    made = case.enroll(registration_id, symmetric_key(primary, secondary), deviceId="named")
    keys = {"primaryKey": primary, "secondaryKey": secondary}
    expect(made["attestation"], {"type": "symmetricKey", "symmetricKey": keys}, "attestation of the PUT")
    expect((made["registrationId"], made["deviceId"]), (registration_id, "named"), "ids")
    expect_stamped(made)
    got = case.service("getIndividualEnrollment", registration_id)
    expect(got["attestation"], {"type": "symmetricKey"}, "attestation of the GET")
    expect(got["etag"], made["etag"], "etag of the GET")
    state = {"registrationId": registration_id, "status": "unassigned"}
    expect(got["registrationState"], state, "registrationState before the first registration")
    for member in ("reprovisionPolicy", "capabilities", "initialTwin", "iotHubs"):
        expect_that(member not in got, f"{member} was not given and is there: {got.get(member)}")
    mechanism = case.service("getIndividualEnrollmentAttestationMechanism", registration_id)
    expect(mechanism, {"type": "symmetricKey", "symmetricKey": keys}, "attestation mechanism")


@SUITE.case("service-api/node/generated-keys")
def generated_keys(case):
    """Without keys the service makes two of 64 bytes, for devices and for groups, and they work."""
    registration_id = case.name()
    made = case.enroll(registration_id, symmetric_key())["attestation"]["symmetricKey"]
    group = case.enroll_group(case.name("group"), symmetric_key())["attestation"]["symmetricKey"]
    four = [pair[slot] for pair in (made, group) for slot in ("primaryKey", "secondaryKey")]
    for key in four:
        expect_key(key, "generated key")
    expect(len(set(four)), 4, "different keys")
    result = NodeHttp().register(case, registration_id, Key(made["primaryKey"]))
    expect(result["status"], "assigned", "status with a generated key")


@SUITE.case("service-api/node/individual-x509")
def individual_x509(case):
    """Certificates are taken as PEM and given back as `info`."""
    registration_id = case.name()
    leaf = pki.device(registration_id)
    made = case.enroll(registration_id, client_certificates(leaf))
    expect_certificate_info(made["attestation"], "clientCertificates", leaf)
    got = case.service("getIndividualEnrollment", registration_id)
    expect_certificate_info(got["attestation"], "clientCertificates", leaf)
    leaf = pki.device(case.name(), kind="rsa")
    bare = base64.b64encode(leaf.der).decode()
    attestation = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": bare}}}}
    made = case.enroll(case.name(), attestation)
    expect_certificate_info(made["attestation"], "clientCertificates", leaf)


@SUITE.case("service-api/node/one-certificate-one-enrollment")
def one_certificate_one_enrollment(case):
    """A certificate stands in one enrollment only, whichever slot it has there."""
    leaf, root = pki.device(case.name()), pki.authority(case.name("root"))
    case.enroll(case.name(), client_certificates(leaf))
    second = client_certificates(pki.device(case.name()), leaf)
    error = refusal("DeviceAlreadyExistsError", case.enroll, case.name(), second)
    expect(error.status, 409, "HTTP status of the individual enrollment")
    case.enroll_group(case.name("group"), signing_certificates(root))
    error = refusal(None, case.enroll_group, case.name("group"), signing_certificates(root))
    expect(error.status, 409, "HTTP status of the group")


@SUITE.case("service-api/node/group-x509")
def group_x509(case):
    """The same for a group's signing certificate."""
    root = pki.authority(case.name("root"), kind="rsa")
    group_id = case.name("group")
    made = case.enroll_group(group_id, signing_certificates(root))
    expect(made["enrollmentGroupId"], group_id, "enrollmentGroupId")
    expect_stamped(made)
    for group in (made, case.service("getEnrollmentGroup", group_id)):
        expect_certificate_info(group["attestation"], "signingCertificates", root)
        expect_that("registrationState" not in group and "deviceId" not in group, f"a group has no device: {group}")


@SUITE.case("service-api/node/group-symmetric-key")
def group_symmetric_key(case):
    """PUT gives a group's keys back, GET does not."""
    group_id, primary, secondary = case.name("group"), sas.new_key(), sas.new_key()
    made = case.enroll_group(group_id, symmetric_key(primary, secondary))
    keys = {"primaryKey": primary, "secondaryKey": secondary}
    expect(made["attestation"]["symmetricKey"], keys, "keys of the PUT")
    expect(case.service("getEnrollmentGroup", group_id)["attestation"], {"type": "symmetricKey"}, "GET")


@SUITE.case("service-api/node/every-member-is-kept")
def every_member_is_kept(case):
    """What was given comes back as it was given."""
    fields = {
        "provisioningStatus": "disabled",
        "reprovisionPolicy": {"updateHubAssignment": False, "migrateDeviceData": False},
        "allocationPolicy": "static",
        "iotHubs": [case.first_hub],
        "capabilities": {"iotEdge": True},
        "initialTwin": {"tags": {"a": {"b": [1, "2"]}}, "properties": {"desired": {"x": 1.5}}},
    }
    registration_id = case.name()
    extra = {"optionalDeviceInformation": {"serial": "12"}, "deviceId": "Some-Device"}
    case.enroll(registration_id, symmetric_key(), **fields, **extra)
    group_id = case.name("group")
    case.enroll_group(group_id, symmetric_key(), **fields)
    individual = case.service("getIndividualEnrollment", registration_id)
    group = case.service("getEnrollmentGroup", group_id)
    for name, value in {**fields, **extra}.items():
        expect(individual.get(name), value, f"{name} of the individual")
    for name, value in fields.items():
        expect(group.get(name), value, f"{name} of the group")


@SUITE.case("service-api/node/etags")
def etags(case):
    """No etag creates, the right one updates, a wrong one is a 412; DELETE alike."""
    group_id, registration_id = case.name("group"), case.name()
    made = case.enroll_group(group_id, symmetric_key())
    refusal("DeviceAlreadyExistsError", case.enroll_group, group_id, symmetric_key())
    updated = case.service("createOrUpdateEnrollmentGroup", {**made, "provisioningStatus": "disabled"})
    expect(updated["provisioningStatus"], "disabled", "provisioningStatus")
    expect_that(updated["etag"] != made["etag"], "the etag changes with every write")
    expect(updated["createdDateTimeUtc"], made["createdDateTimeUtc"], "createdDateTimeUtc")
    error = refusal("InvalidEtagError", case.service, "createOrUpdateEnrollmentGroup", made)
    expect_error_body(error.result, None, None)
    expect(error.result["errorCode"] // 1000, 412, "errorCode")
    refusal("InvalidEtagError", case.service, "deleteEnrollmentGroup", group_id, made["etag"])
    case.service("deleteEnrollmentGroup", group_id, updated["etag"])
    refusal("Error", case.service, "getEnrollmentGroup", group_id)

    made = case.enroll(registration_id, symmetric_key())
    refusal("DeviceAlreadyExistsError", case.enroll, registration_id, symmetric_key())
    refusal("InvalidEtagError", case.service, "deleteIndividualEnrollment", registration_id, "AAAA")
    case.service("deleteIndividualEnrollment", made)
    error = refusal("Error", case.service, "getIndividualEnrollment", registration_id)
    expect((error.message, error.status), ("Not found", 404), "error")
    expect(error.result["errorCode"], 404201, "errorCode")


@SUITE.case("service-api/node/update-keeps-the-keys")
def update_keeps_the_keys(case):
    """An update made from a GET, which shows no keys, must not change them."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    got = case.service("getIndividualEnrollment", registration_id)
    got["initialTwin"] = {"tags": {"a": 1}, "properties": {"desired": {}}}
    case.service("createOrUpdateIndividualEnrollment", got)
    mechanism = case.service("getIndividualEnrollmentAttestationMechanism", registration_id)
    expect(mechanism["symmetricKey"]["primaryKey"], key, "primaryKey after the update")


@SUITE.case("service-api/node/update-keeps-the-certificates")
def update_keeps_the_certificates(case):
    """So must an update whose certificates are only the `info` of a GET: the Azure CLI sends that."""
    registration_id, device_id, root = case.name(), case.name("renamed"), pki.authority(case.name("root"))
    leaf = pki.device(registration_id)
    case.enroll(registration_id, client_certificates(leaf))
    got = case.service("getIndividualEnrollment", registration_id)
    got.pop("registrationState")
    updated = case.service("createOrUpdateIndividualEnrollment", {**got, "deviceId": device_id})
    expect_certificate_info(updated["attestation"], "clientCertificates", leaf)
    result = NodeHttp().register(case, registration_id, Certificate(leaf))
    expect((result["status"], result["deviceId"]), ("assigned", device_id), "status and deviceId")
    case.at_end(case.registry, result["assignedHub"], "delete", device_id)

    group_id = case.name("group")
    case.enroll_group(group_id, signing_certificates(root))
    got = case.service("getEnrollmentGroup", group_id)
    case.service("createOrUpdateEnrollmentGroup", got)
    registration_id = case.name()
    device = Certificate(pki.device(registration_id, root))
    expect(NodeHttp().register(case, registration_id, device)["status"], "assigned", "status in the group")


@SUITE.case("service-api/node/wrong-key")
def wrong_key(case):
    """The service client with a key that is not the policy's."""
    fields = {**sas.parse(case.service_connection_string), "SharedAccessKey": sas.new_key()}
    text = ";".join(f"{name}={value}" for name, value in fields.items())
    call = {"connectionString": text, "method": "getIndividualEnrollment", "parameters": ["x"]}
    error = refusal("UnauthorizedError", case.node.call, "service", **call)
    expect(error.status, 401, "HTTP status")
    expect_error_body(error.result, None, None)


@SUITE.case("service-api/node/registration-state")
def registration_state(case):
    """The registration that a device leaves, alone and inside its enrollment; then deleted."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    result = NodeHttp().register(case, registration_id, Key(key))
    state = case.service("getDeviceRegistrationState", registration_id)
    for member in ("registrationId", "status", "substatus", "deviceId", "assignedHub", "etag"):
        expect(state[member], result[member], member)
    inside = case.service("getIndividualEnrollment", registration_id)["registrationState"]
    expect((inside["status"], inside["assignedHub"]), ("assigned", result["assignedHub"]), "in the enrollment")
    case.service("deleteDeviceRegistrationState", registration_id)
    error = refusal("Error", case.service, "getDeviceRegistrationState", registration_id)
    expect(error.status, 404, "HTTP status after the delete")


@SUITE.case("service-api/python/individual")
def python_individual(case):
    """Create, get, update by etag, conflict, precondition, delete."""
    client, registration_id = case.python_service(), case.name()
    enrollment = {"registrationId": registration_id, "attestation": symmetric_key()}
    with python_sdk.raised():
        made = client.enrollment.create_or_update(id=registration_id, enrollment=enrollment)
        got = client.enrollment.get(id=registration_id)
    expect_key(made["attestation"]["symmetricKey"]["primaryKey"], "generated key")
    expect(got["etag"], made["etag"], "etag")
    expect(got["attestation"], {"type": "symmetricKey"}, "attestation of the GET")

    def write(changed, **options):
        with python_sdk.raised():
            return client.enrollment.create_or_update(id=registration_id, enrollment=changed, **options)

    error = refusal(None, write, enrollment)
    expect((error.name, error.status), ("ResourceExistsError", 409), "a second create")
    updated = write({**made, "provisioningStatus": "disabled"}, if_match=made["etag"])
    expect(updated["provisioningStatus"], "disabled", "provisioningStatus")
    error = refusal(None, write, made, if_match=made["etag"])
    expect(error.status, 412, "HTTP status with an old etag")
    with python_sdk.raised():
        client.enrollment.delete(id=registration_id)
    error = refusal(None, python_get, client.enrollment, registration_id)
    expect((error.name, error.status), ("ResourceNotFoundError", 404), "after the delete")


@SUITE.case("service-api/python/group")
def python_group(case):
    """The same for a group, with a signing certificate."""
    client, group_id = case.python_service(), case.name("group")
    root = pki.authority(case.name("root"))
    group = {"enrollmentGroupId": group_id, "attestation": signing_certificates(root)}
    with python_sdk.raised():
        made = client.enrollment_group.create_or_update(id=group_id, enrollment_group=group)
        got = client.enrollment_group.get(id=group_id)
    expect(got["etag"], made["etag"], "etag")
    expect_certificate_info(got["attestation"], "signingCertificates", root)
    with python_sdk.raised():
        client.enrollment_group.delete(id=group_id, if_match=made["etag"])
    error = refusal(None, python_get, client.enrollment_group, group_id)
    expect((error.name, error.status), ("ResourceNotFoundError", 404), "after the delete")


def python_get(operations, name):
    """A GET whose failure is an `SdkError`."""
    with python_sdk.raised():
        return operations.get(id=name)


@SUITE.case("service-api/raw/status-and-headers")
def status_and_headers(case):
    """200 for create and update alike, 204 for delete, whatever the case of the route."""
    registration_id = case.name()
    path = f"/Enrollments/{registration_id}{API}"
    headers = {"Authorization": sas.service_token(case.service_connection_string)}
    body = {"registrationId": registration_id, "attestation": symmetric_key()}
    made = raw_https.request(case, "PUT", path, body, headers)
    case.at_end(case.service, "deleteIndividualEnrollment", registration_id)
    expect(made.status, 200, f"status of the create: {made.raw[:300]}")
    expect(made.headers["content-type"], "application/json; charset=utf-8", "Content-Type")
    for etag in (made.json["etag"], '"*"', "*"):
        if etag == '"*"':
            etag = '"' + raw_https.request(case, "GET", path, headers=headers).json["etag"] + '"'
        updated = raw_https.request(case, "PUT", path, body, {**headers, "If-Match": etag})
        expect(updated.status, 200, f"status of an update with If-Match: {etag}: {updated.raw[:300]}")
    gone = raw_https.request(case, "DELETE", path, headers=headers)
    expect((gone.status, gone.raw), (204, b""), "status and body of the delete")
    answer = raw_https.request(case, "GET", path)
    expect(answer.status, 401, "status without a token")
    expect_error_body(answer.json, None, None)


@SUITE.case("service-api/raw/bad-enrollments")
def bad_enrollments(case):
    """What is no enrollment is refused with a 400 that says why."""
    registration_id = case.name()
    headers = {"Authorization": sas.service_token(case.service_connection_string)}
    key = base64.b64encode(b"x" * 8).decode()
    bad = {
        "no attestation": {"registrationId": registration_id},
        "another id": {"registrationId": "other", "attestation": symmetric_key()},
        "an unknown type": {"registrationId": registration_id, "attestation": {"type": "wish"}},
        "a key of 8 bytes": {"registrationId": registration_id, "attestation": symmetric_key(key, key)},
        "a key that is no base64": {"registrationId": registration_id, "attestation": symmetric_key("ä", "ö")},
        "no certificate": {
            "registrationId": registration_id,
            "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "eA=="}}}},
        },
        "an unknown policy": {
            "registrationId": registration_id,
            "attestation": symmetric_key(),
            "allocationPolicy": "luck",
        },
        "custom without a webhook": {
            "registrationId": registration_id,
            "attestation": symmetric_key(),
            "allocationPolicy": "custom",
        },
    }
    for what, body in bad.items():
        answer = raw_https.request(case, "PUT", f"/enrollments/{registration_id}{API}", body, headers)
        expect(answer.status, 400, f"status for {what}: {answer.raw[:200]}")
        expect_error_body(answer.json, None, None)
        expect(answer.json["errorCode"] // 1000, 400, f"errorCode for {what}")
    refusal("Error", case.service, "getIndividualEnrollment", registration_id)


@SUITE.case("service-api/raw/tpm-is-for-individuals")
def tpm_is_for_individuals(case):
    """A group cannot be attested by TPM."""
    group_id = case.name("group")
    attestation = {"type": "tpm", "tpm": {"endorsementKey": "AToAAQALAAMAsgAg"}}
    error = refusal(None, case.enroll_group, group_id, attestation)
    expect((error.name, error.status), ("ArgumentError", 400), "error")
