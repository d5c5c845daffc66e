// A chart's points as CSV: one column a series.
import type { Series } from "../../parts/chart";
import { csv } from "../logs/export";

export function csvOf(x: readonly number[], series: readonly Series[]): string {
  return csv({
    columns: [{ name: "Time", type: "datetime" }, ...series.map((s) => ({ name: s.label, type: "real" }))],
    rows: x.map((t, i) => [new Date(t * 1000).toISOString(), ...series.map((s) => s.values[i] ?? null)]),
    render: null,
    partial: null,
    ms: 0,
  });
}
