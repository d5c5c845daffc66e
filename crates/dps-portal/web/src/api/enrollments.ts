// The service API: individual enrollments, groups, registration records.
import { call, get, segment, type Answer } from "./client";

const VERSION = { "api-version": "2021-10-01" };

export interface CertificateInfo {
  subjectName: string;
  sha1Thumbprint: string;
  sha256Thumbprint: string;
  issuerName: string;
  notBeforeUtc: string;
  notAfterUtc: string;
  serialNumber: string;
}

interface X509Side {
  certificate?: string;
  info?: CertificateInfo;
}

export interface Attestation {
  type: "symmetricKey" | "x509" | "tpm" | "none";
  symmetricKey?: { primaryKey?: string; secondaryKey?: string };
  tpm?: { endorsementKey: string; storageRootKey?: string };
  x509?: {
    clientCertificates?: { primary?: X509Side; secondary?: X509Side };
    signingCertificates?: { primary?: X509Side; secondary?: X509Side };
    caReferences?: { primary?: string; secondary?: string };
  };
}

export interface EnrollmentCore {
  attestation: Attestation;
  provisioningStatus?: "enabled" | "disabled" | null;
  etag?: string;
  capabilities?: { iotEdge: boolean };
  reprovisionPolicy?: { updateHubAssignment: boolean; migrateDeviceData: boolean };
  allocationPolicy?: string;
  iotHubs?: string[];
  iotHubHostName?: string;
  customAllocationDefinition?: { webhookUrl: string; apiVersion: string };
  initialTwin?: unknown;
  createdDateTimeUtc?: string;
  lastUpdatedDateTimeUtc?: string;
}

export interface Enrollment extends EnrollmentCore {
  registrationId: string;
  deviceId?: string;
  registrationState?: Registration;
  optionalDeviceInformation?: unknown;
}

export interface Group extends EnrollmentCore {
  enrollmentGroupId: string;
}

export interface Registration {
  registrationId?: string;
  createdDateTimeUtc?: string;
  assignedHub?: string;
  deviceId?: string;
  status: string;
  substatus?: string;
  errorCode?: number;
  errorMessage?: string;
  lastUpdatedDateTimeUtc?: string;
  etag?: string;
}

export interface PageOf<T> {
  rows: T[];
  next: string | null;
}

async function page<T>(path: string, body: unknown, from: string | null, size: number, signal?: AbortSignal): Promise<PageOf<T>> {
  const answer = await call<T[]>("POST", path, {
    query: VERSION,
    body,
    headers: { "x-ms-max-item-count": String(size), ...(from === null ? {} : { "x-ms-continuation": from }) },
    signal,
  });
  return { rows: answer.body, next: answer.headers.get("x-ms-continuation") };
}

export interface Search {
  text: string;
  status: "" | "enabled" | "disabled";
  type: "" | "symmetricKey" | "x509" | "tpm";
}

/** docs/reference/query.md has the language; a quote in a text is doubled. */
export function sql(table: "enrollments" | "enrollmentGroups", key: string, of: Search): string {
  const parts: string[] = [];
  if (of.text !== "") parts.push(begins(key, of.text));
  if (of.status === "disabled") parts.push("provisioningStatus = 'disabled'");
  if (of.status === "enabled") parts.push("provisioningStatus <> 'disabled'");
  if (of.type !== "") parts.push(`attestation.type = '${of.type}'`);
  return `SELECT * FROM ${table}${parts.length === 0 ? "" : ` WHERE ${parts.join(" AND ")}`}`;
}

function begins(key: string, text: string): string {
  return `STARTSWITH(${key}, '${text.replace(/'/g, "''")}')`;
}

export function queryEnrollments(of: Search, from: string | null, size: number, signal?: AbortSignal): Promise<PageOf<Enrollment>> {
  return page("/enrollments/query", { query: sql("enrollments", "registrationId", of) }, from, size, signal);
}

/** Some whose ids hold a text: those that begin with it, which are found at once, and what one page of a search finds. */
export async function queryEnrollmentsHolding(text: string, most: number, signal?: AbortSignal): Promise<Enrollment[]> {
  const begin = await queryEnrollments({ text, status: "", type: "" }, null, most, signal);
  if (begin.rows.length >= most) return begin.rows;
  const holding = `CONTAINS(registrationId, '${text.replace(/'/g, "''")}', true)`;
  const within = await page<Enrollment>("/enrollments/query", { query: `SELECT * FROM enrollments WHERE ${holding}` }, null, most, signal);
  return [...begin.rows, ...within.rows];
}

/** Ids of the enrollments and groups that name a hub, as far as one page of a search finds them. */
export async function whoNames(hub: string, most: number, signal?: AbortSignal): Promise<{ ids: string[]; more: boolean }> {
  const name = `'${hub.replace(/'/g, "''")}'`;
  const query = (table: string): string => `SELECT * FROM ${table} WHERE iotHubHostName = ${name} OR ARRAY_CONTAINS(iotHubs, ${name})`;
  const [one, groups] = await Promise.all([
    page<Enrollment>("/enrollments/query", { query: query("enrollments") }, null, most, signal),
    page<Group>("/enrollmentGroups/query", { query: query("enrollmentGroups") }, null, most, signal),
  ]);
  return { ids: [...groups.rows.map((g) => g.enrollmentGroupId), ...one.rows.map((e) => e.registrationId)], more: one.next !== null || groups.next !== null };
}

export function queryGroups(of: Search, from: string | null, size: number, signal?: AbortSignal): Promise<PageOf<Group>> {
  return page("/enrollmentGroups/query", { query: sql("enrollmentGroups", "enrollmentGroupId", of) }, from, size, signal);
}

/** Those that a group let in, or those of them whose ids begin so. */
export function queryRegistrations(group: string, text: string, from: string | null, size: number, signal?: AbortSignal): Promise<PageOf<Registration>> {
  const query = text === "" ? {} : { query: `SELECT * FROM registrations WHERE ${begins("registrationId", text)}` };
  return page(`/registrations/${segment(group)}/query`, query, from, size, signal);
}

export type Kind = "enrollments" | "enrollmentGroups";

export function read<T>(kind: Kind, id: string, signal?: AbortSignal): Promise<T> {
  return get(`/${kind}/${segment(id)}`, { query: VERSION, signal });
}

export async function write<T>(kind: Kind, id: string, body: unknown, etag?: string): Promise<T> {
  const answer: Answer<T> = await call("PUT", `/${kind}/${segment(id)}`, { query: VERSION, body, headers: etag === undefined ? {} : { "If-Match": etag } });
  return answer.body;
}

export async function erase(kind: Kind, id: string, etag?: string): Promise<void> {
  await call("DELETE", `/${kind}/${segment(id)}`, { query: VERSION, headers: etag === undefined ? {} : { "If-Match": etag } });
}

export async function mechanism(kind: Kind, id: string): Promise<Attestation> {
  return (await call<Attestation>("POST", `/${kind}/${segment(id)}/attestationmechanism`, { query: VERSION })).body;
}

export function readRegistration(id: string, signal?: AbortSignal): Promise<Registration> {
  return get(`/registrations/${segment(id)}`, { query: VERSION, signal });
}

export async function deleteRegistration(id: string, etag?: string): Promise<void> {
  await call("DELETE", `/registrations/${segment(id)}`, { query: VERSION, headers: etag === undefined ? {} : { "If-Match": etag } });
}
