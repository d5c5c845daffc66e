// Would the device be let in now, with what it showed when it was refused? Asked by a button, and again after each mend.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { rehearse, Unsupported, type Rehearsal } from "../../api/diagnosis";
import { ApiError } from "../../api/client";
import { asApiError } from "../../api/load";
import { Button, Failure, LinkButton, Note } from "../../parts/basics";
import { link } from "../../shell/route";

type Answer = Rehearsal | "forgotten" | ApiError;

/** `accepted` devices were enrolled with new keys, which what they showed before was not made with. */
export function Check({ device, again, accepted, onAnswer }: { device: string; again: number; accepted: boolean; onAnswer: (good: boolean) => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const ask = async (): Promise<void> => {
    setBusy(true);
    const got = await asked(device);
    setAnswer(got);
    onAnswer(isGood(got));
    setBusy(false);
  };
  useEffect(() => {
    if (again > 0) void ask();
  }, [again]);
  return (
    <div class="stack">
      <div class="row">
        <Button icon="play" busy={busy} onClick={() => void ask()}>
          Would it be let in now?
        </Button>
        <span class="muted small">A dry run with what the device showed. Nothing is written.</span>
      </div>
      <div role="status">{answer !== null && !busy && <Told of={answer} device={device} accepted={accepted} />}</div>
    </div>
  );
}

async function asked(device: string): Promise<Answer> {
  try {
    return await rehearse({ registrationId: device, evidence: { lastShown: true } });
  } catch (failed) {
    if (failed instanceof Unsupported || (failed instanceof ApiError && failed.status === 404)) return "forgotten";
    return asApiError(failed);
  }
}

function isGood(of: Answer): boolean {
  return of !== "forgotten" && !(of instanceof ApiError) && (of.outcome.accepted ?? of.outcome.status === "wouldBeAssigned");
}

/** What is left to do when a key was shown for the device. */
export function PutTheKey(): JSX.Element {
  return (
    <Note>
      <strong>Now put the key on the device</strong> and let it try again. This page says so when it is let in.
    </Note>
  );
}

function Told({ of, device, accepted }: { of: Answer; device: string; accepted: boolean }): JSX.Element {
  const elsewhere = (
    <LinkButton small href={link("diagnose", [], { registration: device })}>
      Try another key or certificate
    </LinkButton>
  );
  if (of === "forgotten") {
    return <Note actions={elsewhere}>What this device showed is not remembered: it was not refused since the server started.</Note>;
  }
  if (of instanceof ApiError) return <Failure error={of} />;
  if (isGood(of)) {
    return (
      <Note tone="ok">
        <strong>Yes, it would be let in.</strong> {of.hub !== undefined && of.hub !== null && <>It would be assigned to <bdi class="id">{of.hub}</bdi>. </>}
        Let the device try again: switch it off and on, or restart its agent.
      </Note>
    );
  }
  if (of.outcome.status === "wouldFail") {
    return (
      <Note tone="bad">
        <strong>It would be let in, and then fail.</strong>
        <div class="wrap">
          <bdi>{of.outcome.summary ?? of.outcome.message}</bdi>
        </div>
      </Note>
    );
  }
  const cause = of.causes?.[0];
  if (accepted && cause?.code.startsWith("SAS_") === true) return <PutTheKey />;
  return (
    <Note tone="bad" actions={elsewhere}>
      <strong>No, it would still be refused</strong> with what it showed last.
      <div class="wrap">
        <bdi>{cause?.sentence ?? of.outcome.summary ?? of.outcome.message}</bdi>
      </div>
      <div class="muted small">If it is the device that has to change, change it there; this asks with what it showed before.</div>
    </Note>
  );
}
