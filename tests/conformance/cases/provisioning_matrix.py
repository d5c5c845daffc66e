"""Every SDK × every attestation × every outcome: the reason why this folder exists.

Owns: the six kinds of enrollment, each with what its device holds: the right credential, the
secondary one, a wrong one that looks as right as possible, and one that nothing knows.
"""

from dataclasses import dataclass

from cases import SUITE
from harness import pki, sas
from harness.credentials import (
    Certificate,
    Key,
    client_certificates,
    signing_certificates,
    symmetric_key,
)
from harness.device_sdks import PROVISIONING, SYMMETRIC_KEY_REFUSED, X509_REFUSED
from harness.errors import expect, expect_member, expect_that, refusal


@dataclass(frozen=True)
class Enrolled:
    """What the devices of one enrollment, and those that only pretend, hold."""

    primary: object
    secondary: object
    wrong: object


class SymmetricIndividual:
    """An individual enrollment with two keys."""

    name = "symmetric-individual"
    refused = SYMMETRIC_KEY_REFUSED

    def enroll(self, case, registration_id, **fields):
        """Enrolls the device."""
        primary, secondary = sas.new_key(), sas.new_key()
        case.enroll(registration_id, symmetric_key(primary, secondary), **fields)
        return Enrolled(Key(primary), Key(secondary), Key(sas.new_key()))

    def stranger(self, _registration_id):
        """A well-formed credential that no enrollment knows."""
        return Key(sas.new_key())


class SymmetricGroup:
    """An enrollment group; the device holds a key derived from the group's."""

    name = "symmetric-group"
    refused = SYMMETRIC_KEY_REFUSED

    def enroll(self, case, registration_id, **fields):
        """Creates the group."""
        primary, secondary = sas.new_key(), sas.new_key()
        case.enroll_group(case.name("group"), symmetric_key(primary, secondary), **fields)
        derived = [Key(sas.derived_key(key, registration_id)) for key in (primary, secondary)]
        # The right group's key for another device's name.
        return Enrolled(*derived, Key(sas.derived_key(primary, registration_id + "x")))

    def stranger(self, registration_id):
        """A key of a group that does not exist."""
        return Key(sas.derived_key(sas.new_key(), registration_id))


class X509Individual:
    """An individual enrollment with two client certificates."""

    refused = X509_REFUSED

    def __init__(self, name, signed_by_ca):
        self.name = name
        self.signed_by_ca = signed_by_ca

    def leaf(self, registration_id):
        """A leaf of the device's name; each is new."""
        issuer = pki.authority("Device CA") if self.signed_by_ca else None
        return Certificate(pki.device(registration_id, issuer))

    def enroll(self, case, registration_id, **fields):
        """Enrolls the device."""
        primary, secondary = self.leaf(registration_id), self.leaf(registration_id)
        attestation = client_certificates(primary.identity, secondary.identity)
        case.enroll(registration_id, attestation, **fields)
        return Enrolled(primary, secondary, self.leaf(registration_id))

    def stranger(self, registration_id):
        """A certificate that no enrollment knows."""
        return self.leaf(registration_id)


class X509Group:
    """An enrollment group on a root or on an intermediate; the chain is root, intermediate, leaf."""

    refused = X509_REFUSED

    def __init__(self, name, anchor):
        self.name = name
        self.anchor = anchor

    @staticmethod
    def chain(suffix):
        """A root and an intermediate, with names that another chain may have too."""
        root = pki.authority(f"Root {suffix}")
        return {"root": root, "intermediate": pki.authority(f"Intermediate {suffix}", root)}

    def enroll(self, case, registration_id, **fields):
        """Creates the group."""
        group_id = case.name("group")
        primary, secondary, impostor = (self.chain(group_id) for _ in range(3))
        attestation = signing_certificates(primary[self.anchor], secondary[self.anchor])
        case.enroll_group(group_id, attestation, **fields)
        # The impostor's authorities bear the same names, as a re-issued CA would.
        chains = (primary, secondary, impostor)
        return Enrolled(*(self.device(registration_id, chain) for chain in chains))

    def stranger(self, registration_id):
        """A device of a chain that nothing knows."""
        return self.device(registration_id, self.chain(f"of nobody {registration_id}"))

    @staticmethod
    def device(registration_id, chain):
        """A leaf below the intermediate."""
        return Certificate(pki.device(registration_id, chain["intermediate"]))


KINDS = (
    SymmetricIndividual(),
    SymmetricGroup(),
    X509Individual("x509-individual-self-signed", signed_by_ca=False),
    X509Individual("x509-individual-ca-signed", signed_by_ca=True),
    X509Group("x509-group-by-intermediate", "intermediate"),
    X509Group("x509-group-by-root", "root"),
)


def expect_assigned(case, result, registration_id):
    """The result of a first registration, as far as each SDK shows it."""
    expect(result["status"], "assigned", "status")
    expect(result["substatus"], "initialAssignment", "substatus")
    expect(result["deviceId"], registration_id, "deviceId")
    if case.muster is not None:
        expect_member(result["assignedHub"], ("hub-a.test", "hub-b.test"), "assignedHub")
    for member in ("createdDateTimeUtc", "lastUpdatedDateTimeUtc", "etag"):
        expect_that(result[member], f"{member} is missing: {result}")


def primary_registers(case, sdk, kind):
    """The first credential of the enrollment is good."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id)
    expect_assigned(case, sdk.register(case, registration_id, enrolled.primary), registration_id)


def secondary_registers(case, sdk, kind):
    """So is the second."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id)
    expect_assigned(case, sdk.register(case, registration_id, enrolled.secondary), registration_id)


def wrong_credential_is_refused(case, sdk, kind):
    """A wrong credential gets the service's 401."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id)
    sdk.expect_refused(refusal(None, sdk.register, case, registration_id, enrolled.wrong), *kind.refused)


def unknown_device_is_refused(case, sdk, kind):
    """So does a device that nobody enrolled."""
    registration_id = case.name("stranger")
    error = refusal(None, sdk.register, case, registration_id, kind.stranger(registration_id))
    sdk.expect_refused(error, *kind.refused)


def disabled_enrollment_says_so(case, sdk, kind):
    """A disabled enrollment answers with the status `disabled`, not with an error."""
    registration_id = case.name()
    enrolled = kind.enroll(case, registration_id, provisioningStatus="disabled")
    error = refusal(None, sdk.register, case, registration_id, enrolled.primary)
    sdk.expect_disabled(error, registration_id)


OUTCOMES = {
    "success": primary_registers,
    "secondary": secondary_registers,
    "wrong-credential": wrong_credential_is_refused,
    "unknown-device": unknown_device_is_refused,
    "disabled": disabled_enrollment_says_so,
}


def declare(sdk, kind, outcome, function):
    """One cell of the matrix."""
    SUITE.add(f"matrix/{sdk.name}/{kind.name}/{outcome}", lambda case: function(case, sdk, kind))


for _sdk in PROVISIONING:
    for _kind in KINDS:
        for _outcome, _function in OUTCOMES.items():
            declare(_sdk, _kind, _outcome, _function)
