// What Muster itself says of attempts: causes, the attempt log, timelines, dry runs, the inbox, and what dev mode offers.
import { ApiError, call, get, segment } from "./client";
import { resource } from "./arm";
import { ask, literal, records, type Cell } from "./logs";

const VERSION = { "api-version": "2026-11-01" };
const base = (): string => `${resource()}/providers/Muster.Diagnosis`;

export interface Cause {
  code: string;
  title: string;
  sentence: string;
  inferred: boolean;
  evidence?: { name: string; value: string }[];
  fix?: { text: string; command?: string | null }[];
  docs?: string;
}

export interface CatalogueCause {
  code: string;
  family: string;
  title: string;
  inferred: boolean;
  meaning: string;
  fix: { text: string; command?: string | null }[] | string[] | string;
  query: string;
  docs?: string;
}

export interface Attempt {
  trackingId: string;
  time: string;
  durationMs: number;
  event: string;
  operation: string;
  registrationId: string | null;
  protocol: string | null;
  result: string;
  error: { code: string | number; name?: string; message: string } | null;
  causes: Cause[];
  record?: unknown;
}

export interface TimelineEntry {
  time: string;
  durationMs?: number | null;
  kind: string;
  title: string;
  detail?: string | null;
  result: "ok" | "refused" | "failed" | "gap" | "info";
  trackingId?: string | null;
  operationId?: string | null;
  causes?: Cause[];
  data?: unknown;
}

/** Something that should have happened and did not. */
export interface Gap {
  kind: string;
  title: string;
  since?: string;
  detail?: string;
}

export interface Timeline {
  registrationId: string;
  entries: TimelineEntry[];
  gaps: Gap[];
}

/** A server that does not have a route answers 404, and the page says that it is not there. */
export class Unsupported extends Error {}

async function known<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 405) && error.code !== "404002") throw new Unsupported();
    throw error;
  }
}

export async function readCauses(signal?: AbortSignal): Promise<CatalogueCause[]> {
  return (await known(get<{ value: CatalogueCause[] }>(`${base()}/causes`, { query: VERSION, signal }))).value;
}

export interface AttemptSearch {
  registrationId?: string | undefined;
  trackingId?: string | undefined;
  refused?: boolean | undefined;
  after?: string | undefined;
  before?: string | undefined;
  top?: number;
}

export interface Attempts {
  value: Attempt[];
  /** Where the newest one stands; asked `after` it, the log tells what came since. */
  position?: string;
  nextLink?: string;
}

/** Pages that are looked through for what devices did, when services did much meanwhile. */
const MOST_PAGES = 5;

/** The latest of what devices did. */
export async function readLatest(of: AttemptSearch, enough: number, signal?: AbortSignal, fits: (a: Attempt) => boolean = () => true): Promise<Attempts> {
  const value: Attempt[] = [];
  let position: string | undefined;
  let before: string | undefined;
  for (let pages = 0; pages < MOST_PAGES && value.length < enough; pages++) {
    const got = await readAttempts({ ...of, before, top: 200 }, signal);
    position ??= got.position;
    value.push(...got.value.filter((a) => isOfDevice(a) && fits(a)));
    before = got.nextLink === undefined ? undefined : (new URL(got.nextLink).searchParams.get("before") ?? undefined);
    if (before === undefined) break;
  }
  return position === undefined ? { value: value.slice(0, enough) } : { value: value.slice(0, enough), position };
}

/** The attempt log, or, where the server has no such route, the same rows out of the workspace. */
export async function readAttempts(of: AttemptSearch, signal?: AbortSignal): Promise<Attempts> {
  try {
    const { top, ...query } = of;
    return await known(get<Attempts>(`${base()}/attempts`, { query: { ...VERSION, ...query, $top: top ?? 50 }, signal }));
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    return { value: await attemptsOfLogs(of, signal) };
  }
}

/** What a device did or was told, apart from what services and operators did. */
export function isOfDevice(of: Attempt): boolean {
  return of.event === "attempt" || of.event === "assignment" || of.event === "connection" || of.event === "hubConnection";
}

async function attemptsOfLogs(of: AttemptSearch, signal?: AbortSignal): Promise<Attempt[]> {
  const where = ['Category == "DeviceOperations"'];
  if (of.registrationId !== undefined) where.push(`tostring(parse_json(properties_s).id) =~ ${literal(of.registrationId)}`);
  if (of.trackingId !== undefined) where.push(`CorrelationId == ${literal(of.trackingId)}`);
  if (of.refused === true) where.push('ResultType != "Success"');
  const query = `AzureDiagnostics | where ${where.join(" and ")} | top ${of.top ?? 50} by TimeGenerated desc`;
  return records(await ask(query, "P7D", signal)).map(attemptOfRow);
}

export function attemptOfRow(row: Record<string, Cell>): Attempt {
  const said = String(row["ResultDescription"] ?? "");
  const properties = parsed(row["properties_s"]);
  const [, code = "", message = said] = /^(\d{6}) (.*)$/s.exec(said) ?? [];
  return {
    trackingId: String(row["CorrelationId"] ?? ""),
    time: String(row["TimeGenerated"] ?? ""),
    durationMs: Number(row["DurationMs"] ?? 0),
    event: "attempt",
    operation: String(row["OperationName"] ?? ""),
    registrationId: typeof properties["id"] === "string" ? properties["id"] : null,
    protocol: typeof properties["protocol"] === "string" ? properties["protocol"] : null,
    result: RESULTS[String(row["ResultType"] ?? "")] ?? "failed",
    error: said === "" ? null : { code, message },
    // A row has the codes alone; the description says what they come to.
    causes: [],
    record: { ...row, properties_s: properties },
  };
}

const RESULTS: Record<string, string> = { Success: "ok", ClientError: "refused" };

function parsed(value: Cell | undefined): Record<string, unknown> {
  try {
    const got: unknown = JSON.parse(String(value ?? "{}"));
    return typeof got === "object" && got !== null ? (got as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export async function readTimeline(registrationId: string, signal?: AbortSignal): Promise<Timeline> {
  try {
    return await known(get<Timeline>(`${base()}/devices/${segment(registrationId)}/timeline`, { query: VERSION, signal }));
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    const { value } = await readAttempts({ registrationId, top: 200 }, signal);
    return { registrationId, gaps: [], entries: value.filter(isOfDevice).reverse().map(entryOfAttempt) };
  }
}

function entryOfAttempt(of: Attempt): TimelineEntry {
  return {
    time: of.time,
    durationMs: of.durationMs,
    kind: of.operation,
    title: of.operation.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/^./, (c) => c.toUpperCase()),
    detail: of.error?.message ?? of.protocol,
    result: of.result === "ok" || of.result === "refused" ? of.result : "failed",
    trackingId: of.trackingId,
    causes: of.causes,
    data: of.record,
  };
}

export interface RehearsalStep {
  name: string;
  title: string;
  result: string;
  detail?: string | null;
  micros?: number | null;
}

export interface Rehearsal {
  outcome: { status: string; accepted?: boolean; summary?: string | null; code?: number | string | null; name?: string | null; message?: string | null };
  steps: RehearsalStep[];
  registrationId?: string | null;
  enrollment?: unknown;
  hub?: string | null;
  deviceId?: string | null;
  candidates?: unknown;
  causes?: Cause[];
  record?: unknown;
}

export async function rehearse(body: unknown): Promise<Rehearsal> {
  return (await known(call<Rehearsal>("POST", `${base()}/rehearsals`, { query: VERSION, body }))).body;
}

/** What a device showed when it was refused last, apart from its token. */
export interface Shown {
  trackingId: string;
  time: string;
  protocol: string;
  address: string;
  /** DER in base64, the device's own first. */
  certificates: string[];
  leftOut: number;
  endorsementKey: string | null;
  sasToken: boolean;
}

export async function readShown(registrationId: string, signal?: AbortSignal): Promise<Shown | null> {
  try {
    return await get<Shown>(`${base()}/devices/${segment(registrationId)}/shown`, { query: VERSION, signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Whether the device's hub still has it, and the cause where it has not. */
export async function readDrift(registrationId: string, signal?: AbortSignal): Promise<{ onHub: string; causes: Cause[] } | null> {
  try {
    return await get<{ onHub: string; causes: Cause[] }>(`${base()}/devices/${segment(registrationId)}/drift`, { query: VERSION, signal });
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) return null;
    throw error;
  }
}

export interface InboxItem {
  id: string;
  kind: string;
  about?: { issuer?: string; authorityKeyId?: string; thumbprint?: string; endorsementKeyName?: string; registrationId?: string; idScope?: string };
  count: number;
  firstSeen: string;
  lastSeen: string;
  title?: string;
  devices?: { registrationId: string; count: number; lastSeen: string; nearest?: string | null }[];
  accepts?: { individualEnrollment: boolean; enrollmentGroup: boolean };
  more?: boolean;
  protocols?: Record<string, number>;
  networks?: string[];
  nearest?: string | null;
  cause?: { code: string; sentence: string } | null;
  ignored?: boolean;
}

export async function readInbox(signal?: AbortSignal): Promise<InboxItem[]> {
  return (await known(get<{ value: InboxItem[] }>(`${base()}/inbox`, { query: VERSION, signal }))).value;
}

export async function inboxAction(id: string, action: "accept" | "ignore", body: unknown = {}): Promise<void> {
  await call("POST", `${base()}/inbox/${segment(id)}/${action}`, { query: VERSION, body });
}

export async function forget(id: string): Promise<void> {
  await call("DELETE", `${base()}/inbox/${segment(id)}`, { query: VERSION });
}

export const readDev = <T>(path: "clock" | "faults", signal?: AbortSignal): Promise<T> => known(get<T>(`/dev/${path}`, { signal }));

export async function dev<T>(method: "PUT" | "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
  return (await known(call<T>(method, `/dev/${path}`, body === undefined ? {} : { body }))).body;
}
