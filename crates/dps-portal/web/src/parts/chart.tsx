// Charts over time on a canvas: lines, areas, stacked bars. Drawn by uPlot, described in words beside it.
import type uPlot from "uplot";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import { colour, painted } from "../shell/theme";
import { compact, figure } from "../text/number";
import { at } from "../text/time";

export interface Series {
  label: string;
  values: (number | null)[];
  /** One of the palette, `c1` to `c8`, or a tone. */
  colour?: string;
}

export type ChartKind = "line" | "area" | "bar";

export interface ChartProps {
  label: string;
  /** Seconds since 1970, ascending. */
  x: number[];
  series: readonly Series[];
  kind: ChartKind;
  height?: number;
  /** Whether one stands upon the other; bars do. */
  stacked?: boolean;
  empty?: string;
  legend?: boolean;
}

export const palette = (index: number): string => `c${(index % 8) + 1}`;

export function TimeChart(p: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [hover, setHover] = useState<number | null>(null);
  const coloured = useMemo(() => p.series.map((s, i) => ({ ...s, colour: s.colour ?? palette(i) })), [p.series]);
  const shown = useMemo(() => coloured.filter((s) => !hidden.has(s.label)), [coloured, hidden]);
  const stacked = p.stacked ?? p.kind === "bar";
  const some = useMemo(() => p.series.some((s) => s.values.some((v) => v !== null)), [p.series]);
  // A pointer that moves draws this anew for each point that it passes: what goes through all points is kept.
  const said = useMemo(() => describe(p.x, coloured), [p.x, coloured]);
  const sums = useMemo(() => coloured.map((s) => compact(sum(s.values))), [coloured]);
  const paint = painted.value;
  const height = p.height ?? 220;

  useEffect(() => {
    const at = box.current;
    if (at === null || !some) return;
    let chart: uPlot | null = null;
    let gone = false;
    const watch = new ResizeObserver(([entry]) => {
      if (chart !== null && entry !== undefined) chart.setSize({ width: Math.floor(entry.contentRect.width), height });
    });
    void import("uplot").then(({ default: Plot }) => {
      if (gone) return;
      const data = stacked ? stack(p.x, shown) : [p.x, ...shown.map((s) => s.values)];
      chart = new Plot(options(Plot, p.kind, shown, stacked, at.clientWidth, height, setHover), data as uPlot.AlignedData, at);
      watch.observe(at);
    });
    return () => {
      gone = true;
      watch.disconnect();
      chart?.destroy();
    };
  }, [p.x, shown, p.kind, stacked, paint, some, height]);

  if (!some) {
    return (
      <div class="chart-empty" style={{ height: `${height}px` }}>
        {p.empty ?? "Nothing was counted in this time."}
      </div>
    );
  }
  return (
    <figure class="chart">
      <div ref={box} class="canvas" style={{ minHeight: `${height}px` }} role="img" aria-label={`${p.label}. ${said}`} />
      {p.legend !== false && (
        <figcaption class="legend">
          {coloured.map((s, i) => (
            <button
              type="button"
              key={s.label}
              aria-pressed={!hidden.has(s.label)}
              title={hidden.has(s.label) ? "Show" : "Hide"}
              onClick={() => setHidden(toggled(hidden, s.label))}
            >
              <i style={{ background: `var(--${s.colour})` }} />
              <bdi>{s.label}</bdi>
              <b class="num">{hover === null ? sums[i] : figure(s.values[hover])}</b>
            </button>
          ))}
          <span class="muted small num when">{hover === null ? "" : at((p.x[hover] ?? 0) * 1000)}</span>
        </figcaption>
      )}
    </figure>
  );
}

function toggled(of: ReadonlySet<string>, label: string): ReadonlySet<string> {
  const next = new Set(of);
  if (!next.delete(label)) next.add(label);
  return next;
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((all, v) => all + (v ?? 0), 0);
}

function describe(x: readonly number[], series: readonly Series[]): string {
  const from = at((x[0] ?? 0) * 1000);
  const to = at((x[x.length - 1] ?? 0) * 1000);
  const parts = series.slice(0, 12).map((s) => {
    const known = s.values.filter((v): v is number => v !== null);
    return `${s.label}: last ${figure(known[known.length - 1])}, highest ${figure(known.length === 0 ? null : Math.max(...known))}`;
  });
  return `From ${from} to ${to}. ${parts.join("; ")}.`;
}

function stack(x: readonly number[], series: readonly Series[]): (readonly (number | null)[])[] {
  const tops: (number | null)[][] = [];
  const sums = new Array<number>(x.length).fill(0);
  for (const s of series) {
    tops.push(
      s.values.map((v, i) => {
        if (v === null) return sums[i] === 0 ? null : (sums[i] ?? 0);
        sums[i] = (sums[i] ?? 0) + v;
        return sums[i] ?? 0;
      }),
    );
  }
  return [x, ...tops.reverse()];
}

function options(Plot: typeof uPlot, kind: ChartKind, shown: readonly Required<Series>[], stacked: boolean, width: number, height: number, onHover: (index: number | null) => void): uPlot.Options {
  const muted = colour("muted");
  const line = colour("line");
  const drawn = stacked ? [...shown].reverse() : shown;
  const axis: uPlot.Axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height,
    padding: [10, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    // A bar stands around its time, so the first and the last need half a bar of room.
    scales: { x: { time: true, ...(kind === "bar" ? { range: (u: uPlot, low: number, high: number): [number, number] => [low - half(u), high + half(u)] } : {}) }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), nice(high ?? 1)] } },
    axes: [
      { ...axis, grid: { show: false }, space: 64, size: 30, incrs: [...INCREMENTS], values: (u, ticks) => whenTicks(u, ticks) },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((v) => compact(v)) },
    ],
    series: [
      {},
      ...drawn.map((s): uPlot.Series => {
        const ink = colour(s.colour);
        const soft = ink.replace(/^rgb\((.*)\)$/, "rgba($1, 0.16)");
        const filled = kind === "bar" ? ink : kind === "area" ? soft : undefined;
        return {
          label: s.label,
          stroke: ink,
          width: kind === "bar" ? 0 : 1.75,
          ...(filled === undefined ? {} : { fill: filled }),
          spanGaps: kind !== "bar",
          points: { show: kind !== "bar" && s.values.filter((v) => v !== null).length < 3 },
          ...(kind === "bar" && Plot.paths.bars !== undefined ? { paths: Plot.paths.bars({ size: [0.82, 48, 1], align: 0 }) } : {}),
        };
      }),
    ],
    hooks: { setCursor: [(u) => onHover(u.cursor.idx ?? null)] },
  };
}

function half(u: uPlot): number {
  const x = u.data[0];
  return x.length < 2 ? 30 : ((x[1] ?? 0) - (x[0] ?? 0)) / 2;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const INCREMENTS = [1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY];
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** The second within some minutes, the hour within a day, the day beyond one; a day that begins is named among hours. */
function whenTicks(u: uPlot, ticks: readonly number[]): string[] {
  const span = (u.scales["x"]?.max ?? 0) - (u.scales["x"]?.min ?? 0);
  return ticks.map((t) => {
    const date = new Date(t * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (span > 4 * DAY || midnight) return days.format(date);
    return span < 3 * MINUTE ? seconds.format(date) : hours.format(date);
  });
}

function nice(high: number): number {
  return high <= 0 ? 1 : high * 1.08;
}

/** Shares of a whole, as a ring with its figures beside it. */
export function Ring({ of, label }: { of: readonly { label: string; value: number }[]; label: string }): JSX.Element {
  const all = of.reduce((n, s) => n + s.value, 0);
  let from = 0;
  const arcs = of.map((s, i) => {
    const part = all === 0 ? 0 : s.value / all;
    const arc = { from, part, ink: palette(i), ...s };
    from += part;
    return arc;
  });
  return (
    <figure class="ring" aria-label={label}>
      <svg viewBox="0 0 42 42" width="150" height="150" aria-hidden="true">
        {arcs.map((a) => (
          <circle key={a.label} cx="21" cy="21" r="15.915" fill="none" stroke={`var(--${a.ink})`} stroke-width="6" stroke-dasharray={`${a.part * 100} ${100 - a.part * 100}`} stroke-dashoffset={25 - a.from * 100} />
        ))}
        <text x="21" y="22.8" text-anchor="middle" font-size="5.5" font-weight="650" fill="var(--text)">
          {compact(all)}
        </text>
      </svg>
      <ul class="plain legend column">
        {arcs.map((a) => (
          <li key={a.label}>
            <i style={{ background: `var(--${a.ink})` }} />
            <bdi class="wrap">{a.label}</bdi>
            <b class="num">{figure(a.value)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** Figures by name, longest first: what a bar chart of categories is for. */
export function Ranking({ of, label, tone = "c1" }: { of: readonly { label: string; value: number; href?: string; hint?: string }[]; label: string; tone?: string }): JSX.Element {
  const most = Math.max(1, ...of.map((s) => s.value));
  return (
    <ul class="plain ranking" aria-label={label}>
      {of.map((s, i) => (
        <li key={`${s.label}${i}`}>
          <div class="row">
            <span class="grow wrap">{s.href === undefined ? <bdi>{s.label}</bdi> : <a href={s.href}><bdi>{s.label}</bdi></a>}</span>
            <b class="num">{figure(s.value)}</b>
          </div>
          {s.hint !== undefined && <div class="muted small wrap">{s.hint}</div>}
          <div class="track">
            <div style={{ width: `${(100 * s.value) / most}%`, background: `var(--${tone})` }} />
          </div>
        </li>
      ))}
    </ul>
  );
}
