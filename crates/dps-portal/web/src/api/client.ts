// One call to the server: same origin, the session's cookie, and errors as sentences.
// It knows no page; who is signed in is told to it by `onSignedOut`.

export interface Answer<T> {
  body: T;
  status: number;
  etag: string | null;
  headers: Headers;
}

export interface Call {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly trackingId: string | null,
    readonly body: unknown,
    readonly target: string | null = null,
  ) {
    super(message);
  }
}

/** How long a 429 may make a reader wait before the page says so instead. */
const LONGEST_WAIT_S = 15;

let signedOut: () => void = () => undefined;
export function onSignedOut(then: () => void): void {
  signedOut = then;
}

let service: () => string | null = () => null;
/** Says which provisioning service a call is for; the service API's paths do not. */
export function onService(named: () => string | null): void {
  service = named;
}

export async function call<T>(method: string, path: string, what: Call = {}): Promise<Answer<T>> {
  const url = path + queryString(what.query);
  const named = service();
  for (let tries = 0; ; tries++) {
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          Accept: "application/json",
          "X-Muster-Portal": "1",
          ...(named === null ? {} : { "X-Muster-Service": named }),
          ...(what.body === undefined ? {} : { "Content-Type": "application/json" }),
          ...what.headers,
        },
        ...(what.body === undefined ? {} : { body: JSON.stringify(what.body) }),
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: what.signal ?? null,
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ApiError("The server does not answer. Is it running, and is this machine connected to it?", 0, "Unreachable", null, null);
    }
    const wait = Number(response.headers.get("retry-after"));
    if (response.status === 429 && tries < 2 && wait > 0 && wait <= LONGEST_WAIT_S && method !== "PUT") {
      await pause(wait * 1000, what.signal);
      continue;
    }
    const body = await read(response);
    if (!response.ok) throw refuse(method, path, response, body);
    return { body: body as T, status: response.status, etag: response.headers.get("etag"), headers: response.headers };
  }
}

export async function get<T>(path: string, what: Call = {}): Promise<T> {
  return (await call<T>("GET", path, what)).body;
}

function queryString(query: Call["query"]): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  if (pairs.length === 0) return "";
  return "?" + pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`).join("&");
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Members of the three shapes of error that the server has: ARM's, Azure Monitor's flat one, the service API's. */
function refuse(method: string, path: string, response: Response, body: unknown): ApiError {
  const flat = object(body);
  const inner = object(flat["error"]);
  const code = text(inner["code"]) ?? text(flat["code"]) ?? text(flat["errorCode"]) ?? String(response.status);
  const tracking = text(flat["trackingId"]) ?? text(inner["correlationId"]) ?? response.headers.get("x-ms-request-id");
  const deepest = innermost(inner);
  const said = deepest ?? text(inner["message"]) ?? text(flat["message"]);
  const target = text(inner["target"]) ?? text(flat["target"]);
  if (response.status === 401 && !path.startsWith("/portal/session")) signedOut();
  return new ApiError(sentence(method, response, said), response.status, code, tracking, body, target);
}

function sentence(method: string, response: Response, said: string | null): string {
  const tail = said === null || said === "" ? "" : ` ${said.trim()}`;
  switch (response.status) {
    case 401:
      return `You are not signed in any more.${tail}`;
    case 403:
      return `Your sign-in does not have the right to ${method === "GET" ? "read" : "change"} this.${tail}`;
    case 404:
      return tail === "" ? "There is no such thing." : tail.trim();
    case 412:
      return `Somebody else changed it meanwhile.${tail}`;
    case 429: {
      const wait = response.headers.get("retry-after");
      return `Too many requests at once. Try again ${wait === null ? "in a moment" : `in ${wait} s`}.`;
    }
    case 500:
    case 502:
    case 503:
    case 504:
      return `The server failed.${tail}`;
    default:
      return tail === "" ? `The server refused with ${response.status}.` : tail.trim();
  }
}

function innermost(error: Record<string, unknown>): string | null {
  let found: string | null = null;
  let at = object(error["innererror"]);
  for (let depth = 0; depth < 8 && Object.keys(at).length > 0; depth++) {
    found = text(at["message"]) ?? found;
    at = object(at["innererror"]);
  }
  return found;
}

export function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : null;
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, failed) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      failed(new DOMException("aborted", "AbortError"));
    });
  });
}

/** An id as one segment of a path. */
export const segment = encodeURIComponent;
