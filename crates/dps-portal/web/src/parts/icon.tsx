// The portal's pictograms: 16 by 16, one stroke.
import type { JSX } from "preact";

const PATHS = {
  overview: "M2 13V8m4 5V3m4 10V6m4 7V9",
  logs: "M3 3h10M3 6.5h10M3 10h6M3 13.5h4",
  metrics: "M2 12l4-5 3 3 5-7M2 14h12",
  alerts: "M8 2a4 4 0 0 0-4 4v3l-1.5 2.5h11L12 9V6a4 4 0 0 0-4-4zM6.5 14h3",
  settings: "M2 4h7m3 0h2M2 8h2m3 0h7M2 12h6m3 0h3M10.5 2.5v3M5.5 6.5v3M9.5 10.5v3",
  enrollments: "M3 2.5h10v11H3zM5.5 6h5M5.5 9h5",
  groups: "M2 4.5h5v5H2zM9 2.5h5v4H9zM9 9.5h5v4H9z",
  inbox: "M2 9l2-6h8l2 6v4H2zM2 9h3.5l1 2h3l1-2H14",
  hubs: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.5v4m0 5v4M1.5 8h4m5 0h4",
  certificates: "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4zM6 8l1.5 1.5L10.5 6.5",
  policies: "M10.5 2a3.5 3.5 0 1 0-3 5.200L3 11.700V14h2.300v-1.700H7v-1.700h1.5l1-1.5",
  diagnose: "M6.5 2a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10 10l4 4M4.5 6.5h1l1-2 1 4 .8-2h.7",
  dev: "M5 5L2 8l3 3m6-6l3 3-3 3M9 3L7 13",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5L14 14",
  menu: "M2 4h12M2 8h12M2 12h12",
  close: "M3.5 3.5l9 9m0-9l-9 9",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  check: "M3 8.5l3.5 3.5L13 4.5",
  warn: "M8 2.5L1.5 13.5h13zM8 6.5v3.5m0 2v.1",
  bad: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 4.5v4m0 2.5v.1",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 7.5v4M8 4.800v.1",
  plus: "M8 3v10M3 8h10",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5m0 11V15M1 8h1.5m11 0H15M3 3l1 1m8 8l1 1M3 13l1-1m8-8l1-1",
  moon: "M13.5 9.5A6 6 0 1 1 6.5 2.5a5 5 0 0 0 7 7z",
  system: "M2 3h12v8H2zM6 14h4",
  out: "M6 2.5H2.5v11H6M10 5l3 3-3 3m3-3H6",
  up: "M8 13V3m-4 4l4-4 4 4",
  down: "M8 3v10m-4-4l4 4 4-4",
  right: "M6 3l5 5-5 5",
  play: "M4.5 3v10l8-5z",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  save: "M3 2.5h8l2 2v9H3zM5.5 2.5v3.5h4v-3.5M5.5 13.5v-4h5v4",
  trash: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.600l.7-9",
  pencil: "M3 13l.7-3L10.5 3.200l2.300 2.300L6 12.300z",
  bolt: "M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z",
  clock: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 4.5V8l2.5 1.5",
  export: "M8 10V2m-3 3l3-3 3 3M3 9v4.5h10V9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
