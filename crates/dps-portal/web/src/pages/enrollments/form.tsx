// The form of an enrollment or a group, judged as one types; a conflict of versions is shown as a difference.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { readCertificates as readCas, readService } from "../../api/arm";
import { read, write, type Attestation, type Kind } from "../../api/enrollments";
import { useLoad } from "../../api/load";
import { may } from "../../api/session";
import { Button, CodeBox, Note, Segments } from "../../parts/basics";
import { ActionDialog, Dialog } from "../../parts/dialog";
import { AreaField, Check, Field, SelectField, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { diff } from "../../text/diff";
import { pem } from "../../x509/certificate";
import { CertificateField, useCertificates } from "../../x509/field";
import { documentOf, draftOf, EMPTY, judge, judgeId, type Document, type Draft } from "./draft";

export interface FormProps {
  kind: Kind;
  of: Document | null;
  /** What is known already, from the inbox or a failed attempt. */
  begin?: Partial<Draft>;
  /** What the person should know first. */
  intro?: ComponentChildren;
  /** Whose certificate is wanted. */
  issuer?: string | undefined;
  onClose: () => void;
  onDone: (written: Document) => void;
}

export function EnrollmentForm({ kind, of, begin, intro, issuer, onClose, onDone }: FormProps): JSX.Element {
  const [base, setBase] = useState(of);
  const [d, setDraft] = useState<Draft>(() => (of === null ? { ...EMPTY, ...begin } : draftOf(of)));
  const [theirs, setTheirs] = useState<Document | null>(null);
  const [made, setMade] = useState<Attestation | null>(null);
  const [written, setWritten] = useState<Document | null>(null);
  const isNew = base === null;
  const primary = useCertificates(d.primaryCertificate);
  const secondary = useCertificates(d.secondaryCertificate);
  const service = useLoad(readService, []);
  const cas = useLoad(readCas, []);
  const set = (change: Partial<Draft>): void => setDraft((now) => ({ ...now, ...change }));
  const leaf = primary.certificates[0];
  const wrong = judge(d, kind, isNew);
  const cn = leaf?.commonName ?? null;
  const mismatch = kind === "enrollments" && d.type === "x509" && cn !== null && d.id !== "" && cn.toLowerCase() !== d.id.toLowerCase();
  const group = kind === "enrollmentGroups";
  const blocked = Object.keys(wrong).length > 0 || (d.type === "x509" && (primary.error !== null || secondary.error !== null)) || !may.value.writeEnrollments;

  const save = async (etag: string | undefined): Promise<void> => {
    const draft = { ...d, primaryCertificate: leaf === undefined ? d.primaryCertificate : pem(leaf), secondaryCertificate: secondary.certificates[0] === undefined ? d.secondaryCertificate : pem(secondary.certificates[0]) };
    const got = await write<Document>(kind, d.id, documentOf(draft, kind, base), etag);
    toast(isNew ? `${d.id} is enrolled.` : `${d.id} is saved.`);
    if (isNew && got.attestation.type === "symmetricKey") {
      setWritten(got);
      setMade(got.attestation);
      throw new Shown();
    }
    onDone(got);
  };

  if (made !== null && written !== null) return <Keys of={made} id={d.id} group={group} onClose={() => (onDone(written), onClose())} />;
  if (theirs !== null && base !== null) {
    return (
      <Conflict
        was={base}
        theirs={theirs}
        mine={documentOf(d, kind, base)}
        onClose={() => setTheirs(null)}
        onTheirs={() => {
          setBase(theirs);
          setDraft(draftOf(theirs));
          setTheirs(null);
        }}
        onMine={async () => {
          await save(theirs.etag);
        }}
        onDone={onClose}
      />
    );
  }

  return (
    <ActionDialog
      title={isNew ? (group ? "New enrollment group" : "New individual enrollment") : d.id}
      action={isNew ? "Create" : "Save"}
      wide
      disabled={blocked}
      onClose={onClose}
      run={() => save(base?.etag)}
      onError={(error) => {
        if (error.message === SHOWN) return true;
        if (error.status !== 412 || base === null) return false;
        void read<Document>(kind, d.id).then(setTheirs);
        return true;
      }}
    >
      {intro}
      <div class="form">
        <TextField label={group ? "Group name" : "Registration id"} value={d.id} onInput={(id) => set({ id: id.trim() })} disabled={!isNew} mono required error={wrong.id ?? null} hint={group ? undefined : "The id that the device registers by. Case does not tell two ids apart."} />
        {!group && <TextField label="Device id on the hub" value={d.deviceId} onInput={(deviceId) => set({ deviceId })} mono error={wrong.deviceId ?? null} placeholder={d.id === "" ? "the registration id" : d.id} />}
        <div class="wide field">
          <span class="label">Attestation</span>
          <Segments
            label="Attestation"
            value={d.type}
            of={
              group
                ? [
                    ["symmetricKey", "Symmetric key"],
                    ["x509", "X.509 certificate"],
                  ]
                : [
                    ["symmetricKey", "Symmetric key"],
                    ["x509", "X.509 certificate"],
                    ["tpm", "TPM"],
                  ]
            }
            onChange={(type) => set({ type })}
          />
        </div>
        {d.type === "symmetricKey" && (
          <>
            <TextField label="Primary key" value={d.primaryKey} onInput={(primaryKey) => set({ primaryKey })} mono type="password" autocomplete="new-password" error={wrong.primaryKey ?? null} hint={isNew ? "Without keys the service makes both." : "Left empty, the keys stay as they are."} />
            <TextField label="Secondary key" value={d.secondaryKey} onInput={(secondaryKey) => set({ secondaryKey })} mono type="password" autocomplete="new-password" error={wrong.secondaryKey ?? null} />
          </>
        )}
        {d.type === "tpm" && <AreaField wide label="Endorsement key" value={d.endorsementKey} onInput={(endorsementKey) => set({ endorsementKey })} rows={4} error={d.endorsementKey === "" ? null : (wrong.endorsementKey ?? null)} hint="The TPM2B_PUBLIC of the endorsement key, in base64." />}
        {d.type === "x509" && group && (
          <SelectField
            label="Devices show a chain to"
            value={d.by}
            of={[
              ["certificate", "a certificate given here"],
              ["reference", "an uploaded CA certificate"],
            ]}
            onChange={(by) => set({ by })}
          />
        )}
        {d.type === "x509" && group && d.by === "reference" ? (
          <>
            <SelectField label="Primary CA" value={d.primaryReference} of={[["", "Choose"] as const, ...(cas.data ?? []).map((c) => [c.name, `${c.name}${c.properties.isVerified ? "" : " (not verified)"}`] as const)]} onChange={(primaryReference) => set({ primaryReference })} error={wrong.primaryReference ?? null} />
            <SelectField label="Secondary CA" value={d.secondaryReference} of={[["", "None"] as const, ...(cas.data ?? []).map((c) => [c.name, c.name] as const)]} onChange={(secondaryReference) => set({ secondaryReference })} />
          </>
        ) : (
          d.type === "x509" && (
            <>
              <CertificateField
                label={group ? "Primary signing certificate" : "Primary certificate"}
                value={d.primaryCertificate}
                onInput={(primaryCertificate) => set({ primaryCertificate })}
                read={primary}
                want={group ? "ca" : "leaf"}
                hint={isNew ? "PEM, or base64 of DER. A file may be dropped here." : "Left empty, the certificate stays as it is."}
              >
                {issuer !== undefined && leaf !== undefined && group && <Wanted issuer={issuer} subject={leaf.subject} />}
              </CertificateField>
              {mismatch && (
                <div class="wide">
                  <Note
                    tone="warn"
                    actions={
                      judgeId(cn) === null && isNew ? (
                        <Button small onClick={() => set({ id: cn })}>
                          Use {cn}
                        </Button>
                      ) : undefined
                    }
                  >
                    The certificate's common name is <bdi class="id">{cn}</bdi>. The device registers by its common name, so the registration id must be the same.
                  </Note>
                </div>
              )}
              <details class="wide">
                <summary>Secondary certificate</summary>
                <CertificateField label="Secondary certificate" value={d.secondaryCertificate} onInput={(secondaryCertificate) => set({ secondaryCertificate })} read={secondary} want={group ? "ca" : "leaf"} />
              </details>
            </>
          )
        )}
      </div>
      <div class="row">
        <Check label="Enabled" value={d.enabled} onChange={(enabled) => set({ enabled })} />
        <Check label="IoT Edge device" value={d.iotEdge} onChange={(iotEdge) => set({ iotEdge })} />
      </div>
      <details open={d.allocation !== "" || d.hubs.length > 0}>
        <summary>Hub and allocation</summary>
        <div class="form">
          <SelectField
            label="Allocation policy"
            value={d.allocation}
            of={[
              ["", "As the service has it"],
              ["hashed", "Evenly weighted"],
              ["geoLatency", "Lowest latency"],
              ["static", "One hub"],
              ["custom", "Ask a webhook"],
            ]}
            onChange={(allocation) => set({ allocation })}
          />
          <SelectField
            label="When the device registers again"
            value={d.reprovision}
            of={[
              ["migrate", "move it and keep its twin"],
              ["reset", "move it and begin with a new twin"],
              ["never", "it stays on its hub"],
            ]}
            onChange={(reprovision) => set({ reprovision })}
          />
          <Field label="Hubs" wide error={wrong.hubs ?? null} hint="None chosen: all linked hubs.">
            {() => (
              <div class="row">
                {[...new Set([...(service.data?.properties.iotHubs ?? []).map((h) => h.name), ...d.hubs])].map((h) => (
                  <Check key={h} label={<bdi class="id">{h}</bdi>} value={d.hubs.includes(h)} onChange={(on) => set({ hubs: on ? [...d.hubs, h] : d.hubs.filter((x) => x !== h) })} />
                ))}
              </div>
            )}
          </Field>
          {d.allocation === "custom" && (
            <>
              <TextField label="Webhook's URL" value={d.webhookUrl} onInput={(webhookUrl) => set({ webhookUrl })} mono error={wrong.webhookUrl ?? null} />
              <TextField label="Its API version" value={d.webhookVersion} onInput={(webhookVersion) => set({ webhookVersion })} mono />
            </>
          )}
        </div>
      </details>
      <details open={d.twin !== ""}>
        <summary>Initial twin</summary>
        <AreaField label="Twin as JSON" value={d.twin} onInput={(twin) => set({ twin })} rows={6} error={wrong.twin ?? null} placeholder='{"tags": {"line": 7}, "properties": {"desired": {}}}' />
      </details>
    </ActionDialog>
  );
}

/** Names as the server writes them may be in another order than the browser reads them. */
function Wanted({ issuer, subject }: { issuer: string; subject: string }): JSX.Element {
  const parts = (name: string): string => name.split(/,\s*/).map((p) => p.trim().toLowerCase()).sort().join(",");
  return parts(issuer) === parts(subject) ? (
    <Note tone="ok">This is the certificate that was missing.</Note>
  ) : (
    <Note tone="warn">
      The missing certificate is that of <bdi class="id">{issuer}</bdi>; this is another one. It helps only if it issued that one, and the device sends the one between them.
    </Note>
  );
}

const SHOWN = "shown";
/** The write is done, and what it made has to be shown before the form closes. */
class Shown extends Error {
  constructor() {
    super(SHOWN);
  }
}

export function Keys({ of, id, group, onClose }: { of: Attestation; id: string; group: boolean; onClose: () => void }): JSX.Element {
  return (
    <Dialog title={`Keys of ${id}`} onClose={onClose} footer={<Button kind="primary" onClick={onClose}>Done</Button>}>
      {group ? (
        <Note>A device of the group does not get this key. Its own key is HMAC-SHA256 of its registration id under the group's key: <code>muster device key</code> derives it.</Note>
      ) : (
        <Note>Put one of them on the device; the other is there for a change without a gap.</Note>
      )}
      <div class="field">
        <span class="label">Primary key</span>
        <CodeBox text={of.symmetricKey?.primaryKey ?? ""} label="the primary key" />
      </div>
      <div class="field">
        <span class="label">Secondary key</span>
        <CodeBox text={of.symmetricKey?.secondaryKey ?? ""} label="the secondary key" />
      </div>
    </Dialog>
  );
}

function Conflict(p: { was: Document; theirs: Document; mine: unknown; onClose: () => void; onTheirs: () => void; onMine: () => Promise<void>; onDone: () => void }): JSX.Element {
  const clean = (d: unknown): unknown => {
    const { etag: _e, lastUpdatedDateTimeUtc: _l, createdDateTimeUtc: _c, registrationState: _r, ...rest } = d as Record<string, unknown>;
    return rest;
  };
  return (
    <ActionDialog title="Somebody else changed it meanwhile" action="Write mine over it" danger wide onClose={p.onClose} run={async () => (await p.onMine(), p.onDone())}>
      <Note tone="warn">Between your reading and your writing another version was written. Nothing of yours is stored yet.</Note>
      <h3>What they changed</h3>
      <Difference before={clean(p.was)} after={clean(p.theirs)} label="What they changed" />
      <h3>What you would change of theirs</h3>
      <Difference before={clean(p.theirs)} after={clean(p.mine)} label="What you would change" />
      <div>
        <Button onClick={p.onTheirs}>Take theirs and go on editing</Button>
      </div>
    </ActionDialog>
  );
}

export function Difference({ before, after, label }: { before: unknown; after: unknown; label: string }): JSX.Element {
  const lines = diff(before, after);
  if (lines.every((l) => l.kind === "same")) return <p class="muted">Nothing.</p>;
  return (
    <div class="diff" role="region" aria-label={label} tabIndex={0}>
      {lines.map((l, i) =>
        l.kind === "same" && !near(lines, i) ? null : (
          <div key={i} class={l.kind}>
            <span aria-hidden="true">{l.kind === "gone" ? "−" : l.kind === "new" ? "+" : " "}</span>
            {l.kind !== "same" && <span class="sr">{l.kind === "gone" ? "removed: " : "added: "}</span>}
            <bdi>{l.text}</bdi>
          </div>
        ),
      )}
    </div>
  );
}

function near(lines: readonly { kind: string }[], at: number): boolean {
  return lines.slice(Math.max(0, at - 2), at + 3).some((l) => l.kind !== "same");
}
