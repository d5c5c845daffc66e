// One enrollment or one group: what it says, what came of it, and what can be done with it.
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { object, text } from "../../api/client";
import { erase, mechanism, queryRegistrations, read, write, type Attestation, type CertificateInfo, type Enrollment, type Kind, type Registration } from "../../api/enrollments";
import { asApiError, useLoad } from "../../api/load";
import { PAGE, usePages } from "../../api/pages";
import { may } from "../../api/session";
import { Button, Card, CodeBox, Copy, Empty, Facts, Failure, Id, LinkButton, Note, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { go, link, route } from "../../shell/route";
import { plural } from "../../text/number";
import { ago, at } from "../../text/time";
import { documentOf, draftOf, idOf, type Document } from "./draft";
import { EnrollmentForm, Keys } from "./form";

export function EnrollmentPage(): JSX.Element {
  return <Detail kind="enrollments" />;
}

export function GroupPage(): JSX.Element {
  return <Detail kind="enrollmentGroups" />;
}

function Detail({ kind }: { kind: Kind }): JSX.Element {
  const id = route.value.parts[0] ?? "";
  const group = kind === "enrollmentGroups";
  const found = useLoad((signal) => read<Document>(kind, id, signal), [kind, id]);
  const editing = useSignal(false);
  const deleting = useSignal(false);
  const keys = useSignal<Attestation | null>(null);
  const d = found.data;
  const writable = may.value.writeEnrollments;

  const turn = async (): Promise<void> => {
    if (d === undefined) return;
    try {
      const enabled = d.provisioningStatus === "disabled";
      await write(kind, id, documentOf({ ...draftOf(d), enabled }, kind, d), d.etag);
      toast(enabled ? `${id} is enabled.` : `${id} is disabled: it lets nobody in.`);
      found.reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
      found.reload();
    }
  };
  const show = async (): Promise<void> => {
    try {
      keys.value = await mechanism(kind, id);
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
  };

  if (d === undefined) {
    return (
      <Page title={id}>
        {found.error === null ? (
          <Waiting lines={6} />
        ) : found.error.status === 404 ? (
          <Card>
            <Empty title={group ? "There is no such group" : "No device is enrolled by this id"}>
              <span class="row">
                <LinkButton href={link(group ? "groups" : "enrollments")}>All</LinkButton>
                <LinkButton href={link(group ? "groups" : "enrollments", [], { new: id })} icon="plus">
                  Enroll it
                </LinkButton>
              </span>
            </Empty>
          </Card>
        ) : (
          <Failure error={found.error} retry={found.reload} />
        )}
      </Page>
    );
  }
  const disabled = d.provisioningStatus === "disabled";
  return (
    <Page
      title={idOf(d)}
      actions={
        <>
          {!group && (
            <LinkButton href={link("device", [id])} icon="clock">
              Timeline
            </LinkButton>
          )}
          {d.attestation.type === "symmetricKey" && (
            <Button icon="policies" disabled={!writable} onClick={() => void show()}>
              Keys
            </Button>
          )}
          <Button disabled={!writable} onClick={() => void turn()}>
            {disabled ? "Enable" : "Disable"}
          </Button>
          <Button icon="pencil" disabled={!writable} onClick={() => (editing.value = true)}>
            Edit
          </Button>
          <Button icon="trash" kind="danger" disabled={!writable} onClick={() => (deleting.value = true)}>
            Delete
          </Button>
        </>
      }
    >
      {disabled && <Note tone="warn">It is disabled. {group ? "Its devices are" : "The device is"} refused with 403 when {group ? "they register" : "it registers"}; a device that is on a hub already stays there.</Note>}
      <div class="grid">
        <Card title={group ? "Enrollment group" : "Individual enrollment"} span={6}>
          <Facts
            of={[
              [group ? "Group" : "Registration id", <span class="row"><Id>{idOf(d)}</Id><Copy text={idOf(d)} label="Copy the id" /></span>],
              ["Status", <Tag tone={disabled ? "warn" : "ok"}>{disabled ? "Disabled" : "Enabled"}</Tag>],
              ...("deviceId" in d && d.deviceId !== undefined ? ([["Device id", <Id>{d.deviceId}</Id>]] as const) : []),
              ["Allocation", d.allocationPolicy ?? "as the service has it"],
              ["Hubs", <bdi>{(d.iotHubs ?? (d.iotHubHostName === undefined ? [] : [d.iotHubHostName])).join(", ") || "all linked hubs"}</bdi>],
              ...(d.customAllocationDefinition === undefined || d.customAllocationDefinition === null ? [] : ([["Webhook", <bdi class="wrap">{d.customAllocationDefinition.webhookUrl.replace(/\?.*$/, "?…")}</bdi>]] as const)),
              ["Registers again", reprovision(d)],
              ["IoT Edge", d.capabilities?.iotEdge === true ? "yes" : "no"],
              ["Created", at(d.createdDateTimeUtc)],
              ["Changed", at(d.lastUpdatedDateTimeUtc)],
            ]}
          />
        </Card>
        <AttestationCard of={d.attestation} />
        {d.initialTwin !== undefined && d.initialTwin !== null && (
          <Card title="Initial twin" span={12}>
            <CodeBox text={JSON.stringify(d.initialTwin, null, 2)} label="the twin" />
          </Card>
        )}
        {group ? <Registrations group={id} /> : <RegistrationCard of={(d as Enrollment).registrationState} id={id} />}
      </div>
      {editing.value && <EnrollmentForm kind={kind} of={d} onClose={() => (editing.value = false)} onDone={found.reload} />}
      {keys.value !== null && <Keys of={keys.value} id={id} group={group} onClose={() => (keys.value = null)} />}
      {deleting.value && <Delete kind={kind} of={d} onClose={() => (deleting.value = false)} />}
    </Page>
  );
}

function reprovision(d: Document): string {
  const r = d.reprovisionPolicy;
  if (r === undefined || r === null || (r.updateHubAssignment && r.migrateDeviceData)) return "moves, and keeps its twin";
  return r.updateHubAssignment ? "moves, and begins with a new twin" : "stays on its hub";
}

function AttestationCard({ of }: { of: Attestation }): JSX.Element {
  const x = of.x509;
  const sides = x?.clientCertificates ?? x?.signingCertificates;
  return (
    <Card title="Attestation" span={6}>
      {of.type === "symmetricKey" && <p>By a symmetric key. The keys are shown by the button Keys alone.</p>}
      {of.type === "tpm" && (
        <div class="stack">
          <p>By a TPM with this endorsement key:</p>
          <CodeBox text={of.tpm?.endorsementKey ?? ""} label="the endorsement key" />
        </div>
      )}
      {of.type === "x509" && x?.caReferences !== undefined && x.caReferences !== null && (
        <Facts
          of={[
            ["Primary CA", <a href={link("certificates")}><bdi>{x.caReferences.primary ?? ""}</bdi></a>],
            ["Secondary CA", <bdi>{x.caReferences.secondary ?? ""}</bdi>],
          ]}
        />
      )}
      {of.type === "x509" && sides !== undefined && sides !== null && (
        <div class="stack">
          {sides.primary?.info !== undefined && <Info of={sides.primary.info} title={x?.clientCertificates ? "The device shows this certificate" : "Devices show a chain to this certificate"} />}
          {sides.secondary?.info !== undefined && sides.secondary.info.sha256Thumbprint !== sides.primary?.info?.sha256Thumbprint && <Info of={sides.secondary.info} title="Or this one" />}
        </div>
      )}
    </Card>
  );
}

function Info({ of, title }: { of: CertificateInfo; title: string }): JSX.Element {
  const days = (Date.parse(of.notAfterUtc) - Date.now()) / 86_400_000;
  return (
    <div class="stack">
      <h3>{title}</h3>
      <Facts
        of={[
          ["Subject", <bdi>{of.subjectName}</bdi>],
          ["Issuer", <bdi>{of.issuerName}</bdi>],
          ["Ends", <span class="row">{at(of.notAfterUtc)} <Tag tone={days < 0 ? "bad" : days < 30 ? "warn" : "ok"}>{days < 0 ? "has ended" : `${plural(Math.floor(days), "day")} left`}</Tag></span>],
          ["Serial number", <Id>{of.serialNumber}</Id>],
          ["SHA-1", <Id>{of.sha1Thumbprint}</Id>],
          ["SHA-256", <Id>{of.sha256Thumbprint}</Id>],
        ]}
      />
    </div>
  );
}

function RegistrationCard({ of, id }: { of: Registration | undefined; id: string }): JSX.Element {
  return (
    <Card title="Registration" span={12} actions={<a href={link("device", [id])}>Everything that happened</a>}>
      {of === undefined || of.status === "unassigned" ? <p class="muted">The device has not registered yet.</p> : <RegistrationFacts of={of} />}
    </Card>
  );
}

/** What a hub answered is a document: its sentence is told, the whole stands beneath. */
function Told({ code, message }: { code: number | undefined; message: string }): JSX.Element {
  const said = sentenceOf(message);
  if (said === null) return <span class="wrap">{code} {message}</span>;
  return (
    <div class="stack tight">
      <span class="wrap">
        {code} The answer was: {said}.
      </span>
      <details>
        <summary class="small">The whole answer</summary>
        <CodeBox text={message} label="the whole answer" />
      </details>
    </div>
  );
}

/** "IotHubUnauthorizedAccess, Unauthorized" of a hub's document; none of a plain sentence. */
export function sentenceOf(message: string): string | null {
  try {
    const of = object(JSON.parse(message));
    const told = text(of["Message"]) ?? text(of["message"]) ?? text(of["ExceptionMessage"]);
    return told === null ? null : told.replace(/^ErrorCode:\s*/i, "").replace(/;\s*/g, ", ").replace(/[.\s]+$/, "");
  } catch {
    return null;
  }
}

export function RegistrationFacts({ of }: { of: Registration }): JSX.Element {
  return (
    <Facts
      of={[
        ["Status", <Tag tone={of.status === "assigned" ? "ok" : of.status === "failed" ? "bad" : "warn"}>{of.status}</Tag>],
        ["Hub", <Id>{of.assignedHub ?? ""}</Id>],
        ["Device id", <Id>{of.deviceId ?? ""}</Id>],
        ["How", of.substatus ?? ""],
        ...(of.errorMessage === undefined || of.errorMessage === null ? [] : ([["Error", <Told code={of.errorCode} message={of.errorMessage} />]] as const)),
        ["First registered", at(of.createdDateTimeUtc)],
        ["Last registered", at(of.lastUpdatedDateTimeUtc)],
      ]}
    />
  );
}

function Registrations({ group }: { group: string }): JSX.Element {
  const [text, setText] = useState("");
  const wanted = text.trim();
  const found = usePages<Registration>((from, size, signal) => queryRegistrations(group, wanted, from, size, signal), [group, wanted], text === "" ? 0 : 250);
  return (
    <Card title="Devices that it let in" span={12} flush busy={found.busy}>
      <div class="row toolbar">
        <input class="input filter" type="search" placeholder="Id begins with" aria-label="Registration id begins with" value={text} maxLength={128} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      {found.error !== null ? (
        <div class="body">
          <Failure error={found.error} retry={found.retry} />
        </div>
      ) : found.rows === undefined ? (
        <div class="body">
          <Waiting />
        </div>
      ) : (
        <Table
          label="Registrations"
          rows={found.rows}
          pages={found}
          rowKey={(r) => r.registrationId ?? ""}
          columns={[
            { key: "id", title: "Registration id", by: (r) => r.registrationId, cell: (r) => <a class="open" href={link("device", [r.registrationId ?? ""])}><bdi class="id">{r.registrationId}</bdi></a> },
            { key: "status", title: "Status", by: (r) => r.status, cell: (r) => <Tag tone={r.status === "assigned" ? "ok" : r.status === "failed" ? "bad" : "warn"}>{r.status}</Tag> },
            { key: "hub", title: "Hub", by: (r) => r.assignedHub, cell: (r) => <bdi class="id">{r.assignedHub ?? ""}</bdi> },
            { key: "last", title: "Last registered", by: (r) => r.lastUpdatedDateTimeUtc, cell: (r) => ago(r.lastUpdatedDateTimeUtc ?? "") },
          ]}
          empty={wanted === "" ? <Empty title="No device of it has registered yet" /> : <Empty title="None fits">No device of it that registered has an id that begins so.</Empty>}
        />
      )}
    </Card>
  );
}

function Delete({ kind, of, onClose }: { kind: Kind; of: Document; onClose: () => void }): JSX.Element {
  const [typed, setTyped] = useState("");
  const group = kind === "enrollmentGroups";
  const id = idOf(of);
  const affected = useLoad(async (signal) => {
    if (!group) return null;
    let count = 0;
    let next: string | null = null;
    for (let pages = 0; pages < 10; pages++) {
      const page: { rows: Registration[]; next: string | null } = await queryRegistrations(id, "", next, PAGE, signal);
      count += page.rows.length;
      next = page.next;
      if (next === null) break;
    }
    return { count, more: next !== null };
  }, [id]);
  const state = "registrationState" in of ? of.registrationState : undefined;
  return (
    <ActionDialog
      title={`Delete ${id}?`}
      action="Delete"
      danger
      disabled={group && typed !== id}
      onClose={onClose}
      run={async () => {
        await erase(kind, id, of.etag);
        toast(`${id} is deleted.`);
        go(group ? "groups" : "enrollments");
      }}
    >
      {group ? (
        <>
          <p>
            {affected.data === undefined || affected.data === null ? "Looking for its devices …" : affected.data.count === 0 ? "No device of the group has registered." : `${affected.data.more ? "More than " : ""}${plural(affected.data.count, "device")} of the group registered.`} They keep their place on
            their hubs, and are refused when they register again.
          </p>
          <TextField label={`Type ${id} to confirm`} value={typed} onInput={setTyped} mono />
        </>
      ) : (
        <p>
          {state?.assignedHub !== undefined ? (
            <>
              The device is on <Id>{state.assignedHub}</Id> and stays there; it is refused when it registers again. To shut it out, disable it on the hub as well.
            </>
          ) : (
            "The device has not registered. It is refused when it tries, unless a group lets it in."
          )}
        </p>
      )}
    </ActionDialog>
  );
}
