// The rows of an answer: a grid that draws only what is in view, filtered, sorted, with columns of any width.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Cell, Rows } from "../../api/logs";
import { Button, CodeBox, Empty } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { compare } from "../../parts/table";
import { toast } from "../../parts/toast";
import { plural } from "../../text/number";
import { csv, download, json, pretty } from "./export";

const ROW = 31;
const SPARE = 12;
const NUMBERS = new Set(["int", "long", "real", "decimal"]);

export function Result({ of, name }: { of: Rows; name: string }): JSX.Element {
  const [filter, setFilter] = useState("");
  const [sort, setSort] = useState<{ at: number; down: boolean } | null>(null);
  const [opened, setOpened] = useState<Cell[] | null>(null);
  const rows = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    const kept = wanted === "" ? of.rows : of.rows.filter((r) => r.some((c) => c !== null && String(c).toLowerCase().includes(wanted)));
    if (sort === null) return kept;
    const way = sort.down ? -1 : 1;
    return [...kept].sort((a, b) => way * compare(a[sort.at], b[sort.at]));
  }, [of, filter, sort]);

  if (of.columns.length === 0) return <Empty title="The query has no result" />;
  const shown: Rows = { ...of, rows };
  return (
    <>
      <div class="row toolbar">
        <input class="input filter" type="search" placeholder="Filter rows" aria-label="Filter rows" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        <span class="muted small grow" role="status">
          {filter === "" ? plural(of.rows.length, "row") : `${rows.length} of ${plural(of.rows.length, "row")}`} in {(of.ms / 1000).toFixed(2)} s
        </span>
        <Button small icon="copy" onClick={() => void copyAll(shown)}>
          Copy
        </Button>
        <Button small icon="export" onClick={() => download(`${name}.csv`, "text/csv", csv(shown))}>
          CSV
        </Button>
        <Button small icon="export" onClick={() => download(`${name}.json`, "application/json", json(shown))}>
          JSON
        </Button>
      </div>
      {of.rows.length === 0 ? <Empty title="No rows">The query ran and found nothing in this time.</Empty> : <Grid of={shown} sort={sort} onSort={setSort} onOpen={setOpened} />}
      {opened !== null && (
        <Dialog title="Row" wide onClose={() => setOpened(null)}>
          <CodeBox text={pretty(of.columns, opened)} label="the row as JSON" />
        </Dialog>
      )}
    </>
  );
}

async function copyAll(of: Rows): Promise<void> {
  const text = [of.columns.map((c) => c.name).join("\t"), ...of.rows.map((r) => r.map((c) => String(c ?? "").replace(/[\t\n\r]+/g, " ")).join("\t"))].join("\n");
  try {
    await navigator.clipboard.writeText(text);
    toast(`${plural(of.rows.length, "row")} copied.`);
  } catch {
    toast("The browser does not let this page copy.", "bad");
  }
}

interface GridProps {
  of: Rows;
  sort: { at: number; down: boolean } | null;
  onSort: (sort: { at: number; down: boolean } | null) => void;
  onOpen: (row: Cell[]) => void;
}

function Grid({ of, sort, onSort, onOpen }: GridProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const names = of.columns.map((c) => c.name).join("\u0000");
  const [widths, setWidths] = useState<number[]>([]);
  useEffect(() => setWidths(of.columns.map((c, i) => fitting(c.name, of.rows, i))), [names]);
  useEffect(() => {
    const at = box.current;
    if (at === null) return;
    const watch = new ResizeObserver(() => setHeight(at.clientHeight));
    watch.observe(at);
    return () => watch.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const last = Math.min(of.rows.length, Math.ceil((top + height) / ROW) + SPARE);
  const widen = (at: number, by: number): void => setWidths((now) => now.map((w, i) => (i === at ? Math.max(50, w + by) : w)));
  const total = 36 + widths.reduce((n, w) => n + w, 0);

  return (
    <div class="rows" ref={box} tabIndex={0} role="region" aria-label="Rows of the result" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
      <table aria-rowcount={of.rows.length + 1} style={{ width: `${total}px` }}>
        <colgroup>
          <col style={{ width: "36px" }} />
          {of.columns.map((c, i) => (
            <col key={i} style={{ width: `${widths[i] ?? 160}px` }} data-name={c.name} />
          ))}
        </colgroup>
        <thead>
          <tr>
            <th scope="col">
              <span class="sr">Open</span>
            </th>
            {of.columns.map((c, i) => (
              <th key={i} scope="col" aria-sort={sort?.at === i ? (sort.down ? "descending" : "ascending") : undefined}>
                <div>
                  <button type="button" class="sort" title={`${c.name}: ${c.type}`} onClick={() => onSort(next(sort, i))}>
                    {c.name} {sort?.at === i && <Icon name={sort.down ? "down" : "up"} size={11} />}
                  </button>
                  <Grip name={c.name} onMove={(by) => widen(i, by)} />
                </div>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Space rows={first} columns={of.columns.length + 1} />}
          {of.rows.slice(first, last).map((row, i) => (
            <tr key={first + i} class="row" aria-rowindex={first + i + 2} onDblClick={() => onOpen(row)}>
              <td class="opener">
                <button type="button" aria-label={`Open row ${first + i + 1}`} onClick={() => onOpen(row)}>
                  <Icon name="right" size={12} />
                </button>
              </td>
              {of.columns.map((c, at) => (
                <td key={at} class={NUMBERS.has(c.type) ? "right" : ""} title={long(row[at])}>
                  {shownCell(row[at], c.type)}
                </td>
              ))}
            </tr>
          ))}
          {last < of.rows.length && <Space rows={of.rows.length - last} columns={of.columns.length + 1} />}
        </tbody>
      </table>
    </div>
  );
}

function Space({ rows, columns }: { rows: number; columns: number }): JSX.Element {
  return (
    <tr aria-hidden="true" style={{ height: `${rows * ROW}px` }}>
      <td colSpan={columns} />
    </tr>
  );
}

function next(sort: { at: number; down: boolean } | null, at: number): { at: number; down: boolean } | null {
  if (sort?.at !== at) return { at, down: false };
  return sort.down ? null : { at, down: true };
}

function fitting(name: string, rows: readonly Cell[][], at: number): number {
  let longest = name.length + 3;
  for (const row of rows.slice(0, 60)) longest = Math.max(longest, String(row[at] ?? "").length);
  return Math.min(420, Math.max(80, longest * 7.6 + 20));
}

function long(cell: Cell | undefined): string | undefined {
  const text = String(cell ?? "");
  return text.length > 24 ? text.slice(0, 2000) : undefined;
}

function shownCell(cell: Cell | undefined, type: string): JSX.Element | string {
  if (cell === null || cell === undefined) return <span class="null">null</span>;
  const text = String(cell);
  if (type === "datetime") return text.replace("T", " ").replace(/(\.\d{3})\d*Z$/, "$1").replace(/Z$/, "");
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function Grip({ name, onMove }: { name: string; onMove: (by: number) => void }): JSX.Element {
  const from = useRef<number | null>(null);
  return (
    <button
      type="button"
      class="grip"
      aria-label={`Width of ${name}: arrow keys`}
      onPointerDown={(event) => {
        from.current = event.clientX;
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (from.current === null) return;
        onMove(event.clientX - from.current);
        from.current = event.clientX;
      }}
      onPointerUp={() => (from.current = null)}
      onKeyDown={(event) => {
        const by = event.key === "ArrowRight" ? 20 : event.key === "ArrowLeft" ? -20 : 0;
        if (by === 0) return;
        event.preventDefault();
        onMove(by);
      }}
    />
  );
}
