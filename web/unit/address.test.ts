/** The page's address as state, and the API's addresses made of it. */
import { expect, test } from "@playwright/test";

import { comparedPath, curvePath, formatComparison, parseComparison, parseComparisons } from "../src/state/compare";
import { addDays, countDays, filterParams, isDate, isEmpty, parseFilters, withPicked, withQuery } from "../src/state/filters";
import { changed } from "../src/state/query";
import { clampStretch, parseStretch, scaledStretch } from "../src/views/video/timeline";

const parse = (text: string) => parseFilters(new URLSearchParams(text));

test("filters are read from an address and written in one order", () => {
  const filters = parse("user.plan=free&region=US&region=&region=DE&metric=views&from=2026-01-05&region=US");
  expect(filters).toEqual({ from: "2026-01-05", to: null, picked: { "user.plan": ["free"], region: ["", "DE", "US"] } });
  expect(filterParams(filters, { limit: 8, search: null }).toString()).toBe(
    "from=2026-01-05&region=&region=DE&region=US&user.plan=free&limit=8",
  );
  expect(parse(filterParams(filters).toString())).toEqual(filters);
});

test("filters are added and taken away", () => {
  expect(isEmpty(parse("metric=views"))).toBe(true);
  const one = withPicked(parse(""), "region", ["US", "DE"]);
  expect(one.picked).toEqual({ region: ["DE", "US"] });
  expect(isEmpty(withPicked(one, "region", []))).toBe(true);
});

test("dates are those of the calendar", () => {
  expect(["2026-01-05", "2024-02-29"].map(isDate)).toEqual([true, true]);
  expect(["2026-02-29", "2026-1-5", "yesterday", ""].map(isDate)).toEqual([false, false, false, false]);
  expect(addDays("2026-02-28", 1)).toBe("2026-03-01");
  expect(addDays("2026-01-01", -1)).toBe("2025-12-31");
  expect(countDays("2026-01-05", "2026-01-11")).toBe(7);
});

test("comparisons survive the address", () => {
  for (const text of ["region:DE", "region:", "video:a:b", "dates:2026-01-05..2026-01-07"]) {
    const comparison = parseComparison(text);
    expect(comparison).not.toBeNull();
    if (comparison !== null) expect(formatComparison(comparison)).toBe(text);
  }
  for (const text of ["", "region", "video:", "dates:2026-01-05", "dates:x..y", "planet:Mars"])
    expect(parseComparison(text)).toBeNull();
  const query = new URLSearchParams("compare=region:DE&compare=region:DE&compare=nonsense&compare=video:v2");
  expect(parseComparisons(query)).toEqual([
    { kind: "region", region: "DE" },
    { kind: "video", video: "v2" },
  ]);
});

test("a compared curve differs by one thing", () => {
  const filters = parse("region=US&from=2026-01-05&device=tv");
  expect(curvePath("a/b", filters)).toBe("/videos/a%2Fb/curve?from=2026-01-05&device=tv&region=US");
  expect(comparedPath("v1", filters, { kind: "region", region: "" })).toBe("/videos/v1/curve?from=2026-01-05&device=tv&region=");
  expect(comparedPath("v1", filters, { kind: "dates", from: "2026-01-01", to: "2026-01-02" })).toBe(
    "/videos/v1/curve?from=2026-01-01&to=2026-01-02&device=tv&region=US",
  );
  expect(comparedPath("v1", filters, { kind: "video", video: "v2" })).toBe(
    "/videos/v2/curve?from=2026-01-05&device=tv&region=US",
  );
});

test("parameters change without touching others", () => {
  const params = new URLSearchParams("a=1&b=2&b=3");
  expect(changed(params, { b: null, c: ["x", "y"] }).toString()).toBe("a=1&c=x&c=y");
  expect(withQuery("/top", new URLSearchParams())).toBe("/top");
});

test("a stretch of a video stays within it", () => {
  expect(parseStretch("60-120", 600)).toEqual([60, 120]);
  expect(parseStretch("0-600", 600)).toBeNull();
  expect(parseStretch("500-9000", 600)).toEqual([500, 600]);
  expect(parseStretch("900-9000", 600)).toEqual([598, 600]);
  expect(parseStretch("x", 600)).toBeNull();
  expect(parseStretch(null, 600)).toBeNull();
  expect(clampStretch([10.4, 10.6], 600)).toEqual([10, 12]);
  expect(clampStretch([0, 2], 2)).toBeNull();
});

test("zooming keeps the place that is pointed at", () => {
  expect(scaledStretch(null, 0.5, 100, 600)).toEqual([0, 300]);
  expect(scaledStretch(null, 0.5, null, 600)).toEqual([150, 450]);
  expect(scaledStretch([150, 450], 0.5, 400, 600)).toEqual([325, 475]);
  expect(scaledStretch([150, 450], 2, null, 600)).toBeNull();
});
