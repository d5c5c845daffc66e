// The first page: how the service is, what devices do at this moment, and what keeps them from it.
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { readCertificates, readService } from "../../api/arm";
import { get } from "../../api/client";
import { useLoad } from "../../api/load";
import { readMetrics, MUSTER_NAMESPACE, type Metric } from "../../api/insights";
import { Card, Copy, Empty, Failure, Page, Segments, Tag, Waiting, Facts, Id, Note } from "../../parts/basics";
import { TimeChart, type Series } from "../../parts/chart";
import { amend, link, route } from "../../shell/route";
import { figure, percent, plural } from "../../text/number";
import { ago, at, grainFor, spanOf } from "../../text/time";
import { Feed } from "./feed";
import { TopCauses } from "./causes";
import { Refused } from "./refused";

const WINDOWS = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;
type Window = keyof typeof WINDOWS;

interface Health {
  status: string;
  reasons: string[];
  connections: number;
  throttledDevices: number;
  linkedHubs: { hub: string; instance: string; up: boolean; reason: string | null; since: string }[];
}

export function Overview(): JSX.Element {
  const asked = route.value.query.get("window");
  const [refused, setRefused] = useState(0);
  const window: Window = asked === "day" || asked === "week" ? asked : "hour";
  return (
    <Page
      title="Overview"
      actions={
        <Segments
          label="Time"
          value={window}
          of={[
            ["hour", "1 hour"],
            ["day", "24 hours"],
            ["week", "7 days"],
          ]}
          onChange={(value) => amend({ window: value })}
        />
      }
    >
      <div class="grid">
        <Refused />
        <Figures window={window} onRefused={setRefused} />
        <State />
        <TopCauses ms={WINDOWS[window]} refused={refused} />
        <Card title="Live" about="attempts as they come" span={8} flush>
          <Feed />
        </Card>
        <Service />
      </div>
    </Page>
  );
}

/** `onRefused` is told how many did not get in, for what is said of them elsewhere. */
function Figures({ window, onRefused }: { window: Window; onRefused: (count: number) => void }): JSX.Element {
  const ms = WINDOWS[window];
  const interval = window === "hour" ? "PT1M" : grainFor(ms);
  const every = window === "hour" ? 10_000 : 60_000;
  const byStatus = useLoad((signal) => readMetrics({ metrics: "AttestationAttempts,RegistrationAttempts", aggregation: "Total", timespan: spanOf(ms), interval, filter: "Status eq '*'" }, signal), [window], every);
  const byProtocol = useLoad((signal) => readMetrics({ metrics: "AttestationAttempts", aggregation: "Total", timespan: spanOf(ms), interval: "FULL", filter: "Status eq '*' and Protocol eq '*'" }, signal), [window], every);

  const shown = useMemo(() => rates(byStatus.data ?? []), [byStatus.data]);
  const all = shown.assigned + shown.refused + shown.failed;
  const out = shown.refused + shown.failed;
  useEffect(() => onRefused(out), [out]);
  if (byStatus.error !== null && byStatus.data === undefined) {
    return (
      <div class="s12">
        <Failure error={byStatus.error} retry={byStatus.reload} />
      </div>
    );
  }
  return (
    <>
      <Card span={3}>
        <Stat label="Registrations" value={figure(shown.assigned)} about={`devices assigned`} />
      </Card>
      <Card span={3}>
        <Stat label="Refused" value={figure(shown.refused)} about="devices that did not prove who they are" tone={shown.refused > 0 ? "bad" : "ok"} />
      </Card>
      <Card span={3}>
        <Stat label="Failed" value={figure(shown.failed)} about="devices that got no hub" tone={shown.failed > 0 ? "bad" : "ok"} />
      </Card>
      <Card span={3}>
        <Stat label="Success" value={percent(shown.assigned, all)} about={`of ${plural(all, "attempt")}`} />
      </Card>
      <Card title="Registrations and refusals" about={interval === "PT1M" ? "per minute" : `per ${interval.replace(/^PT?/, "").toLowerCase()}`} span={8} busy={byStatus.loading && byStatus.data === undefined}>
        {byStatus.data === undefined ? <Waiting /> : <TimeChart label="Registrations and refusals" kind="bar" x={shown.x} series={shown.series} height={230} empty="No device has asked in this time." />}
      </Card>
      <Card title="Success by protocol" span={4}>
        {byProtocol.data === undefined ? byProtocol.error !== null ? <Failure error={byProtocol.error} retry={byProtocol.reload} /> : <Waiting /> : <Protocols of={byProtocol.data} />}
      </Card>
    </>
  );
}

function Stat({ label, value, about, tone }: { label: string; value: string; about: string; tone?: "ok" | "bad" }): JSX.Element {
  return (
    <div class="stat">
      <span class="row">
        <h2 class="grow">{label}</h2>
        {tone !== undefined && <span class={`dot ${tone}`} />}
      </span>
      <b>{value}</b>
      <span class="muted small">{about}</span>
    </div>
  );
}

interface Rates {
  x: number[];
  series: Series[];
  assigned: number;
  refused: number;
  failed: number;
}

function rates(metrics: readonly Metric[]): Rates {
  const times = metrics.flatMap((m) => m.timeseries[0]?.data.map((p) => Date.parse(p.timeStamp) / 1000) ?? []);
  const x = [...new Set(times)].sort((a, b) => a - b);
  const line = (metric: string, success: boolean): (number | null)[] => {
    const sums = new Map<number, number>();
    for (const series of metrics.find((m) => m.name.value === metric)?.timeseries ?? []) {
      if ((series.metadatavalues[0]?.value === "Success") !== success) continue;
      for (const p of series.data) {
        const t = Date.parse(p.timeStamp) / 1000;
        if (p.total !== undefined) sums.set(t, (sums.get(t) ?? 0) + p.total);
      }
    }
    return x.map((t) => sums.get(t) ?? null);
  };
  const total = (values: readonly (number | null)[]): number => values.reduce<number>((n, v) => n + (v ?? 0), 0);
  const assigned = line("RegistrationAttempts", true);
  const failed = line("RegistrationAttempts", false);
  const refused = line("AttestationAttempts", false);
  return {
    x,
    series: [
      { label: "Assigned", values: assigned, colour: "c1" },
      { label: "Refused", values: refused, colour: "c2" },
      { label: "Failed", values: failed, colour: "c5" },
    ],
    assigned: total(assigned),
    refused: total(refused),
    failed: total(failed),
  };
}

function Protocols({ of }: { of: readonly Metric[] }): JSX.Element {
  const sums = new Map<string, { good: number; all: number }>();
  for (const series of of[0]?.timeseries ?? []) {
    const of = (name: string): string => series.metadatavalues.find((m) => m.name.value.toLowerCase() === name)?.value ?? "";
    const value = series.data.reduce((n, p) => n + (p.total ?? 0), 0);
    const row = sums.get(of("protocol")) ?? { good: 0, all: 0 };
    row.all += value;
    if (of("status") === "Success") row.good += value;
    sums.set(of("protocol"), row);
  }
  const rows = [...sums].filter(([, v]) => v.all > 0).sort((a, b) => b[1].all - a[1].all);
  if (rows.length === 0) return <Empty title="Nothing yet" />;
  return (
    <ul class="plain ranking">
      {rows.map(([name, v]) => (
        <li key={name}>
          <div class="row">
            <span class="grow">{NAMES[name] ?? name}</span>
            <span class="muted small num">{plural(v.all, "attempt")}</span>
            <b class="num">{percent(v.good, v.all)}</b>
          </div>
          <div class="track">
            <div style={{ width: `${(100 * v.good) / v.all}%`, background: "var(--ok)" }} />
          </div>
        </li>
      ))}
    </ul>
  );
}

const NAMES: Record<string, string> = { Mqtt: "MQTT", MqttWs: "MQTT over WebSocket", Amqp: "AMQP", AmqpWs: "AMQP over WebSocket", Http: "HTTPS" };

function State(): JSX.Element {
  const health = useLoad((signal) => get<Health>("/health", { signal }), [], 5000);
  const measured = useLoad((signal) => readMetrics({ namespace: MUSTER_NAMESPACE, metrics: "LinkedHubsDown", aggregation: "Maximum", timespan: spanOf(600_000), interval: "FULL", filter: "IotHubName eq '*'" }, signal), [], 30_000);
  const state = health.data;
  const hubs = state?.linkedHubs ?? hubsOf(measured.data);
  const down = hubs.filter((h) => !h.up);
  return (
    <Card title="State" span={4} actions={<Condition status={state?.status} down={down.length} />}>
      {state?.reasons.map((reason) => (
        <Note tone="warn" key={reason}>
          {reason}
        </Note>
      ))}
      {hubs.length === 0 ? (
        <Empty title="No hub is linked">
          <a href={link("hubs")}>Link a hub</a>
        </Empty>
      ) : (
        <ul class="plain states">
          {hubs.map((h) => (
            <li key={h.hub}>
              <span class={`dot ${h.up ? "ok" : "bad"}`} />
              <span class="grow">
                <Id>{h.hub}</Id>
                {h.reason !== null && <div class="small muted wrap">{h.reason}</div>}
              </span>
              <span class="muted small">
                {h.up ? "works" : "down"}
                {h.since !== "" && ` since ${ago(h.since).replace(" ago", "")}`}
              </span>
            </li>
          ))}
        </ul>
      )}
      {state !== undefined && (
        <p class="muted small">
          {plural(state.connections, "open connection")}
          {state.throttledDevices > 0 && `, ${plural(state.throttledDevices, "throttled device")}`}
        </p>
      )}
    </Card>
  );
}

/** A server that is well while a hub is not lets nobody in to that hub. */
function Condition({ status, down }: { status: string | undefined; down: number }): JSX.Element | null {
  if (status !== undefined && status !== "ok") return <Tag tone="bad">{status}</Tag>;
  if (down > 0) return <Tag tone="bad">Degraded: {plural(down, "hub")} down</Tag>;
  return status === undefined ? null : <Tag tone="ok">Healthy</Tag>;
}

function hubsOf(metrics: readonly Metric[] | undefined): Health["linkedHubs"] {
  return (metrics?.[0]?.timeseries ?? []).map((s) => ({ hub: s.metadatavalues[0]?.value ?? "", instance: "", up: (s.data[0]?.maximum ?? 0) === 0, reason: null, since: "" }));
}

function Service(): JSX.Element {
  const service = useLoad(readService, []);
  const certificates = useLoad(readCertificates, []);
  const ending = useLoad((signal) => readMetrics({ namespace: MUSTER_NAMESPACE, metrics: "CertificateDaysLeft", aggregation: "Minimum", timespan: spanOf(3_600_000), interval: "FULL", filter: "Host eq '*'" }, signal), []);
  const s = service.data;
  const soon = [
    ...(certificates.data ?? []).map((c) => ({ name: c.name, kind: "CA certificate", days: (Date.parse(c.properties.expiry) - Date.now()) / 86_400_000 })),
    ...(ending.data?.[0]?.timeseries ?? []).map((t) => ({ name: t.metadatavalues[0]?.value ?? "", kind: "server certificate", days: t.data[0]?.minimum ?? NaN })),
  ]
    .filter((c) => !Number.isNaN(c.days))
    .sort((a, b) => a.days - b.days)
    .slice(0, 6);
  return (
    <div class="s4 stack">
      <Card title="Provisioning service">
        {service.error !== null ? (
          <Failure error={service.error} retry={service.reload} />
        ) : s === undefined ? (
          <Waiting />
        ) : (
          <Facts
            of={[
              ["ID scope", <span class="row"><Id>{s.properties.idScope}</Id><Copy text={s.properties.idScope} label="Copy the ID scope" /></span>],
              ["Device endpoint", <Id>{s.properties.deviceProvisioningHostName}</Id>],
              ["Service endpoint", <Id>{s.properties.serviceOperationsHostName}</Id>],
              ["State", s.properties.state],
              ["Allocation", s.properties.allocationPolicy],
              ["Linked hubs", figure(s.properties.iotHubs.length)],
            ]}
          />
        )}
      </Card>
      <Card title="Certificates that end first">
        {soon.length === 0 ? (
          <p class="muted">None is known.</p>
        ) : (
          <ul class="plain states">
            {soon.map((c) => (
              <li key={c.kind + c.name}>
                <span class={`dot ${c.days < 7 ? "bad" : c.days < 30 ? "warn" : "ok"}`} />
                <span class="grow">
                  <Id>{c.name}</Id>
                  <div class="muted small">{c.kind}</div>
                </span>
                <span class="num small" title={at(Date.now() + c.days * 86_400_000)}>
                  {c.days < 0 ? "has ended" : `${plural(Math.floor(c.days), "day")} left`}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}
