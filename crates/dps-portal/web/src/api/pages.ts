// A list that the server hands out page by page, however long it is: one page is held, and where the ones before it begin.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "./client";
import type { PageOf } from "./enrollments";
import { asApiError } from "./load";

/** Rows of a page. */
export const PAGE = 100;
/** A search may look through many rows that do not fit; after so long it shows what there is, and may go on. */
const PATIENCE_MS = 3000;

export type Ask<T> = (from: string | null, size: number, signal: AbortSignal) => Promise<PageOf<T>>;

export interface Pages<T> {
  /** None before the first page is there. */
  rows: T[] | undefined;
  busy: boolean;
  error: ApiError | null;
  /** Rows on the pages before this one. */
  before: number;
  hasPrevious: boolean;
  hasNext: boolean;
  first: () => void;
  previous: () => void;
  next: () => void;
  retry: () => void;
}

interface Start {
  from: string | null;
  before: number;
}

const BEGINNING: Start = { from: null, before: 0 };

async function gather<T>(ask: Ask<T>, from: string | null, signal: AbortSignal): Promise<PageOf<T>> {
  const until = performance.now() + PATIENCE_MS;
  const rows: T[] = [];
  let at = from;
  for (;;) {
    const page = await ask(at, PAGE - rows.length, signal);
    rows.push(...page.rows);
    at = page.next;
    if (at === null || rows.length >= PAGE || performance.now() > until) return { rows, next: at };
  }
}

/** The pages of what `ask` asks for, from the beginning whenever `on` changes, after `delay` milliseconds without a further change. */
export function usePages<T>(ask: Ask<T>, on: readonly unknown[], delay = 0): Pages<T> {
  const [starts, setStarts] = useState<readonly Start[]>([BEGINNING]);
  const [page, setPage] = useState<PageOf<T> | undefined>(undefined);
  const [busy, setBusy] = useState(true);
  const [error, setError] = useState<ApiError | null>(null);
  const latest = useRef(ask);
  latest.current = ask;
  const running = useRef<AbortController | null>(null);

  const turn = useCallback(async (to: readonly Start[]) => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError(null);
    try {
      const got = await gather(latest.current, to[to.length - 1]?.from ?? null, abort.signal);
      if (abort.signal.aborted) return;
      setPage(got);
      setStarts(to);
    } catch (failed) {
      if (abort.signal.aborted) return;
      setError(asApiError(failed));
    }
    setBusy(false);
  }, []);

  const key = JSON.stringify(on);
  useEffect(() => {
    const timer = setTimeout(() => void turn([BEGINNING]), delay);
    return () => clearTimeout(timer);
  }, [key]);
  useEffect(() => () => running.current?.abort(), []);

  const here = starts[starts.length - 1] ?? BEGINNING;
  const following = page?.next ?? null;
  return {
    rows: page?.rows,
    busy,
    error,
    before: here.before,
    hasPrevious: starts.length > 1,
    hasNext: following !== null,
    first: () => void turn([BEGINNING]),
    previous: () => void turn(starts.length > 1 ? starts.slice(0, -1) : starts),
    next: () => void (following !== null && turn([...starts, { from: following, before: here.before + (page?.rows.length ?? 0) }])),
    retry: () => void turn(starts),
  };
}
