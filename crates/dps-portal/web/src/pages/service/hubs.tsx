// Linked hubs: how they are, how many devices they get, and links made, changed and taken away.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readService, writeService, type LinkedHub, type ProvisioningService } from "../../api/arm";
import { get, object, list as listOf, text as textOf } from "../../api/client";
import { MUSTER_NAMESPACE, readMetrics } from "../../api/insights";
import { whoNames } from "../../api/enrollments";
import { useLoad } from "../../api/load";
import { may } from "../../api/session";
import { Button, Card, Empty, Facts, Failure, Id, Note, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Check, SecretField, SelectField, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { compact } from "../../text/number";
import { ago, spanOf } from "../../text/time";
import { bare, hostOf, judgeConnection, keyName, picked } from "./connection";

export interface Standing {
  up: boolean;
  reason: string | null;
  since: string;
  asked: string;
}

/** How the server's own probes found the hubs; the metric says it where `/health` is not served. */
export async function readStanding(signal: AbortSignal): Promise<Map<string, Standing>> {
  const out = new Map<string, Standing>();
  try {
    const health = object(await get<unknown>("/health", { signal }));
    for (const h of listOf(health["linkedHubs"]).map(object)) {
      out.set((textOf(h["hub"]) ?? "").toLowerCase(), { up: h["up"] === true, reason: textOf(h["reason"]), since: textOf(h["since"]) ?? "", asked: textOf(h["asked"]) ?? "" });
    }
  } catch {
    const metrics = await readMetrics({ namespace: MUSTER_NAMESPACE, metrics: "LinkedHubsDown", aggregation: "Maximum", timespan: spanOf(600_000), interval: "FULL", filter: "IotHubName eq '*'" }, signal);
    for (const s of metrics[0]?.timeseries ?? []) out.set((s.metadatavalues[0]?.value ?? "").toLowerCase(), { up: (s.data[0]?.maximum ?? 0) === 0, reason: null, since: "", asked: "" });
  }
  return out;
}

export function Hubs(): JSX.Element {
  const service = useLoad(readService, []);
  const standing = useLoad(readStanding, [], 5000);
  const assigned = useLoad((signal) => readMetrics({ metrics: "DeviceAssignments", aggregation: "Total", timespan: spanOf(86_400_000), interval: "FULL", filter: "IotHubName eq '*'" }, signal), [], 30_000);
  const [editing, setEditing] = useState<LinkedHub | "new" | null>(null);
  const [removing, setRemoving] = useState<LinkedHub | null>(null);
  const s = service.data;
  const count = (name: string): number => assigned.data?.[0]?.timeseries.filter((t) => t.metadatavalues[0]?.value.toLowerCase() === name.toLowerCase()).reduce((n, t) => n + (t.data[0]?.total ?? 0), 0) ?? 0;
  const weights = (s?.properties.iotHubs ?? []).filter((h) => h.applyAllocationPolicy).reduce((n, h) => n + h.allocationWeight, 0);
  return (
    <Page
      title="Hubs"
      about="Where devices are sent. The server asks each hub now and then whether its link works."
      actions={
        <Button kind="primary" icon="plus" disabled={!may.value.configure || s === undefined} onClick={() => setEditing("new")}>
          Link a hub
        </Button>
      }
    >
      {s === undefined ? (
        service.error === null ? <Waiting /> : <Failure error={service.error} retry={service.reload} />
      ) : (
        <>
          <Card title="Allocation" actions={<Policy of={s} onDone={service.reload} />}>
            <p class="muted">{POLICIES[s.properties.allocationPolicy] ?? s.properties.allocationPolicy}</p>
          </Card>
          <Card flush>
            <Table
              label="Linked hubs"
              rows={s.properties.iotHubs}
              rowKey={(h) => h.name}
              columns={[
                { key: "name", title: "Hub", by: (h) => h.name, cell: (h) => <button type="button" class="open" onClick={() => setEditing(h)}><bdi class="id">{h.name}</bdi></button> },
                { key: "state", title: "Link", cell: (h) => <Link of={standing.data?.get(h.name.toLowerCase())} /> },
                { key: "policy", title: "Policy", cell: (h) => <bdi>{keyName(h.connectionString)}</bdi> },
                { key: "location", title: "Location", by: (h) => h.location, cell: (h) => h.location },
                { key: "weight", title: "Weight", by: (h) => h.allocationWeight, cell: (h) => `${h.allocationWeight}${h.applyAllocationPolicy && weights > 0 ? ` (${Math.round((100 * h.allocationWeight) / weights)} %)` : ""}`, right: true },
                { key: "applies", title: "Takes new devices", cell: (h) => (h.applyAllocationPolicy ? "yes" : "only where named") },
                { key: "count", title: "Assigned in 24 h", by: (h) => count(h.name), cell: (h) => compact(count(h.name)), right: true },
                { key: "do", title: "", cell: (h) => <Button small kind="quiet" icon="trash" disabled={!may.value.configure} label={`Unlink ${h.name}`} onClick={() => setRemoving(h)} /> },
              ]}
              empty={<Empty title="No hub is linked">Devices that prove who they are get no place until a hub is linked.</Empty>}
            />
          </Card>
        </>
      )}
      {editing !== null && s !== undefined && <HubForm of={editing === "new" ? null : editing} service={s} onClose={() => setEditing(null)} onDone={service.reload} />}
      {removing !== null && s !== undefined && (
        <ActionDialog
          title={`Unlink ${removing.name}?`}
          action="Unlink"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await writeService(s, { iotHubs: s.properties.iotHubs.filter((h) => h.name !== removing.name) });
            toast(`${removing.name} is unlinked.`);
            service.reload();
          }}
        >
          <p>Devices that are on it stay there. Those that register again are sent to another hub. Enrollments that name this hub alone have no place to send to.</p>
          <Named hub={removing.name} />
        </ActionDialog>
      )}
    </Page>
  );
}

const POLICIES: Record<string, string> = {
  Hashed: "Devices are spread over the hubs by weight; the same device comes to the same hub.",
  GeoLatency: "Each device is sent to the hub with the lowest latency.",
  Static: "Each device is sent to the first hub that its enrollment names.",
};

function Link({ of }: { of: Standing | undefined }): JSX.Element {
  if (of === undefined) return <span class="muted">not asked yet</span>;
  return (
    <div>
      <Tag tone={of.up ? "ok" : "bad"}>{of.up ? "Works" : "Down"}</Tag>
      {of.reason !== null && <div class="small wrap">{of.reason}</div>}
      {of.asked !== "" && <div class="muted small">asked {ago(of.asked)}</div>}
    </div>
  );
}

const NAMED = 20;

/** Who would lose the hub. */
function Named({ hub }: { hub: string }): JSX.Element | null {
  const found = useLoad((signal) => whoNames(hub, NAMED, signal), [hub]);
  if (found.error !== null) return null;
  if (found.data === undefined) return <Waiting lines={1} />;
  const { ids, more } = found.data;
  if (ids.length === 0) return <p class="muted">{more ? "None of the enrollments that were looked through names it." : "No enrollment names it."}</p>;
  return (
    <Note tone="warn">
      It is named by {ids.map((id, i) => <>{i > 0 && ", "}<bdi class="id">{id}</bdi></>)}
      {more && " and perhaps others"}.
    </Note>
  );
}

function Policy({ of, onDone }: { of: ProvisioningService; onDone: () => void }): JSX.Element {
  const [open, setOpen] = useState(false);
  const [policy, setPolicy] = useState(of.properties.allocationPolicy);
  return (
    <>
      <Button small icon="pencil" disabled={!may.value.configure} onClick={() => setOpen(true)}>
        Change
      </Button>
      {open && (
        <ActionDialog
          title="Allocation policy"
          action="Save"
          onClose={() => setOpen(false)}
          run={async () => {
            await writeService(of, { allocationPolicy: policy });
            toast("The policy is changed.");
            onDone();
          }}
        >
          <SelectField
            label="Policy"
            value={policy}
            of={[
              ["Hashed", "Evenly weighted"],
              ["GeoLatency", "Lowest latency"],
              ["Static", "As the enrollment says"],
            ]}
            onChange={setPolicy}
            hint={POLICIES[policy]}
          />
          <Note>It is for enrollments that have no policy of their own, and for registrations from now on.</Note>
        </ActionDialog>
      )}
    </>
  );
}

export function HubForm({ of, service, onClose, onDone }: { of: LinkedHub | null; service: ProvisioningService; onClose: () => void; onDone: () => void }): JSX.Element {
  const [connection, setConnection] = useState("");
  const [weight, setWeight] = useState(String(of?.allocationWeight ?? 1));
  const [applies, setApplies] = useState(of?.applyAllocationPolicy ?? true);
  const [location, setLocation] = useState(of?.location ?? service.location);
  const linked = of === null ? null : bare(hostOf(of.connectionString) || of.name);
  const string = picked(connection, linked);
  const host = hostOf(string);
  const wrong = {
    connection: judgeConnection(string, linked),
    weight: /^\d+$/.test(weight) && Number(weight) >= 1 && Number(weight) <= 1000 ? null : "A whole number from 1 to 1000",
  };
  return (
    <ActionDialog
      title={of === null ? "Link a hub" : of.name}
      action={of === null ? "Link" : "Save"}
      disabled={wrong.connection !== null || wrong.weight !== null || !may.value.configure}
      onClose={onClose}
      run={async () => {
        const next: LinkedHub = { name: of?.name ?? host, connectionString: string === "" ? (of?.connectionString ?? "") : string, allocationWeight: Number(weight), applyAllocationPolicy: applies, location: location.trim() };
        const others = service.properties.iotHubs;
        await writeService(service, { iotHubs: of === null ? [...others, next] : others.map((h) => (h.name === of.name ? next : h)) });
        toast(of === null ? "The hub is linked. Its link is asked within seconds." : `${of.name} is saved.`);
        onDone();
      }}
    >
      <SecretField
        label="Connection string"
        value={connection}
        onInput={setConnection}
        pasted={(text) => picked(text, linked)}
        error={wrong.connection}
        hint={`${of === null ? "Of" : "Left empty, the link keeps its key. Another one is of"} a policy of the hub with RegistryReadWrite and ServiceConnect, such as iothubowner; the right to write includes that to read.`}
      />
      {host !== "" && <Facts of={[["Hub", <Id>{host}</Id>], ["Policy", keyName(string)]]} />}
      <div class="form">
        <TextField label="Weight" type="number" value={weight} onInput={setWeight} error={wrong.weight} />
        <TextField label="Location" value={location} onInput={setLocation} />
      </div>
      <Check label="Takes new devices by the service's policy" value={applies} onChange={setApplies} hint="Otherwise only enrollments that name it send devices there." />
    </ActionDialog>
  );
}
