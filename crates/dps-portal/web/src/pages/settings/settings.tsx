// Diagnostic settings: which logs and metrics go where.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { deleteSetting, readCategories, readSettings, writeSetting, type DiagnosticSetting, type SettingCategory } from "../../api/insights";
import { useLoad } from "../../api/load";
import { may, session } from "../../api/session";
import { Button, Card, Empty, Failure, Id, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Check, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";

export function Settings(): JSX.Element {
  const settings = useLoad(readSettings, []);
  const categories = useLoad(readCategories, []);
  const [editing, setEditing] = useState<DiagnosticSetting | "new" | null>(null);
  const [removing, setRemoving] = useState<DiagnosticSetting | null>(null);
  return (
    <Page
      title="Diagnostic settings"
      about="Each setting sends logs and metrics of this service to a workspace, to storage, or to a stream of events."
      actions={
        <Button kind="primary" icon="plus" disabled={!may.value.configure} onClick={() => setEditing("new")}>
          Add diagnostic setting
        </Button>
      }
    >
      <Card flush>
        {settings.data === undefined ? (
          <div class="body">{settings.error === null ? <Waiting /> : <Failure error={settings.error} retry={settings.reload} />}</div>
        ) : (
          <Table
            label="Diagnostic settings"
            rows={settings.data}
            rowKey={(s) => s.name}
            columns={[
              { key: "name", title: "Name", by: (s) => s.name, cell: (s) => <button type="button" class="open" onClick={() => setEditing(s)}><bdi>{s.name}</bdi></button> },
              { key: "what", title: "Sends", cell: (s) => <span class="row">{sent(s).map((w) => <Tag key={w} dot={false}>{w}</Tag>)}</span> },
              { key: "where", title: "To", cell: (s) => <ul class="plain">{places(s).map(([kind, id]) => <li key={kind}>{kind}: <Id>{shortId(id)}</Id></li>)}</ul> },
              { key: "do", title: "", cell: (s) => <Button small kind="quiet" icon="trash" disabled={!may.value.configure} label={`Delete ${s.name}`} onClick={() => setRemoving(s)} /> },
            ]}
            empty={<Empty title="Nothing is sent anywhere">Without a setting the service keeps no logs that can be asked for.</Empty>}
          />
        )}
      </Card>
      <Card title="What can be sent" flush>
        {categories.data === undefined ? (
          <div class="body">{categories.error === null ? <Waiting /> : <Failure error={categories.error} retry={categories.reload} />}</div>
        ) : (
          <ul class="plain states padded">
            {categories.data.map((c) => (
              <li key={c.name}>
                <span class="grow">
                  <b>{c.name}</b>
                  <div class="muted small">{ABOUT[c.name] ?? c.properties.categoryType}</div>
                </span>
                {(c.properties.categoryGroups ?? []).map((g) => (
                  <Tag key={g} dot={false}>
                    {g}
                  </Tag>
                ))}
              </li>
            ))}
          </ul>
        )}
      </Card>
      {editing !== null && categories.data !== undefined && <SettingForm of={editing === "new" ? null : editing} categories={categories.data} onClose={() => setEditing(null)} onDone={settings.reload} />}
      {removing !== null && (
        <ActionDialog
          title={`Delete ${removing.name}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await deleteSetting(removing.name);
            toast(`${removing.name} is deleted.`);
            settings.reload();
          }}
        >
          <p>
            Nothing more is sent to {places(removing).map(([kind]) => kind.toLowerCase()).join(" and ")}. {(settings.data ?? []).length === 1 && "It is the only setting: new logs will not be kept for queries, and log alert rules will find nothing."}
          </p>
        </ActionDialog>
      )}
    </Page>
  );
}

const ABOUT: Record<string, string> = {
  DeviceOperations: "What devices asked: attestations, assignments, refused connections.",
  ServiceOperations: "Calls of the service API, and linked hubs that stop working.",
  AllMetrics: "Every metric, minute by minute.",
};

function sent(s: DiagnosticSetting): string[] {
  const logs = (s.properties.logs ?? []).filter((l) => l.enabled).map((l) => l.categoryGroup ?? l.category ?? "");
  const metrics = (s.properties.metrics ?? []).filter((m) => m.enabled).map((m) => m.category ?? "AllMetrics");
  return [...logs, ...metrics];
}

function places(s: DiagnosticSetting): [string, string][] {
  const p = s.properties;
  const all: [string, string | null | undefined][] = [
    ["Workspace", p.workspaceId],
    ["Storage", p.storageAccountId],
    ["Event stream", p.eventHubAuthorizationRuleId],
    ["Partner", p.marketplacePartnerId],
  ];
  return all.flatMap(([kind, id]) => (typeof id === "string" && id !== "" ? [[kind, kind === "Event stream" && p.eventHubName ? `${id} (${p.eventHubName})` : id] as [string, string]] : []));
}

function shortId(id: string): string {
  return id.startsWith("/") ? id.split("/").slice(-1).join("") : id;
}

function SettingForm({ of, categories, onClose, onDone }: { of: DiagnosticSetting | null; categories: readonly SettingCategory[]; onClose: () => void; onDone: () => void }): JSX.Element {
  const p = of?.properties;
  const chosen = new Set((p?.logs ?? []).filter((l) => l.enabled).map((l) => l.categoryGroup ?? l.category ?? ""));
  const [name, setName] = useState(of?.name ?? "");
  const [logs, setLogs] = useState<ReadonlySet<string>>(of === null ? new Set(["allLogs"]) : chosen);
  const [metrics, setMetrics] = useState(of === null ? true : (p?.metrics ?? []).some((m) => m.enabled));
  const [workspace, setWorkspace] = useState(of === null ? true : typeof p?.workspaceId === "string");
  const [storage, setStorage] = useState(p?.storageAccountId ?? "");
  const [rule, setRule] = useState(p?.eventHubAuthorizationRuleId ?? "");
  const [topic, setTopic] = useState(p?.eventHubName ?? "");
  const [partner, setPartner] = useState(p?.marketplacePartnerId ?? "");
  const groups = [...new Set(categories.flatMap((c) => c.properties.categoryGroups ?? []))];
  const kinds = categories.filter((c) => c.properties.categoryType === "Logs").map((c) => c.name);
  const byGroup = groups.some((g) => logs.has(g));
  const bad = /[<>%&:\\?/#*"]/.exec(name);
  const wrongName = name.trim() === "" ? "A name is needed" : bad === null ? null : `${bad[0]} cannot stand in a name`;
  const nowhere = !workspace && storage.trim() === "" && rule.trim() === "" && partner.trim() === "";
  const nothing = logs.size === 0 && !metrics;
  const flip = (set: string, on: boolean): void => {
    const next = new Set(logs);
    if (on) {
      // A setting names groups or categories, not both.
      for (const other of groups.includes(set) ? kinds : groups) next.delete(other);
      next.add(set);
    } else next.delete(set);
    setLogs(next);
  };
  const save = async (): Promise<void> => {
    await writeSetting(name.trim(), {
      ...(workspace ? { workspaceId: p?.workspaceId ?? session.value?.workspaceId ?? "" } : {}),
      ...(storage.trim() === "" ? {} : { storageAccountId: storage.trim() }),
      ...(rule.trim() === "" ? {} : { eventHubAuthorizationRuleId: rule.trim() }),
      ...(rule.trim() === "" || topic.trim() === "" ? {} : { eventHubName: topic.trim() }),
      ...(partner.trim() === "" ? {} : { marketplacePartnerId: partner.trim() }),
      logs: [...logs].map((l) => (groups.includes(l) ? { categoryGroup: l, enabled: true } : { category: l, enabled: true })),
      metrics: metrics ? [{ category: "AllMetrics", enabled: true }] : [],
    });
    toast(`${name.trim()} is saved.`);
    onDone();
  };
  return (
    <ActionDialog title={of === null ? "Add diagnostic setting" : of.name} action="Save" wide disabled={wrongName !== null || nowhere || nothing || !may.value.configure} onClose={onClose} run={save}>
      <TextField label="Diagnostic setting name" value={name} onInput={setName} disabled={of !== null} error={wrongName} />
      <div class="form">
        <fieldset class="stack tight">
          <legend>Category groups</legend>
          {groups.map((g) => (
            <Check key={g} label={g} value={logs.has(g)} onChange={(on) => flip(g, on)} />
          ))}
        </fieldset>
        <fieldset class="stack tight">
          <legend>Categories</legend>
          {kinds.map((k) => (
            <Check key={k} label={k} value={logs.has(k)} onChange={(on) => flip(k, on)} {...(byGroup ? { hint: "" } : {})} />
          ))}
        </fieldset>
        <fieldset class="stack tight">
          <legend>Metrics</legend>
          <Check label="AllMetrics" value={metrics} onChange={setMetrics} />
        </fieldset>
      </div>
      <fieldset class="stack">
        <legend>Destinations</legend>
        <Check label="Send to the built-in workspace" value={workspace} onChange={setWorkspace} hint="Where Logs asks." />
        <TextField label="Storage account" value={storage} onInput={setStorage} mono placeholder="/subscriptions/…/storageAccounts/…" hint="The id of a destination in the server's configuration." />
        <TextField label="Event hub authorization rule" value={rule} onInput={setRule} mono placeholder="/subscriptions/…/authorizationRules/…" />
        {rule.trim() !== "" && <TextField label="Event hub or topic" value={topic} onInput={setTopic} />}
        <TextField label="Partner" value={partner} onInput={setPartner} mono />
      </fieldset>
      {nowhere && <p class="muted small">Choose at least one destination.</p>}
      {nothing && <p class="muted small">Choose at least one category.</p>}
    </ActionDialog>
  );
}
