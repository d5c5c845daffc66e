// Metrics: one metric, how it is summed up, over which time, split and filtered; and the alert rule that watches just that.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { AZURE_NAMESPACE, readDefinitions, readMetrics, type Metric, type MetricDefinition, type Point } from "../../api/insights";
import { useLoad } from "../../api/load";
import { barredFromRules, mayWriteRules } from "../../api/session";
import { Button, Card, Failure, Note, Page, Segments, Waiting } from "../../parts/basics";
import { TimeChart, type ChartKind, type Series } from "../../parts/chart";
import { Pick } from "../../parts/form";
import { amend, go, route } from "../../shell/route";
import { figure } from "../../text/number";
import { GRAINS, grainFor, rangeOf, RANGES, spanOf } from "../../text/time";
import { csvOf } from "./export";
import { download } from "../logs/export";
import { Filters, filterText, parseFilters, writeFilters } from "./filters";

const MOST_POINTS = 12_000;

export function Metrics(): JSX.Element {
  const definitions = useLoad(readDefinitions, []);
  return (
    <Page title="Metrics" about="What the service counted, minute by minute, for 93 days.">
      {definitions.data !== undefined ? <Explorer definitions={definitions.data} /> : definitions.error !== null ? <Failure error={definitions.error} retry={definitions.reload} /> : <Waiting lines={6} />}
    </Page>
  );
}

function Explorer({ definitions }: { definitions: MetricDefinition[] }): JSX.Element {
  const q = route.value.query;
  const definition = definitions.find((d) => d.name.value === q.get("metric")) ?? definitions[0];
  if (definition === undefined) return <Note>This server has no metrics.</Note>;
  const aggregation = definition.supportedAggregationTypes.find((a) => a === q.get("aggregation")) ?? definition.primaryAggregationType;
  const range = rangeOf(q.get("range") ?? "PT1H");
  const asked = q.get("interval");
  const coarse = GRAINS.filter((g) => range.ms / g.ms <= MOST_POINTS && range.ms >= g.ms);
  const interval = coarse.find((g) => g.iso === asked)?.iso ?? grainFor(range.ms);
  const dimensions = (definition.dimensions ?? []).map((d) => d.value);
  const split = dimensions.find((d) => d === q.get("split")) ?? "";
  const filters = parseFilters(q.get("filter"), dimensions);
  const kind = (["line", "bar", "area"] as const).find((k) => k === q.get("kind")) ?? "line";

  const answer = useLoad(
    (signal) => readMetrics({ namespace: definition.namespace, metrics: definition.name.value, aggregation, timespan: spanOf(range.ms), interval, filter: filterText(filters, split) }, signal),
    [definition.name.value, aggregation, range.iso, interval, split, filterText(filters, split) ?? ""],
    range.ms <= 3_600_000 ? 15_000 : 60_000,
  );
  const shown = useMemo(() => seriesOf(answer.data?.[0], aggregation, split, definition.name.localizedValue), [answer.data, aggregation, split]);
  const label = `${definition.name.localizedValue}, ${aggregation}${split === "" ? "" : ` by ${split}`}`;
  const names = definitions.map((d) => [d.name.value, `${d.namespace === AZURE_NAMESPACE ? "" : "Muster: "}${d.name.localizedValue}`] as const);

  return (
    <>
      <Card flush>
        <div class="row toolbar">
          <Pick label="Metric" value={definition.name.value} of={names} onChange={(metric) => amend({ metric, aggregation: undefined, split: undefined, filter: undefined })} />
          <Pick label="Aggregation" value={aggregation} of={definition.supportedAggregationTypes.map((a) => [a, a] as const)} onChange={(value) => amend({ aggregation: value })} />
          <Pick label="Time range" value={range.iso} of={RANGES.map((r) => [r.iso, r.label] as const)} onChange={(value) => amend({ range: value, interval: undefined })} />
          <Pick label="Interval" value={interval} of={coarse.map((g) => [g.iso, `per ${g.label.replace(/^1 /, "")}`] as const)} onChange={(value) => amend({ interval: value })} />
          <Pick label="Split by" value={split} of={[["", "Not split"] as const, ...dimensions.map((d) => [d, `by ${d}`] as const)]} onChange={(value) => amend({ split: value })} />
          <span class="grow" />
          <Segments
            label="Chart"
            value={kind as ChartKind}
            of={[
              ["line", "Line"],
              ["bar", "Bar"],
              ["area", "Area"],
            ]}
            onChange={(value) => amend({ kind: value })}
          />
        </div>
        <Filters filters={filters} dimensions={dimensions} onChange={(next) => amend({ filter: writeFilters(next) })} definition={definition} range={range.ms} />
      </Card>
      <Card
        title={label}
        busy={answer.loading && answer.data === undefined}
        actions={
          <>
            <Button small icon="export" disabled={answer.data === undefined} onClick={() => download(`${definition.name.value}.csv`, "text/csv", csvOf(shown.x, shown.series))}>
              CSV
            </Button>
            <Button
              small
              kind="primary"
              icon="alerts"
              disabled={!mayWriteRules.value}
              {...(barredFromRules.value === null ? {} : { title: barredFromRules.value })}
              onClick={() => go("alerts", ["new-metric"], { metric: definition.name.value, aggregation, filter: writeFilters(filters), split, threshold: threshold(shown.series) })}
            >
              New alert rule
            </Button>
          </>
        }
      >
        {answer.error !== null && <Failure error={answer.error} retry={answer.reload} />}
        {answer.data === undefined ? answer.error === null && <Waiting lines={6} /> : <TimeChart label={label} kind={kind} x={shown.x} series={shown.series} height={380} />}
        {definition.displayDescription !== undefined && <p class="muted small">{definition.displayDescription}</p>}
      </Card>
      <Summary series={shown.series} unit={definition.unit} />
    </>
  );
}

type Value = "total" | "average" | "count" | "minimum" | "maximum";

function seriesOf(metric: Metric | undefined, aggregation: string, split: string, name: string): { x: number[]; series: Series[] } {
  const key = aggregation.toLowerCase() as Value;
  const longest = metric?.timeseries.reduce<Point[]>((best, t) => (t.data.length > best.length ? t.data : best), []) ?? [];
  const x = longest.map((p) => Date.parse(p.timeStamp) / 1000);
  const place = new Map(x.map((t, i) => [t, i]));
  const series = (metric?.timeseries ?? []).map((t) => {
    const values = new Array<number | null>(x.length).fill(null);
    for (const p of t.data) {
      const at = place.get(Date.parse(p.timeStamp) / 1000);
      if (at !== undefined) values[at] = p[key] ?? null;
    }
    const of = t.metadatavalues.find((m) => m.name.value.toLowerCase() === split.toLowerCase())?.value;
    return { label: split === "" ? name : of === undefined || of === "" ? "(none)" : of, values };
  });
  return { x, series: merged(series) };
}

/** A filter of several dimensions splits by all of them; what differs in another one is added up. */
function merged(series: Series[]): Series[] {
  const by = new Map<string, Series>();
  for (const s of series) {
    const known = by.get(s.label);
    if (known === undefined) by.set(s.label, s);
    else known.values = known.values.map((v, i) => (v === null && (s.values[i] ?? null) === null ? null : (v ?? 0) + (s.values[i] ?? 0)));
  }
  return [...by.values()];
}

function threshold(series: readonly Series[]): string {
  const most = series.reduce((all, s) => s.values.reduce<number>((n, v) => Math.max(n, v ?? 0), all), 0);
  return String(most === 0 ? 0 : Math.ceil(most * 1.2));
}

function Summary({ series, unit }: { series: readonly Series[]; unit: string }): JSX.Element | null {
  const rows = series.map((s) => ({ label: s.label, known: s.values.filter((v): v is number => v !== null) })).filter((s) => s.known.length > 0);
  if (rows.length === 0) return null;
  return (
    <Card title="In figures" about={unit} flush>
      <div class="scroller" tabIndex={0} role="region" aria-label="The chart in figures">
        <table class="table">
          <thead>
            <tr>
              {["Series", "Sum", "Highest", "Lowest", "Average", "Last"].map((h, i) => (
                <th key={h} scope="col" class={i === 0 ? "" : "right"}>
                  <span>{h}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ label, known }) => {
              const sum = known.reduce((n, v) => n + v, 0);
              return (
                <tr key={label}>
                  <td>
                    <bdi>{label}</bdi>
                  </td>
                  {[sum, Math.max(...known), Math.min(...known), sum / known.length, known[known.length - 1]].map((v, i) => (
                    <td key={i} class="right num">
                      {figure(v)}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
