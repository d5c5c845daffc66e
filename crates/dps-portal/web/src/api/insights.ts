// Azure Monitor's resources: metrics, alert rules, action groups, alerts, diagnostic settings.
import { call, get, segment } from "./client";
import { resource, resourceGroup, subscription } from "./arm";

const METRICS = { "api-version": "2024-02-01" };
const METRIC_RULES = { "api-version": "2018-03-01" };
const LOG_RULES = { "api-version": "2023-12-01" };
const GROUPS = { "api-version": "2023-01-01" };
const ALERTS = { "api-version": "2019-05-05-preview" };
const SETTINGS = { "api-version": "2021-05-01-preview" };

export const AZURE_NAMESPACE = "Microsoft.Devices/provisioningServices";
export const MUSTER_NAMESPACE = "Muster/provisioningServices";

export interface MetricDefinition {
  namespace: string;
  name: { value: string; localizedValue: string };
  displayDescription?: string;
  unit: string;
  primaryAggregationType: string;
  supportedAggregationTypes: string[];
  dimensions?: { value: string; localizedValue: string }[];
}

export interface Point {
  timeStamp: string;
  total?: number;
  average?: number;
  count?: number;
  minimum?: number;
  maximum?: number;
}

export interface Metric {
  name: { value: string; localizedValue: string };
  unit: string;
  errorCode: string;
  errorMessage?: string;
  timeseries: { metadatavalues: { name: { value: string }; value: string }[]; data: Point[] }[];
}

export async function readDefinitions(signal?: AbortSignal): Promise<MetricDefinition[]> {
  const of = async (metricnamespace: string): Promise<MetricDefinition[]> =>
    (await get<{ value: MetricDefinition[] }>(`${resource()}/providers/Microsoft.Insights/metricDefinitions`, { query: { ...METRICS, metricnamespace }, signal })).value;
  const [azure, own] = await Promise.all([of(AZURE_NAMESPACE), of(MUSTER_NAMESPACE)]);
  return [...azure, ...own];
}

export interface MetricQuestion {
  namespace?: string;
  metrics: string;
  aggregation: string;
  timespan: string;
  interval: string;
  filter?: string | undefined;
  top?: number;
}

export async function readMetrics(q: MetricQuestion, signal?: AbortSignal): Promise<Metric[]> {
  const answer = await get<{ value: Metric[] }>(`${resource()}/providers/Microsoft.Insights/metrics`, {
    query: {
      ...METRICS,
      metricnamespace: q.namespace ?? AZURE_NAMESPACE,
      metricnames: q.metrics,
      aggregation: q.aggregation,
      timespan: q.timespan,
      interval: q.interval,
      $filter: q.filter,
      top: q.filter === undefined ? undefined : (q.top ?? 20),
      AutoAdjustTimegrain: true,
    },
    signal,
  });
  const wrong = answer.value.find((m) => m.errorCode !== "Success");
  if (wrong !== undefined) throw new Error(wrong.errorMessage ?? wrong.errorCode);
  return answer.value;
}

export interface Dimension {
  name: string;
  operator: "Include" | "Exclude";
  values: string[];
}

export interface MetricCriterion {
  criterionType: string;
  name: string;
  metricName: string;
  metricNamespace?: string;
  dimensions?: Dimension[];
  operator: string;
  threshold?: number;
  timeAggregation: string;
  [more: string]: unknown;
}

export interface MetricRule {
  id: string;
  name: string;
  properties: {
    description: string;
    severity: number;
    enabled: boolean;
    scopes: string[];
    evaluationFrequency: string;
    windowSize: string;
    autoMitigate?: boolean;
    criteria: { "odata.type": string; allOf: MetricCriterion[] };
    actions?: { actionGroupId: string }[];
  };
}

export interface LogRule {
  id: string;
  name: string;
  properties: {
    displayName?: string;
    description?: string;
    severity: number;
    enabled: boolean;
    scopes: string[];
    evaluationFrequency: string;
    windowSize: string;
    autoMitigate?: boolean;
    criteria: { allOf: { query: string; timeAggregation: string; metricMeasureColumn?: string; operator: string; threshold: number }[] };
    actions?: { actionGroups?: string[] };
  };
}

export interface ActionGroup {
  id: string;
  name: string;
  properties: {
    groupShortName: string;
    enabled: boolean;
    webhookReceivers?: { name: string; serviceUri: string; useCommonAlertSchema?: boolean }[];
    [more: string]: unknown;
  };
}

export interface Alert {
  id: string;
  name: string;
  properties: {
    essentials: {
      severity: string;
      signalType: string;
      alertState: string;
      monitorCondition: string;
      monitorService: string;
      targetResourceName?: string;
      alertRule: string;
      startDateTime: string;
      lastModifiedDateTime: string;
      monitorConditionResolvedDateTime?: string;
      description?: string;
    };
    context?: unknown;
  };
}

export interface AlertHistory {
  properties: { modifications: { modificationEvent: string; oldValue?: string; newValue?: string; modifiedAt: string; modifiedBy?: string; comments?: string }[] };
}

const provider = "/providers/Microsoft.Insights";
const inGroup = (kind: string, name: string): string => `${resourceGroup()}${provider}/${kind}/${segment(name)}`;
const inSubscription = (kind: string): string => `${subscription()}${provider}/${kind}`;

async function all<T>(path: string, query: Record<string, string>, signal?: AbortSignal): Promise<T[]> {
  return (await get<{ value: T[] }>(path, { query, signal })).value;
}

export const readMetricRules = (signal?: AbortSignal): Promise<MetricRule[]> => all(inSubscription("metricAlerts"), METRIC_RULES, signal);
export const readLogRules = (signal?: AbortSignal): Promise<LogRule[]> => all(inSubscription("scheduledQueryRules"), LOG_RULES, signal);
export const readGroups = (signal?: AbortSignal): Promise<ActionGroup[]> => all(inSubscription("actionGroups"), GROUPS, signal);

export async function writeMetricRule(name: string, properties: MetricRule["properties"]): Promise<void> {
  await call("PUT", inGroup("metricAlerts", name), { query: METRIC_RULES, body: { location: "global", properties } });
}

export async function writeLogRule(name: string, properties: LogRule["properties"]): Promise<void> {
  await call("PUT", inGroup("scheduledQueryRules", name), { query: LOG_RULES, body: { location: "local", kind: "LogAlert", properties } });
}

export async function writeGroup(name: string, properties: ActionGroup["properties"]): Promise<void> {
  await call("PUT", inGroup("actionGroups", name), { query: GROUPS, body: { location: "Global", properties } });
}

export type RuleKind = "metricAlerts" | "scheduledQueryRules" | "actionGroups";
const VERSIONS: Record<RuleKind, Record<string, string>> = { metricAlerts: METRIC_RULES, scheduledQueryRules: LOG_RULES, actionGroups: GROUPS };

export async function enable(kind: RuleKind, id: string, enabled: boolean): Promise<void> {
  await call("PATCH", id, { query: VERSIONS[kind], body: { properties: { enabled } } });
}

export async function remove(kind: RuleKind, id: string): Promise<void> {
  await call("DELETE", id, { query: VERSIONS[kind] });
}

export async function testGroup(group: ActionGroup): Promise<{ state: string; actionDetails?: { Name: string; Status: string; Detail?: string }[] }> {
  const answer = await call<{ state?: string } | null>("POST", `${group.id}/createNotifications`, {
    query: GROUPS,
    body: { alertType: "metricstaticthreshold", webhookReceivers: group.properties.webhookReceivers ?? [] },
  });
  const where = answer.headers.get("location");
  if (where === null) return { state: "Accepted" };
  const url = new URL(where, location.href);
  for (let tries = 0; ; tries++) {
    const status = await get<{ state: string; actionDetails?: { Name: string; Status: string; Detail?: string }[] }>(url.pathname + url.search);
    if (/complete/i.test(status.state) || tries > 30) return status;
    await new Promise((done) => setTimeout(done, 500));
  }
}

export async function readAlerts(query: { timeRange: string; monitorCondition?: string; alertState?: string; severity?: string }, signal?: AbortSignal): Promise<Alert[]> {
  const clean = Object.fromEntries(Object.entries(query).filter(([, v]) => v !== ""));
  return all(`${subscription()}/providers/Microsoft.AlertsManagement/alerts`, { ...ALERTS, pageCount: "250", includeContext: "true", ...clean }, signal);
}

export async function changeState(alert: Alert, newState: string, comment: string): Promise<void> {
  await call("POST", `${subscription()}/providers/Microsoft.AlertsManagement/alerts/${segment(lastOf(alert.id))}/changestate`, {
    query: { ...ALERTS, newState },
    ...(comment === "" ? {} : { body: comment }),
  });
}

export function readHistory(alert: Alert, signal?: AbortSignal): Promise<AlertHistory> {
  return get(`${subscription()}/providers/Microsoft.AlertsManagement/alerts/${segment(lastOf(alert.id))}/history`, { query: ALERTS, signal });
}

export function lastOf(id: string): string {
  return id.split("/").pop() ?? id;
}

export interface DiagnosticSetting {
  id: string;
  name: string;
  properties: {
    workspaceId?: string | null;
    storageAccountId?: string | null;
    eventHubAuthorizationRuleId?: string | null;
    eventHubName?: string | null;
    marketplacePartnerId?: string | null;
    logs?: { category?: string | null; categoryGroup?: string | null; enabled: boolean }[];
    metrics?: { category?: string; enabled: boolean }[];
  };
}

export interface SettingCategory {
  name: string;
  properties: { categoryType: "Logs" | "Metrics"; categoryGroups?: string[] };
}

const settings = (): string => `${resource()}${provider}/diagnosticSettings`;
export const readSettings = (signal?: AbortSignal): Promise<DiagnosticSetting[]> => all(settings(), SETTINGS, signal);
export const readCategories = (signal?: AbortSignal): Promise<SettingCategory[]> => all(`${resource()}${provider}/diagnosticSettingsCategories`, SETTINGS, signal);

export async function writeSetting(name: string, properties: DiagnosticSetting["properties"]): Promise<void> {
  await call("PUT", `${settings()}/${segment(name)}`, { query: SETTINGS, body: { properties } });
}

export async function deleteSetting(name: string): Promise<void> {
  await call("DELETE", `${settings()}/${segment(name)}`, { query: SETTINGS });
}
