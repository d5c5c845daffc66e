"""Keys, tokens and clocks: rows 28 to 35, and 26."""

import base64
import hashlib
import hmac
import time
from urllib.parse import quote

from diagnosis.scenario import cause_of_answer, cause_of_device, scenario
from harness import sas
from harness.credentials import Key, symmetric_key
from harness.device_sdks import PROVISIONING, SYMMETRIC_KEY_REFUSED
from harness.errors import expect, refusal
from harness.raw_https import HttpDevice


def group(case):
    """A symmetric-key group and its key."""
    name, key = case.name("factory"), sas.new_key()
    case.enroll_group(name, symmetric_key(key, sas.new_key()))
    return name, key


def refused(case, registration_id, token, code, *named, inferred=False):
    """A hand-made token is refused as every wrong one is, and its mistake named."""
    device = HttpDevice(case, registration_id, sas.new_key())
    answer = device.register(token=token)
    return cause_of_answer(case, answer, 401, 401000, code, *named, inferred=inferred)


def hand_made(case, registration_id, key, text=None, encode=None, sr=None):
    """A token that signs `text(sr, se)` with the bytes of `key`."""
    sr = sr or quote(f"{case.id_scope}/registrations/{registration_id}", safe="")
    until = int(time.time()) + 3600
    signed = f"{sr}\n{until}" if text is None else text(sr, until)
    digest = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode() if encode is None else encode(digest)
    return f"SharedAccessSignature sr={sr}&sig={quote(signature, safe='')}&se={until}&skn=registration"


for SDK in PROVISIONING:

    @scenario(f"group-key-used/{SDK.name}", 28)
    def group_key_used(case, sdk=SDK):
        """The group's key itself signs, with every SDK."""
        name, key = group(case)
        registration_id = case.name()
        error = refusal(None, sdk.register, case, registration_id, Key(key))
        sdk.expect_refused(error, *SYMMETRIC_KEY_REFUSED)
        cause = cause_of_device(case, registration_id, "SAS_GROUP_KEY_USED", name)
        wanted = f"--enrollment-id {name} --registration-id {registration_id}"
        expect(wanted in cause["fix"][0]["command"], True, f"command {cause['fix'][0]}")


@scenario("derived-twice", 29)
def derived_twice(case):
    """The device derives from what is derived already."""
    name, key = group(case)
    registration_id = case.name()
    twice = sas.derived_key(sas.derived_key(key, registration_id), registration_id)
    token = sas.device_token(case.id_scope, registration_id, twice)
    refused(case, registration_id, token, "SAS_DOUBLE_DERIVED", name)


@scenario("derived-for-an-individual", 29)
def derived_for_an_individual(case):
    """An individual enrollment's key is used as it is."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    token = sas.device_token(case.id_scope, registration_id, sas.derived_key(key, registration_id))
    refused(case, registration_id, token, "SAS_DERIVED_FROM_INDIVIDUAL_KEY")


@scenario("hand-made-tokens", 30)
def hand_made_tokens(case):
    """Each known mistake of a hand-made signature is named."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    right = base64.b64decode(key)
    lower = f"{case.id_scope}/registrations/{registration_id}".replace("/", "%2f")
    upper = lower.replace("%2f", "%2F")
    for code, token in (
        ("SAS_KEY_NOT_DECODED", hand_made(case, registration_id, key.encode())),
        ("SAS_HEX_DIGEST", hand_made(case, registration_id, right, encode=bytes.hex)),
        ("SAS_LINE_FEED_MISSING", hand_made(case, registration_id, right, text=lambda sr, se: f"{sr}{se}")),
        ("SAS_LINE_FEED_AT_END", hand_made(case, registration_id, right, text=lambda sr, se: f"{sr}\n{se}\n")),
        ("SAS_SR_ENCODING", hand_made(case, registration_id, right, text=lambda _, se: f"{upper}\n{se}", sr=lower)),
        ("SAS_SIGNATURE_MISMATCH", hand_made(case, registration_id, b"another key of the same kind")),
    ):
        refused(case, registration_id, token, code)


@scenario("sr-with-a-colon-escaped-otherwise", 26)
def colon_escaped_otherwise(case):
    """An id with a colon: signed with %3A, sent with the colon as it is."""
    registration_id, key = f"{case.name()}:1", sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    sent = f"{case.id_scope}%2Fregistrations%2F{registration_id}"
    signed = sent.replace(":", "%3A")
    token = hand_made(case, registration_id, base64.b64decode(key), text=lambda _, se: f"{signed}\n{se}", sr=sent)
    refused(case, registration_id, token, "SAS_SR_ENCODING")


@scenario("either-key-slot", 31, 32)
def either_key_slot(case):
    """After the primary key the secondary, after a wrong one the right one: always let in, and told."""
    registration_id, primary, secondary = case.name(), sas.new_key(), sas.new_key()
    case.enroll(registration_id, symmetric_key(primary, secondary))
    expect(HttpDevice(case, registration_id, primary).register().status, 202, "with the primary key")
    expect(HttpDevice(case, registration_id, sas.new_key()).register().status, 401, "with a wrong key")
    expect(HttpDevice(case, registration_id, secondary).register().status, 202, "with the secondary key")
    row = case.log.of_device(registration_id, least=3)[-1]
    expect([cause["code"] for cause in row["properties"]["causes"]], ["SAS_OTHER_KEY_SLOT"], "causes")


@scenario("clock-that-is-behind", 34)
def clock_behind(case):
    """The right key, a token that ended days ago."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    ended = int(time.time()) - 3 * 86400 - 4 * 3600 - 60
    token = sas.device_token(case.id_scope, registration_id, key, expiry=ended)
    refused(case, registration_id, token, "SAS_EXPIRED", "3 d 4 h")
    row = case.log.of_device(registration_id)[-1]
    expect([cause["code"] for cause in row["properties"]["causes"]], ["SAS_EXPIRED", "CLOCK_SKEW"], "causes")


@scenario("clock-that-was-never-set", 35)
def clock_never_set(case):
    """A device that thinks it is 1970."""
    registration_id, key = case.name(), sas.new_key()
    case.enroll(registration_id, symmetric_key(key, sas.new_key()))
    token = sas.device_token(case.id_scope, registration_id, key, expiry=3700)
    refused(case, registration_id, token, "CLOCK_1970", "1970", inferred=True)
