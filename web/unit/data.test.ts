/** What charts and tables are made of. */
import { expect, test } from "@playwright/test";

import { isStale, STALE_MS } from "../src/views/live/stream";
import type { Curve, Library, RegionTotals } from "../src/api/types";
import { labelStep } from "../src/chart/base";
import { formatValue, libraryAt, readout, valueAt } from "../src/chart/curve";
import { bars, barWidth, ceilingOf, roundUp, total } from "../src/chart/dropoff";
import type { Palette } from "../src/chart/palette";
import { sparkPath } from "../src/chart/sparkline";
import { spans } from "../src/ui/dates";
import { matching } from "../src/ui/picker";
import { pageOf, sorted } from "../src/ui/rows";
import { change } from "../src/views/overview/tiles";
import { byCountry, strength } from "../src/views/regions/measures";

const curve: Curve = {
  video_id: "v1",
  duration_s: 4,
  views: 10,
  plays: [12, 8, 15, 5],
  watched: [10, 8, 9, 5],
  survived: [10, 9, 9, 5],
  peaks: [],
  cliffs: [],
  cut: null,
};
const palette = { series: ["blue"], median: "brown" } as unknown as Palette;

test("a curve's value is its count divided by all views", () => {
  expect(valueAt(curve, "plays", 2)).toBe(1.5);
  expect(valueAt(curve, "retention", 2)).toBe(0.9);
  expect(valueAt(curve, "survival", 3)).toBe(0.5);
  expect(valueAt(curve, "plays", 4)).toBeNull();
  expect(valueAt({ ...curve, views: 0 }, "plays", 0)).toBeNull();
  expect(formatValue("plays", 1.5)).toBe("1.50 a view");
  expect(formatValue("survival", 0.5)).toBe("50.0 %");
});

test("the library's percentages stand for seconds", () => {
  const points = Array.from({ length: 101 }, (_, p) => p);
  expect(libraryAt(points, 0, 4)).toBe(0);
  expect(libraryAt(points, 2, 4)).toBe(50);
  expect(libraryAt(points, 3, 4)).toBe(75);
  expect(libraryAt(points, 0, 0)).toBeNull();
});

test("the readout names second, value and views of every line", () => {
  const hundred = (value: number): number[] => Array<number>(101).fill(value);
  const body = { p25: hundred(0.25), median: hundred(0.5), p75: hundred(0.75) };
  const library: Library = {
    videos: 9,
    duration_from_s: 3,
    duration_to_s: 6,
    percentages: points(),
    plays: null,
    retention: body,
    survival: null,
  };
  expect(readout([{ name: "This video", curve }], library, "retention", 2, palette)).toEqual([
    { name: "This video", value: "90.0 % · 9 of 10", colour: "blue" },
    { name: "Library median", value: "50.0 % (25.0 % to 75.0 %)", colour: "brown" },
  ]);
  expect(readout([{ name: "This video", curve }], library, "plays", 9, palette)).toEqual([
    { name: "This video", value: "– a view · ended", colour: "blue" },
  ]);
});

function points(): number[] {
  return Array.from({ length: 101 }, (_, p) => p);
}

test("labels of an axis are few and at round times", () => {
  expect([8, 60, 612, 3600, 7200].map(labelStep)).toEqual([1, 10, 120, 600, 900]);
});

test("a bar that dwarfs the others is beyond the scale", () => {
  const bucket = (exits: number) => ({ start_s: 0, exits, seeks_away: 1, seeks_in: 0, pauses: 0 });
  const flat = [5, 6, 7, 8].map(bucket);
  expect(ceilingOf(flat, ["exits"])).toBeNull();
  expect(ceilingOf([...flat, bucket(900)], ["exits"])).toBe(10);
  expect(ceilingOf([], ["exits"])).toBeNull();
  expect([600, 2700, 7200].map((seconds) => barWidth(5, seconds))).toEqual([5, 30, 60]);
  const at = (start_s: number, exits: number) => ({ ...bucket(exits), start_s });
  expect(bars([at(0, 1), at(5, 2), at(10, 4)], 10)).toEqual([
    { start_s: 0, exits: 3, seeks_away: 2, seeks_in: 0, pauses: 0 },
    { start_s: 10, exits: 4, seeks_away: 1, seeks_in: 0, pauses: 0 },
  ]);
  expect(total(bucket(3), ["exits", "seeks_away"])).toBe(4);
  expect([1, 1.2, 7, 216, 800, 900].map(roundUp)).toEqual([1, 2, 8, 300, 800, 1000]);
});

test("rows are sorted with the unknown last, and paged", () => {
  const rows = [{ v: 2 }, { v: null }, { v: 10 }, { v: 1 }];
  expect(sorted(rows, (r) => r.v, "asc").map((r) => r.v)).toEqual([1, 2, 10, null]);
  expect(sorted(rows, (r) => r.v, "desc").map((r) => r.v)).toEqual([10, 2, 1, null]);
  expect(sorted(["b10", "a", "b9"], (r) => r, "asc")).toEqual(["a", "b9", "b10"]);
  expect(pageOf(101, 50, 2)).toEqual({ page: 2, pages: 3, from: 100, to: 101 });
  expect(pageOf(101, 50, 9)).toEqual({ page: 2, pages: 3, from: 100, to: 101 });
  expect(pageOf(0, 50, 0)).toEqual({ page: 0, pages: 1, from: 0, to: 0 });
});

test("a filter's values are found by name and code; picked ones are never lost", () => {
  const values = [
    { value: "DE", views: 5 },
    { value: null, views: 2 },
  ];
  expect(matching("region", values, [], "germ")).toEqual([{ value: "DE", views: 5 }]);
  expect(matching("region", values, [], "de")).toEqual([{ value: "DE", views: 5 }]);
  expect(matching("region", values, ["FR"], "")).toEqual([...values, { value: "FR", views: 0 }]);
});

test("spans end with the last date", () => {
  expect(spans({ first: "2026-01-01", last: "2026-01-31" }).map(({ from, to }) => [from, to])).toEqual([
    ["2026-01-31", "2026-01-31"],
    ["2026-01-25", "2026-01-31"],
    ["2026-01-04", "2026-01-31"],
    [null, null],
  ]);
});

test("counts change by percent, shares by points", () => {
  const now = { views: 110, viewers: 50, watch_time_s: 10, avg_retention: 51, completion_rate: 0.3, engaged_views: 1 };
  const before = { ...now, views: 100, avg_retention: 50, completion_rate: 0.25 };
  expect(change("views", now, before)?.text).toBe("+10.0 %");
  expect(change("avg_retention", now, before)?.text).toBe("+1.0 pp");
  expect(change("completion_rate", now, before)?.text).toBe("+5.0 pp");
  expect(change("views", now, null)).toBeNull();
});

test("subdivisions are put together by country, as far as numbers add up", () => {
  const row = (region: string | null, views: number, retention: number | null): RegionTotals => ({
    region,
    views,
    viewers: views,
    watch_time_s: views * 10,
    avg_watch_time_percentage: retention,
  });
  const rows = [row("US", 30, 50), row("US-CA", 10, 90), row("DE", 5, null), row(null, 7, 10)];
  expect([...byCountry(rows, "views")].map(([code, { value }]) => [code, value])).toEqual([
    ["US", 40],
    ["DE", 5],
  ]);
  expect(byCountry(rows, "avg_watch_time_percentage").get("US")?.value).toBe(60);
  expect(byCountry(rows, "avg_watch_time_percentage").get("DE")?.value).toBeNull();
  expect(byCountry(rows, "viewers").get("US")?.value).toBeNull();
  expect(byCountry(rows, "viewers").get("DE")?.value).toBe(5);
  expect(strength("views", 25, 100)).toBe(0.5);
  expect(strength("avg_watch_time_percentage", 25, 100)).toBe(0.25);
  expect(strength("views", null, 100)).toBe(0);
});

test("a sparkline breaks where a value is unknown", () => {
  expect(sparkPath([0, 10], 100, 20)).toBe("M0.0 20.0L100.0 0.0");
  expect(sparkPath([10, null, 10], 100, 20)).toBe("M0.0 0.0M100.0 0.0");
});

test("a stream that says nothing becomes stale", () => {
  expect(isStale(null, 5)).toBe(false);
  expect(isStale(1000, 1000 + STALE_MS)).toBe(false);
  expect(isStale(1000, 1001 + STALE_MS)).toBe(true);
});
