// Lists of individual enrollments and of groups: searched at the server, page by page.
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { queryEnrollments, queryGroups, type Kind, type Search } from "../../api/enrollments";
import { usePages } from "../../api/pages";
import { may } from "../../api/session";
import { Button, Card, Empty, Failure, Note, Page, Tag, Waiting } from "../../parts/basics";
import { Pick } from "../../parts/form";
import { Table } from "../../parts/table";
import { amend, go, link, route } from "../../shell/route";
import { ago, at } from "../../text/time";
import type { Document } from "./draft";
import { idOf } from "./draft";
import { EnrollmentForm } from "./form";

const TYPES = { symmetricKey: "Symmetric key", x509: "X.509", tpm: "TPM", none: "None" } as const;

export function Enrollments(): JSX.Element {
  return <List kind="enrollments" />;
}

export function Groups(): JSX.Element {
  return <List kind="enrollmentGroups" />;
}

function List({ kind }: { kind: Kind }): JSX.Element {
  const group = kind === "enrollmentGroups";
  const q = route.value.query;
  const [text, setText] = useState(q.get("q") ?? "");
  const [status, setStatus] = useState<Search["status"]>("");
  const [type, setType] = useState<Search["type"]>("");
  const search = { text: text.trim(), status, type };
  const found = usePages<Document>((from, size, signal) => (group ? queryGroups(search, from, size, signal) : queryEnrollments(search, from, size, signal)), [search], text === "" ? 0 : 250);
  const creating = useSignal(q.get("new") !== null);
  useEffect(() => amend({ q: text }), [text]);

  if (!may.value.readEnrollments) {
    return (
      <Page title={group ? "Enrollment groups" : "Enrollments"}>
        <Note tone="warn">Your sign-in lacks the right EnrollmentRead.</Note>
      </Page>
    );
  }
  const filtered = text !== "" || status !== "" || type !== "";
  return (
    <Page
      title={group ? "Enrollment groups" : "Enrollments"}
      about={group ? "Each lets in all devices that prove a common key or a common CA." : "Each lets in one device."}
      actions={
        <Button kind="primary" icon="plus" disabled={!may.value.writeEnrollments} {...(may.value.writeEnrollments ? {} : { title: "Your sign-in lacks the right EnrollmentWrite" })} onClick={() => (creating.value = true)}>
          {group ? "New group" : "New enrollment"}
        </Button>
      }
    >
      <Card flush busy={found.busy}>
        <div class="row toolbar">
          <input class="input filter" type="search" placeholder="Id begins with" aria-label="Id begins with" value={text} maxLength={128} onInput={(event) => setText(event.currentTarget.value)} />
          <Pick
            label="Attestation"
            value={type}
            of={[
              ["", "Any attestation"],
              ["symmetricKey", "Symmetric key"],
              ["x509", "X.509"],
              ...(group ? [] : [["tpm", "TPM"] as const]),
            ]}
            onChange={setType}
          />
          <Pick
            label="Status"
            value={status}
            of={[
              ["", "Any status"],
              ["enabled", "Enabled"],
              ["disabled", "Disabled"],
            ]}
            onChange={setStatus}
          />
        </div>
        {found.error !== null ? (
          <div class="body">
            <Failure error={found.error} retry={found.retry} />
          </div>
        ) : found.rows === undefined ? (
          <div class="body">
            <Waiting lines={6} />
          </div>
        ) : (
          <Table
            label={group ? "Enrollment groups" : "Enrollments"}
            rows={found.rows}
            pages={found}
            rowKey={idOf}
            columns={[
              { key: "id", title: group ? "Group" : "Registration id", by: idOf, cell: (e) => <a class="open" href={link(group ? "group" : "enrollment", [idOf(e)])}><bdi class="id">{idOf(e)}</bdi></a> },
              { key: "type", title: "Attestation", by: (e) => e.attestation.type, cell: (e) => TYPES[e.attestation.type] ?? e.attestation.type },
              { key: "status", title: "Status", by: (e) => e.provisioningStatus ?? "enabled", cell: (e) => <Tag tone={e.provisioningStatus === "disabled" ? "warn" : "ok"}>{e.provisioningStatus === "disabled" ? "Disabled" : "Enabled"}</Tag> },
              ...(group ? [] : [{ key: "device", title: "Device id", cell: (e: Document) => <bdi class="id">{"deviceId" in e ? (e.deviceId ?? "") : ""}</bdi> }]),
              { key: "policy", title: "Allocation", cell: (e) => e.allocationPolicy ?? <span class="muted">service's</span> },
              { key: "changed", title: "Changed", by: (e) => e.lastUpdatedDateTimeUtc, cell: (e) => <span title={at(e.lastUpdatedDateTimeUtc)}>{ago(e.lastUpdatedDateTimeUtc ?? "")}</span> },
            ]}
            empty={
              found.hasNext ? (
                <Empty title="None so far">No row that was looked at fits. Next looks at those behind them.</Empty>
              ) : filtered ? (
                <Empty title="None fits">No id begins so, or none has this status and attestation.</Empty>
              ) : (
                <Empty title={group ? "No group yet" : "No device is enrolled yet"}>
                  <Button icon="plus" disabled={!may.value.writeEnrollments} onClick={() => (creating.value = true)}>
                    {group ? "New group" : "New enrollment"}
                  </Button>
                </Empty>
              )
            }
          />
        )}
      </Card>
      {creating.value && (
        <EnrollmentForm
          kind={kind}
          of={null}
          begin={{ id: q.get("new") ?? "" }}
          onClose={() => {
            creating.value = false;
            amend({ new: undefined });
          }}
          onDone={(made) => go(group ? "group" : "enrollment", [idOf(made)])}
        />
      )}
    </Page>
  );
}
