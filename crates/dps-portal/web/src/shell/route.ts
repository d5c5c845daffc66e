// The address of a page: `#/page/part?name=value`. Nothing secret ever stands in it.
import { signal } from "@preact/signals";

export interface Route {
  page: string;
  parts: string[];
  query: URLSearchParams;
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  if (link(route.value.page, route.value.parts, Object.fromEntries(route.value.query)) !== location.hash) route.value = parse(location.hash);
});

function parse(hash: string): Route {
  const [path = "", query = ""] = split(hash.replace(/^#\/?/, ""));
  const parts = path.split("/").filter((p) => p !== "").map(decoded);
  return { page: parts[0] ?? "overview", parts: parts.slice(1), query: new URLSearchParams(query) };
}

function split(text: string): [string, string] {
  const at = text.indexOf("?");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function link(page: string, parts: readonly string[] = [], query: Record<string, string | undefined> = {}): string {
  const path = [page, ...parts.map(encodeURIComponent)].join("/");
  const pairs = Object.entries(query).filter((e): e is [string, string] => e[1] !== undefined && e[1] !== "");
  return `#/${path}${pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`}`;
}

export function go(page: string, parts: readonly string[] = [], query: Record<string, string | undefined> = {}): void {
  location.hash = link(page, parts, query);
  // The event comes later; whoever amends the address next must see the new one.
  route.value = parse(location.hash);
}

/** The same page with other values, without a new entry in the history. */
export function amend(query: Record<string, string | undefined>): void {
  const now = route.value;
  const next: Record<string, string | undefined> = Object.fromEntries(now.query);
  Object.assign(next, query);
  history.replaceState(null, "", link(now.page, now.parts, next));
  route.value = parse(location.hash);
}
