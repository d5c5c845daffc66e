// Two documents, line by line: what stands in one alone, and what in both.

export interface Line {
  kind: "same" | "gone" | "new";
  text: string;
}

/** Bounded: documents of an enrollment have some hundreds of lines. */
const MOST_LINES = 2000;

export function diff(before: unknown, after: unknown): Line[] {
  const a = JSON.stringify(sorted(before), null, 2).split("\n").slice(0, MOST_LINES);
  const b = JSON.stringify(sorted(after), null, 2).split("\n").slice(0, MOST_LINES);
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? (common[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0);
    }
  }
  const out: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ kind: "same", text: a[i] ?? "" });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))) out.push({ kind: "gone", text: a[i++] ?? "" });
    else out.push({ kind: "new", text: b[j++] ?? "" });
  }
  return out;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)).map(([k, v]) => [k, sorted(v)]));
}
