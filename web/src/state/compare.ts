/** What a video's curve is compared with, as it stands in the page's address: `region:DE`, `dates:2026-01-01..2026-01-07`, `video:v2`. */
import { type Filters, filterParams, isDate, withPicked, withQuery } from "./filters";

export type Comparison =
  { kind: "region"; region: string } | { kind: "dates"; from: string; to: string } | { kind: "video"; video: string };

/** More lines than this can't be told apart. */
export const MOST_COMPARISONS = 5;

export function parseComparison(text: string): Comparison | null {
  const colon = text.indexOf(":");
  const [kind, rest] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon < 0) return null;
  if (kind === "region") return { kind, region: rest };
  if (kind === "video" && rest !== "") return { kind, video: rest };
  if (kind !== "dates") return null;
  const [from, to, more] = rest.split("..");
  if (from === undefined || to === undefined || more !== undefined || !isDate(from) || !isDate(to)) return null;
  return { kind, from, to };
}

export function formatComparison(comparison: Comparison): string {
  if (comparison.kind === "region") return `region:${comparison.region}`;
  if (comparison.kind === "video") return `video:${comparison.video}`;
  return `dates:${comparison.from}..${comparison.to}`;
}

/** Those of the address, without repetitions and what can't be read. */
export function parseComparisons(query: URLSearchParams): Comparison[] {
  const found = [...new Set(query.getAll("compare"))].map(parseComparison);
  return found.filter((comparison) => comparison !== null).slice(0, MOST_COMPARISONS);
}

/** The API's path of the curve of `video` under `filters`. */
export function curvePath(video: string, filters: Filters): string {
  return withQuery(`/videos/${encodeURIComponent(video)}/curve`, filterParams(filters));
}

/** The API's path of a compared curve: one thing differs, all other filters stay. */
export function comparedPath(video: string, filters: Filters, comparison: Comparison): string {
  if (comparison.kind === "region") return curvePath(video, withPicked(filters, "region", [comparison.region]));
  if (comparison.kind === "dates") return curvePath(video, { ...filters, from: comparison.from, to: comparison.to });
  return curvePath(comparison.video, filters);
}
