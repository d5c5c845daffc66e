// What a timeline says of a refusal: whether it still holds, and since when it does not.
import type { Timeline, TimelineEntry } from "../../api/diagnosis";

/** What ends a refusal: the device is let in. */
const LET_IN = new Set(["assigned", "registration", "AttestationAttempt", "RegistrationAttempt"]);

const letsIn = (e: TimelineEntry): boolean => e.result === "ok" && LET_IN.has(e.kind);

/** When a device was let in last, if that was after an attempt. */
export function letInAfter(of: Timeline, attempt: { time: string; trackingId: string }): string | null {
  const after = of.entries.filter((e) => letsIn(e) && e.trackingId !== attempt.trackingId && Date.parse(e.time) > Date.parse(attempt.time));
  return after.reduce<string | null>((last, e) => (last === null || Date.parse(e.time) > Date.parse(last) ? e.time : last), null);
}

export function lastRefused(of: Timeline | undefined): { entry: TimelineEntry; still: boolean; since: string } | null {
  const known = [...(of?.entries ?? [])].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const bad = known.filter((e) => (e.result === "refused" || e.result === "failed") && e.kind !== "enrollmentChange").pop();
  if (bad === undefined) return null;
  // One attempt has several entries; the one that names a cause speaks for it.
  const named = known.filter((e) => e.trackingId === bad.trackingId && e.result !== "ok" && (e.causes ?? []).length > 0).pop();
  const good = known.slice(known.indexOf(bad) + 1).filter(letsIn).pop();
  return { entry: named ?? bad, still: good === undefined, since: good?.time ?? bad.time };
}
