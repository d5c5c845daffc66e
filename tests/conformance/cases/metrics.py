"""Azure's metrics through the official monitoring SDKs, unmodified, old majors and new: what devices did is counted, split
and folded, and can be read soon after.

Each case has a provisioning service of its own, so that no other case counts there.
"""

import time
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricsClient
from cases import SUITE
from cases.control_plane import Service, link
from harness import older_sdks, python_sdk, sas
from harness.credentials import symmetric_key
from harness.errors import expect, expect_that
from harness.management_sdk import StaticToken

NAMESPACE = "Microsoft.Devices/provisioningServices"
AZURES = ["AttestationAttempts", "DeviceAssignments", "RegistrationAttempts"]
# The promise; a case that waits longer fails.
READABLE_SECONDS = 20
DEVICES = 3


class Counted(Service):
    """A service at which three devices registered and one was refused."""

    def __init__(self, case, name):
        super().__init__(case, name, iotHubs=[link(case)])
        self.resource_id = self.shown["id"]
        service = self.service()
        for _ in range(DEVICES):
            registration_id, key = case.name(), sas.new_key()
            self.enroll(service, registration_id, key)
            expect(self.provision(registration_id, key=key)["status"], "assigned", "status")
        registration_id = case.name()
        self.enroll(service, registration_id, sas.new_key())
        try:
            self.provision(registration_id, key=sas.new_key())
            expect_that(False, "a wrong key registers")
        except python_sdk.SdkError:
            pass

    @staticmethod
    def enroll(service, registration_id, key):
        body = {"registrationId": registration_id, "attestation": symmetric_key(key, sas.new_key())}
        service.enrollment.create_or_update(registration_id, body)

    def monitor(self):
        """`azure-mgmt-monitor` 7."""
        env = self.case.env
        client = MonitorManagementClient(
            StaticToken(env["MUSTER_BEARER_TOKEN"]),
            env["MUSTER_RESOURCE_ID"].split("/")[2],
            base_url=env["MUSTER_MANAGEMENT_URL"],
            connection_verify=env["MUSTER_CA_FILE"],
        )
        self.case.at_end(client.close)
        return client


def soon(look, right):
    """What is seen when it is right, or the last that was seen in the time that was promised."""
    deadline = time.monotonic() + READABLE_SECONDS
    while True:
        seen = look()
        if right(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def sums(answer):
    """Totals of each series of the first metric, by the values that split it."""
    return {
        tuple(it.value for it in series.metadatavalues): sum(point.total or 0 for point in series.data)
        for series in answer.value[0].timeseries
    }


@SUITE.case("metrics/python/mgmt-monitor-7")
def mgmt_monitor(case):
    """Definitions, namespaces, values split and folded, and Azure's errors."""
    counted = Counted(case, "metered-one")
    resource, client = counted.resource_id, counted.monitor()
    definitions = list(client.metric_definitions.list(resource, metricnamespace=NAMESPACE))
    expect([it.name.value for it in definitions], AZURES, "definitions")
    expect(
        [it.value for it in definitions[0].dimensions],
        ["ProvisioningServiceName", "Status", "Protocol"],
        "dimensions",
    )
    namespaces = client.metric_namespaces.list(resource)
    expect_that(NAMESPACE in [it.properties.metric_namespace_name for it in namespaces], "Azure's namespace")

    def attempts(**options):
        options = {"interval": "PT1M", "timespan": "PT1H", "aggregation": "Total", **options}
        return client.metrics.list(resource, metricnames="AttestationAttempts", **options)

    split = soon(
        lambda: sums(attempts(filter="Status eq '*' and Protocol eq '*'")),
        lambda seen: sum(seen.values()) > DEVICES,
    )
    expect(split.get(("Success", "Mqtt")), DEVICES, f"attempts that succeeded, of {split}")
    expect_that(split.get(("ClientError", "Mqtt"), 0) >= 1, f"refused attempts, of {split}")
    whole = attempts(interval="FULL")
    expect(sums(whole), {(): sum(split.values())}, "unsplit, as one point")
    expect(sums(attempts(interval="PT30M")), {(): sum(split.values())}, "in half hours")
    first = attempts(interval="FULL", filter="Status eq '*'", top=1, orderby="sum desc")
    expect(sums(first), {("Success",): DEVICES}, "the first by order")
    empty = [point for point in attempts().value[0].timeseries[0].data if point.total is None]
    expect_that(len(empty) > 50, f"minutes without attempts are null: {len(empty)}")

    assigned = client.metrics.list(
        resource, metricnames="DeviceAssignments,RegistrationAttempts", interval="FULL", filter="IotHubName eq '*'"
    )
    expect(sums(assigned), {(case.first_hub,): DEVICES}, "devices assigned, by hub")
    try:
        attempts(interval="PT7M")
        expect_that(False, "a grain of seven minutes is refused")
    except HttpResponseError as error:
        expect((error.status_code, error.error.code), (400, "BadRequest"), "refusal of a grain")


@SUITE.case("metrics/python/mgmt-monitor-7-subscription")
def subscription(case):
    """Values of all services of a region, folded and by resource, by GET and by POST."""
    counted = Counted(case, "metered-two")
    client = counted.monitor()
    only = f"Microsoft.ResourceId eq '{counted.resource_id}'"
    options = {"timespan": "PT1H", "interval": "FULL", "aggregation": "Total"}
    metric = {"metricnames": "DeviceAssignments", **options}
    seen = soon(
        lambda: sums(client.metrics.list_at_subscription_scope("westus", filter=only, **metric)),
        lambda seen: sum(seen.values()) == DEVICES,
    )
    expect(seen, {(counted.resource_id,): DEVICES}, "by GET")
    body = {"metricNames": "DeviceAssignments", "filter": only, "timespan": "PT1H", "interval": "FULL"}
    seen = sums(client.metrics.list_at_subscription_scope_post("westus", body=body))
    expect(seen, {(counted.resource_id,): DEVICES}, "by POST")
    folded = sum(sums(client.metrics.list_at_subscription_scope("westus", **metric)).values())
    expect_that(folded >= DEVICES, f"all of the region: {folded}")


@SUITE.case("metrics/python/metrics-client-batch")
def batch(case):
    """`azure-monitor-querymetrics`: two services in one call."""
    counted = Counted(case, "metered-three")
    env = case.env
    client = MetricsClient(
        env["MUSTER_MANAGEMENT_URL"],
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        connection_verify=env["MUSTER_CA_FILE"],
    )
    case.at_end(client.close)
    idle = Service(case, "metered-idle")
    now = datetime.now(timezone.utc)

    def totals():
        answers = client.query_resources(
            resource_ids=[counted.resource_id, idle.shown["id"]],
            metric_namespace=NAMESPACE,
            metric_names=["DeviceAssignments"],
            timespan=(now - timedelta(hours=1), now + timedelta(minutes=5)),
            granularity=timedelta(minutes=5),
            aggregations=["Total"],
        )
        return [
            [point.total for series in answer.metrics[0].timeseries for point in series.data if point.total]
            for answer in answers
        ]

    seen = soon(totals, lambda seen: sum(map(sum, seen)) == DEVICES)
    expect((sum(seen[0]), seen[1]), (DEVICES, []), "of the service with devices, and of the idle one")


@SUITE.case("metrics/python/older-monitor-query-1.4")
def monitor_query(case):
    """`MetricsQueryClient`, which the 2.x of its package has no more."""
    counted = Counted(case, "metered-four")

    def ask():
        return older_sdks.call(
            case.env,
            "metrics_query",
            resource=counted.resource_id,
            names=["AttestationAttempts"],
            timespan=7200,
            granularity=3600,
            aggregations=["Total"],
            filter="Status eq 'Success'",
        )

    seen = soon(ask, lambda seen: any(series["totals"] for series in seen["series"]))
    totals = [(series["dimensions"], sum(series["totals"])) for series in seen["series"]]
    expect(totals, [({"status": "Success"}, DEVICES)], "attempts")
    expect((seen["granularity"], seen["namespace"].lower()), (3600, NAMESPACE.lower()), "grain and namespace")
    expect([it[0] for it in seen["definitions"]][:3], AZURES, "definitions")
    expect_that(NAMESPACE in seen["namespaces"], f"namespaces {seen['namespaces']}")


@SUITE.case("metrics/python/older-mgmt-monitor-6")
def older_mgmt_monitor(case):
    """The major before, on a service of this case."""
    counted = Counted(case, "metered-five")
    env = {**case.env, "MUSTER_RESOURCE_ID": counted.resource_id}
    options = {"metricnames": "DeviceAssignments", "timespan": "PT2H", "interval": 3600}
    seen = soon(
        lambda: older_sdks.call(env, "monitor", aggregation="Total", **options),
        lambda seen: sum(seen["totals"]) == DEVICES,
    )
    expect((sum(seen["totals"]), seen["interval"]), (DEVICES, 3600), "devices assigned, and the grain")
    expect(seen["definitions"][:3], AZURES, "definitions")
