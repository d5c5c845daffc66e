// An explanation: ranked causes, the evidence of each, and fixes that can be pasted.
import type { JSX } from "preact";
import type { Cause } from "../api/diagnosis";
import { CodeBox, Facts, Id, Tag } from "./basics";

/** `mend` draws what can be done about a cause, in place of its fixes. */
type Mending = (of: Cause) => JSX.Element;

export function Causes({ of, mend }: { of: readonly Cause[]; mend?: Mending }): JSX.Element | null {
  const [first, ...others] = of;
  if (first === undefined) return null;
  return (
    <div class="stack">
      <OneCause of={first} mend={mend} />
      {others.length > 0 && (
        <details>
          <summary>{others.length === 1 ? "Another possible cause" : `${others.length} other possible causes`}</summary>
          <div class="stack">
            {others.map((c) => (
              <OneCause key={c.code} of={c} mend={mend} />
            ))}
          </div>
        </details>
      )}
    </div>
  );
}

function OneCause({ of, mend }: { of: Cause; mend: Mending | undefined }): JSX.Element {
  const { evidence = [], fix = [] } = of;
  return (
    <div class="cause">
      <div class="row">
        <strong>{of.title}</strong>
        <Tag dot={false} tone={of.inferred ? "warn" : "accent"}>
          {of.inferred ? "likely" : "proven"}
        </Tag>
      </div>
      <p class="wrap">
        <bdi>{sentence(of.sentence)}</bdi>
      </p>
      {evidence.length > 0 && mend === undefined && <Evidence of={of} />}
      {mend !== undefined && mend(of)}
      {evidence.length > 0 && mend !== undefined && (
        <details>
          <summary class="small">What it was seen by</summary>
          <div class="padded-top">
            <Evidence of={of} />
          </div>
        </details>
      )}
      {mend === undefined && fix.length > 0 && (
        <div class="stack tight">
          <h3>What to do</h3>
          <ol class="fixes">
            {fix.map((f, i) => (
              <li key={i}>
                <span class="wrap">{f.text}</span>
                {f.command !== undefined && f.command !== null && f.command !== "" && <CodeBox text={f.command} label="the command" />}
              </li>
            ))}
          </ol>
        </div>
      )}
    </div>
  );
}

function Evidence({ of }: { of: Cause }): JSX.Element {
  return <Facts of={[...(of.evidence ?? []).map((e) => [e.name, <Id>{e.value}</Id>] as const), ["cause", <Id>{of.code}</Id>]]} />;
}

/** The server's sentences begin small, for they stand behind a colon elsewhere; an id keeps its letters. */
export function sentence(text: string): string {
  const [first = ""] = text.split(" ", 1);
  const said = /^[a-z]+,?$/.test(first) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  // Names of keys are long, and stand whole among what it was seen by.
  const short = said.replace(/[0-9a-f]{40,}/gi, (hex) => `${hex.slice(0, 8)}…${hex.slice(-6)}`);
  return /[.!?…]$/.test(short) ? short : `${short}.`;
}
