// The form of a metric rule, with the chart of what it watches and the threshold's place in it.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { resource } from "../../api/arm";
import { AZURE_NAMESPACE, readDefinitions, readMetrics, writeMetricRule, type ActionGroup, type Dimension, type MetricRule } from "../../api/insights";
import { useLoad } from "../../api/load";
import { mayWriteRules } from "../../api/session";
import { Note } from "../../parts/basics";
import { TimeChart } from "../../parts/chart";
import { ActionDialog } from "../../parts/dialog";
import { Check, SelectField, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { route } from "../../shell/route";
import { spanOf } from "../../text/time";
import { parseFilters, type Condition } from "../metrics/filters";
import { EVERY, OPERATORS, SEVERITY_CHOICES, shorter, WINDOWS, wrongName } from "./words";
import { Told } from "./told";

export interface RuleFormProps<T> {
  of: T | null;
  groups: readonly ActionGroup[];
  onClose: () => void;
  onDone: () => void;
}

export function MetricRuleForm({ of, groups, onClose, onDone }: RuleFormProps<MetricRule>): JSX.Element {
  const q = route.value.query;
  const first = of?.properties.criteria.allOf[0];
  const [name, setName] = useState(of?.name ?? "");
  const [description, setDescription] = useState(of?.properties.description ?? "");
  const [metric, setMetric] = useState(first?.metricName ?? q.get("metric") ?? "AttestationAttempts");
  const [aggregation, setAggregation] = useState(first?.timeAggregation ?? q.get("aggregation") ?? "Total");
  const [operator, setOperator] = useState(first?.operator ?? "GreaterThan");
  const [threshold, setThreshold] = useState(String(first?.threshold ?? q.get("threshold") ?? 0));
  const [every, setEvery] = useState(of?.properties.evaluationFrequency ?? "PT1M");
  const [window, setWindow] = useState(of?.properties.windowSize ?? "PT5M");
  const [severity, setSeverity] = useState(String(of?.properties.severity ?? 2));
  const [told, setTold] = useState<string[]>((of?.properties.actions ?? []).map((a) => a.actionGroupId));
  const [failuresOnly, setFailuresOnly] = useState(first === undefined ? q.get("filter") === null && q.get("metric") === null : false);
  const definitions = useLoad(readDefinitions, []);
  const definition = definitions.data?.find((d) => d.name.value === metric);
  const names = (definition?.dimensions ?? []).map((d) => d.value);
  const dimensions = useMemo(() => first?.dimensions ?? dimensionsOf(parseFilters(q.get("filter"), names), q.get("split"), failuresOnly && names.includes("Status")), [first, names.join(), failuresOnly]);
  const several = (of?.properties.criteria.allOf.length ?? 1) > 1 || (first !== undefined && first.criterionType !== "StaticThresholdCriterion");
  const wrong = {
    name: wrongName(name),
    threshold: threshold.trim() === "" || Number.isNaN(Number(threshold)) ? "A number is needed" : null,
    window: shorter(window, every) ? "It must look back at least as long as the time between two evaluations" : null,
  };

  const save = async (): Promise<void> => {
    const criteria =
      of !== null && several
        ? of.properties.criteria
        : {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            allOf: [
              {
                criterionType: "StaticThresholdCriterion",
                name: first?.name ?? "condition",
                metricName: metric,
                metricNamespace: definition?.namespace ?? AZURE_NAMESPACE,
                ...(dimensions.length === 0 ? {} : { dimensions }),
                operator,
                threshold: Number(threshold),
                timeAggregation: aggregation,
              },
            ],
          };
    await writeMetricRule(name.trim(), {
      ...(of?.properties ?? {}),
      description,
      severity: Number(severity),
      enabled: of?.properties.enabled ?? true,
      scopes: of?.properties.scopes ?? [resource()],
      evaluationFrequency: every,
      windowSize: window,
      autoMitigate: of?.properties.autoMitigate ?? true,
      criteria,
      actions: told.map((actionGroupId) => ({ actionGroupId })),
    });
    toast(`${name.trim()} watches.`);
    onDone();
  };

  return (
    <ActionDialog title={of === null ? "New metric rule" : of.name} action={of === null ? "Create" : "Save"} wide disabled={wrong.name !== null || wrong.threshold !== null || wrong.window !== null || !mayWriteRules.value} onClose={onClose} run={save}>
      <div class="form">
        <TextField label="Name" value={name} onInput={setName} disabled={of !== null} error={wrong.name} required />
        <SelectField label="Severity" value={severity} of={SEVERITY_CHOICES} onChange={setSeverity} />
        <TextField wide label="Description" value={description} onInput={setDescription} />
        {several ? (
          <div class="wide">
            <Note>This rule has conditions that this form does not show. They stay as they are.</Note>
          </div>
        ) : (
          <>
            <SelectField label="Metric" value={metric} of={(definitions.data ?? []).map((d) => [d.name.value, d.name.localizedValue] as const)} onChange={(v) => (setMetric(v), setAggregation(definitions.data?.find((d) => d.name.value === v)?.primaryAggregationType ?? "Total"))} />
            <SelectField label="Aggregation" value={aggregation} of={(definition?.supportedAggregationTypes ?? [aggregation]).map((a) => [a, a] as const)} onChange={setAggregation} />
            <SelectField label="Fires when it" value={operator} of={OPERATORS} onChange={setOperator} />
            <TextField label="Threshold" type="number" value={threshold} onInput={setThreshold} error={wrong.threshold} />
            <div class="wide stack tight">
              {names.includes("Status") && first === undefined && q.get("filter") === null && <Check label="Only what failed (Status is not Success)" value={failuresOnly} onChange={setFailuresOnly} />}
              {dimensions.map((d) => (
                <span class="tag plain accent" key={d.name}>
                  <bdi>
                    {d.name} {d.operator === "Include" ? "is" : "is not"} {d.values.map((v) => (v === "*" ? "each value by itself" : v)).join(" or ")}
                  </bdi>
                </span>
              ))}
            </div>
          </>
        )}
        <SelectField label="Evaluated" value={every} of={EVERY} onChange={setEvery} />
        <SelectField label="Over" value={window} of={WINDOWS} onChange={setWindow} error={wrong.window} />
      </div>
      {!several && <Preview metric={metric} namespace={definition?.namespace} aggregation={aggregation} dimensions={dimensions} threshold={Number(threshold)} window={window} />}
      <Told groups={groups} value={told} onChange={setTold} />
    </ActionDialog>
  );
}

function dimensionsOf(conditions: readonly Condition[], split: string | null, failuresOnly: boolean): Dimension[] {
  const out: Dimension[] = [];
  for (const not of [false, true]) {
    for (const name of new Set(conditions.filter((c) => c.not === not).map((c) => c.dimension))) {
      out.push({ name, operator: not ? "Exclude" : "Include", values: conditions.filter((c) => c.dimension === name && c.not === not).map((c) => c.value) });
    }
  }
  if (failuresOnly && !out.some((d) => d.name === "Status")) out.push({ name: "Status", operator: "Exclude", values: ["Success"] });
  if (split !== null && split !== "" && !out.some((d) => d.name === split)) out.push({ name: split, operator: "Include", values: ["*"] });
  return out;
}

/** What the rule would have seen in the last hours, beside its threshold. */
function Preview(p: { metric: string; namespace: string | undefined; aggregation: string; dimensions: Dimension[]; threshold: number; window: string }): JSX.Element {
  const filter = p.dimensions
    .filter((d) => d.values[0] !== "*")
    .map((d) => d.values.map((v) => `${d.name} ${d.operator === "Include" ? "eq" : "ne"} '${v.replace(/'/g, "''")}'`).join(d.operator === "Include" ? " or " : " and "))
    .join(" and ");
  const names = p.dimensions.map((d) => d.name).join(",");
  const interval = p.window === "P1D" || p.window === "PT12H" || p.window === "PT6H" ? "PT1H" : p.window;
  const { data } = useLoad(
    (signal) => (p.namespace === undefined ? Promise.resolve([]) : readMetrics({ namespace: p.namespace, metrics: p.metric, aggregation: p.aggregation, timespan: spanOf(interval === "PT1H" ? 7 * 86_400_000 : 6 * 3_600_000), interval, filter: filter === "" ? undefined : filter }, signal)),
    [p.metric, p.namespace ?? "", p.aggregation, filter, interval, names],
  );
  const shown = useMemo(() => {
    const key = p.aggregation.toLowerCase() as "total";
    const times = data?.[0]?.timeseries[0]?.data ?? [];
    const x = times.map((t) => Date.parse(t.timeStamp) / 1000);
    const values = x.map((_, i) => (data?.[0]?.timeseries ?? []).reduce<number | null>((n, s) => (s.data[i]?.[key] === undefined ? n : (n ?? 0) + (s.data[i]?.[key] ?? 0)), null));
    return { x, series: [{ label: p.metric, values }, { label: "Threshold", values: x.map(() => (Number.isNaN(p.threshold) ? null : p.threshold)), colour: "bad" }] };
  }, [data, p.threshold, p.metric]);
  return <TimeChart label={`${p.metric} beside the threshold`} kind="line" height={170} x={shown.x} series={shown.series} empty="Nothing was counted in this time." />;
}
