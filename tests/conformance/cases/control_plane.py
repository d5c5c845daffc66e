"""The control plane through `azure-mgmt-iothubprovisioningservices`, unmodified, and what it makes put to use by the
official device and service clients: services of their own host names, CA certificates proven with real openssl.
"""

import base64
import subprocess
from contextlib import contextmanager

from azure.core.exceptions import HttpResponseError
from cases import SUITE
from harness import management_sdk, python_sdk, sas
from harness.credentials import symmetric_key
from harness.errors import expect, expect_member, expect_that

GROUP = "conformance"
LEAST = {"location": "westus", "properties": {}, "sku": {"name": "S1", "capacity": 1}}
OLD_API = "2022-02-05"


@contextmanager
def refused(status, code):
    """The call within fails with that status, and the SDK reads that code."""
    try:
        yield
    except HttpResponseError as error:
        expect((error.status_code, error.error.code), (status, code), f"refusal {error.message}")
        return
    expect_that(False, f"a refusal with {status} {code}")


class Service:
    """A provisioning service that the SDK made, gone with the case."""

    def __init__(self, case, name, **properties):
        self.case, self.name = case, name
        self.client = management_sdk.client(case.env)
        case.at_end(self.client.close)
        case.at_end(lambda: self.client.iot_dps_resource.begin_delete(name, GROUP).result())
        self.shown = self.put(**properties)
        self.id_scope = self.shown["properties"]["idScope"]
        self.host = self.shown["properties"]["serviceOperationsHostName"]

    def put(self, **properties):
        """Creates or changes it, and waits as the SDK does."""
        body = {**LEAST, "properties": properties}
        poller = self.client.iot_dps_resource.begin_create_or_update(GROUP, self.name, body)
        return poller.result().as_dict()

    def keys(self):
        """Its shared access policies by name."""
        listed = self.client.iot_dps_resource.list_keys(self.name, GROUP)
        return {rule.key_name: rule.as_dict() for rule in listed}

    def connection_string(self):
        """Its owner's, at its own host name."""
        key = self.keys()["provisioningserviceowner"]["primaryKey"]
        return f"HostName={self.host};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey={key}"

    def service(self):
        """The official Python client of its service API."""
        client = python_sdk.service_client(self.connection_string(), self.case.ca_file)
        self.case.at_end(client.close)
        return client

    def provision(self, registration_id, **options):
        """A device registers with the official client."""
        case = self.case
        return python_sdk.provision(case.host, self.id_scope, registration_id, case.ca_pem, **options)


def link(case, weight=1):
    """The link of the first development hub, as an operator writes it."""
    text = case.hub_connection_string(case.first_hub)
    return {
        "connectionString": text,
        "location": "westus",
        "allocationWeight": weight,
        "applyAllocationPolicy": True,
    }


@SUITE.case("control-plane/python/lifecycle")
def lifecycle(case):
    """Created, read, listed, tagged, changed under its etag, deleted; each by the SDK's own polling."""
    name = "made-one"
    client = management_sdk.client(case.env)
    case.at_end(client.close)
    free = client.iot_dps_resource.check_provisioning_service_name_availability({"name": name})
    expect(free.name_available, True, "name before")
    made = Service(case, name)
    properties = made.shown["properties"]
    expect((properties["state"], properties["provisioningState"]), ("Active", "Succeeded"), "state")
    expect_that(properties["idScope"].startswith("0ne"), f"id scope {properties['idScope']}")
    expect(properties["serviceOperationsHostName"], f"{name}.{case.host}", "host name")
    free = client.iot_dps_resource.check_provisioning_service_name_availability({"name": name.upper()})
    expect((free.name_available, free.reason), (False, "AlreadyExists"), "name after")

    resource = client.iot_dps_resource
    expect_member(name, [one.name for one in resource.list_by_subscription()], "listed by subscription")
    expect(
        [one.name for one in resource.list_by_resource_group(GROUP.upper()) if one.name == name],
        [name],
        "listed",
    )
    expect([sku.name for sku in resource.list_valid_skus(name, GROUP)], ["S1"], "SKUs")
    expect(resource.begin_update(GROUP, name, {"tags": {"plant": "7"}}).result().tags, {"plant": "7"}, "tags")

    rule = {"filterName": "office", "action": "Accept", "ipMask": "127.0.0.0/8", "target": "all"}
    changed = made.put(ipFilterRules=[rule], allocationPolicy="GeoLatency")["properties"]
    expect((changed["ipFilterRules"], changed["allocationPolicy"]), ([rule], "GeoLatency"), "changed members")
    with refused(412, "PreconditionFailed"):
        resource.begin_create_or_update(GROUP, name, {**LEAST, "etag": made.shown["etag"]})
    with refused(400, "BadRequest"):
        resource.begin_create_or_update(GROUP, name, {**LEAST, "properties": {"allocationPolicy": "Custom"}})
    with refused(404, "ResourceNotFound"):
        resource.get(name, "elsewhere")
    expect_that(any(one.name.endswith("/write") for one in client.operations.list()), "operations")
    resource.begin_delete(name, GROUP).result()
    with refused(404, "ResourceNotFound"):
        resource.get(name, GROUP)


@SUITE.case("control-plane/python/older-version")
def older_version(case):
    """The same client with the api-version that az sends."""
    client = management_sdk.client(case.env, api_version=OLD_API)
    case.at_end(client.close)
    name = case.env["MUSTER_RESOURCE_ID"].rpartition("/")[2]
    shown = client.iot_dps_resource.get(name, "muster").as_dict()
    expect(shown["properties"]["idScope"], case.id_scope, "id scope of the default service")
    before = shown["properties"]["iotHubs"]
    again = (
        client.iot_dps_resource.begin_create_or_update("muster", name, {**shown, "etag": None})
        .result()
        .as_dict()
    )
    expect(again["properties"]["iotHubs"], before, "links after an echo of their masks")


@SUITE.case("control-plane/python/foreign-token")
def foreign_token(case):
    """Another token reads nothing."""
    client = management_sdk.client(case.env, token="another")
    case.at_end(client.close)
    with refused(401, "AuthenticationFailed"):
        list(client.iot_dps_resource.list_by_subscription())


@SUITE.case("control-plane/python/two-services")
def two_services(case):
    """Two services at once: own id scopes, host names, keys and enrollments; a key that was replaced opens nothing."""
    one, two = (Service(case, name, iotHubs=[link(case)]) for name in ("made-two", "made-three"))
    masked = one.shown["properties"]["iotHubs"][0]["connectionString"]
    expect_that(masked.endswith(";SharedAccessKey=****"), f"connection string {masked.rpartition(';')[2]}")
    registration_id, key = case.name(), sas.new_key()
    enrollment = {"registrationId": registration_id, "attestation": symmetric_key(key, sas.new_key())}
    one.service().enrollment.create_or_update(registration_id, enrollment)
    try:
        two.service().enrollment.get(registration_id)
        expect_that(False, "the enrollment is the other service's")
    except HttpResponseError as error:
        expect(error.status_code, 404, "the other service's answer")
    result = one.provision(registration_id, key=key)
    expect(result["status"], "assigned", "status at its own service")
    try:
        two.provision(registration_id, key=key)
        expect_that(False, "the other service knows the device")
    except python_sdk.SdkError:
        pass

    old = one.service()
    one.put(authorizationPolicies=[{"keyName": "provisioningserviceowner",
                                    "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite"}])  # fmt: skip
    try:
        old.enrollment.get(registration_id)
        expect_that(False, "the old key opens nothing")
    except HttpResponseError as error:
        expect(error.status_code, 401, "the old key's answer")
    expect(
        one.service().enrollment.get(registration_id)["registrationId"], registration_id, "with the new key"
    )


def openssl(folder, *arguments):
    """Runs openssl there."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def signed(folder, name, subject, issuer):
    """A key and a certificate of that subject, which the issuer signed."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")  # fmt: skip
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key",
            "-CAcreateserial", "-days", "2", "-sha256", "-out", f"{name}.pem")  # fmt: skip


@SUITE.case("control-plane/python/proof-of-possession")
def proof_of_possession(case):
    """A CA made by openssl is uploaded and proven, and lets in devices of a group that refers to it by name."""
    made, folder = Service(case, "made-four", iotHubs=[link(case)]), case.scratch()
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Plant CA",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    certificates, where = made.client.dps_certificate, {"provisioning_service_name": made.name}
    where["resource_group_name"] = GROUP
    pem = (folder / "ca.pem").read_bytes()
    uploaded = certificates.create_or_update(
        certificate_name="plant", certificate_description={"properties": {"certificate": base64.b64encode(pem).decode()}},
        **where)  # fmt: skip
    expect((uploaded.name, uploaded.properties.is_verified), ("plant", False), "uploaded certificate")

    device = case.name()
    signed(folder, "device", device, "ca")
    files = (str(folder / "device.pem"), str(folder / "device.key"))
    group = {
        "enrollmentGroupId": "plant",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "plant"}}},
    }
    shown = made.service().enrollment_group.create_or_update("plant", group)
    expect(shown["attestation"]["x509"]["caReferences"], {"primary": "plant"}, "references of the group")
    try:
        made.provision(device, files=files)
        expect_that(False, "an unverified CA lets nobody in")
    except python_sdk.SdkError:
        pass

    guard = {"etag": uploaded.etag, "match_condition": python_sdk.IF_NOT_MODIFIED}
    coded = certificates.generate_verification_code(certificate_name="plant", **where, **guard)
    code = coded.properties.verification_code
    expect(len(code), 48, "length of the code")
    signed(folder, "proof", code, "ca")
    proof = base64.b64encode((folder / "proof.pem").read_bytes()).decode()
    guard["etag"] = coded.etag
    verified = certificates.verify_certificate(
        certificate_name="plant", request={"certificate": proof}, **where, **guard)  # fmt: skip
    expect(verified.properties.is_verified, True, "after the proof")
    expect([one.name for one in certificates.list(**where).value], ["plant"], "listed certificates")
    expect(made.provision(device, files=files)["status"], "assigned", "a device of the proven CA")

    guard["etag"] = verified.etag
    with refused(409, "Conflict"):
        certificates.delete(certificate_name="plant", **where, **guard)
    made.service().enrollment_group.delete("plant")
    certificates.delete(certificate_name="plant", **where, **guard)
    with refused(404, "ResourceNotFound"):
        certificates.get(certificate_name="plant", **where)
