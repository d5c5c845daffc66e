// A field for a certificate: paste, drop or choose a file, and see at once what it is.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Facts, Id, Note, Tag } from "../parts/basics";
import { AreaField, FileButton } from "../parts/form";
import { at } from "../text/time";
import { readCertificates, type Certificate } from "./certificate";

export interface Read {
  certificates: Certificate[];
  error: string | null;
}

export function useCertificates(text: string): Read {
  const [read, setRead] = useState<Read>({ certificates: [], error: null });
  useEffect(() => {
    let stale = false;
    readCertificates(text).then(
      (certificates) => !stale && setRead({ certificates, error: null }),
      (error: unknown) => !stale && setRead({ certificates: [], error: error instanceof Error ? error.message : "It cannot be read." }),
    );
    return () => {
      stale = true;
    };
  }, [text]);
  return read;
}

export function CertificateField(p: { label: string; value: string; onInput: (value: string) => void; read: Read; want: "leaf" | "ca"; hint?: string; children?: ComponentChildren }): JSX.Element {
  const shown = p.read.certificates[0];
  return (
    <div class="stack wide">
      <AreaField label={p.label} value={p.value} onInput={p.onInput} rows={5} error={p.value === "" ? null : p.read.error} hint={p.hint ?? "PEM, or base64 of DER. A file may be dropped here."} placeholder="-----BEGIN CERTIFICATE-----" onDropFile />
      <div>
        <FileButton onText={p.onInput} />
      </div>
      {p.children}
      {shown !== undefined && <Shown of={shown} want={p.want} more={p.read.certificates.length - 1} />}
    </div>
  );
}

export function Shown({ of, want, more = 0 }: { of: Certificate; want?: "leaf" | "ca"; more?: number }): JSX.Element {
  const now = Date.now();
  const ended = of.notAfter !== null && of.notAfter.getTime() < now;
  const early = of.notBefore !== null && of.notBefore.getTime() > now;
  return (
    <div class="stack">
      {more > 0 && <Note tone="warn">The text holds {more + 1} certificates. The first one is taken: {of.commonName ?? of.subject}.</Note>}
      {want === "leaf" && of.isCa && <Note tone="warn">This is a CA's certificate. A device shows its own; a CA belongs in an enrollment group.</Note>}
      {want === "ca" && !of.isCa && <Note tone="warn">This is not a CA's certificate, so it cannot have signed a device's.</Note>}
      {ended && <Note tone="bad">It ended {at(of.notAfter)}.</Note>}
      {early && <Note tone="warn">It is not valid before {at(of.notBefore)}.</Note>}
      <Facts
        of={[
          ["Subject", <bdi>{of.subject}</bdi>],
          ["Issuer", <span class="row"><bdi class="wrap">{of.issuer}</bdi>{of.selfSigned && <Tag dot={false}>self-signed</Tag>}</span>],
          ["Valid", `${at(of.notBefore)} to ${at(of.notAfter)}`],
          ["Key", `${of.key}${of.isCa ? ", CA" : ""}`],
          ["Signature", of.signature],
          ["Serial number", <Id>{of.serial}</Id>],
          ["Subject key id", of.subjectKeyId === null ? "" : <Id>{of.subjectKeyId}</Id>],
          ["Authority key id", of.authorityKeyId === null ? "" : <Id>{of.authorityKeyId}</Id>],
          ["SHA-1", <Id>{of.sha1}</Id>],
          ["SHA-256", <Id>{of.sha256}</Id>],
        ]}
      />
    </div>
  );
}
