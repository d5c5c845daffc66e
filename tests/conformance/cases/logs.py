"""Logs through the official query SDK, unmodified, both majors: what devices and services did is rows of
`AzureDiagnostics` soon after, by workspace and by resource; types, statistics, charts, batches, errors and answers that
are cut have Azure's form.
"""

import time
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryStatus
from cases import SUITE
from cases.control_plane import Service
from cases.metrics import DEVICES, Counted
from harness import older_sdks
from harness.errors import expect, expect_that
from harness.management_sdk import StaticToken

# The promise; a case that waits longer fails.
READABLE_SECONDS = 5
HOUR = timedelta(hours=1)
MOST_ROWS = 500_000


def logs(case):
    """`azure-monitor-query` 2."""
    client = LogsQueryClient(
        StaticToken(case.env["MUSTER_BEARER_TOKEN"]),
        endpoint=case.env["MUSTER_LOGS_URL"],
        connection_verify=case.env["MUSTER_CA_FILE"],
    )
    case.at_end(client.close)
    return client


def rows_of(answer):
    expect(answer.status, LogsQueryStatus.SUCCESS, "status")
    expect([table.name for table in answer.tables], ["PrimaryResult"], "tables")
    return [list(row) for row in answer.tables[0].rows]


def soon(ask, right):
    """The rows when they are right, or the last that were seen in the time that was promised."""
    deadline = time.monotonic() + READABLE_SECONDS
    while True:
        seen = rows_of(ask())
        if right(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(0.1)


def refusal(ask):
    """What the SDK raises."""
    try:
        ask()
    except HttpResponseError as error:
        return error
    raise AssertionError("the query is not refused")


@SUITE.case("logs/python/query-2-workspace")
def workspace(case):
    """Four devices as the operator of their service sees them: outcomes, reasons, and the row of one tracking id."""
    counted = Counted(case, "logged-one")
    client, workspace_id = logs(case), case.env["MUSTER_WORKSPACE_ID"]
    own = f"AzureDiagnostics | where Resource == '{counted.name.upper()}'"
    outcomes = (
        f"{own} and Category == 'DeviceOperations' | summarize n = count() by OperationName, ResultType, ResultSignature"
        " | order by OperationName asc, ResultType asc"
    )
    expected = [
        ["AttestationAttempt", "ClientError", "401", 1],
        ["AttestationAttempt", "Success", "", DEVICES],
        ["RegistrationAttempt", "Success", "", DEVICES],
    ]
    seen = soon(lambda: client.query_workspace(workspace_id, outcomes, timespan=HOUR), lambda rows: rows == expected)
    expect(seen, expected, "outcomes")
    refused = f"{own} and ResultType == 'ClientError' | project CorrelationId, ResultDescription, CallerIPAddress, DurationMs"
    [[tracking_id, description, caller, duration]] = rows_of(
        client.query_workspace(workspace_id, refused, timespan=HOUR)
    )
    expect_that(description.startswith("401"), f"the reason: {description}")
    expect(caller, "127.0.0.XXX", "the caller's address is masked")
    expect_that(isinstance(duration, int), f"a duration is a number: {duration!r}")
    by_id = f"AzureDiagnostics | where CorrelationId == '{tracking_id}' | count"
    expect(rows_of(client.query_workspace(workspace_id, by_id, timespan=HOUR)), [[1]], "rows of a tracking id")
    past = (datetime.now(timezone.utc) - timedelta(days=2), timedelta(days=1))
    expect(rows_of(client.query_workspace(workspace_id, own, timespan=past)), [], "rows of the day before")
    control = (
        "AzureActivity | where ResourceId has 'logged-one' and OperationNameValue endswith 'WRITE' | summarize n = count()"
    )
    seen = soon(lambda: client.query_workspace(workspace_id, control, timespan=HOUR), lambda rows: rows[0][0] > 0)
    expect_that(seen[0][0] > 0, "the control plane's calls are activity")


@SUITE.case("logs/python/query-2-resource")
def resource(case):
    """A query about a resource sees its rows, and no other's."""
    counted, idle = Counted(case, "logged-two"), Service(case, "logged-idle")
    client = logs(case)
    query = "AzureDiagnostics | where OperationName == 'RegistrationAttempt' | summarize n = count(), dcount(Resource)"

    def ask(resource_id):
        return client.query_resource(resource_id, query, timespan=HOUR)

    seen = soon(lambda: ask(counted.resource_id), lambda rows: rows == [[DEVICES, 1]])
    expect(seen, [[DEVICES, 1]], "of the service")
    expect(rows_of(ask(idle.shown["id"])), [[0, 0]], "of a service without devices")
    expect(refusal(lambda: ask(counted.resource_id + "-of-nobody")).status_code, 404, "of a service that is not there")


@SUITE.case("logs/python/query-2-types")
def types(case):
    """Each type as Azure encodes it, statistics, and how the query's author wants it drawn."""
    client = logs(case)
    query = (
        "print b = true, i = int(7), l = 9007199254740993, r = 0.5, inf = real(+inf), s = 'ü', "
        "t = datetime(2024-02-29T12:34:56.7891234Z), span = time(1.02:03:04.5), "
        "d = dynamic({'a': [1, null]}), g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), m = decimal(1.25), "
        "n = int(null) | render table"
    )
    answer = client.query_workspace(
        case.env["MUSTER_WORKSPACE_ID"], query, timespan=None, include_statistics=True, include_visualization=True
    )
    table = answer.tables[0]
    kinds = dict(zip(table.columns, table.columns_types))
    expect(
        kinds,
        {
            "b": "bool",
            "i": "int",
            "l": "long",
            "r": "real",
            "inf": "real",
            "s": "string",
            "t": "datetime",
            "span": "timespan",
            "d": "dynamic",
            "g": "guid",
            "m": "decimal",
            "n": "int",
        },
        "types",
    )
    row = table.rows[0]
    expect([row[name] for name in ("b", "i", "l", "r", "s")], [True, 7, 9007199254740993, 0.5, "ü"], "plain values")
    expect(row["t"], datetime(2024, 2, 29, 12, 34, 56, 789123, tzinfo=timezone.utc), "an instant")
    expect(row["n"], None, "null")
    expect(row["d"], '{"a":[1,null]}', "dynamic is text")
    expect(row["g"], "74be27de-1e4e-49d9-b579-fe0b331d3642", "a guid is text")
    expect_that(answer.statistics["query"]["executionTime"] >= 0, f"statistics: {answer.statistics}")
    expect(answer.visualization["visualization"], "table", "how it is drawn")


@SUITE.case("logs/python/query-2-batch")
def batch(case):
    """Three queries in one call; one that is wrong spoils no other."""
    client, workspace_id = logs(case), case.env["MUSTER_WORKSPACE_ID"]
    one, wrong, many = client.query_batch(
        [
            LogsBatchQuery(workspace_id=workspace_id, query="print x = 1", timespan=HOUR),
            LogsBatchQuery(workspace_id=workspace_id, query="AzureDiagnostics | whre x", timespan=HOUR),
            LogsBatchQuery(workspace_id=workspace_id, query="range x from 1 to 3 step 1", timespan=HOUR),
        ]
    )
    expect(rows_of(one), [[1]], "the first")
    expect(wrong.status, LogsQueryStatus.FAILURE, "the one that is wrong")
    expect_that("where" in wrong.message, f"says what was meant: {wrong.message}")
    expect(rows_of(many), [[1], [2], [3]], "the last")


@SUITE.case("logs/python/query-2-errors")
def errors(case):
    """What is wrong with a query, a workspace or a token, in Azure's codes; an answer that is cut says so."""
    client, workspace_id = logs(case), case.env["MUSTER_WORKSPACE_ID"]
    wrong = refusal(lambda: client.query_workspace(workspace_id, "AzureDiagnostics | where ResultTyp == 'x'", timespan=HOUR))
    expect((wrong.status_code, wrong.error.code), (400, "BadArgumentError"), "a wrong query")
    expect_that("ResultType" in str(wrong), f"names the nearest column: {wrong}")
    nowhere = "00000000-0000-0000-0000-000000000001"
    expect(refusal(lambda: client.query_workspace(nowhere, "print 1", timespan=HOUR)).status_code, 404, "no workspace")
    stranger = LogsQueryClient(
        StaticToken("nobody"), endpoint=case.env["MUSTER_LOGS_URL"], connection_verify=case.env["MUSTER_CA_FILE"]
    )
    case.at_end(stranger.close)
    expect(refusal(lambda: stranger.query_workspace(workspace_id, "print 1", timespan=HOUR)).status_code, 401, "no token")
    cut = client.query_workspace(workspace_id, f"range x from 1 to {MOST_ROWS + 1} step 1 | project x", timespan=None)
    expect(cut.status, LogsQueryStatus.PARTIAL, "an answer that is cut")
    expect(len(cut.partial_data[0].rows), MOST_ROWS, "its rows")
    expect(cut.partial_error.code, "PartialError", "its error")


@SUITE.case("logs/python/older-monitor-query-1.4")
def older(case):
    """The major before, whose endpoint ends in `/v1`."""
    counted = Counted(case, "logged-three")
    query = f"AzureDiagnostics | where Resource == '{counted.name.upper()}' and OperationName == 'RegistrationAttempt' | count"
    deadline = time.monotonic() + READABLE_SECONDS
    while True:
        seen = older_sdks.call(case.env, "logs_query", query=query, resource=counted.resource_id)
        if seen["rows"] == [[DEVICES]] or time.monotonic() > deadline:
            break
    expect(seen, {"rows": [[DEVICES]], "of_resource": [[DEVICES]], "columns": ["Count"]}, "registrations")


@SUITE.case("logs/python/mgmt-monitor-7-activity")
def activity(case):
    """The control plane's calls as the activity log of the official client."""
    service = Service(case, "logged-four")
    env = case.env
    client = MonitorManagementClient(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        env["MUSTER_RESOURCE_ID"].split("/")[2],
        base_url=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
    )
    case.at_end(client.close)
    since = (datetime.now(timezone.utc) - HOUR).isoformat()
    query = f"eventTimestamp ge '{since}' and resourceUri eq '{service.shown['id']}'"

    def ask():
        return list(client.activity_logs.list(filter=query))

    deadline = time.monotonic() + READABLE_SECONDS
    seen = ask()
    while not seen and time.monotonic() < deadline:
        seen = ask()
    operations = {event.operation_name.value for event in seen}
    expect(operations, {"Microsoft.Devices/provisioningServices/write"}, "operations")
    expect({event.status.value for event in seen}, {"Succeeded"}, "status")
    expect({event.resource_id for event in seen}, {service.shown["id"]}, "resource")
