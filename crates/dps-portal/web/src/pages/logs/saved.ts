// Queries that are kept: the article's, one for each cause, and one's own, which stay in this browser.
import type { CatalogueCause } from "../../api/diagnosis";

export interface Saved {
  name: string;
  about?: string;
  query: string;
}

export interface Shelf {
  title: string;
  own?: boolean;
  queries: Saved[];
}

const FOUR = "OperationName, ResultType, ResultSignature, ResultDescription";

export const EXAMPLES: Saved[] = [
  { name: "All logs", about: "The article's query.", query: "AzureDiagnostics\n| order by TimeGenerated desc\n| take 200" },
  { name: "The four columns of the article", about: "Operation, result, status and description.", query: `AzureDiagnostics\n| where Category == "DeviceOperations"\n| project TimeGenerated, ${FOUR}, CorrelationId\n| order by TimeGenerated desc\n| take 200` },
  { name: "Refused and failed", about: "With the device, the protocol and the reason.", query: `AzureDiagnostics\n| where ResultType != "Success"\n| extend p = parse_json(properties_s)\n| project TimeGenerated, Device = tostring(p.id), Protocol = tostring(p.protocol), ResultSignature, Reason = tostring(p.reason), ResultDescription, CorrelationId\n| order by TimeGenerated desc\n| take 200` },
  { name: "Failures by operation", query: `AzureDiagnostics\n| where Category == "DeviceOperations"\n| summarize Failures = countif(ResultType != "Success"), All = count() by OperationName\n| order by Failures desc` },
  { name: "Attempts over time", about: "A chart.", query: `AzureDiagnostics\n| where OperationName == "AttestationAttempt"\n| summarize Attempts = count() by bin(TimeGenerated, 1m), ResultType\n| render timechart` },
  { name: "Devices by number of refusals", query: `AzureDiagnostics\n| where Category == "DeviceOperations" and ResultType != "Success"\n| summarize Refusals = count(), Last = max(TimeGenerated), Why = take_any(ResultDescription) by Device = tostring(parse_json(properties_s).id)\n| top 50 by Refusals` },
  { name: "Protocols", about: "A chart.", query: `AzureDiagnostics\n| where OperationName == "AttestationAttempt"\n| summarize count() by tostring(parse_json(properties_s).protocol)\n| render piechart` },
  { name: "Slow attempts", query: `AzureDiagnostics\n| where Category == "DeviceOperations"\n| top 50 by DurationMs\n| project TimeGenerated, OperationName, DurationMs, Device = tostring(parse_json(properties_s).id), ResultType` },
  { name: "Who changed enrollments", query: `AzureDiagnostics\n| where Category == "ServiceOperations" and OperationName in ("Upsert", "Delete", "BulkOperation")\n| extend p = parse_json(properties_s)\n| project TimeGenerated, OperationName, Enrollment = tostring(p.id), Caller = tostring(p.caller), ResultType\n| order by TimeGenerated desc` },
  { name: "Control plane", about: "Who changed the service.", query: "AzureActivity\n| project TimeGenerated, OperationNameValue, ActivityStatusValue, Caller, CallerIpAddress\n| order by TimeGenerated desc\n| take 200" },
  { name: "Metrics by the minute", query: "AzureMetrics\n| summarize Total = sum(Total) by bin(TimeGenerated, 5m), MetricName\n| render timechart" },
];

const FAMILIES: Record<string, string> = {
  identity: "Ids and scopes",
  symmetricKey: "Keys and SAS tokens",
  x509: "Certificates",
  tpm: "TPM",
  hub: "Hubs and webhooks",
  connection: "Connections",
  service: "Requests",
  lifecycle: "Life of a device",
  management: "Management",
};

export const familyTitle = (family: string): string => FAMILIES[family] ?? family;

export function ofCauses(causes: readonly CatalogueCause[]): Shelf[] {
  const families = [...new Set(causes.map((c) => c.family))];
  return families.map((family) => ({ title: familyTitle(family), queries: causes.filter((c) => c.family === family && c.query !== "").map((c) => ({ name: c.title, about: c.code, query: c.query })) }));
}

const KEY = "muster.queries";
const MOST = 200;

export function own(): Saved[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((q): q is Saved => typeof q === "object" && q !== null && typeof (q as Saved).name === "string" && typeof (q as Saved).query === "string") : [];
  } catch {
    return [];
  }
}

export function keep(queries: readonly Saved[]): boolean {
  try {
    localStorage.setItem(KEY, JSON.stringify(queries.slice(0, MOST)));
    return true;
  } catch {
    return false;
  }
}
