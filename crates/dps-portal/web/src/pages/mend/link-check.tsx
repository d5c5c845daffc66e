// Does a hub's link work now? The server asks hubs by itself, and soon after a link was changed; this waits for its answer.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { pause } from "../../api/client";
import { Button, Note } from "../../parts/basics";
import { readStanding, type Standing } from "../service/hubs";

const TRIES = 20;

export function LinkCheck({ hub, again }: { hub: string | null; again: number }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<Standing | null | undefined>(undefined);
  const ask = async (since: number): Promise<void> => {
    setBusy(true);
    let now: Standing | null = null;
    for (let tries = 0; tries < TRIES; tries++) {
      now = (await readStanding(new AbortController().signal)).get((hub ?? "").toLowerCase()) ?? null;
      if (now !== null && (since === 0 || Date.parse(now.asked) >= since)) break;
      await pause(1000);
    }
    setFound(now);
    setBusy(false);
  };
  useEffect(() => {
    if (again > 0) void ask(Date.now() - 1000);
  }, [again]);
  return (
    <div class="stack">
      <div class="row">
        <Button icon="play" busy={busy} onClick={() => void ask(0)}>
          Does the link work now?
        </Button>
        <span class="muted small">As the server found it when it asked {hub ?? "the hub"} last.</span>
      </div>
      <div role="status">
        {found === undefined || busy ? null : found === null ? (
          <Note>The server has not asked this hub yet.</Note>
        ) : found.up ? (
          <Note tone="ok">
            <strong>Yes, the link works.</strong> Let the device try again: switch it off and on, or restart its agent.
          </Note>
        ) : (
          <Note tone="bad">
            <strong>No.</strong> {found.reason}
          </Note>
        )}
      </div>
    </div>
  );
}
