/** Filters as they stand in the page's address, which are those of the API. */

/** What is looked at: dates (both included) and, by name, the values of which one must match; "" is an unknown value. */
export interface Filters {
  from: string | null;
  to: string | null;
  picked: Record<string, string[]>;
}

/** Names of filters that every build has; a user column adds `user.<column>`. */
export const NAMES = ["region", "creator", "genre", "device", "video"] as const;

export function isFilter(name: string): boolean {
  return (NAMES as readonly string[]).includes(name) || name.startsWith("user.");
}

export function parseFilters(query: URLSearchParams): Filters {
  const picked: Record<string, string[]> = {};
  for (const name of new Set(query.keys())) {
    if (isFilter(name)) picked[name] = [...new Set(query.getAll(name))].sort();
  }
  return { from: query.get("from") || null, to: query.get("to") || null, picked };
}

/** The filters as query parameters, in an order that does not depend on how they were chosen. */
export function filterParams(filters: Filters, more: Record<string, string | number | null> = {}): URLSearchParams {
  const params = new URLSearchParams();
  if (filters.from !== null) params.set("from", filters.from);
  if (filters.to !== null) params.set("to", filters.to);
  for (const name of Object.keys(filters.picked).sort()) {
    for (const value of filters.picked[name] ?? []) params.append(name, value);
  }
  for (const [name, value] of Object.entries(more)) {
    if (value !== null) params.set(name, String(value));
  }
  return params;
}

/** `path?query`, or only `path` where there is no query. */
export function withQuery(path: string, params: URLSearchParams): string {
  const query = params.toString();
  return query === "" ? path : `${path}?${query}`;
}

export function withPicked(filters: Filters, name: string, values: string[]): Filters {
  const picked = { ...filters.picked };
  if (values.length > 0) picked[name] = [...values].sort();
  else delete picked[name];
  return { ...filters, picked };
}

export function isEmpty(filters: Filters): boolean {
  return filters.from === null && filters.to === null && Object.keys(filters.picked).length === 0;
}

/** Whether the text is a date of the calendar, written YYYY-MM-DD. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** The date `days` after `date`; before it for a negative number. */
export function addDays(date: string, days: number): string {
  const at = new Date(`${date}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** How many days from `from` to `to`, both included. */
export function countDays(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000) + 1;
}
