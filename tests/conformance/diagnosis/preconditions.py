"""Which precondition failed: row 62."""

from diagnosis.scenario import cause_of_answer, scenario
from harness import sas
from harness.credentials import Key, symmetric_key
from harness.device_sdks import NodeHttp
from harness.errors import Unexpected, expect
from harness.raw_https import HttpDevice, request


def registered(case):
    """A device that is assigned, and the id of its operation."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    expect(NodeHttp().register(case, registration_id, Key(key))["status"], "assigned", "status")
    device = HttpDevice(case, registration_id, key)
    return device, device.register().json["operationId"]


@scenario("each-precondition-is-named", 62)
def each_precondition(case):
    """What elsewhere is one bare refusal: no proof, half a proof, another's, the wrong kind, no registration yet."""
    device, _ = registered(case)
    nobody = HttpDevice(case, case.name(), sas.new_key())
    case.enroll(nobody.registration_id, symmetric_key(nobody.key, sas.new_key()))
    without = request(case, "PUT", f"{device.path}/register{device.query}", {"registrationId": device.registration_id})
    expect(without.status, 401, "without a proof")
    right = device.authorization()["Authorization"]
    signature = next(part for part in right.split("&") if part.startswith("sig="))
    half = device.register(token=right.replace(f"&{signature}", ""))
    anothers = device.register(token=nobody.authorization()["Authorization"])
    for what, answer, status, number, code in (
        ("no proof", without, 401, 401000, "EVIDENCE_MISSING"),
        ("a token without a signature", half, 401, 401000, "SAS_MALFORMED"),
        ("another device's token", anothers, 401, 401000, "SAS_RESOURCE_MISMATCH"),
        ("no registration yet", nobody.lookup(), 404, 404202, "REGISTRATION_NOT_FOUND"),
    ):
        told(what, case, answer, status, number, code)


def told(what, case, answer, *wanted):
    """The cause of an answer, with the name of what was tried where it is another."""
    try:
        cause_of_answer(case, answer, *wanted)
    except Unexpected as error:
        raise Unexpected(f"{what}: {error}") from None


@scenario("operation-of-another-device", 62)
def operation_of_another(case):
    """An operation id that is another device's, that nobody has, or that is none."""
    (device, operation), (other, _) = registered(case), registered(case)
    swapped = operation[:-4] + ("aaaa" if operation[-4:] != "aaaa" else "bbbb")
    for what, poll, status, number, code in (
        ("another device's", other.status(operation), 404, 404203, "OPERATION_NOT_FOUND"),
        ("of nobody", device.status(swapped), 404, 404203, "OPERATION_NOT_FOUND"),
        ("none", device.status("eA=="), 400, 400004, "ARGUMENT_INVALID"),
    ):
        told(what, case, poll, status, number, code)
    expect(device.status(operation).json["status"], "assigned", "its own")
