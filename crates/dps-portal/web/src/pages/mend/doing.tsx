// The dialog of each way to mend a cause. What a page has a form for already, that form does.
import type { JSX } from "preact";
import { readCertificates, readService } from "../../api/arm";
import { readInbox, type InboxItem } from "../../api/diagnosis";
import { read, type Group, type Kind } from "../../api/enrollments";
import { useLoad, type Loaded } from "../../api/load";
import { Failure, LinkButton, Note, Waiting } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { link } from "../../shell/route";
import type { Document, Draft } from "../enrollments/draft";
import { EnrollmentForm } from "../enrollments/form";
import { Accept } from "../inbox/accept";
import { Verify } from "../service/certificates";
import { HubForm } from "../service/hubs";
import { DeviceKey } from "./device-key";
import { EnrollShown, Enable, Forget, LetAddressIn, RemoveFault, Rename, Signer, Webhook } from "./small";
import type { Way } from "./ways";

export interface DoingProps {
  device: string;
  onClose: () => void;
  onDone: () => void;
}

export function Doing({ way, ...p }: DoingProps & { way: Way }): JSX.Element {
  switch (way.does) {
    case "accept":
      return <AcceptKnown {...p} />;
    case "rename":
      return <Rename from={way.from} {...p} />;
    case "enable":
      return <Enable kind={way.kind} id={way.id} {...p} />;
    case "deviceKey":
      return <DeviceKey kind={way.kind} id={way.id} {...p} />;
    case "group":
      return <NewGroup by={way.by} issuer={way.issuer} {...p} />;
    case "verify":
      return <VerifyKnown ca={way.ca} group={way.group} {...p} />;
    case "signer":
      return <Signer id={way.id} wanted={way.wanted} {...p} />;
    case "shown":
      return <EnrollShown id={way.id} what={way.what} {...p} />;
    case "edit":
      return <Edit kind={way.kind} id={way.id} {...p} />;
    case "enroll":
      return <EnrollmentForm kind="enrollments" of={null} begin={{ id: way.id, deviceId: way.deviceId }} onClose={p.onClose} onDone={closing(p)} />;
    case "webhook":
      return <Webhook kind={way.kind} id={way.id} {...p} />;
    case "hub":
      return <Hub name={way.name} {...p} />;
    case "network":
      return <LetAddressIn address={way.address} {...p} />;
    case "fault":
      return <RemoveFault rule={way.rule} {...p} />;
    case "forget":
      return <Forget {...p} />;
  }
}

/** Forms close by themselves only where nothing is left to be shown. */
function closing(p: DoingProps): () => void {
  return () => {
    p.onDone();
    p.onClose();
  };
}

export function Loading({ title, of, onClose }: { title: string; of: Loaded<unknown>; onClose: () => void }): JSX.Element {
  return (
    <Dialog title={title} onClose={onClose}>
      {of.error === null ? <Waiting /> : <Failure error={of.error} retry={of.reload} />}
    </Dialog>
  );
}

function holds(item: InboxItem, device: string): boolean {
  const same = (id: string | undefined): boolean => id?.toLowerCase() === device.toLowerCase();
  return item.kind !== "idScope" && (same(item.about?.registrationId) || (item.devices ?? []).some((d) => same(d.registrationId)));
}

function AcceptKnown(p: DoingProps): JSX.Element {
  const found = useLoad(async (signal) => (await readInbox(signal)).filter((i) => holds(i, p.device)).sort((a, b) => b.lastSeen.localeCompare(a.lastSeen))[0] ?? null, [p.device]);
  if (found.data === undefined) return <Loading title={`Enroll ${p.device}`} of={found} onClose={p.onClose} />;
  if (found.data === null) {
    return (
      <Dialog title={`Enroll ${p.device}`} onClose={p.onClose}>
        <Note
          actions={
            <LinkButton small href={link("enrollments", [], { new: p.device })}>
              Enroll it by hand
            </LinkButton>
          }
        >
          What it showed is not in the inbox any more: it was let in, ignored, or made room for others.
        </Note>
      </Dialog>
    );
  }
  return <Accept of={found.data} device={p.device} onClose={p.onClose} onDone={p.onDone} />;
}

/** A name for a group out of `CN=Plant Intermediate, O=…`. */
export function groupName(issuer: string): string {
  const name = /CN=([^,]+)/i.exec(issuer)?.[1] ?? issuer;
  return name.trim().toLowerCase().replace(/[^a-z0-9\-._:]+/g, "-").replace(/^-+|[-._:]+$/g, "").slice(0, 64);
}

function NewGroup({ by, issuer, ...p }: DoingProps & { by: "certificate" | "reference"; issuer: string }): JSX.Element {
  const begin: Partial<Draft> = { id: groupName(issuer), type: "x509", by, ...(by === "reference" ? { primaryReference: issuer } : {}) };
  const intro =
    by === "certificate" ? (
      <Note>
        Paste the certificate of <bdi class="id">{issuer}</bdi>. It is the file that lies beside the CA's key, often <code>intermediate.pem</code>; the key itself is not needed.
      </Note>
    ) : undefined;
  return <EnrollmentForm kind="enrollmentGroups" of={null} begin={begin} intro={intro} issuer={by === "certificate" ? issuer : undefined} onClose={p.onClose} onDone={closing(p)} />;
}

function VerifyKnown({ ca, group, ...p }: DoingProps & { ca: string | null; group: string | null }): JSX.Element {
  const found = useLoad(
    async (signal) => {
      const all = await readCertificates(signal);
      const named = group === null ? null : ((await read<Group>("enrollmentGroups", group, signal)).attestation.x509?.caReferences ?? null);
      const wanted = ca !== null ? [ca] : [named?.primary, named?.secondary];
      return all.find((c) => wanted.includes(c.name) && !c.properties.isVerified) ?? null;
    },
    [ca, group],
  );
  if (found.data === undefined) return <Loading title="Verify the CA" of={found} onClose={p.onClose} />;
  if (found.data === null) {
    return (
      <Dialog title="Verify the CA" onClose={p.onClose}>
        <Note tone="ok">It is verified already. Ask again whether the device would be let in.</Note>
      </Dialog>
    );
  }
  return <Verify of={found.data} onClose={p.onClose} onDone={p.onDone} />;
}

function Edit({ kind, id, ...p }: DoingProps & { kind: Kind; id: string }): JSX.Element {
  const found = useLoad((signal) => read<Document>(kind, id, signal), [kind, id]);
  if (found.data === undefined) return <Loading title={id} of={found} onClose={p.onClose} />;
  return <EnrollmentForm kind={kind} of={found.data} onClose={p.onClose} onDone={p.onDone} />;
}

function Hub({ name, ...p }: DoingProps & { name: string | null }): JSX.Element {
  const service = useLoad(readService, []);
  if (service.data === undefined) return <Loading title={name ?? "Link a hub"} of={service} onClose={p.onClose} />;
  const linked = service.data.properties.iotHubs.find((h) => h.name.toLowerCase() === name?.toLowerCase()) ?? null;
  return <HubForm of={linked} service={service.data} onClose={p.onClose} onDone={p.onDone} />;
}
