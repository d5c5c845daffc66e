// The rules: metric rules and log rules in one list, made and changed in a form of their own.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { enable, readGroups, readLogRules, readMetricRules, remove, type LogRule, type MetricRule, type RuleKind } from "../../api/insights";
import { asApiError, useLoad } from "../../api/load";
import { barredFromRules, mayWriteRules } from "../../api/session";
import { Button, Card, Empty, Failure, LinkButton, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { go, link, route } from "../../shell/route";
import { Severity } from "./fired";
import { LogRuleForm } from "./log-rule";
import { MetricRuleForm } from "./metric-rule";
import { frequency, said } from "./words";

interface Rule {
  kind: Extract<RuleKind, "metricAlerts" | "scheduledQueryRules">;
  id: string;
  name: string;
  severity: number;
  enabled: boolean;
  condition: string;
  every: string;
  metric?: MetricRule;
  log?: LogRule;
}

export function Rules(): JSX.Element {
  const metric = useLoad(readMetricRules, []);
  const log = useLoad(readLogRules, []);
  const groups = useLoad(readGroups, []);
  const [editing, setEditing] = useState<Rule | null>(null);
  const [removing, setRemoving] = useState<Rule | null>(null);
  const making = route.value.parts[0];
  const reload = (): void => {
    metric.reload();
    log.reload();
  };
  const close = (): void => {
    setEditing(null);
    if (making === "new-metric" || making === "new-log") go("alerts", ["rules"]);
  };
  const rows: Rule[] = [...(metric.data ?? []).map(ofMetric), ...(log.data ?? []).map(ofLog)];
  const turn = async (of: Rule): Promise<void> => {
    try {
      await enable(of.kind, of.id, !of.enabled);
      toast(of.enabled ? `${of.name} is switched off.` : `${of.name} watches.`);
      reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
  };
  const error = metric.error ?? log.error;
  return (
    <Card
      title="Alert rules"
      flush
      actions={
        <>
          <LinkButton small href={link("alerts", ["new-log"])} icon="plus" barred={barredFromRules.value}>
            Log rule
          </LinkButton>
          <LinkButton small primary href={link("alerts", ["new-metric"])} icon="plus" barred={barredFromRules.value}>
            Metric rule
          </LinkButton>
        </>
      }
    >
      {metric.data === undefined ? (
        <div class="body">{error === null ? <Waiting /> : <Failure error={error} retry={reload} />}</div>
      ) : (
        <>
          {error !== null && (
            <div class="body">
              <Failure error={error} retry={reload} />
            </div>
          )}
          <Table
            label="Alert rules"
            rows={rows}
            rowKey={(r) => r.id}
            columns={[
              { key: "name", title: "Name", by: (r) => r.name, cell: (r) => <button type="button" class="open" onClick={() => setEditing(r)}><bdi>{r.name}</bdi></button> },
              { key: "kind", title: "Watches", by: (r) => r.kind, cell: (r) => (r.kind === "metricAlerts" ? "a metric" : "a query") },
              { key: "condition", title: "Fires when", cell: (r) => <bdi>{r.condition}</bdi> },
              { key: "every", title: "Evaluated", cell: (r) => r.every },
              { key: "severity", title: "Severity", by: (r) => r.severity, cell: (r) => <Severity of={r.severity} /> },
              { key: "state", title: "State", by: (r) => r.enabled, cell: (r) => <Tag tone={r.enabled ? "ok" : "plain"}>{r.enabled ? "Enabled" : "Disabled"}</Tag> },
              {
                key: "do",
                title: "",
                cell: (r) => (
                  <span class="row">
                    <Button small disabled={!mayWriteRules.value} label={`${r.enabled ? "Disable" : "Enable"} ${r.name}`} onClick={() => void turn(r)}>
                      {r.enabled ? "Disable" : "Enable"}
                    </Button>
                    <Button small kind="quiet" icon="trash" disabled={!mayWriteRules.value} label={`Delete ${r.name}`} onClick={() => setRemoving(r)} />
                  </span>
                ),
              },
            ]}
            empty={<Empty title="No rule watches yet">Make one here, from a chart in Metrics, or from a query in Logs.</Empty>}
          />
        </>
      )}
      {(making === "new-metric" || editing?.metric !== undefined) && <MetricRuleForm of={editing?.metric ?? null} groups={groups.data ?? []} onClose={close} onDone={reload} />}
      {(making === "new-log" || editing?.log !== undefined) && <LogRuleForm of={editing?.log ?? null} groups={groups.data ?? []} onClose={close} onDone={reload} />}
      {removing !== null && (
        <ActionDialog
          title={`Delete ${removing.name}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await remove(removing.kind, removing.id);
            toast(`${removing.name} is deleted.`);
            reload();
          }}
        >
          <p>It watches no more. Alerts that it fired stay for 30 days.</p>
        </ActionDialog>
      )}
    </Card>
  );
}

function ofMetric(r: MetricRule): Rule {
  const all = r.properties.criteria.allOf ?? [];
  return {
    kind: "metricAlerts",
    id: r.id,
    name: r.name,
    severity: r.properties.severity,
    enabled: r.properties.enabled,
    condition: all.map((c) => `${c.timeAggregation} of ${c.metricName} ${said(c.operator)} ${c.threshold ?? "its usual band"}`).join(" and "),
    every: frequency(r.properties.evaluationFrequency, r.properties.windowSize),
    metric: r,
  };
}

function ofLog(r: LogRule): Rule {
  const c = r.properties.criteria.allOf[0];
  return {
    kind: "scheduledQueryRules",
    id: r.id,
    name: r.name,
    severity: r.properties.severity,
    enabled: r.properties.enabled,
    condition: c === undefined ? "" : `${c.timeAggregation === "Count" ? "the number of rows" : `${c.timeAggregation} of ${c.metricMeasureColumn ?? ""}`} ${said(c.operator)} ${c.threshold}`,
    every: frequency(r.properties.evaluationFrequency, r.properties.windowSize),
    log: r,
  };
}
