// Instants and durations as people read them, and as ISO 8601 has them.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function at(when: string | number | Date | null | undefined): string {
  const date = asDate(when);
  return date === null ? "" : full.format(date);
}

export function atDay(when: string | number | Date | null | undefined): string {
  const date = asDate(when);
  return date === null ? "" : day.format(date);
}

export function atClock(when: string | number | Date | null | undefined): string {
  const date = asDate(when);
  if (date === null) return "";
  return Date.now() - date.getTime() < DAY ? clock.format(date) : full.format(date);
}

function asDate(when: string | number | Date | null | undefined): Date | null {
  if (when === null || when === undefined || when === "") return null;
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** "3 min ago", "in 2 d". */
export function ago(when: string | number | Date, now = Date.now()): string {
  const date = asDate(when);
  if (date === null) return "";
  const ms = now - date.getTime();
  const size = Math.abs(ms);
  if (size < 5000) return "now";
  const said = rough(size);
  return ms > 0 ? `${said} ago` : `in ${said}`;
}

export function rough(ms: number): string {
  if (ms < MINUTE) return `${Math.round(ms / 1000)} s`;
  if (ms < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} d`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return rough(ms);
}

export interface Range {
  label: string;
  /** Milliseconds up to now. */
  ms: number;
  iso: string;
}

export const RANGES: readonly Range[] = [
  { label: "Last 30 minutes", ms: 30 * MINUTE, iso: "PT30M" },
  { label: "Last hour", ms: HOUR, iso: "PT1H" },
  { label: "Last 4 hours", ms: 4 * HOUR, iso: "PT4H" },
  { label: "Last 12 hours", ms: 12 * HOUR, iso: "PT12H" },
  { label: "Last 24 hours", ms: DAY, iso: "P1D" },
  { label: "Last 3 days", ms: 3 * DAY, iso: "P3D" },
  { label: "Last 7 days", ms: 7 * DAY, iso: "P7D" },
  { label: "Last 30 days", ms: 30 * DAY, iso: "P30D" },
  { label: "Last 90 days", ms: 90 * DAY, iso: "P90D" },
];

export function rangeOf(iso: string): Range {
  return RANGES.find((r) => r.iso === iso) ?? (RANGES[1] as Range);
}

/** `start/end` up to now, whole minutes. */
export function spanOf(ms: number): string {
  const end = Math.ceil(Date.now() / MINUTE) * MINUTE;
  return `${new Date(end - ms).toISOString()}/${new Date(end).toISOString()}`;
}

export const GRAINS: readonly { label: string; iso: string; ms: number }[] = [
  { label: "1 minute", iso: "PT1M", ms: MINUTE },
  { label: "5 minutes", iso: "PT5M", ms: 5 * MINUTE },
  { label: "15 minutes", iso: "PT15M", ms: 15 * MINUTE },
  { label: "30 minutes", iso: "PT30M", ms: 30 * MINUTE },
  { label: "1 hour", iso: "PT1H", ms: HOUR },
  { label: "6 hours", iso: "PT6H", ms: 6 * HOUR },
  { label: "12 hours", iso: "PT12H", ms: 12 * HOUR },
  { label: "1 day", iso: "P1D", ms: DAY },
];

/** The finest grain that keeps a chart at some hundreds of points. */
export function grainFor(ms: number): string {
  return (GRAINS.find((g) => ms / g.ms <= 300) ?? GRAINS[GRAINS.length - 1])?.iso ?? "P1D";
}
