"""Alert rules, action groups and alerts through the official management SDKs, unmodified, old majors and new.

Each case has names of its own: rules of all cases lie in one resource group.
"""

import time

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.alertsmanagement import AlertsManagementClient
from azure.mgmt.alertsmanagement.models import Comments
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor import models as monitor_models
from cases import SUITE
from cases.metrics import Counted
from harness import older_sdks
from harness.errors import expect, expect_that
from harness.management_sdk import StaticToken

NAMESPACE = "Microsoft.Devices/provisioningServices"
SINGLE = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
WEBHOOK = "https://hooks.example/alerts?code=s3cr3t"
# A rule is evaluated every minute.
FIRES_SECONDS = 120
REFUSED = "AzureDiagnostics | where ResultType == 'ClientError' | summarize n = count() by OperationName"


def place(case):
    """Subscription and resource group of the server's first service, and its id."""
    resource = case.env["MUSTER_RESOURCE_ID"]
    parts = resource.split("/")
    return parts[2], parts[4], resource


def opened(case, kind, **options):
    env = case.env
    client = kind(
        StaticToken(env["MUSTER_BEARER_TOKEN"]),
        place(case)[0],
        base_url=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
        **options,
    )
    case.at_end(client.close)
    return client


def metric_alert(models, resource, group, **more):
    criterion = models.MetricCriteria(
        name="c1",
        metric_namespace=NAMESPACE,
        metric_name="AttestationAttempts",
        dimensions=[models.MetricDimension(name="Status", operator="Include", values=["ClientError"])],
        operator="GreaterThan",
        threshold=10,
        time_aggregation="Total",
    )
    return models.MetricAlertResource(
        location="global",
        description="refused",
        severity=3,
        enabled=True,
        scopes=[resource],
        evaluation_frequency="PT1M",
        window_size="PT5M",
        criteria=models.MetricAlertSingleResourceMultipleMetricCriteria(all_of=[criterion]),
        actions=[models.MetricAlertAction(action_group_id=group, web_hook_properties={"k": "v"})],
        **more,
    )


@SUITE.case("alerts/python/mgmt-monitor-7-metric-rules")
def metric_rules(case):
    """Metric alert rules and action groups: made, read, changed, listed, deleted; their status; what is refused."""
    client, models = opened(case, MonitorManagementClient), monitor_models
    _, resource_group, resource = place(case)
    group_name, name = case.name(), case.name()
    receiver = models.WebhookReceiver(name="hook", service_uri=WEBHOOK, use_common_alert_schema=True)
    body = models.ActionGroupResource(
        location="Global", group_short_name="ops", enabled=True, webhook_receivers=[receiver]
    )
    group = client.action_groups.create_or_update(resource_group, group_name, body)
    expect(group.webhook_receivers[0].service_uri, WEBHOOK, "the address of a webhook")
    rule = client.metric_alerts.create_or_update(resource_group, name, metric_alert(models, resource, group.id))
    expect((rule.name, rule.type), (name, "Microsoft.Insights/metricAlerts"), "name and type")
    expect_that(rule.last_updated_time is not None, "the time of the last change")
    read = client.metric_alerts.get(resource_group, name.upper())
    expect(read.criteria.odata_type, SINGLE, "the form of the criteria")
    criterion = read.criteria.all_of[0]
    expect((criterion.metric_name, criterion.threshold), ("AttestationAttempts", 10.0), "the condition")
    expect(criterion.dimensions[0].values, ["ClientError"], "the dimension")
    expect(read.actions[0].action_group_id, group.id, "the action")
    patched = client.metric_alerts.update(resource_group, name, models.MetricAlertResourcePatch(enabled=False))
    expect((patched.enabled, patched.severity), (False, 3), "one member changed, the others not")
    listed = [it.name for it in client.metric_alerts.list_by_resource_group(resource_group)]
    expect_that(name in listed, f"the resource group's list: {listed}")
    expect_that(name in [it.name for it in client.metric_alerts.list_by_subscription()], "the subscription's list")
    status = client.metric_alerts_status.list(resource_group, name).value
    expect([it.properties.status for it in status], ["Healthy"], "the status of the rule's series")
    named = client.metric_alerts_status.list_by_name(resource_group, name, status[0].name).value
    expect([it.name for it in named], [status[0].name], "the status of one of them")
    wrong = metric_alert(models, resource, group.id)
    wrong.criteria.all_of[0].metric_name = "Temperature"
    try:
        client.metric_alerts.create_or_update(resource_group, name, wrong)
        expect_that(False, "an unknown metric is refused")
    except HttpResponseError as error:
        expect((error.status_code, error.error.code), (400, "BadRequest"), "refusal of a metric")
        expect(error.error.target, "properties.criteria.allOf[0].metricName", "the member that is wrong")
    client.metric_alerts.delete(resource_group, name)
    client.metric_alerts.delete(resource_group, name)
    try:
        client.metric_alerts.get(resource_group, name)
        expect_that(False, "a deleted rule is gone")
    except ResourceNotFoundError as error:
        expect(error.error.code, "ResourceNotFound", "code")
    expect_that(group_name in [it.name for it in client.action_groups.list_by_subscription_id()], "the groups")
    client.action_groups.delete(resource_group, group_name)


@SUITE.case("alerts/python/older-mgmt-monitor-6-rules")
def rules_6(case):
    """Rules of both kinds and an action group with the major before, log alert rules in its newest version."""
    seen = older_sdks.call(case.env, "alert_rules", name=case.name(), webhook=WEBHOOK, query=REFUSED)
    expect(seen["webhook"], WEBHOOK, "the address of a webhook")
    expect((seen["form"], seen["threshold"], seen["enabled"]), (SINGLE, 10.0, False), "the metric alert rule")
    expect(seen["status"], ["Healthy"], "the status of its series")
    expect((seen["query"], seen["severity"]), (REFUSED, 4), "the log alert rule")
    expect(seen["left"], [], "what is left of them")


@SUITE.case("alerts/python/mgmt-monitor-7-dynamic-rule")
def dynamic_rule(case):
    """A dynamic threshold is kept as it was written."""
    _, resource_group, resource = place(case)
    client, name, models = opened(case, MonitorManagementClient), case.name(), monitor_models
    body = metric_alert(models, resource, "")
    body.actions, body.evaluation_frequency = [], "PT5M"
    criterion = models.DynamicMetricCriteria(
        name="d",
        metric_name="RegistrationAttempts",
        time_aggregation="Total",
        operator="GreaterOrLessThan",
        alert_sensitivity="Medium",
        failing_periods=models.DynamicThresholdFailingPeriods(
            number_of_evaluation_periods=4, min_failing_periods_to_alert=3
        ),
    )
    body.criteria = models.MetricAlertMultipleResourceMultipleMetricCriteria(all_of=[criterion])
    client.metric_alerts.create_or_update(resource_group, name, body)
    read = client.metric_alerts.get(resource_group, name).criteria.all_of[0]
    expect(read.criterion_type, "DynamicThresholdCriterion", "the kind of the condition")
    expect(read.failing_periods.min_failing_periods_to_alert, 3.0, "failing periods")
    client.metric_alerts.delete(resource_group, name)


@SUITE.case("alerts/python/mgmt-monitor-7-query-rules")
def query_rules(case):
    """Log alert rules: made, read, changed, listed, deleted; what is wrong with a query."""
    client, models = opened(case, MonitorManagementClient), monitor_models
    _, resource_group, resource = place(case)
    name = case.name()

    def condition(query):
        return models.Condition(
            query=query,
            time_aggregation="Total",
            metric_measure_column="n",
            dimensions=[models.Dimension(name="OperationName", operator="Include", values=["*"])],
            operator="GreaterThan",
            threshold=3,
            failing_periods=models.ConditionFailingPeriods(
                number_of_evaluation_periods=2, min_failing_periods_to_alert=1
            ),
        )

    def rule(query):
        return models.ScheduledQueryRuleResource(
            location="local",
            display_name="Refused",
            severity=1,
            enabled=True,
            scopes=[resource],
            evaluation_frequency="PT5M",
            window_size="PT10M",
            criteria=models.ScheduledQueryRuleCriteria(all_of=[condition(query)]),
            actions=models.Actions(action_groups=[], custom_properties={"site": "7"}),
        )

    made = client.scheduled_query_rules.create_or_update(resource_group, name, rule(REFUSED))
    expect((made.name, made.kind, made.system_data is not None), (name, "LogAlert", True), "what was made")
    read = client.scheduled_query_rules.get(resource_group, name)
    expect(read.criteria.all_of[0].query, REFUSED, "the query")
    expect(read.actions.custom_properties, {"site": "7"}, "custom properties")
    patch = models.ScheduledQueryRuleResourcePatch(severity=4)
    expect(client.scheduled_query_rules.update(resource_group, name, patch).severity, 4, "the severity")
    listed = [it.name for it in client.scheduled_query_rules.list_by_resource_group(resource_group)]
    expect_that(name in listed, f"the resource group's list: {listed}")
    try:
        client.scheduled_query_rules.create_or_update(resource_group, name, rule("AzureDiagnostic | count"))
        expect_that(False, "a query of an unknown table is refused")
    except HttpResponseError as error:
        expect(error.status_code, 400, "status")
        expect_that("line 1 column 1" in error.message, f"the place in the query: {error.message}")
    client.scheduled_query_rules.delete(resource_group, name)


@SUITE.case("alerts/python/mgmt-monitor-7-sample-notification")
def sample(case):
    """A sample notification is sent to each webhook of the body, and the SDK follows it to its end."""
    _, resource_group, _ = place(case)
    client, name, models = opened(case, MonitorManagementClient), case.name(), monitor_models
    client.action_groups.create_or_update(
        resource_group, name, models.ActionGroupResource(location="Global", group_short_name="ops", enabled=True)
    )
    body = models.NotificationRequestBody(
        alert_type="metricstaticthreshold",
        webhook_receivers=[models.WebhookReceiver(name="nobody", service_uri="https://127.0.0.1:9/")],
        email_receivers=[models.EmailReceiver(name="mail", email_address="a@b.example")],
    )
    begun = client.action_groups.begin_create_notifications_at_action_group_resource_level(resource_group, name, body)
    told = begun.result()
    expect(told.state, "Complete", "state")
    seen = {it.name: (it.mechanism_type, it.status) for it in told.action_details}
    expect(seen, {"nobody": ("Webhook", "Failed"), "mail": ("Email", "Failed")}, "what became of each")
    client.action_groups.delete(resource_group, name)


@SUITE.case("alerts/python/mgmt-alertsmanagement")
def alerts(case):
    """Lists, summaries and refusals of alerts."""
    subscription, _, resource = place(case)
    client = opened(case, AlertsManagementClient)
    found = list(client.alerts.get_all(target_resource=resource, time_range="30d", severity="Sev0"))
    expect_that(all(it.properties.essentials.severity == "Sev0" for it in found), "only what is asked for")
    summary = client.alerts.get_summary("severity,alertState")
    expect(summary.properties.groupedby, "severity", "what alerts are counted by")
    for ask in (
        lambda: client.alerts.get_by_id("11111111-1111-1111-1111-111111111111"),
        lambda: client.alerts.get_history("11111111-1111-1111-1111-111111111111"),
        lambda: client.alerts.change_state("11111111-1111-1111-1111-111111111111", new_state="Closed"),
    ):
        try:
            ask()
            expect_that(False, f"an alert of {subscription} that is not there")
        except HttpResponseError as error:
            expect(error.status_code, 404, "status")


@SUITE.case("alerts/python/alert-fires-and-is-acknowledged", full=True)
def fires(case):
    """A rule on refused devices fires; the alert is found, read, acknowledged, and its history says who did what."""
    counted = Counted(case, "alerted-one")
    subscription, resource_group, _ = place(case)
    monitor, client, name = opened(case, MonitorManagementClient), opened(case, AlertsManagementClient), case.name()
    rule = metric_alert(monitor_models, counted.resource_id, "")
    rule.actions, rule.criteria.all_of[0].threshold = [], 0
    made = monitor.metric_alerts.create_or_update(resource_group, name, rule)
    case.at_end(lambda: monitor.metric_alerts.delete(resource_group, name))
    deadline = time.monotonic() + FIRES_SECONDS
    found = []
    while not found and time.monotonic() < deadline:
        time.sleep(1)
        found = list(client.alerts.get_all(alert_rule=made.id, time_range="1h"))
    expect(len(found), 1, "alerts")
    essentials = found[0].properties.essentials
    expect(
        (essentials.severity, essentials.signal_type, essentials.monitor_condition, essentials.alert_state),
        ("Sev3", "Metric", "Fired", "New"),
        "the alert",
    )
    expect(essentials.target_resource.lower(), counted.resource_id.lower(), "what it is about")
    status = monitor.metric_alerts_status.list(resource_group, name).value
    series = [(it.properties.status, it.properties.dimensions) for it in status]
    expect(series, [("Unhealthy", {"Status": "ClientError"})], "the status of the rule's series")
    alert = found[0].name
    read = client.alerts.get_by_id(alert)
    expect_that(read.properties.context is not None, "the values that fired it")
    comments = Comments(comments="on it")
    said = client.alerts.change_state(alert, new_state="Acknowledged", comment=comments)
    expect(said.properties.essentials.alert_state, "Acknowledged", "the state")
    changes = client.alerts.get_history(alert).properties.modifications
    expect((changes[0].modification_event, changes[0].comments), ("StateChange", "on it"), "the last change")
    expect(changes[-1].modification_event, "AlertCreated", "the first change")
    kept = client.alerts.get_all(alert_rule=made.id, alert_state="Acknowledged", include_context=True)
    expect([it.name for it in kept], [alert], "alerts that somebody looks at")
    summary = client.alerts.get_summary("alertRule", alert_rule=made.id).properties
    expect([(it.name, it.count) for it in summary.values], [(made.id, 1)], f"the number of alerts of {subscription}")
