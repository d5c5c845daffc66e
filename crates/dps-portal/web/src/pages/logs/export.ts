// Rows as CSV and JSON, and into a file.
import type { Cell, ColumnType, Rows } from "../../api/logs";

/** RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csv(of: Rows): string {
  const line = (cells: readonly (string | Cell)[]): string => cells.map(quoted).join(",");
  return [line(of.columns.map((c) => c.name)), ...of.rows.map(line)].join("\r\n") + "\r\n";
}

function quoted(cell: string | Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

export function json(of: Rows): string {
  return `${JSON.stringify(
    of.rows.map((row) => object(of.columns, row)),
    null,
    2,
  )}\n`;
}

export function pretty(columns: readonly ColumnType[], row: readonly Cell[]): string {
  return JSON.stringify(object(columns, row), null, 2);
}

function object(columns: readonly ColumnType[], row: readonly Cell[]): Record<string, unknown> {
  return Object.fromEntries(columns.map((c, i) => [c.name, opened(row[i] ?? null, c)]));
}

/** What is JSON inside a text is shown as such: `properties_s` and every dynamic column. */
function opened(cell: Cell, column: ColumnType): unknown {
  if (typeof cell !== "string" || !/^[[{]/.test(cell) || (column.type !== "dynamic" && !column.name.endsWith("_s"))) return cell;
  try {
    return JSON.parse(cell) as unknown;
  } catch {
    return cell;
  }
}

export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
