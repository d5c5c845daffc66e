// The latest attempts, asked for every two seconds while somebody looks.
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isOfDevice, readAttempts, readLatest, type Attempt } from "../../api/diagnosis";
import { asApiError } from "../../api/load";
import type { ApiError } from "../../api/client";
import { Button, Empty, Failure, Tag, Waiting, type Tone } from "../../parts/basics";
import { link } from "../../shell/route";
import { atClock, duration } from "../../text/time";

const EVERY_MS = 2000;
const KEPT = 100;

export function Feed(): JSX.Element {
  const rows = useSignal<Attempt[] | null>(null);
  const error = useSignal<ApiError | null>(null);
  const paused = useSignal(false);
  const last = useRef<string | undefined>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const turn = async (): Promise<void> => {
      if (!document.hidden && !paused.value) {
        try {
          const got = last.current === undefined ? await readLatest({}, 50, abort.signal) : await readAttempts({ top: 200, after: last.current }, abort.signal);
          const known = new Set((rows.value ?? []).map(keyOf));
          const fresh = got.value.filter((a) => isOfDevice(a) && !known.has(keyOf(a)));
          rows.value = [...fresh, ...(rows.value ?? [])].slice(0, KEPT);
          last.current = got.position ?? last.current;
          error.value = null;
        } catch (failed) {
          if (abort.signal.aborted) return;
          error.value = asApiError(failed);
        }
      }
      timer = window.setTimeout(() => void turn(), EVERY_MS);
    };
    void turn();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, []);

  if (rows.value === null) {
    return <div class="body">{error.value === null ? <Waiting lines={5} /> : <Failure error={error.value} />}</div>;
  }
  if (rows.value.length === 0) {
    return <Empty title="No device has asked yet">Attempts appear here within seconds.</Empty>;
  }
  return (
    <>
      <div class="feed" tabIndex={0} role="log" aria-label="Latest attempts" aria-live="off">
        <ul class="plain">
          {rows.value.map((a) => (
            <Line key={keyOf(a)} of={a} />
          ))}
        </ul>
      </div>
      <div class="more">
        <Button small icon={paused.value ? "play" : "clock"} onClick={() => (paused.value = !paused.value)}>
          {paused.value ? "Go on" : "Hold still"}
        </Button>
      </div>
    </>
  );
}

function keyOf(a: Attempt): string {
  return `${a.trackingId}${a.time}${a.operation}`;
}

const RESULTS: Record<string, [Tone, string]> = { ok: ["ok", "Success"], refused: ["bad", "Refused"], failed: ["warn", "Failed"] };

export function ResultTag({ of }: { of: string }): JSX.Element {
  const [tone, words] = RESULTS[of] ?? ["plain", of];
  return <Tag tone={tone}>{words}</Tag>;
}

function Line({ of }: { of: Attempt }): JSX.Element {
  const cause = of.causes[0];
  const said = cause?.sentence ?? of.error?.message;
  return (
    <li>
      <span class="num small muted">{atClock(of.time)}</span>
      <span>
        <ResultTag of={of.result} />
      </span>
      <span class="wrap">
        {of.registrationId === null || of.registrationId === "" ? (
          <a class="muted" href={link("diagnose", [], { tracking: of.trackingId })}>
            {of.operation}
          </a>
        ) : (
          <a href={link("device", [of.registrationId])}>
            <bdi class="id">{of.registrationId}</bdi>
          </a>
        )}{" "}
        <span class="muted small">{of.registrationId === null || of.registrationId === "" ? "" : of.operation}</span>
      </span>
      <span class="muted small num nowrap">
        {of.protocol ?? ""} {duration(of.durationMs)}
      </span>
      {said !== undefined && <span class="said">{said}</span>}
    </li>
  );
}
