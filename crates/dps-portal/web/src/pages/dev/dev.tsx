// What a development server can be told: its clock, faults that it makes on purpose, and to begin anew.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { dev, readDev, Unsupported } from "../../api/diagnosis";
import { asApiError, useLoad } from "../../api/load";
import { Button, Card, Empty, Facts, Failure, Note, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Check, SelectField, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { at, rough } from "../../text/time";

interface Clock {
  now: string;
  machine?: string;
  offsetSeconds: number;
  rate: number;
  frozen: boolean;
}

interface FaultRule {
  id: string;
  match: Record<string, unknown>;
  fault: { kind: string; [more: string]: unknown };
  seen?: number;
  caused?: number;
  [more: string]: unknown;
}

export function Dev(): JSX.Element {
  return (
    <Page title="Development server" about="Only muster dev has these. They make a firmware's bad days happen on a good one.">
      <ClockCard />
      <FaultsCard />
      <ResetCard />
    </Page>
  );
}

function unsupported<T>(error: unknown): T | null {
  if (error instanceof Unsupported) return null;
  throw error;
}

function ClockCard(): JSX.Element {
  const clock = useLoad<Clock | null>((signal) => readDev<Clock>("clock", signal).catch((e: unknown) => unsupported<Clock>(e)), [], 2000);
  const [time, setTime] = useState("");
  const set = async (body: unknown): Promise<void> => {
    try {
      await dev("PUT", "clock", body);
      clock.reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
  };
  const c = clock.data;
  return (
    <Card title="Clock" about="what the server takes for now: expiry of tokens, validity of certificates">
      {c === undefined ? (
        clock.error === null ? <Waiting /> : <Failure error={clock.error} retry={clock.reload} />
      ) : c === null ? (
        <Empty title="This server's clock cannot be set" />
      ) : (
        <div class="stack">
          <Facts
            of={[
              ["Now", <span class="row">{at(c.now)} {c.frozen && <Tag tone="warn">stands still</Tag>} {c.rate !== 1 && <Tag tone="warn">{c.rate} times as fast</Tag>}</span>],
              ["Against the machine", c.offsetSeconds === 0 ? "the same" : `${rough(Math.abs(c.offsetSeconds) * 1000)} ${c.offsetSeconds > 0 ? "ahead" : "behind"}`],
            ]}
          />
          <div class="row">
            {([["An hour on", 3600], ["A day on", 86_400], ["30 days on", 2_592_000], ["A day back", -86_400]] as const).map(([label, by]) => (
              <Button key={label} small onClick={() => void set({ offsetSeconds: c.offsetSeconds + by })}>
                {label}
              </Button>
            ))}
            <Button small onClick={() => void set({ frozen: !c.frozen })}>
              {c.frozen ? "Let it run" : "Stop it"}
            </Button>
            <Button small onClick={() => void set({ rate: c.rate === 1 ? 60 : 1 })}>
              {c.rate === 1 ? "A minute in a second" : "At its own pace"}
            </Button>
            <Button small kind="primary" disabled={c.offsetSeconds === 0 && !c.frozen && c.rate === 1} onClick={() => void set({ offsetSeconds: 0, frozen: false, rate: 1 })}>
              As the machine's
            </Button>
          </div>
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault();
              const when = new Date(time);
              if (!Number.isNaN(when.getTime())) void set({ now: when.toISOString() });
            }}
          >
            <input class="input filter-wide" type="datetime-local" aria-label="Set it to" value={time} onInput={(event) => setTime(event.currentTarget.value)} />
            <Button small type="submit" disabled={time === ""}>
              Set
            </Button>
          </form>
        </div>
      )}
    </Card>
  );
}

const KINDS = [
  ["throttle", "answer 429"],
  ["error", "answer a server error"],
  ["delay", "answer late"],
  ["drop", "say nothing more"],
  ["disconnect", "close the connection"],
  ["hubDown", "the hub is down"],
  ["webhookDown", "the webhook is down"],
] as const;
type FaultKind = (typeof KINDS)[number][0];

function FaultsCard(): JSX.Element {
  const faults = useLoad<FaultRule[] | null>((signal) => readDev<{ value: FaultRule[] }>("faults", signal).then((f) => f.value, (e: unknown) => unsupported<FaultRule[]>(e)), [], 3000);
  const [making, setMaking] = useState(false);
  const remove = async (path: string): Promise<void> => {
    try {
      await dev("DELETE", path);
      faults.reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
  };
  return (
    <Card
      title="Faults"
      flush
      actions={
        <>
          {(faults.data ?? []).length > 0 && (
            <Button small onClick={() => void remove("faults")}>
              Remove all
            </Button>
          )}
          <Button small kind="primary" icon="plus" disabled={faults.data === null || faults.data === undefined} onClick={() => setMaking(true)}>
            New fault
          </Button>
        </>
      }
    >
      {faults.data === undefined ? (
        <div class="body">{faults.error === null ? <Waiting /> : <Failure error={faults.error} retry={faults.reload} />}</div>
      ) : faults.data === null ? (
        <Empty title="This server makes no faults" />
      ) : (
        <Table
          label="Faults"
          rows={faults.data}
          rowKey={(f) => f.id}
          columns={[
            { key: "id", title: "Name", cell: (f) => <bdi class="id">{f.id}</bdi> },
            { key: "kind", title: "What", cell: (f) => `${KINDS.find(([k]) => k === f.fault.kind)?.[1] ?? f.fault.kind}${detail(f)}` },
            { key: "match", title: "For", cell: (f) => <bdi class="wrap">{matched(f.match)}</bdi> },
            { key: "seen", title: "Caused", cell: (f) => String(f.caused ?? f["times"] ?? ""), right: true },
            { key: "do", title: "", cell: (f) => <Button small kind="quiet" icon="trash" label={`Remove ${f.id}`} onClick={() => void remove(`faults/${encodeURIComponent(f.id)}`)} /> },
          ]}
          empty={<Empty title="No fault is made">The server behaves as well as it can.</Empty>}
        />
      )}
      {making && <FaultForm onClose={() => setMaking(false)} onDone={faults.reload} />}
    </Card>
  );
}

function detail(f: FaultRule): string {
  const { kind: _, ...rest } = f.fault;
  const parts = Object.entries(rest).filter(([, v]) => v !== null && v !== 0);
  return parts.length === 0 ? "" : ` (${parts.map(([k, v]) => `${k} ${String(v)}`).join(", ")})`;
}

function matched(match: Record<string, unknown>): string {
  const parts = Object.entries(match).filter(([, v]) => v !== null && v !== undefined);
  return parts.length === 0 ? "everything" : parts.map(([k, v]) => `${k} ${String(v)}`).join(", ");
}

function FaultForm({ onClose, onDone }: { onClose: () => void; onDone: () => void }): JSX.Element {
  const [kind, setKind] = useState<FaultKind>("throttle");
  const [number, setNumber] = useState("");
  const [id, setId] = useState("");
  const [protocol, setProtocol] = useState("");
  const [operation, setOperation] = useState("");
  const [share, setShare] = useState("");
  const [count, setCount] = useState("");
  const named = kind === "throttle" ? "retryAfter" : kind === "error" ? "status" : kind === "delay" ? "milliseconds" : null;
  const label = { retryAfter: "Retry after, in seconds", status: "Status: 500, 503 or 504", milliseconds: "Milliseconds" };
  const num = (text: string): number | undefined => (text.trim() === "" || Number.isNaN(Number(text)) ? undefined : Number(text));
  const wrongShare = share !== "" && !(Number(share) > 0 && Number(share) <= 100) ? "From 1 to 100" : null;
  return (
    <ActionDialog
      title="New fault"
      action="Make it"
      disabled={wrongShare !== null || (kind === "delay" && num(number) === undefined)}
      onClose={onClose}
      run={async () => {
        const share01 = num(share);
        await dev("POST", "faults", {
          match: {
            ...(id.trim() === "" ? {} : { registrationId: id.trim() }),
            ...(protocol === "" ? {} : { protocol }),
            ...(operation === "" ? {} : { operation }),
            ...(share01 === undefined ? {} : { probability: share01 / 100 }),
            ...(num(count) === undefined ? {} : { count: num(count) }),
          },
          fault: { kind, ...(named === null || num(number) === undefined ? {} : { [named]: num(number) }) },
        });
        onDone();
      }}
    >
      <div class="form">
        <SelectField label="What happens" value={kind} of={KINDS} onChange={(v) => (setKind(v), setNumber(""))} />
        {named !== null && <TextField label={label[named]} type="number" value={number} onInput={setNumber} />}
        <TextField label="Registration id" value={id} onInput={setId} mono hint="With * at its end: all that begin so. Empty: every device." />
        <SelectField
          label="Protocol"
          value={protocol}
          of={[
            ["", "Any"],
            ["Mqtt", "MQTT"],
            ["MqttWs", "MQTT over WebSocket"],
            ["Amqp", "AMQP"],
            ["AmqpWs", "AMQP over WebSocket"],
            ["Http", "HTTPS"],
          ]}
          onChange={setProtocol}
        />
        <SelectField
          label="When"
          value={operation}
          of={[
            ["", "at any point that fits"],
            ["register", "a device registers"],
            ["operationStatus", "a device polls"],
            ["registrationLookup", "a device looks up its registration"],
            ["hubWrite", "the service writes to a hub"],
            ["hubConnection", "a device connects to its hub"],
            ["webhook", "a webhook is called"],
          ]}
          onChange={setOperation}
        />
        <TextField label="How often, in percent" type="number" value={share} onInput={setShare} error={wrongShare} placeholder="100" />
        <TextField label="How many times at most" type="number" value={count} onInput={setCount} placeholder="no end" />
      </div>
    </ActionDialog>
  );
}

function ResetCard(): JSX.Element {
  const [asking, setAsking] = useState(false);
  const [keep, setKeep] = useState(false);
  return (
    <Card title="Begin anew" about="enrollments, registrations and hub identities are removed; keys, ports and the ID scope stay">
      <Button kind="danger" icon="trash" onClick={() => setAsking(true)}>
        Reset the server
      </Button>
      {asking && (
        <ActionDialog
          title="Reset the server?"
          action="Reset"
          danger
          onClose={() => setAsking(false)}
          run={async () => {
            try {
              await dev("POST", "reset", keep ? { keep: ["enrollments"] } : {});
            } catch (error) {
              if (error instanceof Unsupported) throw new Error("This server cannot be reset.");
              throw error;
            }
            toast("The server is as it was at the beginning.");
          }}
        >
          <Check label="Keep enrollments" value={keep} onChange={setKeep} />
          <Note tone="warn">There is no way back.</Note>
        </ActionDialog>
      )}
    </Card>
  );
}
