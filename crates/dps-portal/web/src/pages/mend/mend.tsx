// Beneath a cause: what mends it here, what is to be changed on the device, and whether the device would be let in now.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Cause } from "../../api/diagnosis";
import { instance, may } from "../../api/session";
import { Button, CodeBox } from "../../parts/basics";
import { Check, PutTheKey } from "./check";
import { Doing } from "./doing";
import { LinkCheck } from "./link-check";
import { fact, waysOf, type Way } from "./ways";

/** What an operator types; what a device is told begins otherwise. */
const OPERATORS = /^muster (enrollment|enrollment-group|certificate|linked-hub|instance|registration) /;

export function Mend({ of, device, onMended }: { of: Cause; device: string; onMended: () => void }): JSX.Element {
  const [open, setOpen] = useState<Way | null>(null);
  const [mended, setMended] = useState(0);
  // A key was shown to be put on the device, which it has not come back with.
  const [handed, setHanded] = useState(false);
  const [accepted, setAccepted] = useState(false);
  const [good, setGood] = useState(false);
  const ways = waysOf(of, device);
  const fixes = of.fix ?? [];
  const byCommand = fixes.filter((f) => OPERATORS.test(f.command ?? ""));
  const onDevice = fixes.filter((f) => !OPERATORS.test(f.command ?? ""));
  const shownTwice = ways.length > 0 && onDevice.every((f) => (f.command ?? "") === "") && byCommand.length === 0;
  // What it showed is not what is wrong with a device that was let in, or that never came to be judged.
  const rehearsed = !/^(ID_SCOPE_|WEBHOOK_|ASSIGNED_)/.test(of.code);
  const ofScope = of.code.startsWith("ID_SCOPE_");
  const ofHub = of.code.startsWith("HUB_");
  const writable = may.value.writeEnrollments || may.value.configure;
  return (
    <div class="stack mend">
      {ways.length > 0 && (
        <>
          <h3>Mend it here</h3>
          <ul class="plain ways">
            {ways.map((way, i) => (
              <li key={way.label}>
                <Button kind={i === 0 && !good ? "primary" : "plain"} disabled={!writable} {...(writable ? {} : { title: "Your sign-in may only look" })} onClick={() => setOpen(way)}>
                  {way.label}
                </Button>
                <span class="muted">{way.about}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {onDevice.length > 0 && !(shownTwice && ways[0]?.does === "enable") && (
        <>
          <h3>{placed(of, ways.length > 0)}</h3>
          <Fixes of={onDevice} />
        </>
      )}
      {ofScope && instance.value !== null && (
        <div class="field">
          <span class="label">The ID scope of {instance.value.name}</span>
          <CodeBox text={instance.value.idScope} label="the ID scope" />
        </div>
      )}
      {byCommand.length > 0 && (
        <details open={ways.length === 0}>
          <summary>From a command line</summary>
          <Fixes of={byCommand} />
        </details>
      )}
      {handed && (
        <div role="status">
          <PutTheKey />
        </div>
      )}
      {ofHub ? <LinkCheck hub={fact(of, "hub")} again={mended} onAnswer={setGood} /> : rehearsed && device !== "" && <Check key={String(handed)} device={device} again={mended} accepted={accepted} onAnswer={setGood} />}
      {open !== null && (
        <Doing
          way={open}
          device={device}
          onClose={() => setOpen(null)}
          onDone={() => {
            // What the device showed before says nothing of a key that it is to be given now.
            if (open.does === "deviceKey") setHanded(true);
            else setMended((n) => n + 1);
            setAccepted(open.does === "accept");
            onMended();
          }}
        />
      )}
    </div>
  );
}

function placed(of: Cause, other: boolean): string {
  const where = /^(HUB|NO_HUB)_/.test(of.code) ? "At the hub" : of.code.startsWith("WEBHOOK_") ? "At the webhook" : "On the device";
  return other ? `Or ${where.charAt(0).toLowerCase()}${where.slice(1)}` : where;
}

function Fixes({ of }: { of: NonNullable<Cause["fix"]> }): JSX.Element {
  return (
    <ol class="fixes">
      {of.map((f, i) => (
        <li key={i}>
          <span class="wrap">{sentence(f.text)}</span>
          {f.command !== undefined && f.command !== null && f.command !== "" && <CodeBox text={f.command} label="the command" />}
        </li>
      ))}
    </ol>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
