// Action groups: webhooks that are told. A URL may hold a secret, so it is shown only in the form that changes it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readGroups, remove, testGroup, writeGroup, type ActionGroup } from "../../api/insights";
import { asApiError, useLoad } from "../../api/load";
import { Button, Card, Empty, Failure, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Check, SelectField, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { mayWriteRules } from "../../api/session";

export function Groups(): JSX.Element {
  const groups = useLoad(readGroups, []);
  const [editing, setEditing] = useState<ActionGroup | "new" | null>(null);
  const [removing, setRemoving] = useState<ActionGroup | null>(null);
  const [testing, setTesting] = useState<string | null>(null);
  const test = async (group: ActionGroup): Promise<void> => {
    setTesting(group.id);
    try {
      const done = await testGroup(group);
      for (const a of done.actionDetails ?? []) toast(`${a.Name}: ${a.Status}${a.Detail === undefined || a.Detail === "" ? "" : `, ${a.Detail}`}`, /complet|succe/i.test(a.Status) ? "ok" : "bad");
      if ((done.actionDetails ?? []).length === 0) toast(`The test is ${done.state}.`);
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
    setTesting(null);
  };
  return (
    <Card
      title="Action groups"
      flush
      actions={
        <Button small kind="primary" icon="plus" disabled={!mayWriteRules.value} onClick={() => setEditing("new")}>
          New action group
        </Button>
      }
    >
      {groups.data === undefined ? (
        <div class="body">{groups.error === null ? <Waiting /> : <Failure error={groups.error} retry={groups.reload} />}</div>
      ) : (
        <Table
          label="Action groups"
          rows={groups.data}
          rowKey={(g) => g.id}
          columns={[
            { key: "name", title: "Name", by: (g) => g.name, cell: (g) => <button type="button" class="open" onClick={() => setEditing(g)}><bdi>{g.name}</bdi></button> },
            { key: "short", title: "Short name", cell: (g) => <bdi>{g.properties.groupShortName}</bdi> },
            { key: "receivers", title: "Webhooks", cell: (g) => <bdi>{(g.properties.webhookReceivers ?? []).map((w) => w.name).join(", ") || "none"}</bdi> },
            { key: "enabled", title: "State", by: (g) => g.properties.enabled, cell: (g) => <Tag tone={g.properties.enabled ? "ok" : "plain"}>{g.properties.enabled ? "Enabled" : "Disabled"}</Tag> },
            {
              key: "do",
              title: "",
              cell: (g) => (
                <span class="row">
                  <Button small icon="bolt" busy={testing === g.id} onClick={() => void test(g)}>
                    Test
                  </Button>
                  <Button small kind="quiet" icon="trash" label={`Delete ${g.name}`} onClick={() => setRemoving(g)} />
                </span>
              ),
            },
          ]}
          empty={<Empty title="Nobody is told yet">An action group names the webhooks that alerts are sent to.</Empty>}
        />
      )}
      {editing !== null && <GroupForm of={editing === "new" ? null : editing} onClose={() => setEditing(null)} onDone={groups.reload} />}
      {removing !== null && (
        <ActionDialog
          title={`Delete ${removing.name}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await remove("actionGroups", removing.id);
            toast(`${removing.name} is deleted.`);
            groups.reload();
          }}
        >
          <p>Rules that name this group go on firing alerts, and tell nobody by it.</p>
        </ActionDialog>
      )}
    </Card>
  );
}

const SCHEMAS = [
  ["common", "Azure's common alert schema"],
  ["older", "Azure's older form"],
  ["alertmanager", "Prometheus Alertmanager"],
] as const;

function GroupForm({ of, onClose, onDone }: { of: ActionGroup | null; onClose: () => void; onDone: () => void }): JSX.Element {
  const hook = of?.properties.webhookReceivers?.[0];
  const [name, setName] = useState(of?.name ?? "");
  const [short, setShort] = useState(of?.properties.groupShortName ?? "");
  const [enabled, setEnabled] = useState(of?.properties.enabled ?? true);
  const [receiver, setReceiver] = useState(hook?.name ?? "webhook");
  const [url, setUrl] = useState((hook?.serviceUri ?? "").replace(/#alertmanager$/, ""));
  const [schema, setSchema] = useState<(typeof SCHEMAS)[number][0]>(hook === undefined || hook.useCommonAlertSchema === true ? "common" : hook.serviceUri.endsWith("#alertmanager") ? "alertmanager" : "older");
  const wrongUrl = url !== "" && !/^https?:\/\/[^\s/]+/.test(url) ? "A URL that begins with https:// or http://" : null;
  const others = (of?.properties.webhookReceivers ?? []).slice(1);
  return (
    <ActionDialog
      title={of === null ? "New action group" : of.name}
      action={of === null ? "Create" : "Save"}
      disabled={name.trim() === "" || short.trim() === "" || wrongUrl !== null || !mayWriteRules.value}
      onClose={onClose}
      run={async () => {
        const hooks = url.trim() === "" ? [] : [{ name: receiver.trim(), serviceUri: schema === "alertmanager" ? `${url.trim()}#alertmanager` : url.trim(), useCommonAlertSchema: schema === "common" }];
        await writeGroup(name.trim(), { ...of?.properties, groupShortName: short.trim(), enabled, webhookReceivers: [...hooks, ...others] });
        toast(`${name.trim()} is saved.`);
        onDone();
      }}
    >
      <div class="form">
        <TextField label="Name" value={name} onInput={(v) => (setName(v), of === null && setShort(v.slice(0, 12)))} disabled={of !== null} required error={name === "" ? "A name is needed" : null} />
        <TextField label="Short name" value={short} onInput={setShort} hint="At most 12 characters" error={short.length > 12 ? `${short.length} of at most 12 characters` : short === "" ? "A short name is needed" : null} />
        <TextField label="Webhook's name" value={receiver} onInput={setReceiver} />
        <SelectField label="Body" value={schema} of={SCHEMAS} onChange={setSchema} />
        <TextField wide label="Webhook's URL" value={url} onInput={setUrl} mono error={wrongUrl} placeholder="https://pager.example/hook" />
        <div class="wide">
          <Check label="Enabled" value={enabled} onChange={setEnabled} />
        </div>
      </div>
      {others.length > 0 && <p class="muted small">{others.length} more webhooks of this group stay as they are.</p>}
    </ActionDialog>
  );
}
