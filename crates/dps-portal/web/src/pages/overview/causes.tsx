// What most often kept devices out, by cause where the server names causes, else by the reason in the row.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useLoad } from "../../api/load";
import { ApiError } from "../../api/client";
import { isOfDevice, readAttempts, readCauses } from "../../api/diagnosis";
import { ask, literal, records } from "../../api/logs";
import { Card, Empty, Failure, Waiting } from "../../parts/basics";
import { Ranking } from "../../parts/chart";
import { link } from "../../shell/route";

interface Counted {
  name: string;
  count: number;
  query: string | null;
  example: string;
}

const REFUSED = 'AzureDiagnostics\n| where Category == "DeviceOperations" and ResultType != "Success"';

/** Without log rows that can be asked, the attempt log is counted: its last thousand refusals. */
async function ofAttempts(ms: number, signal: AbortSignal): Promise<Counted[]> {
  const { value } = await readAttempts({ refused: true, top: 1000 }, signal);
  const by = new Map<string, Counted>();
  for (const a of value) {
    if (Date.now() - Date.parse(a.time) > ms || !isOfDevice(a)) continue;
    const name = a.causes[0]?.code ?? String(a.error?.code ?? "");
    const known = by.get(name) ?? { name, count: 0, example: a.causes[0]?.sentence ?? a.error?.message ?? "", query: null };
    known.count++;
    by.set(name, known);
  }
  return [...by.values()].sort((a, b) => b.count - a.count).slice(0, 8);
}

async function counted(ms: number, signal: AbortSignal): Promise<Counted[]> {
  try {
    return await ofLogs(ms, signal);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 501)) return ofAttempts(ms, signal);
    throw error;
  }
}

async function ofLogs(ms: number, signal: AbortSignal): Promise<Counted[]> {
  const named = `iff(isempty(column_ifexists("cause_s", "")), tostring(parse_json(properties_s).reason), column_ifexists("cause_s", ""))`;
  const query = `${REFUSED}\n| extend Cause = ${named}\n| extend Cause = iff(isempty(Cause), extract("^([0-9]{6} [^:]*)", 1, ResultDescription), Cause)\n| summarize Count = count(), Example = take_any(ResultDescription) by Cause\n| top 8 by Count`;
  const span = ms >= 86_400_000 ? `P${Math.round(ms / 86_400_000)}D` : `PT${Math.round(ms / 60_000)}M`;
  return records(await ask(query, span, signal)).map((row) => {
    const name = String(row["Cause"] ?? "");
    return {
      name,
      count: Number(row["Count"] ?? 0),
      example: String(row["Example"] ?? ""),
      query: `${REFUSED}\n| where ${/^\d{6}/.test(name) ? `ResultDescription startswith ${literal(name)}` : `properties_s has ${literal(name)}`}\n| order by TimeGenerated desc`,
    };
  });
}

/** `refused` is what the figures count: when it changes the causes are asked for again. */
export function TopCauses({ ms, refused }: { ms: number; refused: number }): JSX.Element {
  const catalogue = useLoad((signal) => readCauses(signal).catch(() => []), []);
  const titled = (code: string): string => {
    const title = catalogue.data?.find((c) => c.code === code)?.title;
    return code === "" ? "Without a reason" : title === undefined ? code : title;
  };
  // Figures are a moment ahead of the rows.
  const [lags, setLags] = useState(false);
  const { data, error, reload } = useLoad((signal) => counted(ms, signal), [ms], lags ? 2000 : 15_000);
  useEffect(() => {
    if (refused > 0) reload();
  }, [refused]);
  useEffect(() => setLags(data?.length === 0 && refused > 0), [data, refused]);
  return (
    <Card title="Top causes of refusals" span={8}>
      {data !== undefined ? (
        data.length === 0 && refused > 0 ? (
          <Empty title="The causes are not counted yet">They follow the figures within seconds.</Empty>
        ) : data.length === 0 ? (
          <Empty title="No device was refused">In this time every device that asked was let in.</Empty>
        ) : (
          <Ranking label="Causes" tone="c2" of={data.map((c) => ({ label: titled(c.name), value: c.count, hint: c.example, href: /^[A-Z][A-Z0-9_]+$/.test(c.name) || c.query === null ? link("diagnose", [], { cause: c.name }) : link("logs", [], { q: c.query }) }))} />
        )
      ) : error instanceof ApiError ? (
        <Failure error={error} retry={reload} />
      ) : (
        <Waiting lines={5} />
      )}
    </Card>
  );
}
