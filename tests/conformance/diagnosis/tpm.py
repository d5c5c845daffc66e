"""TPMs: rows 56 to 59, and 65."""

import base64

from cases.tpm import Device
from diagnosis.enrollments import public_area, text
from diagnosis.scenario import cause_of_answer, cause_of_device, scenario
from harness.errors import expect, expect_that, refusal
from harness.raw_https import request


def refused(device, registration_id, code, *named):
    """The device is refused and the cause named."""
    refusal(None, device.register, registration_id)
    return cause_of_device(device.case, registration_id, code, *named)


@scenario("another-endorsement-key", 57, 58, needs=("swtpm",))
def another_endorsement_key(case):
    """A simulated TPM that made a new key, or another board under the id."""
    device, stranger = Device(case, "http"), Device(case, "http")
    registration_id = case.name("tpm")
    device.enroll(registration_id)
    cause = refused(stranger, registration_id, "EK_CHANGED")
    expect_that("enrollment update" in cause["fix"][0]["command"], f"fix {cause['fix']}")


@scenario("endorsement-key-without-a-certificate", 65, needs=("swtpm",))
def without_certificate(case):
    """A TPM that came without a certificate of its maker: its endorsement key alone is enrolled, and is enough."""
    device, registration_id = Device(case, "http"), case.name("tpm")
    shown = device.enroll(registration_id)["attestation"]["tpm"]
    expect(shown["endorsementKey"], device.endorsement_key, "what is enrolled")
    expect(device.register(registration_id)["status"], "assigned", "status")
    challenged, accepted = (row["properties"] for row in case.log.of_device(registration_id, least=2))
    outcomes = (challenged["outcome"]["result"], accepted["outcome"]["result"])
    expect(outcomes, ("challenged", "success"), "the two requests")
    expect(challenged["chain"], [], "certificates that were presented")


@scenario("keys-that-cannot-be-challenged", 59, needs=("swtpm",))
def no_challenge(case):
    """A device whose key is cut off, of too few bits or of another kind: 400004 as on Azure, and decoded."""
    device = Device(case, "http")
    for key, code, said in (
        (text(base64.b64decode(device.endorsement_key)[:60]), "EK_PARSE", "58 follow"),
        (text(public_area(bits=1024)), "EK_ALGORITHM", "1024 bits"),
        (text(public_area(kind=0x0023)), "EK_ALGORITHM", "ECC"),
    ):
        registration_id = case.name("tpm")
        device.enroll(registration_id)
        path = f"/{case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
        keys = {"endorsementKey": key, "storageRootKey": device.keys["storageRootKey"]}
        answer = request(case, "PUT", path, {"registrationId": registration_id, "tpm": keys})
        cause_of_answer(case, answer, 400, 400004, code, said)
        case.service("deleteIndividualEnrollment", registration_id)


@scenario("swapped-board", 58, needs=("swtpm",))
def swapped_board(case):
    """The board is enrolled under another id: it is named."""
    device, enrolled, used = Device(case, "http"), case.name("tpm"), case.name("tpm")
    device.enroll(enrolled)
    refused(device, used, "EK_ENROLLED_UNDER_OTHER_ID", enrolled)


@scenario("endorsement-key-in-host-order", 56, needs=("swtpm",))
def host_order(case):
    """A device that sends its key with a length in the machine's byte order: 400004 as on Azure, and the order is named."""
    device, registration_id = Device(case, "http"), case.name("tpm")
    wire = base64.b64decode(device.endorsement_key)
    swapped = int.from_bytes(wire[:2], "big").to_bytes(2, "little") + wire[2:]
    keys = {"endorsementKey": base64.b64encode(swapped).decode(), "storageRootKey": device.keys["storageRootKey"]}
    path = f"/{case.id_scope}/registrations/{registration_id}/register?api-version=2019-03-31"
    answer = request(case, "PUT", path, {"registrationId": registration_id, "tpm": keys})
    cause_of_answer(case, answer, 400, 400004, "EK_BYTE_ORDER", "OgE")
