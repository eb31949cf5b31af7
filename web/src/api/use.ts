/** Hooks that keep an answer of the API, together with what is going on about it. */
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";

import { get, Problem } from "./client";

/** The newest answer. While another is on its way, the previous one stays, so that nothing jumps. */
export interface Answer<T> {
  data: T | null;
  /** `data` answers an earlier question, or nothing yet. */
  loading: boolean;
  problem: Problem | null;
  retry: () => void;
}

/** The published build; whatever was fetched for another one is fetched anew. */
export const BuildContext = createContext<string | null>(null);

const KEPT = 60;
const answers = new Map<string, unknown>();

function keep(key: string, value: unknown): void {
  answers.delete(key);
  answers.set(key, value);
  const oldest = answers.keys().next().value;
  if (answers.size > KEPT && oldest !== undefined) answers.delete(oldest);
}

interface State<T> {
  key: string | null;
  data: T | null;
  problem: Problem | null;
}

/** Asks for `path`; `null` asks for nothing. */
export function useApi<T>(path: string | null): Answer<T> {
  const build = useContext(BuildContext);
  const key = path === null ? null : `${build ?? ""} ${path}`;
  const [state, setState] = useState<State<T>>({ key: null, data: null, problem: null });
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    if (path === null || key === null) return;
    const abort = new AbortController();
    get<T>(path, abort.signal).then(
      (data) => {
        keep(key, data);
        if (!abort.signal.aborted) setState({ key, data, problem: null });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        setState({ key, data: null, problem: error });
      },
    );
    return () => abort.abort();
  }, [key, attempt]);

  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  const settled = state.key === key;
  const kept = key === null ? undefined : (answers.get(key) as T | undefined);
  if (key === null) return { data: null, loading: false, problem: null, retry };
  if (!settled && kept !== undefined) return { data: kept, loading: false, problem: null, retry };
  return { data: state.data, loading: !settled, problem: settled ? state.problem : null, retry };
}

/** Asks for several paths at once, each once a build; the answers come in the same order. */
export function useApis<T>(paths: string[]): Answer<T>[] {
  const build = useContext(BuildContext);
  const [states, setStates] = useState<Record<string, State<T>>>({});
  const [attempt, setAttempt] = useState(0);
  const wanted = paths.join("\n");

  useEffect(() => {
    const abort = new AbortController();
    for (const path of paths) {
      const key = `${build ?? ""} ${path}`;
      const known = states[path];
      if (known?.key === key && known.problem === null) continue;
      const settle = (data: T | null, problem: Problem | null): void => {
        if (!abort.signal.aborted) setStates((old) => ({ ...old, [path]: { key, data, problem } }));
      };
      get<T>(path, abort.signal).then(
        (data) => settle(data, null),
        (error: unknown) => {
          if (error instanceof Problem) settle(null, error);
          else if (!abort.signal.aborted) throw error;
        },
      );
    }
    return () => abort.abort();
  }, [wanted, build, attempt]);

  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  return paths.map((path) => {
    const state = states[path];
    return { data: state?.data ?? null, loading: state === undefined, problem: state?.problem ?? null, retry };
  });
}

/**
 * Whether each was answered once, well or badly. A view is drawn when all that it begins with is there, so that nothing moves while it
 * loads; later changes keep what is shown until they are answered.
 */
export function useReady(...parts: { data: unknown; problem: Problem | null }[]): boolean {
  const ready = useRef(false);
  ready.current ||= parts.every(({ data, problem }) => data !== null || problem !== null);
  return ready.current;
}
