// An explanation: ranked causes, the evidence of each, and fixes that can be pasted.
import type { JSX } from "preact";
import type { Cause } from "../api/diagnosis";
import { CodeBox, Facts, Id, Tag } from "./basics";

export function Causes({ of }: { of: readonly Cause[] }): JSX.Element | null {
  const [first, ...others] = of;
  if (first === undefined) return null;
  return (
    <div class="stack">
      <OneCause of={first} />
      {others.length > 0 && (
        <details>
          <summary>{others.length === 1 ? "Another possible cause" : `${others.length} other possible causes`}</summary>
          <div class="stack">
            {others.map((c) => (
              <OneCause key={c.code} of={c} />
            ))}
          </div>
        </details>
      )}
    </div>
  );
}

function OneCause({ of }: { of: Cause }): JSX.Element {
  const { evidence = [], fix = [] } = of;
  return (
    <div class="cause">
      <div class="row">
        <strong>{of.title}</strong>
        <Tag dot={false} tone={of.inferred ? "warn" : "accent"}>
          {of.inferred ? "likely" : "proven"}
        </Tag>
        <span class="id muted">{of.code}</span>
      </div>
      <p class="wrap">
        <bdi>{of.sentence}</bdi>
      </p>
      {evidence.length > 0 && <Facts of={evidence.map((e) => [e.name, <Id>{e.value}</Id>] as const)} />}
      {fix.length > 0 && (
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
