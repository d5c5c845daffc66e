// The provisioning service as a resource, and what lies beneath it: hubs, keys, CA certificates.
import { call, get, segment, type Answer } from "./client";
import { instance, session } from "./session";

export const SERVICE_VERSION = "2022-12-12";

export interface LinkedHub {
  name: string;
  connectionString: string;
  location: string;
  allocationWeight: number;
  applyAllocationPolicy: boolean;
}

export interface ProvisioningService {
  id: string;
  name: string;
  location: string;
  etag: string;
  sku: { name: string; capacity: number };
  tags: Record<string, string>;
  properties: {
    allocationPolicy: string;
    deviceProvisioningHostName: string;
    serviceOperationsHostName: string;
    idScope: string;
    iotHubs: LinkedHub[];
    ipFilterRules: unknown[];
    state: string;
    provisioningState: string;
    publicNetworkAccess: string;
    disableLocalAuth: boolean;
    authorizationPolicies?: Policy[];
  };
}

export interface Policy {
  keyName: string;
  primaryKey?: string;
  secondaryKey?: string;
  rights: string;
}

export interface CaCertificate {
  id: string;
  name: string;
  etag: string;
  properties: {
    subject: string;
    expiry: string;
    thumbprint: string;
    isVerified: boolean;
    created: string;
    updated: string;
    certificate?: string;
    verificationCode?: string;
  };
}

const VERSION = { "api-version": SERVICE_VERSION };

export function resource(): string {
  return instance.value?.resourceId ?? "";
}

export function subscription(): string {
  return `/subscriptions/${resource().split("/")[2] ?? session.value?.subscriptionId ?? ""}`;
}

export function resourceGroup(): string {
  return resource().split("/").slice(0, 5).join("/");
}

export function readService(signal?: AbortSignal): Promise<ProvisioningService> {
  return get(resource(), { query: VERSION, signal });
}

/** A PUT that is read whole; the answer comes before the change is done, so it is waited for. */
export async function writeService(next: ProvisioningService, properties: Partial<ProvisioningService["properties"]>): Promise<void> {
  const { allocationPolicy, iotHubs } = next.properties;
  const answer = await call("PUT", resource(), {
    query: VERSION,
    headers: { "If-Match": next.etag },
    body: { location: next.location, tags: next.tags, sku: { name: next.sku.name, capacity: next.sku.capacity }, properties: { allocationPolicy, iotHubs, ...properties } },
  });
  await settled(answer);
}

async function settled(answer: Answer<unknown>): Promise<void> {
  const where = answer.headers.get("azure-asyncoperation");
  if (where === null) return;
  const url = new URL(where, location.href);
  for (let tries = 0; tries < 60; tries++) {
    await new Promise((done) => setTimeout(done, tries < 3 ? 250 : 1000));
    const state = await get<{ status: string; error?: { message?: string } }>(url.pathname + url.search);
    if (state.status === "Succeeded") return;
    if (state.status === "Failed" || state.status === "Canceled") throw new Error(state.error?.message ?? "The change failed.");
  }
}

export async function readPolicies(signal?: AbortSignal): Promise<Policy[]> {
  return (await call<{ value: Policy[] }>("POST", `${resource()}/listkeys`, { query: VERSION, signal })).body.value;
}

export async function readCertificates(signal?: AbortSignal): Promise<CaCertificate[]> {
  return (await get<{ value: CaCertificate[] }>(`${resource()}/certificates`, { query: VERSION, signal })).value;
}

export async function writeCertificate(name: string, certificate: string, isVerified: boolean, etag?: string): Promise<void> {
  await call("PUT", `${resource()}/certificates/${segment(name)}`, {
    query: VERSION,
    headers: etag === undefined ? {} : { "If-Match": etag },
    body: { properties: { certificate, isVerified } },
  });
}

export async function verificationCode(of: CaCertificate): Promise<CaCertificate> {
  return (await call<CaCertificate>("POST", `${resource()}/certificates/${segment(of.name)}/generateVerificationCode`, { query: VERSION, headers: { "If-Match": of.etag } })).body;
}

export async function verifyCertificate(of: CaCertificate, proof: string): Promise<void> {
  await call("POST", `${resource()}/certificates/${segment(of.name)}/verify`, { query: VERSION, headers: { "If-Match": of.etag }, body: { certificate: proof } });
}

export async function deleteCertificate(of: CaCertificate): Promise<void> {
  await call("DELETE", `${resource()}/certificates/${segment(of.name)}`, { query: VERSION, headers: { "If-Match": of.etag } });
}
