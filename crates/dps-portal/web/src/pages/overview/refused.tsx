// The devices that asked last and were not let in, one line each, with what keeps them out: where somebody begins who was
// told that a device does not work.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readInbox, readLatest, type Attempt } from "../../api/diagnosis";
import { useLoad } from "../../api/load";
import { Button, Card, Empty, Failure, LinkButton, Tag, Waiting } from "../../parts/basics";
import { link } from "../../shell/route";
import { plural } from "../../text/number";
import { ago, at } from "../../text/time";

const SHOWN = 6;
/** Attempts that are looked through. */
const READ = 400;

export interface Out {
  last: Attempt;
  count: number;
}

/** What befalls whoever comes by: nobody here waits for such a device. */
const STRANGERS = new Set(["ENROLLMENT_NOT_FOUND", "EVIDENCE_MISSING", "ID_SCOPE_UNKNOWN", "REGID_CHARSET", "REGID_LENGTH", "ROUTE_NOT_FOUND", "API_VERSION_UNKNOWN", "TLS_NOT_SPOKEN"]);

/** Who was refused and has not been let in since; devices that are known here before strangers, the newest first. */
export function stillOut(newestFirst: readonly Attempt[]): Out[] {
  const seen = new Map<string, Out | null>();
  for (const a of newestFirst) {
    if (a.event === "hubConnection") continue;
    const id = a.registrationId === null || a.registrationId === "" ? `${a.causes[0]?.code ?? ""} ${a.operation}` : a.registrationId.toLowerCase();
    const known = seen.get(id);
    if (known === undefined) seen.set(id, a.result === "ok" && !isDisabled(a) ? null : { last: a, count: 1 });
    else if (known !== null && (a.result !== "ok" || isDisabled(a))) known.count++;
  }
  const out = [...seen.values()].filter((o): o is Out => o !== null);
  const stranger = (o: Out): number => (STRANGERS.has(o.last.causes[0]?.code ?? "") ? 1 : 0);
  return out.sort((a, b) => stranger(a) - stranger(b));
}

/** It is answered with success, and gets nowhere. */
function isDisabled(a: Attempt): boolean {
  return a.causes[0]?.code === "ENROLLMENT_DISABLED";
}

export function Refused(): JSX.Element | null {
  const found = useLoad(async (signal) => stillOut((await readLatest({}, READ, signal)).value), [], 5000);
  const inbox = useLoad((signal) => readInbox(signal).then((all) => all.filter((i) => i.ignored !== true).length).catch(() => 0), [], 15_000);
  const [all, setAll] = useState(false);
  const out = found.data;
  const unknown = inbox.data ?? 0;
  return (
    <Card
      title="Devices that are not let in"
      about="each with what keeps it out"
      span={12}
      flush
      actions={
        unknown > 0 && (
          <LinkButton small icon="inbox" href={link("inbox")}>
            {plural(unknown, "unknown one")} in the inbox
          </LinkButton>
        )
      }
    >
      {out === undefined ? (
        <div class="body">{found.error === null ? <Waiting lines={2} /> : <Failure error={found.error} retry={found.reload} />}</div>
      ) : out.length === 0 ? (
        <Empty title="None">Every device that asked of late was let in.</Empty>
      ) : (
        <ul class="plain out">
          {out.slice(0, all ? undefined : SHOWN).map((o) => (
            <li key={o.last.trackingId + o.last.time}>
              <One of={o} />
            </li>
          ))}
        </ul>
      )}
      {out !== undefined && out.length > SHOWN && (
        <div class="more">
          <Button small icon={all ? "up" : "down"} onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${out.length}`}
          </Button>
        </div>
      )}
    </Card>
  );
}

function One({ of: { last, count } }: { of: Out }): JSX.Element {
  const cause = last.causes[0];
  const device = last.registrationId;
  const named = device !== null && device !== "";
  return (
    <a href={named ? link("device", [device]) : link("diagnose", [], { tracking: last.trackingId })}>
      <bdi class={`who${named ? " id" : " muted"}`} title={device ?? undefined}>{named ? device : "a device that gave no id"}</bdi>
      <span class="what">
        <strong>{cause?.title ?? last.error?.message ?? "It was refused"}</strong>
        {cause?.inferred === true && <Tag dot={false} tone="warn">likely</Tag>}
      </span>
      <span class="muted small" title={at(last.time)}>
        {ago(last.time)}
        {count > 1 && `, ${plural(count, "attempt")}`}
      </span>
      <span class="go">Mend it</span>
    </a>
  );
}
