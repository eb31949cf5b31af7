/** What the server and its published build are, asked again and again, so that the page follows a new build. */
import { useEffect, useState } from "preact/hooks";

import { get, Problem } from "../api/client";
import type { Status } from "../api/types";

export interface StatusAnswer {
  data: Status | null;
  problem: Problem | null;
  retry: () => void;
}

const EVERY_MS = 10_000;

export function useStatus(): StatusAnswer {
  const [state, setState] = useState<{ data: Status | null; problem: Problem | null }>({ data: null, problem: null });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const ask = (): void => {
      if (document.visibilityState === "hidden") return;
      get<Status>("/status", abort.signal).then(
        (data) => setState({ data, problem: null }),
        (error: unknown) => {
          if (error instanceof Problem) setState((old) => ({ data: old.data, problem: error }));
          else if (!abort.signal.aborted) throw error;
        },
      );
    };
    ask();
    const timer = setInterval(ask, EVERY_MS);
    document.addEventListener("visibilitychange", ask);
    return () => {
      abort.abort();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [attempt]);
  return { ...state, retry: () => setAttempt((n) => n + 1) };
}
