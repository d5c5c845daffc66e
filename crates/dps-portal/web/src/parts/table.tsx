// A list of resources: sorted in the page, continued by the server.
import type { ComponentChildren, JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Icon } from "./icon";
import { Button } from "./basics";

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
  more?: { busy: boolean; onMore: () => void } | undefined;
  empty?: ComponentChildren;
}

export function Table<T>(p: TableProps<T>): JSX.Element {
  const [sort, setSort] = useState(p.sort ?? null);
  const rows = useMemo(() => sorted(p.rows, p.columns, sort), [p.rows, p.columns, sort]);
  if (p.rows.length === 0 && p.empty !== undefined && p.more === undefined) return <>{p.empty}</>;
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
      {p.more !== undefined && (
        <div class="more">
          <span class="muted small">{p.rows.length} shown</span>
          <Button busy={p.more.busy} onClick={p.more.onMore}>
            Show more
          </Button>
        </div>
      )}
    </>
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
