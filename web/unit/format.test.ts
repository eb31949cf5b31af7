/** Numbers, durations and times as text. */
import { expect, test } from "@playwright/test";

import * as f from "../src/text/format";
import { country, filterName, regionName, valueName } from "../src/text/names";

const CASES: [string, unknown, string][] = [
  ["count", f.count(1234567), "1,234,567"],
  ["count of nothing known", f.count(null), "–"],
  ["count of no number", f.count(Number.NaN), "–"],
  ["compact", f.compact(1_250_000), "1.3M"],
  ["percentage", f.percentage(54.321), "54.3 %"],
  ["ratio", f.ratio(0.0549), "5.5 %"],
  ["ratio above one", f.ratio(1.8), "180.0 %"],
  ["share", f.share(0.34567), "34.6 %"],
  ["small share", f.share(0.00019), "0.02 %"],
  ["no share", f.share(0), "0.0 %"],
  ["decimal", f.decimal(1.256), "1.26"],
  ["rate, whole", f.rate(12), "12"],
  ["rate, part", f.rate(12.34), "12.3"],
  ["rate, large", f.rate(1234.5), "1,235"],
  ["seconds", f.duration(45), "45 s"],
  ["minutes", f.duration(90), "1.5 min"],
  ["hours", f.duration(5400), "1.5 h"],
  ["many hours", f.duration(3_600_000), "1,000 h"],
  ["position", f.position(65), "1:05"],
  ["position of an hour", f.position(3723), "1:02:03"],
  ["position of a float just below", f.position(64.9999999), "1:05"],
  ["position 0", f.position(0), "0:00"],
  ["milliseconds", f.milliseconds(214), "214 ms"],
  ["seconds of milliseconds", f.milliseconds(1430), "1.4 s"],
  ["minutes of milliseconds", f.milliseconds(180_000), "3.0 min"],
  ["instant", f.instant("2026-01-05T20:00:00.123456Z"), "2026-01-05 20:00:00 UTC"],
  ["instant with offset", f.instant("2026-01-05T20:00:00+02:00"), "2026-01-05 18:00:00 UTC"],
  ["no instant", f.instant(null), "–"],
  ["clock", f.clock("2026-01-05T20:00:01Z"), "20:00:01"],
  ["period", f.period("2026-01-05", "2026-01-06"), "2026-01-05 to 2026-01-06"],
  ["period of a day", f.period("2026-01-05", "2026-01-05"), "2026-01-05"],
  ["one", f.plural(1, "view"), "1 view"],
  ["many", f.plural(1000, "view"), "1,000 views"],
  ["irregular", f.plural(2, "country", "countries"), "2 countries"],
  ["region", regionName("US"), "United States"],
  ["subdivision", regionName("US-CA"), "United States, CA"],
  ["unknown region", regionName(null), "Unknown"],
  ["no region at all", regionName("12345"), "12345"],
  ["country", country("US-CA"), "US"],
  ["value", valueName("creator", ""), "Unknown"],
  ["user column", filterName("user.age_group"), "Age group"],
];

for (const [name, got, wanted] of CASES) {
  test(name, () => expect(got).toBe(wanted));
}

test("changes against the period before", () => {
  expect(f.relativeDelta(110, 100)).toEqual({ direction: "up", text: "+10.0 %" });
  expect(f.relativeDelta(90, 100)).toEqual({ direction: "down", text: "−10.0 %" });
  expect(f.relativeDelta(100.01, 100)).toEqual({ direction: "same", text: "±0.0 %" });
  expect(f.relativeDelta(1, 0)).toBeNull();
  expect(f.relativeDelta(null, 5)).toBeNull();
  expect(f.pointDelta(51.5, 50)).toEqual({ direction: "up", text: "+1.5 pp" });
  expect(f.pointDelta(50, null)).toBeNull();
});
