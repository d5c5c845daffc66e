// Rules for what most often goes wrong, each written as an ordinary metric alert rule by one press.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { resource } from "../../api/arm";
import { AZURE_NAMESPACE, MUSTER_NAMESPACE, readGroups, readMetricRules, writeMetricRule, enable, type Dimension } from "../../api/insights";
import { asApiError, useLoad } from "../../api/load";
import { mayWriteRules } from "../../api/session";
import { Button, Card, Failure, Tag, Waiting } from "../../parts/basics";
import { Pick } from "../../parts/form";
import { toast } from "../../parts/toast";
import { Severity } from "./fired";

interface Builtin {
  name: string;
  title: string;
  severity: number;
  window: string;
  criterion: { metricName: string; metricNamespace: string; dimensions?: Dimension[]; timeAggregation: string; operator: string; threshold: number };
}

const failing = [{ name: "Status", operator: "Exclude" as const, values: ["Success"] }];
const each = (name: string): { name: string; operator: "Include"; values: string[] }[] => [{ name, operator: "Include", values: ["*"] }];

/** The same as `muster alert builtin list`; docs/reference/alerts.md has the table. */
const BUILTINS: readonly Builtin[] = [
  { name: "attestation-failures", title: "More than 10 devices in 5 minutes did not prove who they are", severity: 2, window: "PT5M", criterion: { metricName: "AttestationAttempts", metricNamespace: AZURE_NAMESPACE, dimensions: failing, timeAggregation: "Total", operator: "GreaterThan", threshold: 10 } },
  { name: "failed-assignments", title: "A device proved who it is and got no hub", severity: 1, window: "PT5M", criterion: { metricName: "RegistrationAttempts", metricNamespace: AZURE_NAMESPACE, dimensions: failing, timeAggregation: "Total", operator: "GreaterThan", threshold: 0 } },
  { name: "hub-link-refused", title: "A linked hub does not answer, or refuses the key of its link", severity: 1, window: "PT5M", criterion: { metricName: "LinkedHubsDown", metricNamespace: MUSTER_NAMESPACE, dimensions: each("IotHubName"), timeAggregation: "Maximum", operator: "GreaterThan", threshold: 0 } },
  { name: "webhook-failing", title: "The webhook of a custom allocation fails or refuses", severity: 1, window: "PT5M", criterion: { metricName: "WebhookCalls", metricNamespace: MUSTER_NAMESPACE, dimensions: failing, timeAggregation: "Total", operator: "GreaterThan", threshold: 0 } },
  { name: "throttling", title: "A request was answered 429", severity: 2, window: "PT5M", criterion: { metricName: "ThrottledRequests", metricNamespace: MUSTER_NAMESPACE, timeAggregation: "Total", operator: "GreaterThan", threshold: 0 } },
  { name: "signing-certificate", title: "A verified CA certificate ends within 30 days", severity: 2, window: "PT1H", criterion: { metricName: "SigningCertificateDaysLeft", metricNamespace: MUSTER_NAMESPACE, dimensions: each("Certificate"), timeAggregation: "Minimum", operator: "LessThan", threshold: 30 } },
];

export function Builtins(): JSX.Element {
  const rules = useLoad(readMetricRules, []);
  const groups = useLoad(readGroups, []);
  const [group, setGroup] = useState("");
  const [busy, setBusy] = useState<string | null>(null);
  const turn = async (of: Builtin, id: string | undefined, on: boolean): Promise<void> => {
    setBusy(of.name);
    try {
      if (id !== undefined) await enable("metricAlerts", id, on);
      else
        await writeMetricRule(`builtin-${of.name}`, {
          description: `${of.title}.`,
          severity: of.severity,
          enabled: true,
          scopes: [resource()],
          evaluationFrequency: of.window === "PT1H" ? "PT1H" : "PT1M",
          windowSize: of.window,
          autoMitigate: true,
          criteria: { "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", allOf: [{ criterionType: "StaticThresholdCriterion", name: of.name, ...of.criterion }] },
          actions: group === "" ? [] : [{ actionGroupId: group }],
        });
      toast(on ? `${of.name} watches.` : `${of.name} is switched off.`);
      rules.reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
    setBusy(null);
  };
  if (rules.data === undefined) return rules.error === null ? <Waiting /> : <Failure error={rules.error} retry={rules.reload} />;
  return (
    <Card title="Built-in rules" flush actions={<Pick label="Tell" value={group} of={[["", "Tell nobody"] as const, ...(groups.data ?? []).map((g) => [g.id, `Tell ${g.name}`] as const)]} onChange={setGroup} />}>
      <ul class="plain states padded">
        {BUILTINS.map((b) => {
          const rule = rules.data?.find((r) => r.name.toLowerCase() === `builtin-${b.name}`);
          const on = rule?.properties.enabled === true;
          return (
            <li key={b.name}>
              <span class="grow">
                <b>{b.name}</b>
                <div class="muted small">{b.title}</div>
              </span>
              <Severity of={b.severity} />
              <Tag tone={on ? "ok" : "plain"}>{on ? "Watches" : rule === undefined ? "Not made" : "Off"}</Tag>
              <Button small busy={busy === b.name} disabled={!mayWriteRules.value} label={`${on ? "Switch off" : "Switch on"} ${b.name}`} onClick={() => void turn(b, rule?.id, !on)}>
                {on ? "Switch off" : "Switch on"}
              </Button>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
