// Alerts that fired: their condition, what people do about them, and what happened to each.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { changeState, lastOf, readAlerts, readHistory, type Alert } from "../../api/insights";
import { useLoad } from "../../api/load";
import { Button, Card, CodeBox, Empty, Facts, Failure, Id, Tag, Waiting, type Tone } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { Pick, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { asApiError } from "../../api/load";
import { link } from "../../shell/route";
import { ago, at } from "../../text/time";

export const SEVERITIES = ["Critical", "Error", "Warning", "Information", "Verbose"] as const;

export function Severity({ of }: { of: string | number }): JSX.Element {
  const n = Number(String(of).replace(/\D/g, ""));
  const tone: Tone = n <= 1 ? "bad" : n === 2 ? "warn" : "plain";
  return (
    <Tag tone={tone}>
      {n} {SEVERITIES[n] ?? ""}
    </Tag>
  );
}

export function Fired(): JSX.Element {
  const [timeRange, setTimeRange] = useState("1d");
  const [condition, setCondition] = useState("");
  const [state, setState] = useState("");
  const [opened, setOpened] = useState<Alert | null>(null);
  const alerts = useLoad((signal) => readAlerts({ timeRange, monitorCondition: condition, alertState: state }, signal), [timeRange, condition, state], 5000);
  return (
    <Card flush>
      <div class="row toolbar">
        <Pick
          label="Fired within"
          value={timeRange}
          of={[
            ["1h", "Last hour"],
            ["1d", "Last day"],
            ["7d", "Last 7 days"],
            ["30d", "Last 30 days"],
          ]}
          onChange={setTimeRange}
        />
        <Pick
          label="Condition"
          value={condition}
          of={[
            ["", "Any condition"],
            ["Fired", "Fired"],
            ["Resolved", "Resolved"],
          ]}
          onChange={setCondition}
        />
        <Pick
          label="State"
          value={state}
          of={[
            ["", "Any state"],
            ["New", "New"],
            ["Acknowledged", "Acknowledged"],
            ["Closed", "Closed"],
          ]}
          onChange={setState}
        />
      </div>
      {alerts.data === undefined ? (
        <div class="body">{alerts.error === null ? <Waiting lines={4} /> : <Failure error={alerts.error} retry={alerts.reload} />}</div>
      ) : (
        <Table
          label="Alerts"
          rows={alerts.data}
          rowKey={(a) => a.id}
          columns={[
            { key: "rule", title: "Rule", by: (a) => lastOf(a.properties.essentials.alertRule), cell: (a) => <button type="button" class="open" onClick={() => setOpened(a)}><bdi>{lastOf(a.properties.essentials.alertRule)}</bdi></button> },
            { key: "severity", title: "Severity", by: (a) => a.properties.essentials.severity, cell: (a) => <Severity of={a.properties.essentials.severity} /> },
            { key: "condition", title: "Condition", by: (a) => a.properties.essentials.monitorCondition, cell: (a) => <Tag tone={a.properties.essentials.monitorCondition === "Fired" ? "bad" : "ok"}>{a.properties.essentials.monitorCondition}</Tag> },
            { key: "state", title: "State", by: (a) => a.properties.essentials.alertState, cell: (a) => a.properties.essentials.alertState },
            { key: "fired", title: "Fired", by: (a) => a.properties.essentials.startDateTime, cell: (a) => <span title={at(a.properties.essentials.startDateTime)}>{ago(a.properties.essentials.startDateTime)}</span> },
            { key: "target", title: "Target", cell: (a) => a.properties.essentials.targetResourceName ?? "" },
          ]}
          empty={
            <Empty title="No alert has fired">
              <span>
                Rules watch metrics and logs. <a href={link("alerts", ["builtin"])}>Switch on a built-in rule</a> or <a href={link("alerts", ["new-metric"])}>make one</a>.
              </span>
            </Empty>
          }
        />
      )}
      {opened !== null && <Opened of={alerts.data?.find((a) => a.id === opened.id) ?? opened} onClose={() => setOpened(null)} onChanged={alerts.reload} />}
    </Card>
  );
}

function Opened({ of, onClose, onChanged }: { of: Alert; onClose: () => void; onChanged: () => void }): JSX.Element {
  const history = useLoad((signal) => readHistory(of, signal), [of.id, of.properties.essentials.alertState, of.properties.essentials.monitorCondition]);
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const e = of.properties.essentials;
  const become = async (state: string): Promise<void> => {
    setBusy(true);
    try {
      await changeState(of, state, comment.trim());
      setComment("");
      toast(`The alert is ${state.toLowerCase()}.`);
      history.reload();
      onChanged();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
    setBusy(false);
  };
  return (
    <Dialog
      title={lastOf(e.alertRule)}
      wide
      onClose={onClose}
      footer={["New", "Acknowledged", "Closed"]
        .filter((s) => s !== e.alertState)
        .map((s) => (
          <Button key={s} kind={s === "Acknowledged" ? "primary" : "plain"} busy={busy} onClick={() => void become(s)}>
            {s === "New" ? "Reopen" : s === "Closed" ? "Close alert" : "Acknowledge"}
          </Button>
        ))}
    >
      <Facts
        of={[
          ["Severity", <Severity of={e.severity} />],
          ["Condition", <Tag tone={e.monitorCondition === "Fired" ? "bad" : "ok"}>{e.monitorCondition}</Tag>],
          ["State", e.alertState],
          ["Fired", at(e.startDateTime)],
          ["Resolved", at(e.monitorConditionResolvedDateTime)],
          ["Description", e.description ?? ""],
          ["Signal", `${e.signalType} (${e.monitorService})`],
        ]}
      />
      <TextField label="Comment" value={comment} onInput={setComment} hint="It is kept with the change of state." />
      <h3>History</h3>
      {history.data === undefined ? (
        history.error === null ? <Waiting /> : <Failure error={history.error} />
      ) : (
        <ul class="plain states">
          {history.data.properties.modifications.map((m, i) => (
            <li key={i}>
              <span class="grow wrap">
                {m.modificationEvent}
                {m.newValue !== undefined && m.newValue !== "" && (
                  <>
                    : {m.oldValue !== undefined && m.oldValue !== "" && `${m.oldValue} → `}
                    <b>{m.newValue}</b>
                  </>
                )}
                <div class="muted small">
                  {m.modifiedBy} {m.comments !== undefined && m.comments !== "" && <bdi>“{m.comments}”</bdi>}
                </div>
              </span>
              <span class="muted small nowrap">{at(m.modifiedAt)}</span>
            </li>
          ))}
        </ul>
      )}
      {of.properties.context !== undefined && of.properties.context !== null && (
        <details>
          <summary>The values that fired it</summary>
          <CodeBox text={JSON.stringify(of.properties.context, null, 2)} label="the alert's context" />
        </details>
      )}
      <p class="muted small">
        <Id>{of.id}</Id>
      </p>
    </Dialog>
  );
}
