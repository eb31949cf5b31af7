/** What regions are measured by, and how strongly a value is coloured. */
import type { RegionTotals } from "../../api/types";
import { count, duration, percentage } from "../../text/format";
import { country } from "../../text/names";

export const MEASURES = ["views", "watch_time_s", "viewers", "avg_watch_time_percentage"] as const;
export type Measure = (typeof MEASURES)[number];

export const MEASURE_NAMES: Record<Measure, string> = {
  views: "Views",
  watch_time_s: "Watch time",
  viewers: "Viewers",
  avg_watch_time_percentage: "Average retention",
};

export function formatMeasure(measure: Measure, value: number | null): string {
  if (measure === "watch_time_s") return duration(value);
  return measure === "avg_watch_time_percentage" ? percentage(value) : count(value);
}

/** 0..1. Counts differ by orders of magnitude, so their square root is shown; percentages as they are. */
export function strength(measure: Measure, value: number | null, most: number): number {
  if (value === null || most <= 0) return 0;
  const share = Math.max(0, Math.min(1, value / most));
  return measure === "avg_watch_time_percentage" ? share : Math.sqrt(share);
}

/** The style sheet's colour of a strength. */
export function heat(share: number): string {
  return `color-mix(in oklab, var(--heat-high) ${(share * 100).toFixed(0)}%, var(--heat-low))`;
}

export interface Country {
  code: string;
  value: number | null;
  /** Rows that it is made of: itself, or its subdivisions. */
  rows: RegionTotals[];
}

/**
 * Regions by country: subdivisions (`US-CA`) are put together. Views and watch time add up, averages are weighted by views; viewers of
 * several subdivisions do not add up, so these have none.
 */
export function byCountry(rows: readonly RegionTotals[], measure: Measure): Map<string, Country> {
  const countries = new Map<string, Country>();
  for (const row of rows) {
    if (row.region === null) continue;
    const code = country(row.region);
    const known = countries.get(code);
    if (known === undefined) countries.set(code, { code, value: null, rows: [row] });
    else known.rows.push(row);
  }
  for (const one of countries.values()) one.value = together(one.rows, measure);
  return countries;
}

function together(rows: RegionTotals[], measure: Measure): number | null {
  const [only] = rows;
  if (rows.length === 1 && only !== undefined) return only[measure];
  if (measure === "viewers") return null;
  if (measure !== "avg_watch_time_percentage") return rows.reduce((sum, row) => sum + row[measure], 0);
  const known = rows.filter((row) => row.avg_watch_time_percentage !== null);
  const views = known.reduce((sum, row) => sum + row.views, 0);
  return views === 0 ? null : known.reduce((sum, row) => sum + (row.avg_watch_time_percentage ?? 0) * row.views, 0) / views;
}
