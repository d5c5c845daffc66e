// The small dialogs that mend: each reads what is there, says what it will do, and does one thing.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readService, writeService } from "../../api/arm";
import { dev, readShown, type Shown as ShownLast } from "../../api/diagnosis";
import { deleteRegistration, erase, mechanism, read, write, type Attestation, type CertificateInfo, type Enrollment, type Group, type Kind, type Registration } from "../../api/enrollments";
import { useLoad } from "../../api/load";
import { Facts, Id, Note } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { ago } from "../../text/time";
import { pem, type Certificate } from "../../x509/certificate";
import { CertificateField, Shown, useCertificates } from "../../x509/field";
import { documentOf, draftOf, judge, type Document } from "../enrollments/draft";
import { Loading, type DoingProps } from "./doing";

/** A document with another attestation, and all else as it was. */
function attested(of: Document, kind: Kind, attestation: Attestation): Record<string, unknown> {
  return { ...documentOf(draftOf(of), kind, of), attestation };
}

export function Enable({ kind, id, onClose, onDone }: DoingProps & { kind: Kind; id: string }): JSX.Element {
  return (
    <ActionDialog
      title={`Enable ${id}?`}
      action="Enable"
      onClose={onClose}
      run={async () => {
        const now = await read<Document>(kind, id);
        await write(kind, id, documentOf({ ...draftOf(now), enabled: true }, kind, now), now.etag);
        toast(`${id} is enabled.`);
        onDone();
      }}
    >
      <p>{kind === "enrollments" ? "The device is let in the next time that it asks." : "All devices of the group are let in the next time that they ask."}</p>
      <Note>Somebody disabled it once. If you do not know why, ask first.</Note>
    </ActionDialog>
  );
}

export function Rename({ from, device, onClose, onDone }: DoingProps & { from: string }): JSX.Element {
  const found = useLoad(async (signal) => ({ was: await read<Enrollment>("enrollments", from, signal), shown: await readShown(device, signal) }), [from, device]);
  if (found.data === undefined) return <Loading title={`Correct ${from}`} of={found} onClose={onClose} />;
  const { was, shown } = found.data;
  const state = was.registrationState;
  const used = state !== undefined && state.status === "assigned";
  const lacks = was.attestation.type === "x509" && (shown?.certificates.length ?? 0) === 0;
  return (
    <ActionDialog
      title={`Give the enrollment the id ${device}?`}
      action="Correct the id"
      disabled={lacks}
      onClose={onClose}
      run={async () => {
        const attestation = await carried(was, shown);
        const { registrationId: _id, ...rest } = attested(was, "enrollments", attestation);
        await write("enrollments", device, { ...rest, registrationId: device });
        await erase("enrollments", from, was.etag);
        toast(`${from} is now ${device}.`);
        onDone();
      }}
    >
      <Facts
        of={[
          ["It is now", <Id>{from}</Id>],
          ["It will be", <Id>{device}</Id>],
          [`As ${from}`, registered(state)],
        ]}
      />
      <p>An id cannot be changed, so the enrollment is made anew under the id of the device, with the same keys and settings, and the old one is deleted.</p>
      {used && (
        <Note tone="warn">
          <bdi class="id">{from}</bdi> is on {state.assignedHub} since {ago(state.createdDateTimeUtc ?? "")}: it seems to be another device, which would be refused from then on. Then correct the id on this device, or enroll it as another one.
        </Note>
      )}
      {lacks && <Note tone="bad">The certificate that the device showed is not remembered. Let it ask again, then come back.</Note>}
    </ActionDialog>
  );
}

function registered(of: Registration | undefined): string {
  if (of === undefined || of.status === "unassigned") return "it never registered";
  const when = ago(of.lastUpdatedDateTimeUtc ?? of.createdDateTimeUtc ?? "");
  return of.status === "assigned" ? `it last registered ${when}` : `it is ${of.status}, ${when}`;
}

/** Keys are copied, a TPM's key stands in the document, and of certificates the device's own is taken. */
async function carried(was: Enrollment, shown: ShownLast | null): Promise<Attestation> {
  if (was.attestation.type === "symmetricKey") return mechanism("enrollments", was.registrationId);
  if (was.attestation.type === "x509") return { type: "x509", x509: { clientCertificates: { primary: { certificate: shown?.certificates[0] ?? "" } } } };
  return was.attestation;
}

export function EnrollShown({ id, what, device, onClose, onDone }: DoingProps & { id: string; what: "certificate" | "endorsementKey" }): JSX.Element {
  const found = useLoad(async (signal) => ({ was: await read<Enrollment>("enrollments", id, signal), shown: await readShown(device, signal) }), [id, device]);
  const certificate = found.data?.shown?.certificates[0] ?? "";
  const own = useCertificates(what === "certificate" ? certificate : "");
  const title = what === "certificate" ? `Enroll the certificate of ${id}?` : `Accept the new endorsement key of ${id}?`;
  if (found.data === undefined) return <Loading title={title} of={found} onClose={onClose} />;
  const { was, shown } = found.data;
  const key = shown?.endorsementKey ?? "";
  const lacks = what === "certificate" ? certificate === "" : key === "";
  return (
    <ActionDialog
      title={title}
      action={what === "certificate" ? "Enroll it" : "Accept it"}
      wide={what === "certificate"}
      disabled={lacks}
      onClose={onClose}
      run={async () => {
        const attestation: Attestation =
          what === "endorsementKey"
            ? { type: "tpm", tpm: { endorsementKey: key } }
            : { type: "x509", x509: { clientCertificates: { ...(was.attestation.x509?.clientCertificates?.primary === undefined ? {} : { primary: was.attestation.x509.clientCertificates.primary }), secondary: { certificate } } } };
        await write("enrollments", id, attested(was, "enrollments", attestation), was.etag);
        toast(what === "certificate" ? "The certificate is enrolled." : "The endorsement key is enrolled.");
        onDone();
      }}
    >
      {lacks ? (
        <Note tone="bad">What the device showed is not remembered. Let it ask again, then come back.</Note>
      ) : what === "certificate" ? (
        own.certificates[0] !== undefined && (
          <>
            <Replaced was={was.attestation.x509?.clientCertificates?.primary?.info} by={own.certificates[0]} />
            <Shown of={own.certificates[0]} want="leaf" />
          </>
        )
      ) : (
        <Facts
          of={[
            ["Enrolled now", <Id>{short(was.attestation.tpm?.endorsementKey ?? "")}</Id>],
            ["The device has", <Id>{short(key)}</Id>],
            ["Seen", ago(shown?.time ?? "")],
          ]}
        />
      )}
      <Note>
        {what === "certificate" ? "It becomes the second certificate; the first one stays." : "It takes the place of the enrolled one."} Accept only a device that you know: whoever holds this {what === "certificate" ? "certificate's key" : "TPM"} is let in as <bdi class="id">{id}</bdi>.
      </Note>
    </ActionDialog>
  );
}

/** The enrolled certificate beside the new one: a renewal has the subject and the issuer that it had. */
function Replaced({ was, by }: { was: CertificateInfo | undefined; by: Certificate }): JSX.Element | null {
  if (was === undefined) return null;
  const subject = sameName(was.subjectName, by.subject);
  const issuer = sameName(was.issuerName, by.issuer);
  const alone = by.selfSigned && sameName(was.subjectName, was.issuerName);
  return (
    <>
      <Facts
        of={[
          ["Subject until now", <bdi class="wrap">{was.subjectName}</bdi>],
          ["Subject of the new one", <bdi class="wrap">{by.subject}</bdi>],
          ["Issuer until now", <bdi class="wrap">{was.issuerName}</bdi>],
          ["Issuer of the new one", <bdi class="wrap">{by.issuer}</bdi>],
        ]}
      />
      <Note tone={subject && issuer && !alone ? "ok" : "warn"}>
        {alone ? "Both are self-signed: no issuer vouches for the new one." : issuer ? "The issuer is the same." : "The issuer is another one."} {subject ? "The subject is the same." : "The subject is another one."}
      </Note>
    </>
  );
}

/** Names are written with other spaces and in another order by who writes them. */
function sameName(a: string, b: string): boolean {
  const parts = (name: string): string => name.toLowerCase().split(/\s*[,+]\s*/).map((p) => p.replace(/\s*=\s*/, "=").trim()).sort().join(",");
  return parts(a) === parts(b);
}

/** Keys begin alike: what tells them apart stands at the end. */
function short(key: string): string {
  const clean = key.replace(/\s+/g, "");
  return clean.length > 40 ? `${clean.slice(0, 8)}…${clean.slice(-28)}` : clean;
}

export function Signer({ id, wanted, onClose, onDone }: DoingProps & { id: string; wanted: string }): JSX.Element {
  const [text, setText] = useState("");
  const certificates = useCertificates(text);
  const ca = certificates.certificates[0];
  const other = ca !== undefined && wanted !== "" && ca.subjectKeyId !== null && ca.subjectKeyId.replace(/[^0-9a-f]/gi, "").toLowerCase() !== wanted.replace(/[^0-9a-f]/gi, "").toLowerCase();
  return (
    <ActionDialog
      title={`Add a CA certificate to ${id}`}
      action="Add it"
      wide
      disabled={ca === undefined}
      onClose={onClose}
      run={async () => {
        if (ca === undefined) return;
        const was = await read<Group>("enrollmentGroups", id);
        const primary = was.attestation.x509?.signingCertificates?.primary;
        const attestation: Attestation = { type: "x509", x509: { signingCertificates: { ...(primary === undefined ? {} : { primary }), secondary: { certificate: btoa(pem(ca)) } } } };
        await write("enrollmentGroups", id, attested(was, "enrollmentGroups", attestation), was.etag);
        toast("The CA certificate is added.");
        onDone();
      }}
    >
      <CertificateField label="The CA's new certificate" value={text} onInput={setText} read={certificates} want="ca" />
      {other && <Note tone="warn">The device's certificate asks for a CA with another key ({wanted}). This one would not let it in.</Note>}
    </ActionDialog>
  );
}

export function Webhook({ kind, id, onClose, onDone }: DoingProps & { kind: Kind; id: string }): JSX.Element {
  const found = useLoad((signal) => read<Document>(kind, id, signal), [kind, id]);
  const [typed, setTyped] = useState<string | null>(null);
  if (found.data === undefined) return <Loading title={`The webhook of ${id}`} of={found} onClose={onClose} />;
  const was = found.data;
  const draft = draftOf(was);
  const url = typed ?? draft.webhookUrl;
  const wrong = judge({ ...draft, webhookUrl: url }, kind, false).webhookUrl ?? null;
  return (
    <ActionDialog
      title={`The webhook of ${id}`}
      action="Save"
      wide
      disabled={wrong !== null}
      onClose={onClose}
      run={async () => {
        await write(kind, id, documentOf({ ...draft, webhookUrl: url.trim() }, kind, was), was.etag);
        toast("The webhook's address is changed.");
        onDone();
      }}
    >
      <TextField label="Webhook's URL" value={url} onInput={setTyped} mono error={wrong} hint="Where the service asks for a device's hub. An Azure function wants its key at the end: ?code=…" />
    </ActionDialog>
  );
}

export function LetAddressIn({ address, onClose, onDone }: DoingProps & { address: string | null }): JSX.Element {
  const service = useLoad(readService, []);
  if (service.data === undefined) return <Loading title="Network rules" of={service} onClose={onClose} />;
  const s = service.data;
  const rules = s.properties.ipFilterRules as { filterName: string; action: string; ipMask: string; target?: string }[];
  return (
    <ActionDialog
      title={address === null ? "Open the service to the network?" : `Let ${address} in?`}
      action={address === null ? "Open it" : "Let it in"}
      onClose={onClose}
      run={async () => {
        const first = { filterName: `let in ${address ?? ""}`, action: "Accept", ipMask: address ?? "", target: "all" };
        await writeService(s, address === null ? { publicNetworkAccess: "Enabled" } : { ipFilterRules: [first, ...rules] });
        toast("The network rules are changed.");
        onDone();
      }}
    >
      {address === null ? (
        <p>Public network access is off, so devices are refused wherever they come from. It is switched on.</p>
      ) : (
        <>
          <p>A rule that accepts this address is put before all others.</p>
          <Facts of={rules.map((r) => [r.filterName, `${r.action} ${r.ipMask}`] as const)} />
        </>
      )}
    </ActionDialog>
  );
}

export function RemoveFault({ rule, onClose, onDone }: DoingProps & { rule: string }): JSX.Element {
  return (
    <ActionDialog
      title="Remove the fault?"
      action="Remove"
      onClose={onClose}
      run={async () => {
        await dev("DELETE", `faults/${encodeURIComponent(rule)}`);
        toast("The fault is removed.");
        onDone();
      }}
    >
      <p>
        The rule <bdi class="id">{rule}</bdi> makes this fault on purpose. Whoever made it tests something with it.
      </p>
    </ActionDialog>
  );
}

export function Forget({ device, onClose, onDone }: DoingProps): JSX.Element {
  return (
    <ActionDialog
      title={`Forget the registration of ${device}?`}
      action="Forget it"
      danger
      onClose={onClose}
      run={async () => {
        await deleteRegistration(device);
        toast("The registration is deleted.");
        onDone();
      }}
    >
      <p>When the device registers again it is treated as one that comes for the first time, and gets an identity on a hub anew.</p>
    </ActionDialog>
  );
}
