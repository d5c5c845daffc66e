// One device: why it was refused, where it is, and everything that happened to it in order.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readDrift, readTimeline, type Cause, type Gap, type Timeline, type TimelineEntry } from "../../api/diagnosis";
import { deleteRegistration, read, readRegistration, type Enrollment, type Registration } from "../../api/enrollments";
import { ApiError, object, text } from "../../api/client";
import { useLoad } from "../../api/load";
import { may } from "../../api/session";
import { Button, Card, CodeBox, Empty, Failure, Id, LinkButton, Note, Page, Tag, Waiting, type Tone } from "../../parts/basics";
import { Causes } from "../../parts/causes";
import { lastRefused } from "./since";
import { NearOnes, useNear } from "./near";
import { Mend } from "../mend/mend";
import { ActionDialog } from "../../parts/dialog";
import { toast } from "../../parts/toast";
import { link, route } from "../../shell/route";
import { literal } from "../../api/logs";
import { ago, at, duration } from "../../text/time";
import { RegistrationFacts } from "../enrollments/detail";

async function orNothing<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return null;
    throw error;
  }
}

export function Device(): JSX.Element {
  const id = route.value.parts[0] ?? "";
  const timeline = useLoad((signal) => readTimeline(id, signal), [id], 5000);
  // Each read of the service API is a row of the log, so it is asked again only when something new happened.
  const known = timeline.data !== undefined || timeline.error !== null;
  const newest = (timeline.data?.entries ?? []).reduce((last, e) => (e.time > last ? e.time : last), "");
  const registration = useLoad<Registration | null>((signal) => (known ? orNothing(readRegistration(id, signal)) : new Promise(() => undefined)), [id, newest, known]);
  const enrollment = useLoad<Enrollment | null>((signal) => orNothing(read<Enrollment>("enrollments", id, signal)), [id]);
  const [removing, setRemoving] = useState(false);
  const last = lastRefused(timeline.data);
  const group = groupOf(timeline.data);
  const assigned = registration.data?.status === "assigned";
  // A hub is asked once for each assignment: it may be somebody else's.
  const drift = useLoad((signal) => (assigned ? readDrift(id, signal) : Promise.resolve(null)), [id, assigned, registration.data?.etag]);
  const missing: readonly Cause[] = drift.data?.onHub === "missing" ? drift.data.causes : [];
  const unknown = timeline.data?.entries.length === 0 && registration.data === null && enrollment.data === null;
  const near = useNear(id, unknown);
  const mended = (): void => {
    timeline.reload();
    registration.reload();
    enrollment.reload();
    drift.reload();
  };
  return (
    <Page
      title={id}
      actions={
        <>
          <LinkButton href={link("logs", [], { q: `AzureDiagnostics\n| where tostring(parse_json(properties_s).id) =~ ${literal(id)}\n| order by TimeGenerated desc`, span: "P7D" })} icon="logs">
            Logs
          </LinkButton>
          <LinkButton href={link("diagnose", [], { registration: id })} icon="play">
            Dry run
          </LinkButton>
          {enrollment.data !== null && enrollment.data !== undefined && (
            <LinkButton href={link("enrollment", [id])} icon="enrollments">
              Enrollment
            </LinkButton>
          )}
          {registration.data !== null && registration.data !== undefined && (
            <Button icon="trash" kind="danger" disabled={!may.value.writeRegistrations} onClick={() => setRemoving(true)}>
              Delete registration
            </Button>
          )}
        </>
      }
    >
      {unknown && near !== undefined && near.length > 0 && <NearOnes of={near} id={id} />}
      {last !== null && !last.still && <LetIn of={registration.data ?? null} since={last.since} />}
      {last !== null && last.still && (
        <Card title={last.entry.result === "failed" ? "Why it failed" : "Why it was refused"} about={ago(last.entry.time)}>
          <Why of={last.entry} device={id} onMended={mended} />
        </Card>
      )}
      {missing.length > 0 && (
        <Card title="Its hub does not have it any more">
          <Causes of={missing} mend={(cause) => <Mend of={cause} device={id} onMended={mended} />} />
        </Card>
      )}
      {(timeline.data?.gaps ?? []).map((gap) => (
        <Missing of={gap} key={gap.kind} />
      ))}
      {last !== null && !last.still && (
        <details class="before">
          <summary>Why it was refused before</summary>
          <div class="padded-top">
            <Why of={last.entry} device={null} onMended={mended} />
          </div>
        </details>
      )}
      <div class="grid">
        <Card title="Timeline" span={8} flush>
          {timeline.data === undefined ? (
            <div class="body">{timeline.error === null ? <Waiting lines={6} /> : <Failure error={timeline.error} retry={timeline.reload} />}</div>
          ) : timeline.data.entries.length === 0 ? (
            <Empty title="Nothing is known of this device">
              <span>It has not asked in the time that is kept. Is the id spelt as the device spells it?</span>
            </Empty>
          ) : (
            <Entries of={timeline.data.entries} />
          )}
        </Card>
        <div class="s4 stack">
          <Card title="Registration">
            {registration.error !== null ? <Failure error={registration.error} /> : registration.data === undefined ? <Waiting /> : registration.data === null ? <p class="muted">It is not registered.</p> : <RegistrationFacts of={registration.data} />}
          </Card>
          <Card title="Enrollment">
            {enrollment.error !== null ? (
              <Failure error={enrollment.error} />
            ) : enrollment.data === undefined ? (
              <Waiting />
            ) : enrollment.data === null ? (
              <div class="stack">
                {group === null ? (
                  <p class="muted">It has no individual enrollment. A group may let it in.</p>
                ) : (
                  <p>
                    By the group <a href={link("group", [group])}><bdi class="id">{group}</bdi></a>
                  </p>
                )}
                {(!unknown || near?.length === 0) && (
                  <div>
                    <LinkButton small icon="plus" href={link("enrollments", [], { new: id })}>
                      Enroll it
                    </LinkButton>
                  </div>
                )}
              </div>
            ) : (
              <div class="row">
                <a href={link("enrollment", [id])}>Individual enrollment</a>
                <Tag tone={enrollment.data.provisioningStatus === "disabled" ? "warn" : "ok"}>{enrollment.data.provisioningStatus === "disabled" ? "Disabled" : "Enabled"}</Tag>
              </div>
            )}
          </Card>
        </div>
      </div>
      {removing && (
        <ActionDialog
          title={`Delete the registration of ${id}?`}
          action="Delete"
          danger
          onClose={() => setRemoving(false)}
          run={async () => {
            await deleteRegistration(id, registration.data?.etag);
            toast("The registration is deleted.");
            registration.reload();
          }}
        >
          <p>The device keeps its identity on {registration.data?.assignedHub ?? "its hub"}. When it registers again it is treated as one that comes for the first time.</p>
        </ActionDialog>
      )}
    </Page>
  );
}

function Why({ of, device, onMended }: { of: TimelineEntry; device: string | null; onMended: () => void }): JSX.Element {
  const causes = of.causes ?? [];
  if (causes.length === 0) return <p class="wrap">{of.detail ?? of.title}</p>;
  return device === null ? <Causes of={causes} /> : <Causes of={causes} mend={(cause) => <Mend of={cause} device={device} onMended={onMended} />} />;
}

function LetIn({ of, since }: { of: Registration | null; since: string }): JSX.Element {
  return (
    <Note tone="ok">
      <strong>It is let in.</strong>{" "}
      {of?.status === "assigned" ? (
        <>
          It was assigned to <Id>{of.assignedHub ?? ""}</Id> as <Id>{of.deviceId ?? ""}</Id> {ago(since)}.
        </>
      ) : (
        <>It proved who it is {ago(since)}.</>
      )}
    </Note>
  );
}

/** The group that it met last. */
function groupOf(of: Timeline | undefined): string | null {
  const met = (of?.entries ?? []).filter((e) => e.kind === "match" && e.result === "ok").pop();
  const enrollment = object(object(met?.data)["enrollment"]);
  return enrollment["kind"] === "EnrollmentGroup" ? text(enrollment["id"]) : null;
}

/** A device that was let in just now may be on its way to its hub. */
const ON_ITS_WAY_MS = 5 * 60_000;

/** The words for a device that its hub has not seen yet, while that is no wonder. */
function waiting(kind: string, title: string, since: string | undefined): string | null {
  const young = since !== undefined && Date.now() - Date.parse(since) < ON_ITS_WAY_MS;
  const hub = /never seen on (\S+)/.exec(title)?.[1];
  return kind === "neverOnHub" && young && hub !== undefined ? `Waiting for it to connect to ${hub}` : null;
}

function Missing({ of: { kind, title, since, detail } }: { of: Gap }): JSX.Element {
  const hopeful = waiting(kind, title, since);
  return (
    <Note tone={hopeful === null ? "warn" : "plain"}>
      <strong>{hopeful ?? title}.</strong> {since !== undefined && <span class="muted">since {at(since)}</span>}
      {detail !== undefined && detail !== "" && <div class="small wrap"><bdi>{detail}</bdi></div>}
    </Note>
  );
}

/** An entry as it is drawn: what went well by itself is not green when what it told was not. */
function drawn(e: TimelineEntry): { title: string; tone: Tone; said: string | null; mark: string } {
  const told = e.kind === "polls" ? text(object(e.data)["status"]) : null;
  if (e.result === "ok" && (told === "failed" || told === "disabled")) return { title: e.title, tone: "warn", said: `told: ${told}`, mark: "gap" };
  const hopeful = waiting(e.kind, e.title, e.time);
  if (hopeful !== null) return { title: hopeful, tone: "plain", said: "waiting", mark: "info" };
  return { title: e.title, tone: TONES[e.result], said: e.result === "info" ? null : e.result, mark: e.result };
}

/** Entries that are drawn at a time. */
const PAGE = 40;
const TONES: Record<TimelineEntry["result"], Tone> = { ok: "ok", refused: "bad", failed: "bad", gap: "warn", info: "plain" };

export function Entries({ of }: { of: readonly TimelineEntry[] }): JSX.Element {
  const [newest, setNewest] = useState(true);
  // The server has them in order, what belongs to one attempt together.
  const sorted = newest ? [...of].reverse() : of;
  const [most, setMost] = useState(PAGE);
  const shown = sorted.slice(0, most);
  return (
    <>
      <div class="row toolbar">
        <Button small icon={newest ? "down" : "up"} onClick={() => setNewest(!newest)}>
          {newest ? "Newest first" : "Oldest first"}
        </Button>
      </div>
      <ol class="plain timeline">
        {shown.map((e, i) => [e, drawn(e), i] as const).map(([e, as, i]) => (
          <li key={`${e.time}${e.kind}${i}`} class={as.mark}>
            <span class="num small muted" title={at(e.time)}>
              {at(e.time)}
            </span>
            <div class="stack tight">
              <div class="row">
                <strong class="wrap">{as.title}</strong>
                {as.said !== null && <Tag tone={as.tone}>{as.said}</Tag>}
                {typeof e.durationMs === "number" && e.durationMs > 0 && <span class="muted small num">{duration(e.durationMs)}</span>}
              </div>
              {e.detail !== undefined && e.detail !== null && e.detail !== "" && (
                <p class="muted small wrap">
                  <bdi>{e.detail}</bdi>
                </p>
              )}
              {(e.causes ?? []).length > 0 && e.result !== "ok" && (
                <details>
                  <summary class="small">Why</summary>
                  <Causes of={e.causes ?? []} />
                </details>
              )}
              {(e.data !== undefined && e.data !== null) || (e.trackingId !== undefined && e.trackingId !== null) ? (
                <details>
                  <summary class="small">Details</summary>
                  <div class="stack tight">
                    {e.trackingId !== undefined && e.trackingId !== null && e.trackingId !== "" && (
                      <span class="small">
                        Tracking id <a class="id" href={link("diagnose", [], { tracking: e.trackingId })}>{e.trackingId}</a>
                      </span>
                    )}
                    {e.data !== undefined && e.data !== null && <CodeBox text={JSON.stringify(e.data, null, 2)} label="the record" />}
                  </div>
                </details>
              ) : null}
            </div>
          </li>
        ))}
      </ol>
      {of.length > shown.length && (
        <div class="more">
          <span class="muted small">
            {shown.length} of {of.length} shown
          </span>
          <Button small onClick={() => setMost(most + 5 * PAGE)}>
            Show more
          </Button>
        </div>
      )}
    </>
  );
}
