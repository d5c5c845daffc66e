// Questions to the workspace, and the editor's analysis of them.
import { ApiError, call, list, object, segment, text } from "./client";
import { session } from "./session";

export interface ColumnType {
  name: string;
  type: string;
}

export type Cell = string | number | boolean | null;

export interface Rows {
  columns: ColumnType[];
  rows: Cell[][];
  render: Render | null;
  /** What the server says of a result that is not whole. */
  partial: string | null;
  ms: number;
}

export interface Render {
  visualization: string;
  title?: string | null;
  kind?: string | null;
  xColumn?: string | null;
  yColumns?: string[] | null;
  series?: string[] | null;
}

export async function ask(query: string, timespan?: string, signal?: AbortSignal): Promise<Rows> {
  const began = performance.now();
  const workspace = session.value?.workspaceId ?? "";
  const { body } = await call<unknown>("POST", `/v1/workspaces/${segment(workspace)}/query`, {
    body: timespan === undefined ? { query } : { query, timespan },
    headers: { Prefer: "wait=120,include-render=true,include-statistics=true" },
    signal,
  });
  const answer = object(body);
  const table = object(list(answer["tables"])[0]);
  const render = object(answer["render"]);
  const error = object(answer["error"]);
  return {
    columns: list(table["columns"]).map((c) => ({ name: text(object(c)["name"]) ?? "", type: text(object(c)["type"]) ?? "string" })),
    rows: list(table["rows"]) as Cell[][],
    render: text(render["visualization"]) === null ? null : (render as unknown as Render),
    partial: text(error["message"]),
    ms: performance.now() - began,
  };
}

/** Rows as objects, for pages that ask a fixed question. */
export function records(of: Rows): Record<string, Cell>[] {
  return of.rows.map((row) => Object.fromEntries(of.columns.map((c, i) => [c.name, row[i] ?? null])));
}

/** A text as a KQL literal: whatever is in it, it stays one string. */
export function literal(value: string): string {
  const safe = value.replace(/[\\"]/g, (c) => `\\${c}`).replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `"${safe}"`;
}

export interface Analysis {
  tokens: { from: number; to: number; kind: string }[];
  errors: { from: number; to: number; code: string; message: string; severity?: string; suggestion?: string | null }[];
  completions: { label: string; kind: string; detail?: string; insert?: string; from: number; to: number }[];
}

let analysable = true;

/** `null` where this server does not analyse queries. */
export async function analyse(query: string, cursor: number | undefined, signal?: AbortSignal): Promise<Analysis | null> {
  if (!analysable) return null;
  try {
    const { body } = await call<Analysis>("POST", "/portal/kql", { body: cursor === undefined ? { text: query } : { text: query, cursor }, signal });
    return body;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 405)) analysable = false;
    if (error instanceof DOMException) throw error;
    return null;
  }
}
