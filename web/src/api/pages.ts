/** A list that comes in pages, as many of them as were asked for. */
import { useState } from "preact/hooks";

import { withQuery } from "../state/filters";
import type { Page } from "./types";
import { type Answer, useApis } from "./use";

export interface Pages<T> {
  items: T[];
  /** How many there are in all; 0 until that is known. */
  total: number;
  /** The first page, or the one that failed. */
  state: Answer<Page<T>>;
  loading: boolean;
  /** Asks for the next page; `null` when there is none. */
  more: (() => void) | null;
}

/** Another question begins with its first page. */
export function usePages<T>(path: string, asked: URLSearchParams): Pages<T> {
  const question = withQuery(path, asked);
  const [state, setState] = useState<{ question: string; cursors: string[] }>({ question, cursors: [] });
  const cursors = state.question === question ? state.cursors : [];
  const paths = cursors.map((cursor) => withQuery(path, new URLSearchParams([...asked, ["cursor", cursor]])));
  const answers = useApis<Page<T>>([question, ...paths]);
  const [first] = answers as [Answer<Page<T>>];
  const last = answers.at(-1) ?? first;
  const next = last.data?.next_cursor ?? null;
  const failed = answers.find((answer) => answer.problem !== null);
  return {
    items: answers.flatMap((answer) => answer.data?.items ?? []),
    total: first.data?.total ?? 0,
    // A cursor of a build that is no longer the published one starts over.
    state: failed === undefined ? first : { ...failed, retry: () => (setState({ question, cursors: [] }), failed.retry()) },
    loading: last.loading,
    more: next === null ? null : () => setState({ question, cursors: [...cursors, next] }),
  };
}
