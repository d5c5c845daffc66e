// Diagnose: find an attempt by registration id or tracking id, or rehearse what would happen to a device now.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { readAttempts, readCauses, readLatest, readTimeline, Unsupported, type Attempt, type CatalogueCause, type Cause } from "../../api/diagnosis";
import { useLoad } from "../../api/load";
import { Button, Card, CodeBox, Empty, Facts, Failure, Id, Note, Page, Tabs, Waiting } from "../../parts/basics";
import { Causes } from "../../parts/causes";
import { amend, go, link, route } from "../../shell/route";
import { ago, at, duration } from "../../text/time";
import { LONGEST, trackingIn } from "../../text/tracking";
import { ResultTag } from "../overview/feed";
import { familyTitle } from "../logs/saved";
import { Mend } from "../mend/mend";
import { letInAfter } from "../device/since";
import { DryRun } from "./dry-run";

type Part = "find" | "dry-run" | "causes";

export function Diagnose(): JSX.Element {
  const q = route.value.query;
  const asked = route.value.parts[0];
  const part: Part = asked === "dry-run" || asked === "causes" ? asked : q.get("registration") !== null ? "dry-run" : "find";
  return (
    <Page title="Diagnose" about="Why a device was refused, and what would happen to it now.">
      <Tabs
        label="Diagnose"
        value={part}
        of={[
          ["find", "Find an attempt"],
          ["dry-run", "Dry run"],
          ["causes", "All causes"],
        ]}
        onChange={(value) => go("diagnose", [value])}
      >
        {part === "find" ? <Find /> : part === "dry-run" ? <DryRun registration={q.get("registration") ?? ""} /> : <Catalogue />}
      </Tabs>
    </Page>
  );
}

function Find(): JSX.Element {
  const q = route.value.query;
  const tracking = q.get("tracking") ?? "";
  const cause = q.get("cause") ?? "";
  const catalogue = useLoad((signal) => (cause === "" ? Promise.resolve([]) : readCauses(signal).catch(() => [])), [cause]);
  const [text, setText] = useState(tracking);
  const [refused, setRefused] = useState(true);
  // An attempt of this very moment is in the log a moment later.
  const [there, setThere] = useState(false);
  const found = useLoad(async (signal) => (tracking === "" ? await readLatest(refused || cause !== "" ? { refused: true } : {}, 30, signal, (a) => cause === "" || a.causes[0]?.code === cause) : await readAttempts({ trackingId: tracking, top: 10 }, signal)).value, [tracking, refused, cause], tracking === "" ? 5000 : there ? 0 : 2000);
  const some = (found.data ?? []).length > 0;
  useEffect(() => setThere(some), [some]);
  useEffect(() => {
    if (tracking !== "") setText(tracking);
  }, [tracking]);
  const search = (event: Event): void => {
    event.preventDefault();
    const wanted = text.trim();
    const named = trackingIn(wanted);
    if (named !== null) setText(named);
    if (wanted === "" || named !== null) amend({ tracking: named ?? "" });
    else go("device", [wanted.slice(0, 200)]);
  };
  return (
    <Card flush busy={found.loading && found.data === undefined}>
      <form class="row toolbar" onSubmit={search}>
        <input class="input grow" type="search" aria-label="Registration id or tracking id" placeholder="Registration id or tracking id" value={text} maxLength={LONGEST} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        <Button type="submit" kind="primary" icon="search">
          Find
        </Button>
        {cause !== "" && (
          <Button icon="close" label="Show every cause" onClick={() => amend({ cause: undefined })}>
            {catalogue.data?.find((c) => c.code === cause)?.title ?? cause}
          </Button>
        )}
        {tracking === "" && cause === "" && (
          <Button onClick={() => setRefused(!refused)}>{refused ? "Show all" : "Refused only"}</Button>
        )}
      </form>
      {found.data === undefined ? (
        <div class="body">{found.error === null ? <Waiting lines={5} /> : <Failure error={found.error} retry={found.reload} />}</div>
      ) : found.data.length === 0 ? (
        <Empty title={tracking === "" ? "No device was refused" : "No attempt has this tracking id"}>{tracking !== "" && <span>It may be older than what is kept, or of another server. <a href={link("device", [tracking])}>Is it the id of a device?</a></span>}</Empty>
      ) : (
        <ul class="plain attempts">
          {found.data.map((a) => (
            <li key={a.trackingId + a.time + a.event}>
              <AttemptCard of={a} open={tracking !== ""} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function AttemptCard({ of, open }: { of: Attempt; open: boolean }): JSX.Element {
  const [shown, setShown] = useState(open);
  const device = of.registrationId ?? "";
  const asked = shown && of.result !== "ok" && device !== "";
  // An old attempt is not mended when the device was let in since.
  const later = useLoad((signal) => (asked ? readTimeline(device, signal).then((t) => letInAfter(t, of), () => null) : Promise.resolve(null)), [asked, of.trackingId], asked ? 5000 : 0);
  const since = later.data ?? null;
  const mends = of.result !== "ok" && later.data !== undefined && since === null;
  return (
    <div class="stack">
      <div class="row">
        <ResultTag of={of.result} />
        {of.registrationId !== null && of.registrationId !== "" ? (
          <a href={link("device", [of.registrationId])}>
            <bdi class="id">{of.registrationId}</bdi>
          </a>
        ) : (
          <span class="muted">no registration id</span>
        )}
        <span class="muted small grow wrap">
          {of.operation} {of.protocol !== null && `over ${of.protocol}`}
        </span>
        <span class="muted small" title={at(of.time)}>
          {ago(of.time)}, {duration(of.durationMs)}
        </span>
        <Button small onClick={() => setShown(!shown)} label={shown ? "Show less" : "Show more"}>
          {shown ? "Less" : "More"}
        </Button>
      </div>
      {!shown && (of.causes[0] !== undefined ? <p class="wrap"><bdi>{of.causes[0].sentence}</bdi></p> : of.error !== null && <p class="muted small wrap">{of.error.message}</p>)}
      {shown && (
        <>
          {since !== null && (
            <Note tone="ok">
              <strong>It was let in since,</strong> at {at(since)}. <a href={link("device", [device])}>How it is now</a>
            </Note>
          )}
          {of.causes.length > 0 ? <Causes of={of.causes} {...(mends ? { mend: (cause: Cause) => <Mend of={cause} device={device} onMended={later.reload} /> } : {})} /> : of.error !== null && <Note tone="bad">{of.error.code} {of.error.message}</Note>}
          <Facts
            of={[
              ["Tracking id", <Id>{of.trackingId}</Id>],
              ["Time", at(of.time)],
              ["What the device was told", of.event === "connection" ? "nothing: the connection ended" : of.error === null ? "success" : `${of.error.code} ${of.error.name ?? ""}`],
            ]}
          />
          {of.record !== undefined && of.record !== null && (
            <details>
              <summary>The whole record</summary>
              <CodeBox text={JSON.stringify(of.record, null, 2)} label="the record" />
            </details>
          )}
        </>
      )}
    </div>
  );
}

function Catalogue(): JSX.Element {
  const causes = useLoad<CatalogueCause[] | null>(async (signal) => {
    try {
      return await readCauses(signal);
    } catch (error) {
      if (error instanceof Unsupported) return null;
      throw error;
    }
  }, []);
  const [sought, setSought] = useState("");
  if (causes.data === undefined) return causes.error === null ? <Waiting /> : <Failure error={causes.error} retry={causes.reload} />;
  if (causes.data === null) return <Card><Empty title="This server has no catalogue of causes" /></Card>;
  const wanted = sought.trim().toLowerCase();
  const shown = causes.data.filter((c) => wanted === "" || `${c.code} ${c.title} ${c.meaning} ${c.family}`.toLowerCase().includes(wanted));
  const families = [...new Set(shown.map((c) => c.family))];
  return (
    <>
      <div class="row">
        <input class="input filter-wide" type="search" aria-label="Search causes" placeholder="Search causes" value={sought} onInput={(event) => setSought(event.currentTarget.value)} />
        <span class="muted small">{shown.length} causes</span>
      </div>
      {families.map((family) => (
        <Card key={family} title={familyTitle(family)} flush>
          <ul class="plain attempts">
            {shown
              .filter((c) => c.family === family)
              .map((c) => (
                <li key={c.code}>
                  <details>
                    <summary>
                      {c.title} <span class="id muted">{c.code}</span>
                    </summary>
                    <div class="stack padded-top">
                      <p>{c.meaning}</p>
                      <p>
                        <b>What to do: </b>
                        {fixText(c)}
                      </p>
                      {c.query !== "" && (
                        <div>
                          <a href={link("logs", [], { q: c.query })}>Find such attempts in the logs</a>
                        </div>
                      )}
                    </div>
                  </details>
                </li>
              ))}
          </ul>
        </Card>
      ))}
    </>
  );
}

function fixText(of: CatalogueCause): string {
  if (typeof of.fix === "string") return of.fix;
  return of.fix.map((f) => (typeof f === "string" ? f : f.text)).join(" ");
}
