/** The page's address as state: reading it, and changing parts of it. */
import { useLocation } from "preact-iso";
import { useCallback, useMemo } from "preact/hooks";

import { type Filters, filterParams, parseFilters, withQuery } from "./filters";

export type Change = Record<string, string | string[] | null>;

export interface Query {
  path: string;
  params: URLSearchParams;
  filters: Filters;
  /** Sets parameters, removes those that are `null`; adds a step to the history unless `replace`. */
  change: (change: Change, replace?: boolean) => void;
  setFilters: (filters: Filters) => void;
  /** A link to another view that keeps the filters. */
  link: (path: string, more?: Change) => string;
}

export function changed(params: URLSearchParams, change: Change): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(change)) {
    next.delete(name);
    if (value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) next.append(name, one);
  }
  return next;
}

export function useQuery(): Query {
  const { url, path, route } = useLocation();
  return useMemo(() => {
    const at = url.indexOf("?");
    const params = new URLSearchParams(at < 0 ? "" : url.slice(at + 1).replace(/#.*$/, ""));
    const filters = parseFilters(params);
    return {
      path,
      params,
      filters,
      change: (change: Change, replace = false) => route(withQuery(path, changed(params, change)), replace),
      setFilters: (next: Filters) => {
        const gone = Object.fromEntries([...Object.keys(filters.picked), "from", "to"].map((name) => [name, null]));
        const rest = changed(params, gone);
        const all = new URLSearchParams([...filterParams(next), ...rest]);
        route(withQuery(path, all));
      },
      link: (to: string, more: Change = {}) => withQuery(to, changed(filterParams(filters), more)),
    };
  }, [url, path, route]);
}

/** A parameter that is one of a few words; the first where it is absent or another. */
export function useChoice<T extends string>(query: Query, name: string, choices: readonly [T, ...T[]]): [T, (value: T) => void] {
  const text = query.params.get(name);
  const value = choices.find((choice) => choice === text) ?? choices[0];
  const set = useCallback((next: T) => query.change({ [name]: next === choices[0] ? null : next }, true), [query]);
  return [value, set];
}
