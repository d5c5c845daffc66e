// A dry run: what would happen to this device now, step by step, without anything being written.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ApiError } from "../../api/client";
import { rehearse, Unsupported, type Rehearsal } from "../../api/diagnosis";
import { asApiError } from "../../api/load";
import { Button, Card, CodeBox, Empty, Facts, Failure, Id, Note, Segments, Tag } from "../../parts/basics";
import { Causes } from "../../parts/causes";
import { AreaField, SelectField, TextField } from "../../parts/form";
import { judgeSymmetricKey } from "../../x509/certificate";
import { CertificateField, useCertificates } from "../../x509/field";

type Shows = "certificateChain" | "symmetricKey" | "sasToken" | "tpm" | "nothing";
const PROTOCOLS = [
  ["Mqtt", "MQTT"],
  ["MqttWs", "MQTT over WebSocket"],
  ["Amqp", "AMQP"],
  ["AmqpWs", "AMQP over WebSocket"],
  ["Http", "HTTPS"],
] as const;

export function DryRun({ registration }: { registration: string }): JSX.Element {
  const [id, setId] = useState(registration);
  const [shows, setShows] = useState<Shows>("symmetricKey");
  const [secret, setSecret] = useState("");
  const [chain, setChain] = useState("");
  const [ek, setEk] = useState("");
  const [srk, setSrk] = useState("");
  const [protocol, setProtocol] = useState<(typeof PROTOCOLS)[number][0]>("Mqtt");
  const [address, setAddress] = useState("");
  const [payload, setPayload] = useState("");
  const [proposed, setProposed] = useState("");
  const [kind, setKind] = useState<"individualEnrollment" | "enrollmentGroup">("individualEnrollment");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | "unsupported" | null>(null);
  const [outcome, setOutcome] = useState<Rehearsal | null>(null);
  const read = useCertificates(chain);
  const wrong = { secret: shows === "symmetricKey" ? judgeSymmetricKey(secret.trim()) : null, payload: jsonWrong(payload), proposed: jsonWrong(proposed) };

  const run = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    setOutcome(null);
    const evidence =
      shows === "nothing" ? undefined : shows === "certificateChain" ? { certificateChain: chain.trim() } : shows === "tpm" ? { tpm: { endorsementKey: ek.trim(), ...(srk.trim() === "" ? {} : { storageRootKey: srk.trim() }) } } : { [shows]: secret.trim() };
    try {
      setOutcome(
        await rehearse({
          ...(id.trim() === "" ? {} : { registrationId: id.trim() }),
          ...(evidence === undefined ? {} : { evidence }),
          ...(payload.trim() === "" ? {} : { payload: JSON.parse(payload) as unknown }),
          ...(address.trim() === "" ? {} : { clientAddress: address.trim() }),
          protocol,
          ...(proposed.trim() === "" ? {} : { proposed: { [kind]: JSON.parse(proposed) as unknown } }),
        }),
      );
    } catch (failed) {
      setError(failed instanceof Unsupported ? "unsupported" : asApiError(failed));
    }
    setBusy(false);
  };

  return (
    <div class="grid">
      <Card title="The device" span={5}>
        <form class="stack" onSubmit={(event) => void run(event)} noValidate>
          <TextField label="Registration id" value={id} onInput={setId} mono hint={shows === "certificateChain" ? "Left empty, it is the certificate's common name." : undefined} />
          <div class="field">
            <span class="label">It shows</span>
            <Segments
              label="It shows"
              value={shows}
              of={[
                ["symmetricKey", "Key"],
                ["sasToken", "SAS token"],
                ["certificateChain", "Certificate"],
                ["tpm", "TPM"],
                ["nothing", "Nothing"],
              ]}
              onChange={(value) => (setShows(value), setSecret(""))}
            />
          </div>
          {shows === "symmetricKey" && <TextField label="The device's key" type="password" autocomplete="new-password" value={secret} onInput={setSecret} mono error={wrong.secret} hint="As it is on the device. It is sent to the server once and kept nowhere." />}
          {shows === "sasToken" && <AreaField label="SAS token" value={secret} onInput={setSecret} rows={3} placeholder="SharedAccessSignature sr=…" />}
          {shows === "certificateChain" && <CertificateField label="Certificate and chain" value={chain} onInput={setChain} read={read} want="leaf" hint="The leaf first, then what the device sends with it. Possession of the key is assumed." />}
          {shows === "tpm" && (
            <>
              <AreaField label="Endorsement key" value={ek} onInput={setEk} rows={3} />
              <AreaField label="Storage root key" value={srk} onInput={setSrk} rows={3} />
            </>
          )}
          <details>
            <summary>More</summary>
            <div class="stack padded-top">
              <SelectField label="Protocol" value={protocol} of={PROTOCOLS} onChange={setProtocol} />
              <TextField label="Its address" value={address} onInput={setAddress} mono placeholder="203.0.113.7" hint="For the address rules and the nearest hub." />
              <AreaField label="Payload for the webhook" value={payload} onInput={setPayload} rows={3} error={wrong.payload} />
              <SelectField
                label="Try it with"
                value={kind}
                of={[
                  ["individualEnrollment", "another individual enrollment"],
                  ["enrollmentGroup", "another group"],
                ]}
                onChange={setKind}
              />
              <AreaField label="The proposed enrollment as JSON" value={proposed} onInput={setProposed} rows={5} error={wrong.proposed} hint="It takes the place of the stored one for this run alone." />
            </div>
          </details>
          <div>
            <Button type="submit" kind="primary" icon="play" busy={busy} disabled={wrong.secret !== null || wrong.payload !== null || wrong.proposed !== null || (shows === "certificateChain" && read.certificates.length === 0)}>
              Run
            </Button>
          </div>
        </form>
      </Card>
      <Card title="What would happen" span={7} busy={busy}>
        {error === "unsupported" ? (
          <Empty title="This server rehearses no registrations" />
        ) : error !== null ? (
          <Failure error={error} />
        ) : outcome === null ? (
          <Empty title="Nothing is written by a dry run">The device is taken through every step of a registration, up to the hub that it would get.</Empty>
        ) : (
          <Outcome of={outcome} />
        )}
      </Card>
    </div>
  );
}

function jsonWrong(text: string): string | null {
  if (text.trim() === "") return null;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? `This is not JSON: ${error.message}` : "This is not JSON";
  }
}

const GOOD = /^(ok|passed|success|done)$/i;
const NEUTRAL = /^(info|skipped|notReached|not_reached|unknown)$/i;

function Outcome({ of }: { of: Rehearsal }): JSX.Element {
  const o = of.outcome;
  const good = o.accepted ?? o.status === "wouldBeAssigned";
  return (
    <div class="stack">
      <Note tone={good ? "ok" : "bad"}>
        <strong>{words(o.status)}</strong>
        {o.summary !== undefined && o.summary !== null && <div class="wrap">{o.summary}</div>}
        {o.message !== undefined && o.message !== null && !(o.summary ?? "").includes(o.message) && (
          <div class="muted small wrap">
            The device is told: {o.code} {o.message}
          </div>
        )}
      </Note>
      <Causes of={of.causes ?? []} />
      <Facts
        of={[
          ["Registration id", <Id>{of.registrationId ?? ""}</Id>],
          ...([["Hub", of.hub], ["Device id", of.deviceId]] as const).flatMap(([name, value]) => (value === undefined || value === null ? [] : [[name, <Id>{value}</Id>] as const])),
        ]}
      />
      <ol class="plain timeline steps">
        {of.steps.map((s, i) => (
          <li key={i} class={GOOD.test(s.result) ? "ok" : NEUTRAL.test(s.result) ? "info" : "refused"}>
            <span class="num small muted">{typeof s.micros === "number" && s.micros > 0 ? `${s.micros} µs` : ""}</span>
            <div class="stack tight">
              <div class="row">
                <strong>{s.title}</strong>
                <Tag tone={GOOD.test(s.result) ? "ok" : NEUTRAL.test(s.result) ? "plain" : "bad"}>{words(s.result)}</Tag>
              </div>
              {s.detail !== undefined && s.detail !== null && (
                <p class="muted small wrap">
                  <bdi>{s.detail}</bdi>
                </p>
              )}
            </div>
          </li>
        ))}
      </ol>
      <details>
        <summary>The whole record</summary>
        <CodeBox text={JSON.stringify(of.record ?? of, null, 2)} label="the record" />
      </details>
    </div>
  );
}

function words(status: string): string {
  const text = status.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/_/g, " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
