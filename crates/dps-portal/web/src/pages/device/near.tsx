// Nothing is known of exactly that id: what is known of ids that hold it, for half an id is what people remember.
import type { JSX } from "preact";
import { readInbox, readLatest } from "../../api/diagnosis";
import { queryEnrollmentsHolding } from "../../api/enrollments";
import { useLoad } from "../../api/load";
import { Card, Id, LinkButton } from "../../parts/basics";
import { link } from "../../shell/route";
import { ago } from "../../text/time";

export interface Near {
  id: string;
  about: string;
}

const SHOWN = 12;
/** Attempts that are looked through. */
const READ = 400;
/** Words of a text that are looked for besides the whole of it. */
const WORDS = 3;

/** The text, those of its words that look like ids, and its numbers, which are seldom mistyped. */
function soughtIn(text: string): string[] {
  const words = text.split(/[\s,;"'()]+/).filter((w) => w.length >= 4 && /\d/.test(w));
  const numbers = text.match(/\d{4,}/g) ?? [];
  const whole = text.toLowerCase();
  return [whole, ...[...new Set([...words, ...numbers].map((w) => w.toLowerCase()))].filter((w) => w !== whole).slice(0, WORDS)];
}

async function findNear(text: string, signal: AbortSignal): Promise<Near[]> {
  const sought = soughtIn(text);
  const fits = (id: string): boolean => sought.some((s) => id.toLowerCase().includes(s));
  const found = new Map<string, Near>();
  const add = (id: string, about: string): void => {
    if (fits(id) && id.toLowerCase() !== text.toLowerCase() && !found.has(id.toLowerCase())) found.set(id.toLowerCase(), { id, about });
  };
  // Who may not read one of these still finds what the others tell.
  const [attempts, inbox, ...enrolled] = await Promise.all([
    readLatest({}, READ, signal).then((a) => a.value, () => []),
    readInbox(signal).catch(() => []),
    ...sought.map((s) => queryEnrollmentsHolding(s, SHOWN, signal).catch(() => [])),
  ]);
  for (const a of attempts) {
    if (a.registrationId !== null) add(a.registrationId, a.result === "ok" ? `let in ${ago(a.time)}` : `not let in ${ago(a.time)}: ${a.causes[0]?.title ?? a.error?.message ?? "refused"}`);
  }
  for (const item of inbox) {
    for (const d of item.devices ?? []) add(d.registrationId, `unknown, in the inbox; asked ${ago(d.lastSeen)}`);
  }
  for (const e of enrolled.flat()) add(e.registrationId, "enrolled");
  return [...found.values()].slice(0, SHOWN);
}

/** None while it is looked for, and while there is no reason to look. */
export function useNear(id: string, unknown: boolean): readonly Near[] | undefined {
  return useLoad((signal) => (unknown ? findNear(id, signal) : new Promise<Near[]>(() => undefined)), [id, unknown]).data;
}

export function NearOnes({ of, id }: { of: readonly Near[]; id: string }): JSX.Element {
  return (
    <Card title="Did you mean one of these?" about="nothing is known of exactly this id">
      <ul class="plain states">
        {of.map((near) => (
          <li key={near.id}>
            <a href={link("device", [near.id])}>
              <Id>{near.id}</Id>
            </a>
            <span class="muted small grow wrap">{near.about}</span>
          </li>
        ))}
      </ul>
      <div class="row padded-top">
        <span class="muted small">None of them?</span>
        <LinkButton small href={link("enrollments", [], { new: id })}>
          Enroll it as a new device
        </LinkButton>
      </div>
    </Card>
  );
}
