"""Older majors of Azure's monitoring SDKs, unmodified, in a process of their own: this one holds the newer ones.

Owns: the call from one process to the other, and the few calls of those SDKs. As a program it reads one JSON object
and writes one; it must not judge what it sees.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

CALL_SECONDS = 60
OLDER = Path(sys.prefix).parent / "older"


def call(env, what, **parameters):
    """What the older SDK makes of it."""
    asked = {"env": dict(env), "what": what, "parameters": parameters}
    path = os.pathsep.join([str(OLDER), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "harness.older_sdks"],
        env=dict(os.environ, PYTHONPATH=path),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the older SDK failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def metrics_query(env, names, resource=None, **options):
    """`azure-monitor-query` 1.4.1: values, and what can be asked for."""
    from datetime import timedelta

    from azure.monitor.query import MetricsQueryClient
    from harness.management_sdk import StaticToken

    options["timespan"] = timedelta(seconds=options.pop("timespan"))
    if "granularity" in options:
        options["granularity"] = timedelta(seconds=options["granularity"])
    client = MetricsQueryClient(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        endpoint=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
    )
    resource = resource or env["MUSTER_RESOURCE_ID"]
    answer = client.query_resource(resource, names, **options)
    points = [
        {
            "metric": metric.name,
            "unit": str(metric.unit),
            "dimensions": series.metadata_values,
            "totals": [point.total for point in series.data if point.total is not None],
            "points": len(series.data),
        }
        for metric in answer.metrics
        for series in metric.timeseries
    ]
    definitions = [
        [definition.name, str(definition.primary_aggregation_type), list(definition.dimensions or [])]
        for definition in client.list_metric_definitions(resource)
    ]
    namespaces = [
        namespace.fully_qualified_namespace for namespace in client.list_metric_namespaces(resource)
    ]
    return {
        "series": points,
        "granularity": answer.granularity.total_seconds(),
        "namespace": answer.namespace,
        "definitions": definitions,
        "namespaces": namespaces,
    }


def monitor(env, **options):
    """`azure-mgmt-monitor` 6.0.2: values and definitions."""
    from datetime import timedelta

    from azure.mgmt.monitor import MonitorManagementClient
    from harness.management_sdk import StaticToken

    resource = env["MUSTER_RESOURCE_ID"]
    client = MonitorManagementClient(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        resource.split("/")[2],
        base_url=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
    )
    options["interval"] = timedelta(seconds=options["interval"])
    answer = client.metrics.list(resource, **options)
    return {
        "totals": [
            point.total
            for metric in answer.value
            for series in metric.timeseries
            for point in series.data
            if point.total is not None
        ],
        "interval": answer.interval and answer.interval.total_seconds(),
        "definitions": [it.name.value for it in client.metric_definitions.list(resource)],
    }


def logs_query(env, query, resource):
    """`azure-monitor-query` 1.4.1: a query of the workspace, and of a resource."""
    from datetime import timedelta

    from azure.monitor.query import LogsQueryClient
    from harness.management_sdk import StaticToken

    client = LogsQueryClient(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        endpoint=env["MUSTER_LOGS_URL"] + "/v1",
        connection_verify=env["MUSTER_CA_FILE"],
    )
    hour = timedelta(hours=1)
    answer = client.query_workspace(env["MUSTER_WORKSPACE_ID"], query, timespan=hour)
    of_resource = client.query_resource(resource, query, timespan=hour)
    return {
        "columns": list(answer.tables[0].columns),
        "rows": [list(row) for row in answer.tables[0].rows],
        "of_resource": [list(row) for row in of_resource.tables[0].rows],
    }


def diagnostic_settings(env, resource, settings):
    """`azure-mgmt-monitor` 6.0.2 (7 has none of it): the life of settings, each made in turn; what is refused, too."""
    from azure.core.exceptions import HttpResponseError
    from azure.mgmt.monitor import MonitorManagementClient
    from harness.management_sdk import StaticToken

    client = MonitorManagementClient(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        resource.split("/")[2],
        base_url=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
    )
    own = client.diagnostic_settings

    def attempt(call, *arguments):
        try:
            return call(*arguments).as_dict()
        except HttpResponseError as error:
            said = error.model or error.error
            return {"status": error.status_code, "code": said and said.code, "message": said and said.message}

    def names():
        listed = own.list(resource)
        return [it.name for it in getattr(listed, "value", listed)]

    categories = client.diagnostic_settings_category.list(resource)
    return {
        "categories": [
            [it.name, str(it.category_type), it.category_groups]
            for it in getattr(categories, "value", categories)
        ],
        "before": names(),
        "made": [attempt(own.create_or_update, resource, name, body) for name, body in settings],
        "after": names(),
        "shown": attempt(own.get, resource, settings[0][0]),
        "deleted": [own.delete(resource, name) for name in names()],
        "end": names(),
        "missing": attempt(own.get, resource, settings[0][0]),
    }


def alert_rules(env, name, webhook, query):
    """`azure-mgmt-monitor` 6.0.2: an action group and an alert rule of each kind, made, changed and deleted."""
    from azure.mgmt.monitor import MonitorManagementClient
    from harness.management_sdk import StaticToken

    resource = env["MUSTER_RESOURCE_ID"]
    subscription, group = resource.split("/")[2], resource.split("/")[4]
    rules_version = "2022-08-01-preview"

    def client(**options):
        return MonitorManagementClient(
            StaticToken(env["MUSTER_BEARER_TOKEN"]),
            subscription,
            base_url=env["MUSTER_MANAGEMENT_URL"],
            connection_verify=env["MUSTER_CA_FILE"],
            **options,
        )

    monitor, newer = client(), client(api_version=rules_version)
    groups, alerts = (MonitorManagementClient.models(it) for it in ("2023-01-01", "2018-03-01"))
    logs = MonitorManagementClient.models(rules_version)
    told = monitor.action_groups.create_or_update(
        group,
        name,
        groups.ActionGroupResource(
            location="Global",
            group_short_name="ops",
            enabled=True,
            webhook_receivers=[groups.WebhookReceiver(name="hook", service_uri=webhook)],
        ),
    )
    criterion = alerts.MetricCriteria(
        name="c1",
        metric_name="AttestationAttempts",
        operator="GreaterThan",
        threshold=10,
        time_aggregation="Total",
    )
    rule = alerts.MetricAlertResource(
        location="global",
        description="refused",
        severity=3,
        enabled=True,
        scopes=[resource],
        evaluation_frequency="PT1M",
        window_size="PT5M",
        criteria=alerts.MetricAlertSingleResourceMultipleMetricCriteria(all_of=[criterion]),
        actions=[alerts.MetricAlertAction(action_group_id=told.id)],
    )
    monitor.metric_alerts.create_or_update(group, name, rule)
    patched = monitor.metric_alerts.update(group, name, alerts.MetricAlertResourcePatch(enabled=False))
    status = monitor.metric_alerts_status.list(group, name).value
    condition = logs.Condition(
        query=query, time_aggregation="Total", metric_measure_column="n", operator="GreaterThan", threshold=3
    )
    asked = logs.ScheduledQueryRuleResource(
        location="local",
        severity=1,
        scopes=[resource],
        evaluation_frequency="PT5M",
        window_size="PT10M",
        criteria=logs.ScheduledQueryRuleCriteria(all_of=[condition]),
    )
    newer.scheduled_query_rules.create_or_update(group, name, asked)
    severe = newer.scheduled_query_rules.update(group, name, logs.ScheduledQueryRuleResourcePatch(severity=4))
    lists = (
        (monitor.metric_alerts.list_by_resource_group, monitor.metric_alerts.delete),
        (newer.scheduled_query_rules.list_by_resource_group, newer.scheduled_query_rules.delete),
        (monitor.action_groups.list_by_resource_group, monitor.action_groups.delete),
    )
    for _, delete in lists:
        delete(group, name)
    return {
        "webhook": told.webhook_receivers[0].service_uri,
        "form": patched.criteria.odata_type,
        "threshold": patched.criteria.all_of[0].threshold,
        "enabled": patched.enabled,
        "status": [it.properties.status for it in status],
        "query": severe.criteria.all_of[0].query,
        "severity": severe.severity,
        "left": [it.name for listed, _ in lists for it in listed(group) if it.name == name],
    }


CALLS = {
    "alert_rules": alert_rules,
    "diagnostic_settings": diagnostic_settings,
    "logs_query": logs_query,
    "metrics_query": metrics_query,
    "monitor": monitor,
}


def main():
    asked = json.load(sys.stdin)
    json.dump(CALLS[asked["what"]](asked["env"], **asked["parameters"]), sys.stdout)


if __name__ == "__main__":
    main()
