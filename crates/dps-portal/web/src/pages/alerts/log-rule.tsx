// The form of a log rule: a query, what is made of its rows, and when that is too much.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { resource } from "../../api/arm";
import { writeLogRule, type LogRule } from "../../api/insights";
import { ask, type Rows } from "../../api/logs";
import { asApiError } from "../../api/load";
import { mayWriteRules } from "../../api/session";
import { Button, Note } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { AreaField, SelectField, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { route } from "../../shell/route";
import { plural } from "../../text/number";
import type { RuleFormProps } from "./metric-rule";
import { Told } from "./told";
import { EVERY, OPERATORS, SEVERITY_CHOICES, shorter, WINDOWS, wrongName } from "./words";

const NUMBERS = new Set(["int", "long", "real", "decimal"]);

export function LogRuleForm({ of, groups, onClose, onDone }: RuleFormProps<LogRule>): JSX.Element {
  const c = of?.properties.criteria.allOf[0];
  const [name, setName] = useState(of?.name ?? "");
  const [description, setDescription] = useState(of?.properties.description ?? "");
  const [query, setQuery] = useState(c?.query ?? route.value.query.get("q") ?? 'AzureDiagnostics\n| where Category == "DeviceOperations" and ResultType != "Success"');
  const [aggregation, setAggregation] = useState(c?.timeAggregation ?? "Count");
  const [column, setColumn] = useState(c?.metricMeasureColumn ?? "");
  const [operator, setOperator] = useState(c?.operator ?? "GreaterThan");
  const [threshold, setThreshold] = useState(String(c?.threshold ?? 0));
  const [every, setEvery] = useState(of?.properties.evaluationFrequency ?? "PT5M");
  const [window, setWindow] = useState(of?.properties.windowSize ?? "PT5M");
  const [severity, setSeverity] = useState(String(of?.properties.severity ?? 2));
  const [told, setTold] = useState<string[]>(of?.properties.actions?.actionGroups ?? []);
  const [tried, setTried] = useState<Rows | string | null>(null);
  const wrong = {
    name: wrongName(name),
    threshold: threshold.trim() === "" || Number.isNaN(Number(threshold)) ? "A number is needed" : null,
    window: shorter(window, every) ? "It must look back at least as long as the time between two evaluations" : null,
    column: aggregation !== "Count" && column.trim() === "" ? "The name of a column of numbers" : null,
  };
  const attempt = async (): Promise<void> => {
    try {
      setTried(await ask(query, window));
    } catch (error) {
      setTried(asApiError(error).message);
    }
  };
  const save = async (): Promise<void> => {
    await writeLogRule(name.trim(), {
      ...(of?.properties ?? {}),
      displayName: of?.properties.displayName ?? name.trim(),
      description,
      severity: Number(severity),
      enabled: of?.properties.enabled ?? true,
      scopes: of?.properties.scopes ?? [resource()],
      evaluationFrequency: every,
      windowSize: window,
      autoMitigate: of?.properties.autoMitigate ?? true,
      criteria: { allOf: [{ ...(c ?? {}), query, timeAggregation: aggregation, ...(aggregation === "Count" ? {} : { metricMeasureColumn: column.trim() }), operator, threshold: Number(threshold) }] },
      actions: { ...(of?.properties.actions ?? {}), actionGroups: told },
    });
    toast(`${name.trim()} watches.`);
    onDone();
  };
  return (
    <ActionDialog
      title={of === null ? "New log rule" : of.name}
      action={of === null ? "Create" : "Save"}
      wide
      disabled={Object.values(wrong).some((w) => w !== null) || query.trim() === "" || !mayWriteRules.value}
      onClose={onClose}
      run={save}
    >
      <div class="form">
        <TextField label="Name" value={name} onInput={setName} disabled={of !== null} error={wrong.name} required />
        <SelectField label="Severity" value={severity} of={SEVERITY_CHOICES} onChange={setSeverity} />
        <TextField wide label="Description" value={description} onInput={setDescription} />
        <AreaField wide label="Query" value={query} onInput={setQuery} rows={6} />
        <div class="wide row">
          <Button small icon="play" onClick={() => void attempt()}>
            Try it
          </Button>
          {tried !== null && typeof tried !== "string" && <span role="status">{plural(tried.rows.length, "row")} now.</span>}
        </div>
        {typeof tried === "string" && (
          <div class="wide">
            <Note tone="bad">
              <pre>{tried}</pre>
            </Note>
          </div>
        )}
        <SelectField
          label="Of its rows take"
          value={aggregation}
          of={[
            ["Count", "their number"],
            ["Total", "the sum of a column"],
            ["Average", "the average of a column"],
            ["Minimum", "the lowest of a column"],
            ["Maximum", "the highest of a column"],
          ]}
          onChange={setAggregation}
        />
        {aggregation !== "Count" && <TextField label="Column" value={column} onInput={setColumn} error={wrong.column} list={tried !== null && typeof tried !== "string" ? tried.columns.filter((k) => NUMBERS.has(k.type)).map((k) => k.name) : []} />}
        <SelectField label="Fires when it" value={operator} of={OPERATORS} onChange={setOperator} />
        <TextField label="Threshold" type="number" value={threshold} onInput={setThreshold} error={wrong.threshold} />
        <SelectField label="Evaluated" value={every} of={EVERY} onChange={setEvery} />
        <SelectField label="Over" value={window} of={WINDOWS} onChange={setWindow} error={wrong.window} />
      </div>
      <Told groups={groups} value={told} onChange={setTold} />
    </ActionDialog>
  );
}
