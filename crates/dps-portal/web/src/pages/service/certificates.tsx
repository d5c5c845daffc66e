// CA certificates: uploaded, proven to be ours, and replaced before they end.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { deleteCertificate, readCertificates, verificationCode, verifyCertificate, writeCertificate, type CaCertificate } from "../../api/arm";
import { asApiError, useLoad } from "../../api/load";
import { may } from "../../api/session";
import { Button, Card, CodeBox, Empty, Facts, Failure, Id, Note, Page, Tag, Waiting } from "../../parts/basics";
import { ActionDialog, Dialog } from "../../parts/dialog";
import { Check, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { plural } from "../../text/number";
import { at, atDay } from "../../text/time";
import { pem } from "../../x509/certificate";
import { CertificateField, Shown, useCertificates } from "../../x509/field";

export function Certificates(): JSX.Element {
  const certificates = useLoad(readCertificates, []);
  const [uploading, setUploading] = useState<CaCertificate | "new" | null>(null);
  const [proving, setProving] = useState<CaCertificate | null>(null);
  const [opened, setOpened] = useState<CaCertificate | null>(null);
  const [removing, setRemoving] = useState<CaCertificate | null>(null);
  return (
    <Page
      title="CA certificates"
      about="What devices' chains lead to. A certificate lets devices in once it is verified: whoever uploaded it has proven to hold its key."
      actions={
        <Button kind="primary" icon="plus" disabled={!may.value.configure} onClick={() => setUploading("new")}>
          Upload
        </Button>
      }
    >
      <Card flush>
        {certificates.data === undefined ? (
          <div class="body">{certificates.error === null ? <Waiting /> : <Failure error={certificates.error} retry={certificates.reload} />}</div>
        ) : (
          <Table
            label="CA certificates"
            rows={certificates.data}
            rowKey={(c) => c.name}
            columns={[
              { key: "name", title: "Name", by: (c) => c.name, cell: (c) => <button type="button" class="open" onClick={() => setOpened(c)}><bdi>{c.name}</bdi></button> },
              { key: "subject", title: "Subject", by: (c) => c.properties.subject, cell: (c) => <bdi>{c.properties.subject}</bdi> },
              { key: "state", title: "Status", by: (c) => c.properties.isVerified, cell: (c) => <Tag tone={c.properties.isVerified ? "ok" : "warn"}>{c.properties.isVerified ? "Verified" : "Not verified"}</Tag> },
              { key: "ends", title: "Ends", by: (c) => Date.parse(c.properties.expiry), cell: (c) => <Ends of={c.properties.expiry} /> },
              {
                key: "do",
                title: "",
                cell: (c) => (
                  <span class="row">
                    {!c.properties.isVerified && (
                      <Button small kind="primary" disabled={!may.value.configure} label={`Verify ${c.name}`} onClick={() => setProving(c)}>
                        Verify
                      </Button>
                    )}
                    <Button small disabled={!may.value.configure} label={`Replace ${c.name}`} onClick={() => setUploading(c)}>
                      Replace
                    </Button>
                    <Button small kind="quiet" icon="trash" disabled={!may.value.configure} label={`Delete ${c.name}`} onClick={() => setRemoving(c)} />
                  </span>
                ),
              },
            ]}
            empty={<Empty title="No CA certificate yet">Groups can name an uploaded CA, or hold a certificate of their own.</Empty>}
          />
        )}
      </Card>
      {uploading !== null && <Upload of={uploading === "new" ? null : uploading} onClose={() => setUploading(null)} onDone={certificates.reload} />}
      {proving !== null && <Verify of={proving} onClose={() => setProving(null)} onDone={certificates.reload} />}
      {opened !== null && <Opened of={opened} onClose={() => setOpened(null)} />}
      {removing !== null && (
        <ActionDialog
          title={`Delete ${removing.name}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(null)}
          run={async () => {
            await deleteCertificate(removing);
            toast(`${removing.name} is deleted.`);
            certificates.reload();
          }}
        >
          <p>Devices whose chain leads to it are not let in any more by groups that trust uploaded CAs. While enrollments name it, the server refuses to delete it and says which.</p>
        </ActionDialog>
      )}
    </Page>
  );
}

function Ends({ of }: { of: string }): JSX.Element {
  const days = (Date.parse(of) - Date.now()) / 86_400_000;
  return (
    <span class="row">
      <span title={at(of)}>{atDay(of)}</span>
      {days < 60 && <Tag tone={days < 7 ? "bad" : "warn"}>{days < 0 ? "has ended" : `${plural(Math.floor(days), "day")} left`}</Tag>}
    </span>
  );
}

function Upload({ of, onClose, onDone }: { of: CaCertificate | null; onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = useState(of?.name ?? "");
  const [text, setText] = useState("");
  const [trusted, setTrusted] = useState(false);
  const read = useCertificates(text);
  const first = read.certificates[0];
  const wrong = name === "" ? "A name is needed" : /^[A-Za-z0-9\-._]{1,64}$/.test(name) ? null : "Letters, digits and - . _";
  return (
    <ActionDialog
      title={of === null ? "Upload a CA certificate" : `Replace ${of.name}`}
      action={of === null ? "Upload" : "Replace"}
      wide
      disabled={wrong !== null || first === undefined || !may.value.configure}
      onClose={onClose}
      run={async () => {
        if (first === undefined) return;
        await writeCertificate(name, btoa(pem(first)), trusted, of?.etag);
        toast(trusted ? `${name} is uploaded and trusted.` : `${name} is uploaded. Verify it next.`);
        onDone();
      }}
    >
      <TextField label="Name" value={name} onInput={setName} disabled={of !== null} error={wrong} />
      <CertificateField label="Certificate" value={text} onInput={setText} read={read} want="ca" />
      <Check label="Trust it at once" value={trusted} onChange={setTrusted} hint="Without a proof of possession. Choose this for a CA that you run yourself." />
      {of !== null && <Note>Another certificate than the one that is kept has to be verified again.</Note>}
    </ActionDialog>
  );
}

export function Verify({ of, onClose, onDone }: { of: CaCertificate; onClose: () => void; onDone: () => void }): JSX.Element {
  const made = useLoad(() => verificationCode(of), [of.name]);
  const [text, setText] = useState("");
  const read = useCertificates(text);
  const code = made.data?.properties.verificationCode ?? "";
  const proof = read.certificates[0];
  const fits = proof === undefined || proof.commonName === code;
  const issued = proof === undefined || proof.issuer === made.data?.properties.subject || proof.issuer.includes((made.data?.properties.subject ?? "").replace(/^CN=/, ""));
  const script = `openssl req -new -newkey rsa:2048 -nodes -keyout proof.key -subj "/CN=${code}" -out proof.csr\nopenssl x509 -req -in proof.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -out proof.pem`;
  return (
    <ActionDialog
      title={`Verify ${of.name}`}
      action="Verify"
      wide
      disabled={proof === undefined || !fits || made.data === undefined}
      onClose={onClose}
      run={async () => {
        if (made.data === undefined || proof === undefined) return;
        await verifyCertificate(made.data, btoa(pem(proof)));
        toast(`${of.name} is verified.`);
        onDone();
      }}
      onError={(error) => {
        if (error.status === 412) made.reload();
        return false;
      }}
    >
      {made.error !== null ? (
        <Failure error={asApiError(made.error)} retry={made.reload} />
      ) : made.data === undefined ? (
        <Waiting />
      ) : (
        <>
          <div class="field">
            <span class="label">1. The code to put into a certificate's common name</span>
            <CodeBox text={code} label="the verification code" />
          </div>
          <div class="field">
            <span class="label">2. Sign such a certificate with the CA's key</span>
            <CodeBox text={script} label="the commands" />
          </div>
          <CertificateField label="3. The signed certificate" value={text} onInput={setText} read={read} want="leaf" hint="proof.pem of the commands above." />
          {!fits && <Note tone="bad">Its common name is <bdi class="id">{proof?.commonName}</bdi>, not the code. A code that was shown before is worth nothing any more.</Note>}
          {fits && !issued && <Note tone="warn">Its issuer is <bdi>{proof?.issuer}</bdi>; the CA's name is <bdi>{made.data.properties.subject}</bdi>. Was it signed by another CA of yours?</Note>}
        </>
      )}
    </ActionDialog>
  );
}

function Opened({ of, onClose }: { of: CaCertificate; onClose: () => void }): JSX.Element {
  const p = of.properties;
  const read = useCertificates(p.certificate ?? "");
  const shown = read.certificates[0];
  return (
    <Dialog title={of.name} wide onClose={onClose}>
      <Facts
        of={[
          ["Status", <Tag tone={p.isVerified ? "ok" : "warn"}>{p.isVerified ? "Verified" : "Not verified"}</Tag>],
          ["Thumbprint", <Id>{p.thumbprint}</Id>],
          ["Uploaded", at(p.created)],
          ["Changed", at(p.updated)],
        ]}
      />
      {shown !== undefined ? <Shown of={shown} /> : <Facts of={[["Subject", p.subject], ["Ends", at(p.expiry)]]} />}
      {shown !== undefined && <CodeBox text={pem(shown)} label="the certificate" />}
    </Dialog>
  );
}
