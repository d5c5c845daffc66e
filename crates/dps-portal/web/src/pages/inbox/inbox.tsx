// The inbox: devices that asked and that no enrollment knows, to be let in or to be left out.
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { forget, inboxAction, readInbox, Unsupported, type InboxItem } from "../../api/diagnosis";
import { asApiError, useLoad } from "../../api/load";
import { may } from "../../api/session";
import { Button, Card, Empty, Facts, Failure, Id, Note, Page, Tag, Waiting } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { Check } from "../../parts/form";
import { Table } from "../../parts/table";
import { toast } from "../../parts/toast";
import { link } from "../../shell/route";
import { figure } from "../../text/number";
import { ago, at } from "../../text/time";
import { Accept } from "./accept";
import { kindOf, titleOf } from "./words";

export function Inbox(): JSX.Element {
  const ignored = useSignal(false);
  const opened = useSignal<InboxItem | null>(null);
  const accepting = useSignal<InboxItem | null>(null);
  const items = useLoad<InboxItem[] | null>(
    async (signal) => {
      try {
        return await readInbox(signal);
      } catch (error) {
        if (error instanceof Unsupported) return null;
        throw error;
      }
    },
    [],
    5000,
  );
  const act = async (done: Promise<void>, said: string): Promise<void> => {
    try {
      await done;
      toast(said);
      items.reload();
    } catch (error) {
      toast(asApiError(error).message, "bad");
    }
  };
  const rows = (items.data ?? []).filter((i) => ignored.value || i.ignored !== true);
  return (
    <Page title="Inbox" about="Devices that asked and that no enrollment knows, by what would let them in.">
      <Card flush>
        <div class="row toolbar">
          <Check label="Show what is ignored" value={ignored.value} onChange={(on) => (ignored.value = on)} />
        </div>
        {items.data === undefined ? (
          <div class="body">{items.error === null ? <Waiting lines={4} /> : <Failure error={items.error} retry={items.reload} />}</div>
        ) : items.data === null ? (
          <Empty title="This server keeps no inbox">Unknown devices are in the logs: look for the reason ENROLLMENT_NOT_FOUND.</Empty>
        ) : (
          <Table
            label="Unknown devices"
            rows={rows}
            rowKey={(i) => i.id}
            sort={{ key: "last", down: true }}
            columns={[
              { key: "what", title: "Who", by: titleOf, cell: (i) => <Who of={i} onOpen={() => (opened.value = i)} /> },
              { key: "kind", title: "Shows", by: kindOf, cell: (i) => <Tag dot={false}>{kindOf(i)}</Tag> },
              { key: "count", title: "Attempts", by: (i) => i.count, cell: (i) => figure(i.count), right: true },
              { key: "first", title: "First seen", by: (i) => i.firstSeen, cell: (i) => <span title={at(i.firstSeen)}>{ago(i.firstSeen)}</span> },
              { key: "last", title: "Last seen", by: (i) => i.lastSeen, cell: (i) => <span title={at(i.lastSeen)}>{ago(i.lastSeen)}</span> },
              {
                key: "do",
                title: "",
                cell: (i) => (
                  <span class="row">
                    <Button small kind="primary" disabled={!may.value.writeEnrollments} label={`Accept ${titleOf(i)}`} onClick={() => (accepting.value = i)}>
                      Accept
                    </Button>
                    <Button small disabled={!may.value.writeEnrollments} label={`${i.ignored === true ? "Show again" : "Ignore"} ${titleOf(i)}`} onClick={() => void act(inboxAction(i.id, "ignore", { ignored: i.ignored !== true }), i.ignored === true ? "It is shown again." : "It is ignored.")}>
                      {i.ignored === true ? "Show again" : "Ignore"}
                    </Button>
                    <Button small kind="quiet" icon="trash" disabled={!may.value.writeEnrollments} label={`Forget ${titleOf(i)}`} onClick={() => void act(forget(i.id), "It is forgotten until it comes again.")} />
                  </span>
                ),
              },
            ]}
            empty={<Empty title="Nobody unknown has asked">Every device that came was known.</Empty>}
          />
        )}
      </Card>
      {opened.value !== null && (
        <Dialog title={titleOf(opened.value)} wide onClose={() => (opened.value = null)}>
          <Details of={opened.value} />
        </Dialog>
      )}
      {accepting.value !== null && (
        <Accept
          of={accepting.value}
          onClose={() => (accepting.value = null)}
          onDone={items.reload}
        />
      )}
    </Page>
  );
}

type Device = NonNullable<InboxItem["devices"]>[number];

// With why nobody knows it: what differs from what was meant is often one letter.
function Who({ of, onOpen }: { of: InboxItem; onOpen: () => void }): JSX.Element {
  return (
    <>
      <button type="button" class="open" onClick={onOpen}>
        <bdi>{titleOf(of)}</bdi>
      </button>
      {of.cause != null && <bdi class="muted small wrap because">{of.cause.sentence}</bdi>}
    </>
  );
}

function Details({ of }: { of: InboxItem }): JSX.Element {
  const about = of.about ?? {};
  const known: [string, string | undefined][] = [
    ["Issuer", about.issuer],
    ["Authority key id", about.authorityKeyId],
    ["SHA-256", about.thumbprint],
    ["Name of the endorsement key", about.endorsementKeyName],
    ["Registration id", about.registrationId],
    ["ID scope", about.idScope],
    [of.kind === "idScope" ? "Nearest ID scope here" : "Nearest enrollment", of.nearest ?? undefined],
  ];
  const enrolled = (of.devices ?? []).some((d) => d.nearest != null);
  return (
    <>
      {of.cause != null && (
        <Note>
          <bdi class="wrap">{of.cause.sentence}</bdi> <span class="id muted">{of.cause.code}</span>
        </Note>
      )}
      <Facts
        of={[
          ["Shows", kindOf(of)],
          ...known.flatMap(([name, value]) => (value === undefined ? [] : [[name, <Id>{value}</Id>] as const])),
          ["Attempts", figure(of.count)],
          ["First seen", at(of.firstSeen)],
          ["Last seen", at(of.lastSeen)],
          ["Protocols", Object.entries(of.protocols ?? {}).map(([name, n]) => `${name} ${n}`).join(", ")],
          ["From", <bdi>{(of.networks ?? []).join(", ")}</bdi>],
        ]}
      />
      {(of.devices ?? []).length > 0 && (
        <Table
          label="Devices"
          rows={of.devices ?? []}
          rowKey={(s) => s.registrationId}
          columns={[
            { key: "id", title: "Registration id", by: (s) => s.registrationId, cell: (s) => <a class="open" href={link("device", [s.registrationId])}><bdi class="id">{s.registrationId}</bdi></a> },
            ...(enrolled ? [{ key: "near", title: "Nearest enrollment", cell: (s: Device) => s.nearest != null && <a class="open" href={link("enrollment", [s.nearest])}><bdi class="id">{s.nearest}</bdi></a> }] : []),
            { key: "count", title: "Attempts", by: (s) => s.count, cell: (s) => figure(s.count), right: true },
            { key: "last", title: "Last seen", by: (s) => s.lastSeen, cell: (s) => at(s.lastSeen) },
          ]}
        />
      )}
      {of.more === true && <p class="muted small">More devices were seen than are remembered.</p>}
    </>
  );
}
