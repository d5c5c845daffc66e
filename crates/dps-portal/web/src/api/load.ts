// What a page reads when it opens, again when it is told to, and every so often where it asks for that.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./client";

export interface Loaded<T> {
  data: T | undefined;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

/** `every` is in milliseconds; a hidden page does not ask. */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, on: readonly unknown[], every = 0): Loaded<T> {
  const [data, setData] = useState<T | undefined>(undefined);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(true);
  const [turn, setTurn] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  const key = JSON.stringify(on);
  const shown = useRef(key);

  useEffect(() => {
    const abort = new AbortController();
    if (shown.current !== key) {
      shown.current = key;
      setData(undefined);
    }
    setLoading(true);
    let timer = 0;
    const turnOnce = async (): Promise<void> => {
      try {
        if (!document.hidden || every === 0) {
          const got = await latest.current(abort.signal);
          if (abort.signal.aborted) return;
          setData(got);
          setError(null);
        }
      } catch (failed) {
        if (abort.signal.aborted) return;
        setError(asApiError(failed));
      }
      setLoading(false);
      if (every > 0) timer = window.setTimeout(() => void turnOnce(), every);
    };
    void turnOnce();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn, every]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { data, error, loading, reload };
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const said = error instanceof Error ? error.message : String(error);
  return new ApiError(said, 0, "Portal", null, null);
}
