// Conditions on a metric's dimensions, as the address keeps them and as the metrics API reads them.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readMetrics, type MetricDefinition } from "../../api/insights";
import { useLoad } from "../../api/load";
import { Button } from "../../parts/basics";
import { Pick } from "../../parts/form";
import { spanOf } from "../../text/time";

export interface Condition {
  dimension: string;
  not: boolean;
  value: string;
}

/** `Status!=Success;Protocol=Mqtt`, each part encoded. */
export function parseFilters(text: string | null, dimensions: readonly string[]): Condition[] {
  return (text ?? "")
    .split(";")
    .flatMap((part) => {
      const match = /^(\w+)(!?=)(.*)$/s.exec(part);
      if (match === null || !dimensions.includes(match[1] ?? "")) return [];
      return [{ dimension: match[1] ?? "", not: match[2] === "!=", value: decode(match[3] ?? "") }];
    })
    .slice(0, 10);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function writeFilters(of: readonly Condition[]): string {
  return of.map((c) => `${c.dimension}${c.not ? "!=" : "="}${encodeURIComponent(c.value)}`).join(";");
}

/** `or` joins the values of one dimension, `and` the dimensions and what is excluded. */
export function filterText(of: readonly Condition[], split: string): string | undefined {
  const parts: string[] = [];
  const quote = (value: string): string => `'${value.replace(/'/g, "''")}'`;
  for (const dimension of new Set(of.map((c) => c.dimension))) {
    const wanted = of.filter((c) => c.dimension === dimension && !c.not);
    if (wanted.length > 0) parts.push(wanted.map((c) => `${dimension} eq ${quote(c.value)}`).join(" or "));
    for (const c of of.filter((c) => c.dimension === dimension && c.not)) parts.push(`${dimension} ne ${quote(c.value)}`);
  }
  if (split !== "" && !of.some((c) => c.dimension === split)) parts.push(`${split} eq '*'`);
  return parts.length === 0 ? undefined : parts.join(" and ");
}

/** The values that a dimension had in this time. */
function useValues(definition: MetricDefinition, dimension: string, range: number): string[] {
  const { data } = useLoad(
    async (signal) => {
      if (dimension === "") return [];
      const metrics = await readMetrics(
        { namespace: definition.namespace, metrics: definition.name.value, aggregation: definition.primaryAggregationType, timespan: spanOf(Math.max(range, 86_400_000)), interval: "FULL", filter: `${dimension} eq '*'`, top: 100 },
        signal,
      );
      return [...new Set((metrics[0]?.timeseries ?? []).map((t) => t.metadatavalues[0]?.value ?? ""))].sort();
    },
    [definition.name.value, dimension],
  );
  return data ?? [];
}

export function Filters({ filters, dimensions, onChange, definition, range }: { filters: Condition[]; dimensions: string[]; onChange: (next: Condition[]) => void; definition: MetricDefinition; range: number }): JSX.Element | null {
  const [adding, setAdding] = useState<string | null>(null);
  const values = useValues(definition, adding ?? "", range);
  const [not, setNot] = useState(false);
  if (dimensions.length === 0) return null;
  return (
    <div class="row toolbar" role="group" aria-label="Filter">
      <span class="muted small">Filter</span>
      {filters.map((c, i) => (
        <span class="tag plain accent" key={i}>
          <bdi>
            {c.dimension} {c.not ? "is not" : "is"} {c.value === "" ? "(none)" : c.value}
          </bdi>
          <Button kind="quiet" small icon="close" label={`Remove the filter on ${c.dimension}`} onClick={() => onChange(filters.filter((_, at) => at !== i))} />
        </span>
      ))}
      {adding === null ? (
        <Button small icon="plus" onClick={() => setAdding(dimensions.find((d) => d === "Status") ?? dimensions[0] ?? "")}>
          Add
        </Button>
      ) : (
        <>
          <Pick label="Dimension" value={adding} of={dimensions.map((d) => [d, d] as const)} onChange={setAdding} />
          <Pick
            label="Operator"
            value={not ? "ne" : "eq"}
            of={[
              ["eq", "is"],
              ["ne", "is not"],
            ]}
            onChange={(v) => setNot(v === "ne")}
          />
          <Pick
            label="Value"
            value=""
            of={[["", values.length === 0 ? "No values in this time" : "Choose a value"] as const, ...values.map((v) => [`=${v}`, v === "" ? "(none)" : v] as const)]}
            onChange={(value) => {
              if (value === "") return;
              onChange([...filters, { dimension: adding, not, value: value.slice(1) }]);
              setAdding(null);
            }}
          />
          <Button small kind="quiet" onClick={() => setAdding(null)}>
            Cancel
          </Button>
        </>
      )}
    </div>
  );
}
