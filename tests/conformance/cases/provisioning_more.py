"""Provisioning beyond the matrix: scopes, payloads, registering again, rules of selection, other keys and clients."""

from concurrent.futures import ThreadPoolExecutor

from cases import SUITE
from cases.provisioning_matrix import KINDS, SymmetricIndividual, X509Group, expect_assigned
from harness import pki, python_sdk, sas
from harness.credentials import (
    Certificate,
    Key,
    client_certificates,
    signing_certificates,
    symmetric_key,
)
from harness.device_sdks import (
    PROVISIONING,
    SYMMETRIC_KEY_REFUSED,
    X509_REFUSED,
    NodeHttp,
    NodeMqtt,
    PythonMqtt,
    PythonMqttAsync,
)
from harness.errors import SdkError, expect, expect_that, refusal


def for_each_sdk(name, sdks=PROVISIONING, **options):
    """Declares the decorated function once for each SDK."""

    def declare(function):
        for sdk in sdks:
            SUITE.add(f"{name}/{sdk.name}", lambda case, sdk=sdk: function(case, sdk), **options)
        return function

    return declare


@for_each_sdk("provisioning/unknown-id-scope")
def unknown_id_scope(case, sdk):
    """A scope that no instance has."""
    error = refusal(None, sdk.register, case, case.name(), Key(sas.new_key()), id_scope="0ne00000NOT")
    sdk.expect_unknown_scope(error)


@for_each_sdk("provisioning/payload-is-accepted")
def payload_is_accepted(case, sdk):
    """A custom payload is for a webhook; without one it does no harm."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    payload = {"model": "ü", "list": [1, 2.5, None, True], "nested": {"deep": "x" * 2000}}
    result = sdk.register(case, registration_id, enrolled.primary, payload=payload)
    expect_assigned(case, result, registration_id)


@for_each_sdk("provisioning/again-keeps-the-hub")
def again_keeps_the_hub(case, sdk):
    """A device that registers again stays where it is."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    first = sdk.register(case, registration_id, enrolled.primary)
    again = sdk.register(case, registration_id, enrolled.secondary)
    for member in ("assignedHub", "deviceId", "createdDateTimeUtc"):
        expect(again[member], first[member], member)


@for_each_sdk("provisioning/device-id-of-the-enrollment")
def device_id_of_the_enrollment(case, sdk):
    """An individual enrollment may name the device otherwise."""
    registration_id, device_id = case.name(), case.name("Otherwise")
    enrolled = SymmetricIndividual().enroll(case, registration_id, deviceId=device_id)
    result = sdk.register(case, registration_id, enrolled.primary)
    expect((result["status"], result["deviceId"]), ("assigned", device_id), "status and deviceId")


@for_each_sdk("provisioning/static-allocation", own_server=True)
def static_allocation(case, sdk):
    """The enrollment's one hub is the one assigned."""
    for hub in ("hub-b.test", "hub-a.test"):
        registration_id = case.name()
        fields = {"allocationPolicy": "static", "iotHubs": [hub]}
        enrolled = SymmetricIndividual().enroll(case, registration_id, **fields)
        result = sdk.register(case, registration_id, enrolled.primary)
        expect((result["status"], result["assignedHub"]), ("assigned", hub), "status and assignedHub")


@for_each_sdk("provisioning/special-characters-in-the-id")
def special_characters_in_the_id(case, sdk):
    """All that a registration id may hold; SDKs encode it in three ways."""
    registration_id = f"{case.name()}.A_b:c-1"
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    result = sdk.register(case, registration_id, enrolled.primary)
    expect_assigned(case, result, registration_id)


@for_each_sdk("provisioning/group-key-itself-is-refused")
def group_key_itself_is_refused(case, sdk):
    """The commonest mistake: the group's key used as the device's."""
    key = sas.new_key()
    case.enroll_group(case.name("group"), symmetric_key(key, sas.new_key()))
    error = refusal(None, sdk.register, case, case.name(), Key(key))
    sdk.expect_refused(error, *SYMMETRIC_KEY_REFUSED)


@for_each_sdk("provisioning/individual-wins-over-group")
def individual_wins_over_group(case, sdk):
    """An individual enrollment of that name hides the group that would let the device in."""
    key, registration_id = sas.new_key(), case.name()
    case.enroll_group(case.name("group"), symmetric_key(key, sas.new_key()))
    case.enroll(registration_id, symmetric_key(sas.new_key(), sas.new_key()))
    derived = Key(sas.derived_key(key, registration_id))
    error = refusal(None, sdk.register, case, registration_id, derived)
    sdk.expect_refused(error, *SYMMETRIC_KEY_REFUSED)


@for_each_sdk("provisioning/deleted-enrollment-is-refused")
def deleted_enrollment_is_refused(case, sdk):
    """A device whose enrollment is gone is a stranger again."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    sdk.register(case, registration_id, enrolled.primary)
    case.service("deleteIndividualEnrollment", registration_id)
    error = refusal(None, sdk.register, case, registration_id, enrolled.primary)
    sdk.expect_refused(error, *SYMMETRIC_KEY_REFUSED)


@for_each_sdk("provisioning/x509-leaf-without-its-intermediate")
def leaf_without_its_intermediate(case, sdk):
    """The chain does not reach the group's root: nothing but the leaf was sent."""
    chain = X509Group.chain(case.name("chain"))
    case.enroll_group(case.name("group"), signing_certificates(chain["root"]))
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id, chain["intermediate"]), leaf_only=True)
    error = refusal(None, sdk.register, case, registration_id, leaf)
    sdk.expect_refused(error, *X509_REFUSED)


@for_each_sdk("provisioning/x509-chain-with-its-root")
def chain_with_its_root(case, sdk):
    """The root may be sent too, and a chain may have no intermediate."""
    root = pki.authority(case.name("root"))
    case.enroll_group(case.name("group"), signing_certificates(root))
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id, root), with_root=True)
    expect_assigned(case, sdk.register(case, registration_id, leaf), registration_id)


@for_each_sdk("provisioning/x509-expired-leaf")
def expired_leaf(case, sdk):
    """A certificate whose time is over, though enrolled."""
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id, valid_days=(-20, -1)))
    case.enroll(registration_id, client_certificates(leaf.identity))
    error = refusal(None, sdk.register, case, registration_id, leaf)
    sdk.expect_refused(error, *X509_REFUSED)


@for_each_sdk("provisioning/x509-rsa")
def rsa_chain(case, sdk):
    """RSA keys throughout."""
    root = pki.authority(case.name("root"), kind="rsa")
    intermediate = pki.authority(case.name("intermediate"), root, kind="rsa")
    case.enroll_group(case.name("group"), signing_certificates(intermediate))
    registration_id = case.name()
    leaf = Certificate(pki.device(registration_id, intermediate, kind="rsa"))
    expect_assigned(case, sdk.register(case, registration_id, leaf), registration_id)


@for_each_sdk("provisioning/x509-common-name-of-another", sdks=(NodeHttp(),))
def common_name_of_another(case, sdk):
    """A good leaf of the group, used under another device's name."""
    root = pki.authority(case.name("root"))
    case.enroll_group(case.name("group"), signing_certificates(root))
    leaf = Certificate(pki.device(case.name(), root))
    error = refusal(None, sdk.register, case, case.name("other"), leaf)
    expect(error.name, "UnauthorizedError", "class")


@for_each_sdk("provisioning/disabled-lower-group-hides-the-upper", sdks=(NodeMqtt(), NodeHttp()))
def disabled_lower_group_hides_the_upper(case, sdk):
    """The first certificate from the leaf up that a group has decides: no way around it."""
    chain = X509Group.chain(case.name("chain"))
    fields = {"provisioningStatus": "disabled"}
    case.enroll_group(case.name("group"), signing_certificates(chain["intermediate"]), **fields)
    case.enroll_group(case.name("group"), signing_certificates(chain["root"]))
    registration_id = case.name()
    error = refusal(None, sdk.register, case, registration_id, X509Group.device(registration_id, chain))
    sdk.expect_disabled(error, registration_id)


@for_each_sdk("provisioning/other-client", sdks=(PythonMqttAsync(),))
def other_client(case, sdk):
    """The other client of the same SDK: one success, one refusal, one unknown scope."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    expect_assigned(case, sdk.register(case, registration_id, enrolled.primary), registration_id)
    error = refusal(None, sdk.register, case, registration_id, enrolled.wrong)
    sdk.expect_refused(error, *SYMMETRIC_KEY_REFUSED)
    unknown_id_scope(case, sdk)


@SUITE.case("provisioning/by-address/python-mqtt", own_server=True)
def by_address(case):
    """A second `--host`, here an address, is in the server certificate."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    key = enrolled.primary.value
    result = python_sdk.provision("127.0.0.1", case.id_scope, registration_id, case.ca_pem, key=key)
    expect(result["status"], "assigned", "status")


@SUITE.case("provisioning/private-ca-is-needed/python-mqtt")
def private_ca_is_needed(case):
    """Without the development CA the SDK itself refuses the server."""
    other = pki.authority("Some other CA").pem
    key = sas.new_key()
    error = refusal(
        "ClientError", python_sdk.provision, case.host, case.id_scope, case.name(), other, key=key
    )
    expect_that(error.cause.startswith("TlsExchangeAuthError"), f"cause: {error.cause}")


@SUITE.case("provisioning/hashed-allocation-uses-both-hubs", own_server=True)
def hashed_allocation_uses_both_hubs(case):
    """Devices of one group spread; that 24 share a hub happens to a fair hash once in 8 million runs."""
    hubs = set()
    key = sas.new_key()
    case.enroll_group(case.name("group"), symmetric_key(key, sas.new_key()))
    for number in range(24):
        registration_id = f"{case.name()}-{number}"
        result = NodeHttp().register(case, registration_id, Key(sas.derived_key(key, registration_id)))
        hubs.add(result["assignedHub"])
        if len(hubs) == 2:
            return
    expect(hubs, {"hub-a.test", "hub-b.test"}, "hubs used")


def declare_eight_at_once(sdk, kind):
    """Under --full: one device registers from eight connections at once, and is one device."""

    def eight_at_once(case):
        registration_id = case.name()
        enrolled = kind.enroll(case, registration_id)

        def attempt(_number):
            try:
                return sdk.register(case, registration_id, enrolled.primary)
            except SdkError as error:
                # Azure's answer to the one that came too late is 409, and eight that poll are more than one device
                # may be, which the HTTP client does not wait out; anything else is a fault.
                late = "409" in f"{error} {error.status} {error.result}"
                expect_that(late or error.name == "ThrottlingError", f"refused: {error}")
                return None

        with ThreadPoolExecutor(8) as pool:
            results = [result for result in pool.map(attempt, range(8)) if result is not None]
        expect_that(results, "none of the eight was assigned")
        expect({result["deviceId"] for result in results}, {registration_id}, "deviceId")
        expect(len({result["assignedHub"] for result in results}), 1, "number of assigned hubs")

    SUITE.add(f"provisioning/eight-at-once/{sdk.name}/{kind.name}", eight_at_once, full=True)


for _sdk in (PythonMqtt(), NodeHttp()):
    for _kind in KINDS:
        declare_eight_at_once(_sdk, _kind)
