"""Webhooks, and what became of a device on its hub: rows 40, 41, 43 to 45 and 66."""

from cases.provisioning_matrix import SymmetricIndividual
from diagnosis.scenario import assignment, expect_cause, scenario
from harness.device_sdks import NodeHttp
from harness.errors import expect, expect_that, refusal
from harness.useless import ForeignTls, Mute
from harness.raw_https import request
from harness.webhook import Webhook


def fails(case, answer, code, *named):
    """A webhook that answers so: the device hears Azure's words, the log names the cause."""
    webhook = Webhook(case, answer)
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id, **webhook.fields())
    refusal(None, NodeHttp().register, case, registration_id, enrolled.primary)
    row = assignment(case, registration_id)
    cause = expect_cause(row, code, *named)
    expect_that(cause["sentence"].startswith("attestation passed"), cause["sentence"])
    expect_that("s3cret" not in str(row), "the webhook's key is not in the log")


@scenario("webhook-without-its-key", 41)
def webhook_without_its_key(case):
    """A function whose key is not in the URL answers 401."""
    fails(case, lambda _: (401, b""), "WEBHOOK_UNAUTHORIZED")


@scenario("webhook-that-fails", 43, 44, 45)
def webhook_that_fails(case):
    """It refuses a device that it knows."""
    fails(case, lambda _: (400, {"error": "known already"}), "WEBHOOK_FAILED", "400")


@scenario("webhook-that-names-no-hub", 43)
def webhook_names_no_hub(case):
    """200 without a hub."""
    fails(case, lambda _: (200, {}), "WEBHOOK_NAMED_NO_HUB")


@scenario("webhook-that-names-a-foreign-hub", 43)
def webhook_names_a_foreign_hub(case):
    """A hub that it was not offered."""
    fails(case, lambda _: (200, {"iotHubHostName": "elsewhere.test"}), "WEBHOOK_NAMED_UNKNOWN_HUB", "elsewhere.test")


@scenario("webhook-that-cannot-be-reached", 40, full=True)
def webhook_unreachable(case):
    """No name, no listener, a certificate of a foreign CA, an end without an answer: each is told as its stage."""
    foreign, mute = ForeignTls(case), Mute(case)
    for stage, url in (
        ("DNS", "https://function.nowhere.test/api?code=s3cret"),
        ("TCP", f"https://localhost:{case.port()}/api?code=s3cret"),
        ("TLS", f"https://localhost:{foreign.port}/api?code=s3cret"),
        ("HTTP", f"http://localhost:{mute.port}/api?code=s3cret"),
    ):
        registration_id = case.name()
        definition = {"webhookUrl": url, "apiVersion": "2021-10-01"}
        fields = {"allocationPolicy": "custom", "customAllocationDefinition": definition}
        enrolled = SymmetricIndividual().enroll(case, registration_id, **fields)
        error = refusal(None, NodeHttp().register, case, registration_id, enrolled.primary)
        state = error.result["registrationState"]
        words = (400207, "An error occurred while sending the request.")
        expect((state["errorCode"], state["errorMessage"]), words, "what the device is told")
        row = assignment(case, registration_id)
        cause = expect_cause(row, "WEBHOOK_UNREACHABLE", f"{stage}:")
        expect(row["properties"]["webhook"]["last"]["stage"], stage, "stage in the log")
        expect_that(cause["sentence"].startswith("attestation passed"), cause["sentence"])
        expect_that("s3cret" not in str(row), "the webhook's key is not in the log")


@scenario("device-deleted-on-its-hub", 66)
def device_deleted_on_its_hub(case):
    """The registration says assigned; somebody deleted the device on the hub."""
    registration_id = case.name()
    enrolled = SymmetricIndividual().enroll(case, registration_id)
    hub = NodeHttp().register(case, registration_id, enrolled.primary)["assignedHub"]
    path = f"{case.env['MUSTER_RESOURCE_ID']}/providers/Muster.Diagnosis/devices/{registration_id}/drift"
    headers = {"Authorization": f"Bearer {case.env['MUSTER_BEARER_TOKEN']}"}

    def drift():
        return request(case, "GET", f"{path}?api-version=2026-11-01", headers=headers).json

    expect((drift()["onHub"], drift()["causes"]), ("there", []), "while it is there")
    case.registry(hub, "delete", registration_id)
    told = drift()
    expect((told["onHub"], told["causes"][0]["code"]), ("missing", "ASSIGNED_BUT_HUB_MISSING"), "once it is deleted")
    expect_that(registration_id in told["causes"][0]["sentence"], told["causes"])
