"""Registration ids, id scopes and enrollments: rows 18, 20 to 25, 27, 67 and 71."""

from diagnosis.scenario import cause_of_answer, cause_of_device, expect_cause, scenario
from harness import sas
from harness.credentials import Key, symmetric_key
from harness.device_sdks import NodeHttp, PythonMqtt, SYMMETRIC_KEY_REFUSED
from harness.errors import expect, refusal
from harness.raw_https import HttpDevice


@scenario("nobody-is-enrolled", 18)
def nobody_is_enrolled(case):
    """A device that was never enrolled, and nothing like it."""
    registration_id = case.name("stranger")
    error = refusal(None, PythonMqtt().register, case, registration_id, Key(sas.new_key()))
    PythonMqtt().expect_refused(error, *SYMMETRIC_KEY_REFUSED)
    cause = cause_of_device(case, registration_id, "ENROLLMENT_NOT_FOUND", registration_id)
    expect("enrollment create" in cause["fix"][0]["command"], True, "the command enrolls it")


@scenario("enrolled-under-nearly-this-id", 27)
def nearly_this_id(case):
    """A typing error in the registration id."""
    registration_id = case.name("press")
    case.enroll(registration_id, symmetric_key(sas.new_key(), sas.new_key()))
    typed = registration_id[:-1]
    answer = HttpDevice(case, typed, sas.new_key()).register()
    cause_of_answer(case, answer, 401, 401000, "ENROLLMENT_NEAR_MISS", registration_id, inferred=True)


@scenario("id-with-a-forbidden-character", 20, 22, 23)
def forbidden_character(case):
    """An @ in the id: the character and its place are named, and that a device id may have it."""
    device = HttpDevice(case, f"{case.name()}@home", sas.new_key())
    cause_of_answer(case, device.register(), 400, 400004, "REGID_CHARSET", "@")


@scenario("id-with-dots-and-colons", 24)
def dots_and_colons(case):
    """What Azure once refused is let in."""
    registration_id, key = f"{case.name()}.a_b:c", sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    expect(NodeHttp().register(case, registration_id, Key(key))["status"], "assigned", "status")


@scenario("id-in-other-letters", 21)
def other_letters(case):
    """Enrolled in lower case, calls itself in upper case: let in, and told."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    answer = HttpDevice(case, registration_id.upper(), key).register()
    expect(answer.status, 202, "status")
    row = case.log.of_device(registration_id.upper())[-1]
    expect([cause["code"] for cause in row["properties"]["causes"]], ["REGID_CASE"], "causes")


@scenario("id-scope-with-a-typing-error", 67)
def scope_with_a_typing_error(case):
    """O for 0."""
    typed = case.id_scope[:-1] + ("1" if case.id_scope[-1] != "1" else "2")
    device = HttpDevice(case, case.name(), sas.new_key(), id_scope=typed)
    cause_of_answer(case, device.register(), 404, 404204, "ID_SCOPE_NEAR_MISS", case.id_scope, inferred=True)


@scenario("id-scope-of-nobody", 67)
def scope_of_nobody(case):
    """An old id scope that no server has."""
    device = HttpDevice(case, case.name(), sas.new_key(), id_scope="0ne7GONE7GO")
    cause_of_answer(case, device.register(), 404, 404204, "ID_SCOPE_UNKNOWN", "0ne7GONE7GO")


@scenario("disabled-enrollment", 70, 71)
def disabled_enrollment(case):
    """What the service was told to keep is what the device meets, and what the log says."""
    registration_id, key = case.name(), sas.new_key()
    shown = case.enroll(registration_id, symmetric_key(key, sas.new_key()), provisioningStatus="disabled")
    expect(shown["provisioningStatus"], "disabled", "what the service kept")
    error = refusal(None, NodeHttp().register, case, registration_id, Key(key))
    NodeHttp().expect_disabled(error, registration_id)
    row = case.log.of_device(registration_id)[-1]
    expect_cause(row, "ENROLLMENT_DISABLED", registration_id)
