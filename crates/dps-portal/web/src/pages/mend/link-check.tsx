// Does a hub's link work now? The server asks each hub by itself, about once a minute and soon after its link was changed. What
// it found last is told with its age, and this waits for what it finds next.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { pause, type ApiError } from "../../api/client";
import { asApiError } from "../../api/load";
import { Button, Failure, Note } from "../../parts/basics";
import { readStanding, type Standing } from "../service/hubs";
import { ago } from "../../text/time";

const EVERY_MS = 1000;
/** Longer than the server waits between two questions. */
const PATIENCE_MS = 90_000;

export function LinkCheck({ hub, again, onAnswer }: { hub: string | null; again: number; onAnswer: (good: boolean) => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<Standing | null | undefined>(undefined);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef<AbortController | null>(null);
  const ask = async (since: number): Promise<void> => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError(null);
    const until = performance.now() + PATIENCE_MS;
    let first: string | undefined;
    try {
      for (;;) {
        const now = (await readStanding(abort.signal)).get((hub ?? "").toLowerCase()) ?? null;
        setFound(now);
        // The server's clock may be another. Where the age is not told the answer is taken as it is.
        first ??= now?.asked;
        if (now !== null && (now.asked === "" || now.asked !== first || Date.parse(now.asked) >= since)) {
          onAnswer(now.up);
          break;
        }
        if (performance.now() > until) break;
        await pause(EVERY_MS, abort.signal);
      }
    } catch (failed) {
      if (abort.signal.aborted) return;
      setError(asApiError(failed));
    }
    setBusy(false);
  };
  useEffect(() => {
    if (again > 0) void ask(Date.now() - 1000);
  }, [again]);
  useEffect(() => () => running.current?.abort(), []);
  return (
    <div class="stack">
      <div class="row">
        {busy ? (
          <span class="muted">Waiting until the server asks {hub ?? "the hub"} again, which it does about once a minute…</span>
        ) : (
          <>
            <Button icon="play" onClick={() => void ask(Date.now() - 1000)}>
              Does the link work now?
            </Button>
            <span class="muted small">The server asks the hub about once a minute; this waits for its next answer.</span>
          </>
        )}
      </div>
      <div role="status">
        {error !== null ? <Failure error={error} /> : found === undefined ? null : found === null ? !busy && <Note>The server has not asked this hub yet.</Note> : <Found of={found} old={busy} />}
      </div>
    </div>
  );
}

function Found({ of, old }: { of: Standing; old: boolean }): JSX.Element {
  const when = of.asked === "" ? null : <span class="muted small"> Asked {ago(of.asked)}.</span>;
  if (old) return <Note>The last answer, which may have changed since: {of.up ? "it worked." : (of.reason ?? "it did not work.")}{when}</Note>;
  return of.up ? (
    <Note tone="ok">
      <strong>Yes, the link works.</strong> Let the device try again: switch it off and on, or restart its agent.{when}
    </Note>
  ) : (
    <Note tone="bad">
      <strong>No.</strong> {of.reason}{when}
    </Note>
  );
}
