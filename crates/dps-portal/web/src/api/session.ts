// Who is signed in, and to which provisioning service the pages speak.
import { computed, signal } from "@preact/signals";
import { ApiError, call, get, list, object, onService, onSignedOut, text } from "./client";

export interface Instance {
  name: string;
  resourceId: string;
  idScope: string;
  host: string;
}

export interface Rights {
  readEnrollments: boolean;
  writeEnrollments: boolean;
  configure: boolean;
  readRegistrations: boolean;
  writeRegistrations: boolean;
  /** Alert rules and action groups, which lie beside the service. */
  writeRules?: boolean;
  queryWorkspace?: boolean;
}

export interface Session {
  name: string;
  kind: "policy" | "token" | "oidc";
  expires: string;
  resourceId: string;
  subscriptionId: string;
  workspaceId: string;
  instances: Instance[];
  may: Rights;
  version: string;
  mode: "dev" | "serve";
}

export interface Provider {
  name: string;
  url: string;
}

/** `undefined` while it is not known yet, `null` when nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
export const providers = signal<Provider[]>([]);
/** Why the sign-in page is shown, where there is something to say. */
export const farewell = signal<string | null>(null);
const chosen = signal<string | null>(null);

export const instance = computed<Instance | null>(() => {
  const of = session.value;
  if (of === null || of === undefined) return null;
  const wanted = (chosen.value ?? of.resourceId).toLowerCase();
  return (
    of.instances.find((i) => i.resourceId.toLowerCase() === wanted) ??
    of.instances[0] ?? { name: of.resourceId.split("/").pop() ?? "", resourceId: of.resourceId, idScope: "", host: "" }
  );
});

const NONE: Rights = { readEnrollments: false, writeEnrollments: false, configure: false, readRegistrations: false, writeRegistrations: false };
export const may = computed<Rights>(() => session.value?.may ?? NONE);

export const mayWriteRules = computed<boolean>(() => may.value.writeRules ?? may.value.configure);
/** Why no rule can be made; nothing where one can. */
export const barredFromRules = computed<string | null>(() => (mayWriteRules.value ? null : "Your sign-in may not change alert rules"));

onSignedOut(() => {
  if (session.value === null || session.value === undefined) return;
  farewell.value = "Your session has ended. Sign in again to go on where you were.";
  session.value = null;
  void learnProviders();
});

export async function resume(): Promise<void> {
  try {
    session.value = await get<Session>("/portal/session");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      providers.value = providersOf(error);
    } else {
      farewell.value = error instanceof Error ? error.message : "The server does not answer.";
    }
    session.value = null;
  }
}

function providersOf(refusal: ApiError): Provider[] {
  return list(object(refusal.body)["providers"]).flatMap((p) => {
    const name = text(object(p)["name"]);
    const url = text(object(p)["url"]);
    return name !== null && url !== null && url.startsWith("/") ? [{ name, url }] : [];
  });
}

/** Whoever came with a session, as from an identity provider, was not told yet where one signs in. */
async function learnProviders(): Promise<void> {
  try {
    await get("/portal/session");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) providers.value = providersOf(error);
  }
}

export async function signIn(credential: { connectionString: string } | { token: string }): Promise<void> {
  await call("POST", "/portal/session", { body: credential });
  farewell.value = null;
  await resume();
}

export async function signOut(): Promise<void> {
  try {
    await call("DELETE", "/portal/session");
  } finally {
    farewell.value = "You are signed out.";
    chosen.value = null;
    session.value = null;
    await learnProviders();
  }
}

export function choose(resourceId: string): void {
  if (session.value?.instances.some((i) => i.resourceId === resourceId) === true) chosen.value = resourceId;
}

onService(() => instance.peek()?.name ?? null);
