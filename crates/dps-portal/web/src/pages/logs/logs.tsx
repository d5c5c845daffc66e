// Logs: a query, the time that it looks at, its rows and its chart; and the queries that are kept.
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../../api/client";
import { readCauses } from "../../api/diagnosis";
import { ask, type Rows } from "../../api/logs";
import { asApiError, useLoad } from "../../api/load";
import { barredFromRules, mayWriteRules } from "../../api/session";
import { Button, Card, Empty, Failure, Note, Page, Segments, Waiting } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Pick, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { amend, go, route } from "../../shell/route";
import { RANGES } from "../../text/time";
import { Rendered } from "./rendered";
import { Result } from "./result";
import { EXAMPLES, keep, ofCauses, own, type Saved, type Shelf } from "./saved";

const Editor = lazy(() => import("./editor"));
const FIRST = EXAMPLES[1]?.query ?? "AzureDiagnostics";

export function Logs(): JSX.Element {
  const asked = route.value.query.get("q");
  const [query, setQuery] = useState(asked ?? FIRST);
  const [turn, setTurn] = useState(0);
  const [span, setSpan] = useState(route.value.query.get("span") ?? "P1D");
  const [rows, setRows] = useState<Rows | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [view, setView] = useState<"chart" | "rows">("rows");
  const running = useRef<AbortController | null>(null);
  const saving = useSignal(false);

  const run = async (text: string): Promise<void> => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError(null);
    try {
      const got = await ask(text, span === "all" ? undefined : span, abort.signal);
      setRows(got);
      setView(got.render !== null && got.render.visualization !== "table" ? "chart" : "rows");
      amend({ q: text, span });
    } catch (failed) {
      if (abort.signal.aborted) return;
      setRows(null);
      setError(asApiError(failed));
    }
    setBusy(false);
  };
  const latest = useRef(run);
  latest.current = run;

  useEffect(() => {
    if (asked !== null) void latest.current(asked);
    return () => running.current?.abort();
  }, []);

  return (
    <Page title="Logs">
      <div class="logs">
        <Queries onTake={(q) => (setQuery(q), setTurn(turn + 1), void latest.current(q))} query={query} saving={saving} />
        <div class="stack">
          <Card flush>
            <div class="row toolbar">
              <Button kind="primary" icon="play" busy={busy} onClick={() => void run(query)} title="Ctrl+Enter or Shift+Enter">
                Run
              </Button>
              <Pick label="Time range" value={span} of={[...RANGES.map((r) => [r.iso, r.label] as const), ["all", "All that is kept"] as const]} onChange={setSpan} />
              <span class="grow" />
              <Button icon="save" onClick={() => (saving.value = true)}>
                Save
              </Button>
              <Button icon="alerts" disabled={!mayWriteRules.value} {...(barredFromRules.value === null ? {} : { title: barredFromRules.value })} onClick={() => go("alerts", ["new-log"], { q: query })}>
                New alert rule
              </Button>
            </div>
            <div class="editor-box">
              <Suspense fallback={<div class="body"><Waiting /></div>}>
                <Editor value={query} turn={turn} onChange={setQuery} onRun={(part) => void latest.current(part ?? query)} />
              </Suspense>
            </div>
          </Card>
          <Card flush busy={busy}>
            <Outcome error={error} rows={rows} view={view} onView={setView} retry={() => void run(query)} />
          </Card>
        </div>
      </div>
    </Page>
  );
}

function Outcome({ error, rows, view, onView, retry }: { error: ApiError | null; rows: Rows | null; view: "chart" | "rows"; onView: (view: "chart" | "rows") => void; retry: () => void }): JSX.Element {
  if (error !== null) {
    return (
      <div class="body">
        {error.status === 400 ? (
          <Note tone="bad">
            <strong>The query is wrong.</strong>
            <pre>{error.message}</pre>
          </Note>
        ) : (
          <Failure error={error} retry={retry} />
        )}
      </div>
    );
  }
  if (rows === null) return <Empty title="Run a query">Ctrl+Enter runs what is in the editor, or what is selected there.</Empty>;
  const drawn = rows.render !== null && rows.render.visualization !== "table" && rows.render.visualization !== "";
  return (
    <>
      {rows.partial !== null && (
        <div class="body">
          <Note tone="warn">The result is not whole. {rows.partial}</Note>
        </div>
      )}
      {drawn && (
        <div class="row toolbar">
          <Segments
            label="View"
            value={view}
            of={[
              ["chart", "Chart"],
              ["rows", "Rows"],
            ]}
            onChange={onView}
          />
        </div>
      )}
      {drawn && view === "chart" && rows.render !== null ? (
        <div class="body">
          <Rendered of={rows} render={rows.render} />
        </div>
      ) : (
        <Result of={rows} name="muster-logs" />
      )}
    </>
  );
}

function Queries({ onTake, query, saving }: { onTake: (query: string) => void; query: string; saving: { value: boolean } }): JSX.Element {
  const mine = useSignal<Saved[]>(own());
  const causes = useLoad(readCauses, []);
  const [name, setName] = useState("");
  const [sought, setSought] = useState("");
  const shelves: Shelf[] = [{ title: "Mine", own: true, queries: mine.value }, { title: "Examples", queries: EXAMPLES }, ...ofCauses(causes.data ?? [])];
  const wanted = sought.trim().toLowerCase();
  const store = (next: Saved[]): void => {
    mine.value = next;
    if (!keep(next)) toast("This browser keeps nothing for this page.", "bad");
  };
  return (
    <Card title="Queries" flush>
      <div class="queries">
        <div class="row toolbar">
          <input class="input" type="search" placeholder="Search queries" aria-label="Search queries" value={sought} onInput={(event) => setSought(event.currentTarget.value)} />
        </div>
        {shelves.map((shelf) => {
          const shown = shelf.queries.filter((q) => wanted === "" || `${q.name} ${q.about ?? ""}`.toLowerCase().includes(wanted));
          return shown.length === 0 ? null : (
            <details key={shelf.title} open={shelf.own === true || shelf.title === "Examples" || wanted !== ""}>
              <summary>{shelf.title}</summary>
              <ul class="plain">
                {shown.map((q) => (
                  <li key={q.name}>
                    <button type="button" onClick={() => onTake(q.query)}>
                      <span>{q.name}</span>
                      {q.about !== undefined && <span class="muted small">{q.about}</span>}
                    </button>
                    {shelf.own === true && <Button kind="quiet" small icon="trash" label={`Remove ${q.name}`} onClick={() => store(mine.value.filter((m) => m !== q))} />}
                  </li>
                ))}
              </ul>
            </details>
          );
        })}
      </div>
      {saving.value && (
        <ActionDialog
          title="Save this query"
          action="Save"
          disabled={name.trim() === ""}
          onClose={() => (saving.value = false)}
          run={async () => {
            store([{ name: name.trim(), query }, ...mine.value.filter((m) => m.name !== name.trim())]);
            setName("");
            await Promise.resolve();
          }}
        >
          <TextField label="Name" value={name} onInput={setName} hint="It is kept in this browser." />
        </ActionDialog>
      )}
    </Card>
  );
}
