// Access policies: who may call the service API with which rights, their keys shown once and rolled.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readPolicies, readService, writeService, type Policy } from "../../api/arm";
import { useLoad } from "../../api/load";
import { instance, may } from "../../api/session";
import { Button, Card, CodeBox, Empty, Failure, Note, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog, Dialog } from "../../parts/dialog";
import { Check, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";

const RIGHTS = [
  ["ServiceConfig", "change the service"],
  ["EnrollmentRead", "read enrollments"],
  ["EnrollmentWrite", "write enrollments"],
  ["DeviceConnect", "connect devices"],
  ["RegistrationStatusRead", "read registrations"],
  ["RegistrationStatusWrite", "delete registrations"],
] as const;

const rightsOf = (p: Policy): string[] => p.rights.split(",").map((r) => r.trim()).filter((r) => r !== "");

export function Policies(): JSX.Element {
  const policies = useLoad(readPolicies, []);
  const service = useLoad(readService, []);
  const [opened, setOpened] = useState<Policy | null>(null);
  const [editing, setEditing] = useState<Policy | "new" | null>(null);
  const [rolling, setRolling] = useState<{ policy: Policy; key: "primaryKey" | "secondaryKey" } | null>(null);
  const [removing, setRemoving] = useState<Policy | null>(null);
  const write = async (next: Policy[]): Promise<void> => {
    if (service.data === undefined) throw new Error("The service is not read yet. Try again.");
    await writeService(service.data, { authorizationPolicies: next });
    service.reload();
    policies.reload();
  };
  const all = policies.data ?? [];
  if (!may.value.configure) {
    return (
      <Page title="Access policies">
        <Note tone="warn">Your sign-in lacks the right ServiceConfig, which reading keys needs.</Note>
      </Page>
    );
  }
  return (
    <Page
      title="Access policies"
      about="Each has two keys and the rights of whoever holds one."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setEditing("new")}>
          New policy
        </Button>
      }
    >
      <Card flush>
        {policies.data === undefined ? (
          <div class="body">{policies.error === null ? <Waiting /> : <Failure error={policies.error} retry={policies.reload} />}</div>
        ) : (
          <Table
            label="Access policies"
            rows={all}
            rowKey={(p) => p.keyName}
            columns={[
              { key: "name", title: "Name", by: (p) => p.keyName, cell: (p) => <button type="button" class="open" onClick={() => setEditing(p)}><bdi>{p.keyName}</bdi></button> },
              { key: "rights", title: "Rights", cell: (p) => <span class="row">{rightsOf(p).map((r) => <Tag key={r} dot={false}>{r}</Tag>)}</span> },
              {
                key: "do",
                title: "",
                cell: (p) => (
                  <span class="row">
                    <Button small label={`Keys of ${p.keyName}`} onClick={() => setOpened(p)}>
                      Keys
                    </Button>
                    <Button small label={`Roll secondary key of ${p.keyName}`} onClick={() => setRolling({ policy: p, key: "secondaryKey" })}>
                      Roll secondary
                    </Button>
                    <Button small label={`Roll primary key of ${p.keyName}`} onClick={() => setRolling({ policy: p, key: "primaryKey" })}>
                      Roll primary
                    </Button>
                    <Button small kind="quiet" icon="trash" label={`Delete ${p.keyName}`} onClick={() => setRemoving(p)} />
                  </span>
                ),
              },
            ]}
            empty={<Empty title="No policy: nobody can call the service API with a key" />}
          />
        )}
      </Card>
      {opened !== null && <KeysOf of={opened} onClose={() => setOpened(null)} />}
      {editing !== null && <PolicyForm of={editing === "new" ? null : editing} all={all} write={write} onClose={() => setEditing(null)} />}
      {rolling !== null && (
        <ActionDialog
          title={`Roll the ${rolling.key === "primaryKey" ? "primary" : "secondary"} key of ${rolling.policy.keyName}?`}
          action="Roll"
          danger
          onClose={() => setRolling(null)}
          run={async () => {
            const key = newKey();
            await write(all.map((p) => (p.keyName === rolling.policy.keyName ? { ...p, [rolling.key]: key } : p)));
            setOpened({ ...rolling.policy, [rolling.key]: key });
          }}
        >
          <p>The key that is there stops working with the next call. Whoever uses it has to change to the other key first.</p>
          <Note>If you are signed in with this very key, you are signed out.</Note>
        </ActionDialog>
      )}
      {removing !== null && (
        <ActionDialog
          title={`Delete ${removing.keyName}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await write(all.filter((p) => p.keyName !== removing.keyName));
            toast(`${removing.keyName} is deleted.`);
          }}
        >
          <p>Both its keys stop working with the next call.</p>
        </ActionDialog>
      )}
    </Page>
  );
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(64));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function KeysOf({ of, onClose }: { of: Policy; onClose: () => void }): JSX.Element {
  const [shown, setShown] = useState(false);
  const port = location.protocol === "https:" && location.port !== "" ? `:${location.port}` : "";
  const connection = (key: string): string => `HostName=${instance.value?.host ?? ""}${(instance.value?.host ?? "").includes(":") ? "" : port};SharedAccessKeyName=${of.keyName};SharedAccessKey=${key}`;
  return (
    <Dialog title={`Keys of ${of.keyName}`} wide onClose={onClose} footer={<Button kind="primary" onClick={onClose}>Done</Button>}>
      {!shown ? (
        <div>
          <Button icon="policies" onClick={() => setShown(true)}>
            Show the keys
          </Button>
        </div>
      ) : (
        ([["Primary", of.primaryKey], ["Secondary", of.secondaryKey]] as const).map(([which, key]) => (
          <div class="stack" key={which}>
            <div class="field">
              <span class="label">{which} key</span>
              <CodeBox text={key ?? ""} label={`the ${which.toLowerCase()} key`} />
            </div>
            <div class="field">
              <span class="label">{which} connection string</span>
              <CodeBox text={connection(key ?? "")} label={`the ${which.toLowerCase()} connection string`} />
            </div>
          </div>
        ))
      )}
    </Dialog>
  );
}

function PolicyForm({ of, all, write, onClose }: { of: Policy | null; all: readonly Policy[]; write: (next: Policy[]) => Promise<void>; onClose: () => void }): JSX.Element {
  const [name, setName] = useState(of?.keyName ?? "");
  const [rights, setRights] = useState<ReadonlySet<string>>(new Set(of === null ? ["EnrollmentRead"] : rightsOf(of)));
  const wrong = name === "" ? "A name is needed" : !/^[A-Za-z0-9\-_.]{1,64}$/.test(name) ? "Letters, digits and - _ ." : of === null && all.some((p) => p.keyName.toLowerCase() === name.toLowerCase()) ? "There is a policy of this name" : null;
  const flip = (right: string, on: boolean): void => {
    const next = new Set(rights);
    if (on) next.add(right);
    else next.delete(right);
    setRights(next);
  };
  return (
    <ActionDialog
      title={of === null ? "New policy" : of.keyName}
      action={of === null ? "Create" : "Save"}
      disabled={wrong !== null || rights.size === 0}
      onClose={onClose}
      run={async () => {
        const next: Policy = { ...of, keyName: name, rights: RIGHTS.map(([r]) => r).filter((r) => rights.has(r)).join(", ") };
        await write(of === null ? [...all, next] : all.map((p) => (p.keyName === of.keyName ? next : p)));
        toast(of === null ? `${name} is made. Its keys are shown by the button Keys.` : `${name} is saved.`);
      }}
    >
      <TextField label="Name" value={name} onInput={setName} disabled={of !== null} error={wrong} />
      <fieldset class="stack tight">
        <legend>Who holds a key may</legend>
        {RIGHTS.map(([right, words]) => (
          <Check key={right} label={words} hint={right} value={rights.has(right)} onChange={(on) => flip(right, on)} />
        ))}
      </fieldset>
    </ActionDialog>
  );
}
