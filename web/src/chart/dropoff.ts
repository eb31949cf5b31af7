/** The drop-off timeline: what viewers did by position, stacked, with the margins and axis of the curve above it. */
import type { Bucket } from "../api/types";
import { compact, count, position } from "../text/format";
import { DROP_OFF, DROP_OFF_NAMES, type DropOffKind } from "../text/terms";
import { base, MARGIN, positionAxis, tooltipBase, yAxis, zooming } from "./base";
import type { Palette } from "./palette";
import { tooltip } from "./tooltip";

export interface DropOffChart {
  /** Each stands for `width` seconds. */
  buckets: Bucket[];
  width: number;
  shown: readonly DropOffKind[];
  /** Length of the axis above. */
  seconds: number;
  /** First and last second shown; `null` for all. */
  zoom: [number, number] | null;
  /** Where the scale ends; `null` for the largest bar. */
  ceiling: number | null;
}

/** Where the scale should end so that a few bars, mostly the exits at the end, do not flatten all others; `null` if none does. */
export function ceilingOf(buckets: Bucket[], shown: readonly DropOffKind[]): number | null {
  const heights = buckets.map((bucket) => total(bucket, shown)).sort((a, b) => b - a);
  const usual = heights[Math.max(2, Math.floor(heights.length * 0.02))] ?? 0;
  const ceiling = roundUp(Math.max(4, usual * 1.25));
  return (heights[0] ?? 0) > ceiling * 2 ? ceiling : null;
}

/** The next of 1, 2, 3, 4, 5, 6, 8 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = [1, 2, 3, 4, 5, 6, 8, 10].find((d) => d * power >= value) ?? 10;
  return digit * power;
}

export function total(bucket: Bucket, shown: readonly DropOffKind[]): number {
  return shown.reduce((sum, kind) => sum + bucket[kind], 0);
}

const MOST_BARS = 160;
const MULTIPLES = [1, 2, 3, 6, 12, 24, 60, 120];

/** Seconds that a bar stands for: a multiple of a bucket, so that the stretch that is shown has not too many bars. */
export function barWidth(bucket: number, stretch: number): number {
  const times = MULTIPLES.find((n) => stretch / (bucket * n) <= MOST_BARS) ?? Math.ceil(stretch / bucket / MOST_BARS);
  return bucket * times;
}

/** Buckets put together to bars of `width` seconds. */
export function bars(buckets: Bucket[], width: number): Bucket[] {
  const merged = new Map<number, Bucket>();
  for (const bucket of buckets) {
    const start = Math.floor(bucket.start_s / width) * width;
    const bar = merged.get(start) ?? { start_s: start, exits: 0, seeks_away: 0, seeks_in: 0, pauses: 0 };
    for (const kind of DROP_OFF) bar[kind] += bucket[kind];
    merged.set(start, bar);
  }
  return [...merged.values()];
}

export function dropOffOption({ buckets, width, shown, seconds, zoom, ceiling }: DropOffChart, palette: Palette): object {
  const at = (x: number) => buckets.find((b) => x >= b.start_s && x < b.start_s + width);
  return {
    ...base(palette),
    grid: { ...MARGIN, top: 10, bottom: 26 },
    tooltip: {
      ...tooltipBase(palette),
      formatter: (items: { axisValue: number }[]) => {
        const x = items[0]?.axisValue ?? 0;
        const start = Math.floor(x / width) * width;
        const bucket = at(x);
        const lines = DROP_OFF.map((kind, i) => {
          const colour = palette.dropOff[i];
          return { name: DROP_OFF_NAMES[kind], value: count(bucket?.[kind] ?? 0), ...(colour === undefined ? {} : { colour }) };
        });
        return tooltip(`${position(start)} to ${position(start + width)}`, lines);
      },
    },
    xAxis: positionAxis(palette, seconds, zoom),
    yAxis: {
      ...yAxis(palette),
      minInterval: 1,
      ...(ceiling === null ? {} : { max: ceiling }),
      splitNumber: 3,
      axisLabel: { color: palette.soft, formatter: compact },
    },
    ...zooming(seconds, zoom),
    series: shown.map((kind) => ({
      id: kind,
      name: DROP_OFF_NAMES[kind],
      type: "bar",
      stack: "all",
      barCategoryGap: "12%",
      itemStyle: { color: palette.dropOff[DROP_OFF.indexOf(kind)] },
      emphasis: { disabled: true },
      data: buckets.map((bucket) => [bucket.start_s + width / 2, bucket[kind]]),
    })),
  };
}
