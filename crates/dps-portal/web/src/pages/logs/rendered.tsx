// The chart that `render` asked for, made of the rows of the answer.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Cell, Render, Rows } from "../../api/logs";
import { Empty, Note } from "../../parts/basics";
import { Ranking, Ring, TimeChart, type ChartKind, type Series } from "../../parts/chart";

const NUMBERS = new Set(["int", "long", "real", "decimal"]);
const MOST_SERIES = 24;
const MOST_SLICES = 12;

export function Rendered({ of, render }: { of: Rows; render: Render }): JSX.Element {
  const shape = useMemo(() => shapeOf(of, render), [of, render]);
  const title = render.title ?? "Chart of the result";
  if (shape === null) {
    return <Note tone="warn">The result has no column of numbers to draw, so it is a table only.</Note>;
  }
  if (shape.kind === "time") {
    return (
      <>
        {shape.left > 0 && <Note tone="warn">{shape.left} more series are not drawn.</Note>}
        <TimeChart label={title} kind={chartKind(render)} stacked={render.kind === "stacked" || (chartKind(render) === "bar" && render.kind !== "unstacked")} x={shape.x} series={shape.series} height={320} empty="No rows to draw." />
      </>
    );
  }
  if (shape.slices.length === 0) return <Empty title="No rows to draw" />;
  return render.visualization === "piechart" ? <Ring label={title} of={shape.slices} /> : <Ranking label={title} of={shape.slices} />;
}

function chartKind(render: Render): ChartKind {
  switch (render.visualization) {
    case "areachart":
    case "stackedareachart":
      return "area";
    case "barchart":
    case "columnchart":
      return "bar";
    default:
      return "line";
  }
}

type Shape = { kind: "time"; x: number[]; series: Series[]; left: number } | { kind: "name"; slices: { label: string; value: number }[] };

function shapeOf(of: Rows, render: Render): Shape | null {
  const index = (name: string): number => of.columns.findIndex((c) => c.name === name);
  const time = render.xColumn != null && index(render.xColumn) >= 0 ? index(render.xColumn) : of.columns.findIndex((c) => c.type === "datetime");
  const measures = of.columns.flatMap((c, i) => (NUMBERS.has(c.type) && i !== time ? [i] : []));
  if (measures.length === 0) return null;
  const names = of.columns.flatMap((c, i) => (!NUMBERS.has(c.type) && i !== time ? [i] : []));
  if (time >= 0 && of.columns[time]?.type === "datetime" && render.visualization !== "piechart") return overTime(of, time, measures, names);
  const measure = measures[0] ?? 0;
  const slices = of.rows.map((r) => ({ label: names.map((n) => cellText(r[n])).join(", ") || cellText(r[time]), value: Number(r[measure] ?? 0) })).filter((s) => Number.isFinite(s.value));
  const sorted = [...slices].sort((a, b) => b.value - a.value);
  if (render.visualization !== "piechart" || sorted.length <= MOST_SLICES) return { kind: "name", slices: render.visualization === "piechart" ? sorted : slices.slice(0, 200) };
  const rest = sorted.slice(MOST_SLICES).reduce((n, s) => n + s.value, 0);
  return { kind: "name", slices: [...sorted.slice(0, MOST_SLICES), { label: "Others", value: rest }] };
}

function overTime(of: Rows, time: number, measures: readonly number[], names: readonly number[]): Shape {
  const stamps = of.rows.map((r) => Date.parse(String(r[time] ?? "")) / 1000);
  const x = [...new Set(stamps.filter((t) => !Number.isNaN(t)))].sort((a, b) => a - b);
  const place = new Map(x.map((t, i) => [t, i]));
  const series = new Map<string, (number | null)[]>();
  of.rows.forEach((row, i) => {
    const at = place.get(stamps[i] ?? NaN);
    if (at === undefined) return;
    for (const m of measures) {
      const by = names.map((n) => cellText(row[n])).join(", ");
      const own = of.columns[m]?.name ?? "";
      const label = by === "" ? own : measures.length > 1 ? `${by} · ${own}` : by;
      const values = series.get(label) ?? new Array<number | null>(x.length).fill(null);
      const value = row[m];
      values[at] = value === null || value === undefined ? null : Number(value);
      series.set(label, values);
    }
  });
  const all = [...series].map(([label, values]) => ({ label, values }));
  return { kind: "time", x, series: all.slice(0, MOST_SERIES), left: Math.max(0, all.length - MOST_SERIES) };
}

function cellText(cell: Cell | undefined): string {
  return cell === null || cell === undefined || cell === "" ? "(empty)" : String(cell);
}
