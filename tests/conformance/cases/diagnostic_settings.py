"""Diagnostic settings through the official SDK that has them (`azure-mgmt-monitor` 6.0.2), unmodified: Azure's models,
categories and refusals, and what a setting keeps in the workspace.
"""

import json
import ssl
import time
import urllib.request

from cases import SUITE
from cases.control_plane import Service
from cases.logs import HOUR, logs, rows_of, soon
from cases.metrics import DEVICES, Counted
from harness import older_sdks, sas
from harness.errors import expect, expect_that

# A minute, the time after which it is exported, and the rows' own.
EXPORTED_SECONDS = 100


def to_workspace(case, *categories, metrics=False):
    return {
        "workspace_id": case.env["MUSTER_WORKSPACE_ID"],
        "logs": [{"category": name, "enabled": True} for name in categories],
        "metrics": [{"category": "AllMetrics", "enabled": metrics}],
    }


@SUITE.case("diagnostic-settings/python/older-mgmt-monitor-6")
def settings(case):
    """Made, listed, shown, refused and deleted; the SDK reads every answer into its models."""
    service = Service(case, "settings-one")
    device = to_workspace(case, "DeviceOperations", metrics=True)
    seen = older_sdks.call(
        case.env,
        "diagnostic_settings",
        resource=service.shown["id"],
        settings=[
            ["device", device],
            ["again", device],
            ["service", to_workspace(case, "ServiceOperations")],
            ["nowhere", {"logs": [{"category": "DeviceOperations", "enabled": True}]}],
            ["unknown", {**device, "storage_account_id": "/subscriptions/s/storageAccounts/none"}],
            ["typo", to_workspace(case, "DeviceOperation")],
        ],
    )
    expect(
        seen["categories"],
        [
            ["DeviceOperations", "Logs", ["allLogs"]],
            ["ServiceOperations", "Logs", ["audit", "allLogs"]],
            ["AllMetrics", "Metrics", None],
        ],
        "categories",
    )
    expect(seen["before"], ["muster-default"], "the setting before there was one")
    made, again, other, nowhere, unknown, typo = seen["made"]
    expect(made["name"], "device", "name")
    expect(made["workspace_id"], case.env["MUSTER_WORKSPACE_ID"], "workspace")
    expect(
        [(it["category"], it["enabled"], it["retention_policy"]) for it in made["logs"]],
        [("DeviceOperations", True, {"enabled": False, "days": 0})],
        "logs",
    )
    expect([(it["category"], it["enabled"]) for it in made["metrics"]], [("AllMetrics", True)], "metrics")
    expect((again["status"], again["code"]), (409, "Conflict"), f"the same once more: {again}")
    expect(other["name"], "service", "another category")
    for refused, word in ((nowhere, "data sink"), (unknown, "storageAccountId"), (typo, "ServiceOperations")):
        expect((refused["status"], refused["code"]), (400, "BadRequest"), f"refusal {refused}")
        expect_that(word in refused["message"], f"{word} in {refused['message']}")
    expect(seen["after"], ["device", "service"], "settings")
    expect(seen["shown"], made, "the first one, shown")
    expect(seen["end"], [], "settings after all were deleted")
    expect((seen["missing"]["status"], seen["missing"]["code"]), (404, "ResourceNotFound"), "a missing one")


def put(case, resource, name, properties):
    """One call by hand: the SDK's is proven above."""
    send(case, "PUT", resource, name, {"properties": properties})


def send(case, method, resource, name, body=None):
    env = case.env
    path = f"{resource}/providers/Microsoft.Insights/diagnosticSettings/{name}?api-version=2021-05-01-preview"
    request = urllib.request.Request(
        env["MUSTER_MANAGEMENT_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {env['MUSTER_BEARER_TOKEN']}", "content-type": "application/json"},
    )
    tls = ssl.create_default_context(cafile=case.ca_file)
    with urllib.request.urlopen(request, context=tls) as answer:
        expect(answer.status, 200, f"{method} {name}")


@SUITE.case("diagnostic-settings/kept-rows")
def kept_rows(case):
    """What no setting sends is not kept; what one sends is, from then on."""
    service = Service(case, "settings-two")
    resource, client, workspace = service.shown["id"], logs(case), case.env["MUSTER_WORKSPACE_ID"]
    send(case, "DELETE", resource, "muster-default")
    api = service.service()

    def enroll():
        name = case.name()
        Counted.enroll(api, name, sas.new_key())
        return name

    unkept = enroll()
    case.log.of_service_call(unkept)  # what comes later finds the setting
    audit = {"logs": [{"categoryGroup": "audit", "enabled": True}], "workspaceId": workspace}
    put(case, resource, "audit", audit)
    kept = enroll()
    own = f"AzureDiagnostics | where Resource == '{service.name.upper()}'"
    names = f"{own} | project Category, id = tostring(parse_json(properties_s).id)"
    expected = [["ServiceOperations", kept]]
    seen = soon(lambda: client.query_workspace(workspace, names, timespan=HOUR), lambda rows: rows == expected)
    expect(seen, expected, f"rows after {unkept} was enrolled without a setting")


@SUITE.case("diagnostic-settings/exported-metrics")
def exported_metrics(case):
    """Without a setting of one's own, each minute's metrics are rows of `AzureMetrics`, once."""
    counted = Counted(case, "settings-three")
    client, workspace = logs(case), case.env["MUSTER_WORKSPACE_ID"]
    query = (
        f"AzureMetrics | where Resource == '{counted.name.upper()}'"
        " | summarize total = sum(Total), minutes = dcount(TimeGenerated), n = count() by MetricName"
        " | where MetricName in ('AttestationAttempts', 'DeviceAssignments') | order by MetricName asc"
    )
    deadline = time.monotonic() + EXPORTED_SECONDS
    while True:
        rows = rows_of(client.query_workspace(workspace, query, timespan=HOUR))
        whole = [row[1] for row in rows] == [DEVICES + 1, DEVICES]
        if whole or time.monotonic() > deadline:
            break
        time.sleep(1)
    expect([row[:2] for row in rows], [["AttestationAttempts", DEVICES + 1], ["DeviceAssignments", DEVICES]], "totals")
    expect_that(all(minutes == n for _, _, minutes, n in rows), f"one row a minute and metric: {rows}")
