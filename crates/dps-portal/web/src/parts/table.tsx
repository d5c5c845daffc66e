// A list of resources, a page at a time: of pages of the server, or of what is there already. Sorted in the page.
import type { ComponentChildren, JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Pages } from "../api/pages";
import { figure } from "../text/number";
import { Icon } from "./icon";
import { Button } from "./basics";

/** Rows that are drawn at once of a list that is there as a whole. */
const AT_ONCE = 200;

export interface Column<T> {
  key: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** What it sorts by; a column without it does not sort. */
  by?: (row: T) => string | number | boolean | null | undefined;
  right?: boolean;
}

export interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  sort?: { key: string; down: boolean };
  /** Of a list that comes page by page: where `rows` stand in it. */
  pages?: Pages<T>;
  empty?: ComponentChildren;
}

export function Table<T>(p: TableProps<T>): JSX.Element {
  const [sort, setSort] = useState(p.sort ?? null);
  const [asked, setAsked] = useState(0);
  const all = useMemo(() => sorted(p.rows, p.columns, sort), [p.rows, p.columns, sort]);
  const last = Math.max(0, Math.ceil(all.length / AT_ONCE) - 1);
  const here = Math.min(asked, last);
  const rows = p.pages !== undefined ? all : all.slice(here * AT_ONCE, (here + 1) * AT_ONCE);
  const turner =
    p.pages !== undefined ? (
      <Turner before={p.pages.before} count={rows.length} of={p.pages.hasNext ? null : p.pages.before + rows.length} busy={p.pages.busy} first={p.pages.first} previous={p.pages.hasPrevious ? p.pages.previous : null} next={p.pages.hasNext ? p.pages.next : null} />
    ) : (
      <Turner before={here * AT_ONCE} count={rows.length} of={all.length} busy={false} first={() => setAsked(0)} previous={here > 0 ? () => setAsked(here - 1) : null} next={here < last ? () => setAsked(here + 1) : null} />
    );
  if (p.rows.length === 0 && p.empty !== undefined) {
    return (
      <>
        {p.empty}
        {turner}
      </>
    );
  }
  return (
    <>
      <div class="scroller" tabIndex={0} role="region" aria-label={p.label}>
        <table class="table">
          <caption class="sr">{p.label}</caption>
          <thead>
            <tr>
              {p.columns.map((c) => (
                <th key={c.key} scope="col" class={c.right === true ? "right" : ""} aria-sort={sort?.key === c.key ? (sort.down ? "descending" : "ascending") : undefined}>
                  {c.by === undefined ? (
                    <span>{c.title}</span>
                  ) : (
                    <button type="button" onClick={() => setSort({ key: c.key, down: sort?.key === c.key && !sort.down })}>
                      {c.title}
                      {sort?.key === c.key && <Icon name={sort.down ? "down" : "up"} size={12} />}
                    </button>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={p.rowKey(row)}>
                {p.columns.map((c) => (
                  <td key={c.key} class={c.right === true ? "right num" : ""}>
                    {c.cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {turner}
    </>
  );
}

interface TurnerProps {
  /** Rows before the page. */
  before: number;
  /** Rows on it. */
  count: number;
  /** All there are; none while that is not known. */
  of: number | null;
  busy: boolean;
  first: () => void;
  previous: (() => void) | null;
  next: (() => void) | null;
}

/** Where the page stands, and the ways to others; nothing where there is only one. */
function Turner(p: TurnerProps): JSX.Element | null {
  if (p.previous === null && p.next === null) return null;
  const rows = p.count === 0 ? "No row here" : `${figure(p.before + 1)}–${figure(p.before + p.count)}`;
  return (
    <nav class="more" aria-label="Pages of the list">
      <Button small disabled={p.previous === null} onClick={p.first}>
        First
      </Button>
      <Button small disabled={p.previous === null} onClick={() => p.previous?.()}>
        Previous
      </Button>
      <span class="muted small num" role="status">
        {p.busy ? "…" : p.of === null ? rows : `${rows} of ${figure(p.of)}`}
      </span>
      <Button small disabled={p.next === null} onClick={() => p.next?.()}>
        Next
      </Button>
    </nav>
  );
}

function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sort: { key: string; down: boolean } | null): readonly T[] {
  const by = columns.find((c) => c.key === sort?.key)?.by;
  if (by === undefined || sort === null) return rows;
  const way = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => way * compare(by(a), by(b)));
}

export function compare(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
