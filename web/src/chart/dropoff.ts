/** The drop-off timeline: what viewers did by position, stacked, with the margins and axis of the curve above it. */
import type { DropOff } from "../api/types";
import { compact, count, position } from "../text/format";
import { DROP_OFF, DROP_OFF_NAMES, type DropOffKind } from "../text/terms";
import { base, MARGIN, positionAxis, tooltipBase, yAxis, zooming } from "./base";
import type { Palette } from "./palette";
import { tooltip } from "./tooltip";

export interface DropOffChart {
  answer: DropOff;
  shown: readonly DropOffKind[];
  /** Length of the axis above. */
  seconds: number;
  /** First and last second shown; `null` for all. */
  zoom: [number, number] | null;
}

export function dropOffOption({ answer, shown, seconds, zoom }: DropOffChart, palette: Palette): object {
  const { bucket_s: width, buckets } = answer;
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
    xAxis: positionAxis(palette, seconds),
    yAxis: { ...yAxis(palette), minInterval: 1, splitNumber: 3, axisLabel: { color: palette.soft, formatter: compact } },
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
