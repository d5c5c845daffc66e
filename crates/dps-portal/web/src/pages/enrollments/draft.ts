// An enrollment while somebody fills in its form: from a document, judged, and back into one.
import type { Attestation, Enrollment, EnrollmentCore, Group, Kind } from "../../api/enrollments";
import { judgeEndorsementKey, judgeSymmetricKey } from "../../x509/certificate";

export type Document = Enrollment | Group;

export interface Draft {
  id: string;
  deviceId: string;
  type: "symmetricKey" | "x509" | "tpm";
  /** For groups with certificates: a pasted CA, or the names of uploaded ones. */
  by: "certificate" | "reference";
  primaryKey: string;
  secondaryKey: string;
  primaryCertificate: string;
  secondaryCertificate: string;
  primaryReference: string;
  secondaryReference: string;
  endorsementKey: string;
  enabled: boolean;
  iotEdge: boolean;
  reprovision: "migrate" | "reset" | "never";
  allocation: "" | "hashed" | "geoLatency" | "static" | "custom";
  hubs: string[];
  webhookUrl: string;
  webhookVersion: string;
  twin: string;
}

export const EMPTY: Draft = {
  id: "",
  deviceId: "",
  type: "symmetricKey",
  by: "certificate",
  primaryKey: "",
  secondaryKey: "",
  primaryCertificate: "",
  secondaryCertificate: "",
  primaryReference: "",
  secondaryReference: "",
  endorsementKey: "",
  enabled: true,
  iotEdge: false,
  reprovision: "migrate",
  allocation: "",
  hubs: [],
  webhookUrl: "",
  webhookVersion: "2021-10-01",
  twin: "",
};

export function idOf(of: Document): string {
  return "registrationId" in of ? of.registrationId : of.enrollmentGroupId;
}

export function draftOf(of: Document): Draft {
  const a = of.attestation;
  const r = of.reprovisionPolicy;
  const hub = of.iotHubHostName;
  return {
    ...EMPTY,
    id: idOf(of),
    deviceId: "deviceId" in of ? (of.deviceId ?? "") : "",
    type: a.type === "none" ? "symmetricKey" : a.type,
    by: a.x509?.caReferences === undefined || a.x509.caReferences === null ? "certificate" : "reference",
    primaryReference: a.x509?.caReferences?.primary ?? "",
    secondaryReference: a.x509?.caReferences?.secondary ?? "",
    endorsementKey: a.tpm?.endorsementKey ?? "",
    enabled: of.provisioningStatus !== "disabled",
    iotEdge: of.capabilities?.iotEdge ?? false,
    reprovision: r === undefined || r === null || (r.updateHubAssignment && r.migrateDeviceData) ? "migrate" : r.updateHubAssignment ? "reset" : "never",
    allocation: (of.allocationPolicy ?? "") as Draft["allocation"],
    hubs: of.iotHubs ?? (hub === undefined || hub === null || hub === "" ? [] : [hub]),
    webhookUrl: of.customAllocationDefinition?.webhookUrl ?? "",
    webhookVersion: of.customAllocationDefinition?.apiVersion ?? "2021-10-01",
    twin: of.initialTwin === undefined || of.initialTwin === null ? "" : JSON.stringify(of.initialTwin, null, 2),
  };
}

export type Wrong = Partial<Record<keyof Draft, string>>;

export function judge(d: Draft, kind: Kind, isNew: boolean): Wrong {
  const wrong: Wrong = {};
  const set = (key: keyof Draft, said: string | null): void => {
    if (said !== null) wrong[key] = said;
  };
  set("id", judgeId(d.id));
  if (d.deviceId !== "") set("deviceId", judgeDeviceId(d.deviceId));
  if (d.type === "symmetricKey") {
    set("primaryKey", judgeSymmetricKey(d.primaryKey));
    set("secondaryKey", judgeSymmetricKey(d.secondaryKey));
    if ((d.primaryKey === "") !== (d.secondaryKey === "")) set(d.primaryKey === "" ? "primaryKey" : "secondaryKey", "Give both keys, or none: then both are made");
  }
  if (d.type === "tpm") {
    if (kind === "enrollmentGroups") set("type", "A TPM belongs to one device: it needs an individual enrollment");
    set("endorsementKey", judgeEndorsementKey(d.endorsementKey));
  }
  if (d.type === "x509" && isNew) {
    if (kind === "enrollmentGroups" && d.by === "reference") {
      if (d.primaryReference === "") set("primaryReference", "Choose a CA certificate");
    } else if (d.primaryCertificate.trim() === "") set("primaryCertificate", "A certificate is needed");
  }
  if (d.allocation === "static" && d.hubs.length > 1) set("hubs", "A static assignment takes one hub");
  if (d.allocation === "custom") set("webhookUrl", judgeUrl(d.webhookUrl));
  set("twin", judgeTwin(d.twin));
  return wrong;
}

export function judgeId(id: string): string | null {
  if (id === "") return "An id is needed";
  if (id.length > 128) return `${id.length} of at most 128 characters`;
  const at = [...id].findIndex((c) => !/[A-Za-z0-9\-._:]/.test(c));
  if (at >= 0) return `The character ${at + 1}, “${[...id][at] ?? ""}”, cannot stand in an id. Letters, digits and - . _ : can`;
  return /[A-Za-z0-9-]$/.test(id) ? null : "An id ends with a letter, a digit or -";
}

function judgeDeviceId(id: string): string | null {
  if (id.length > 128) return `${id.length} of at most 128 characters`;
  const bad = [...id].find((c) => !/[A-Za-z0-9\-:.+%_#*?!(),=@;$']/.test(c));
  return bad === undefined ? null : `“${bad}” cannot stand in a device id`;
}

function judgeUrl(url: string): string | null {
  if (url === "") return "The webhook's URL is needed";
  try {
    const parsed = new URL(url);
    if (parsed.protocol === "https:" || (parsed.protocol === "http:" && /^(localhost|127\.|\[::1\])/.test(parsed.hostname))) return null;
    return "The URL begins with https://";
  } catch {
    return "This is not a URL";
  }
}

function judgeTwin(text: string): string | null {
  if (text.trim() === "") return null;
  try {
    const twin: unknown = JSON.parse(text);
    if (typeof twin !== "object" || twin === null || Array.isArray(twin)) return 'A twin is an object with "tags" and "properties"';
    const other = Object.keys(twin).find((k) => k !== "tags" && k !== "properties");
    return other === undefined ? null : `“${other}” is none of its members: "tags" and "properties" are`;
  } catch (error) {
    return error instanceof Error ? `This is not JSON: ${error.message}` : "This is not JSON";
  }
}

/** The document to write: what the form knows in place of what stood there, and the rest as it was. */
export function documentOf(d: Draft, kind: Kind, was: Document | null): Record<string, unknown> {
  const { etag: _etag, createdDateTimeUtc: _created, lastUpdatedDateTimeUtc: _updated, iotHubHostName: _hub, ...kept } = (was ?? {}) as EnrollmentCore & Record<string, unknown>;
  delete kept["registrationState"];
  const out: Record<string, unknown> = {
    ...kept,
    ...(kind === "enrollments" ? { registrationId: d.id } : { enrollmentGroupId: d.id }),
    attestation: attestationOf(d, kind, was?.attestation),
  };
  const put = (key: string, value: unknown, there: boolean): void => {
    if (there) out[key] = value;
    else delete out[key];
  };
  // What stands there by default is written only where it stood before.
  put("provisioningStatus", d.enabled ? "enabled" : "disabled", !d.enabled || was === null || kept.provisioningStatus !== undefined);
  put("capabilities", { iotEdge: d.iotEdge }, d.iotEdge || kept.capabilities !== undefined);
  put("reprovisionPolicy", { updateHubAssignment: d.reprovision !== "never", migrateDeviceData: d.reprovision === "migrate" }, d.reprovision !== "migrate" || kept.reprovisionPolicy !== undefined);
  if (kind === "enrollments") put("deviceId", d.deviceId, d.deviceId !== "");
  put("allocationPolicy", d.allocation, d.allocation !== "");
  put("iotHubs", d.hubs, d.hubs.length > 0);
  put("customAllocationDefinition", { webhookUrl: d.webhookUrl, apiVersion: d.webhookVersion }, d.allocation === "custom");
  put("initialTwin", d.twin.trim() === "" ? null : (JSON.parse(d.twin) as unknown), d.twin.trim() !== "");
  return out;
}

function attestationOf(d: Draft, kind: Kind, was: Attestation | undefined): Attestation {
  if (d.type === "symmetricKey") {
    return d.primaryKey === "" ? { type: "symmetricKey", ...(was?.type === "symmetricKey" && was.symmetricKey !== undefined ? { symmetricKey: was.symmetricKey } : {}) } : { type: "symmetricKey", symmetricKey: { primaryKey: d.primaryKey, secondaryKey: d.secondaryKey } };
  }
  if (d.type === "tpm") return { type: "tpm", tpm: { ...was?.tpm, endorsementKey: d.endorsementKey.replace(/\s+/g, "") } };
  if (kind === "enrollmentGroups" && d.by === "reference") {
    return { type: "x509", x509: { caReferences: { primary: d.primaryReference, ...(d.secondaryReference === "" ? {} : { secondary: d.secondaryReference }) } } };
  }
  if (d.primaryCertificate.trim() === "" && was?.type === "x509") return was;
  const sides = {
    primary: { certificate: d.primaryCertificate.trim() },
    ...(d.secondaryCertificate.trim() === "" ? {} : { secondary: { certificate: d.secondaryCertificate.trim() } }),
  };
  return { type: "x509", x509: kind === "enrollments" ? { clientCertificates: sides } : { signingCertificates: sides } };
}
