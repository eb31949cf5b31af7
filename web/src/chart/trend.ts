/** A number day by day, with the period before as a dashed line. */
import type { Day } from "../api/types";
import { compact, duration } from "../text/format";
import type { Metric } from "../text/terms";
import { base, MARGIN, tooltipBase, xAxis, yAxis } from "./base";
import type { Palette } from "./palette";
import { type Line, tooltip } from "./tooltip";

/** How a metric is written, in full and on an axis. */
export interface Unit {
  format: (value: number | null) => string;
  axis: (value: number) => string;
}

export function trendOption(days: Day[], before: Day[], metric: Metric, unit: Unit, palette: Palette): object {
  const names = days.map((day) => day.date);
  const bounded = metric === "avg_retention" ? 100 : metric === "completion_rate" ? 1 : undefined;
  const labels = { color: palette.soft, hideOverlap: true, showMinLabel: true, showMaxLabel: true, alignMaxLabel: "right" };
  return {
    ...base(palette),
    grid: { ...MARGIN, top: 14, bottom: 26 },
    tooltip: {
      ...tooltipBase(palette),
      formatter: (items: { dataIndex: number }[]) => {
        const i = items[0]?.dataIndex ?? 0;
        const [day, old] = [days[i], before[i]];
        const lines: Line[] = [];
        if (day !== undefined) lines.push({ name: day.date, value: unit.format(day[metric]), colour: palette.accent });
        if (old !== undefined) lines.push({ name: old.date, value: unit.format(old[metric]), colour: palette.median });
        return tooltip(`Day ${i + 1} of ${days.length}`, lines);
      },
    },
    xAxis: { ...xAxis(palette), type: "category", data: names, boundaryGap: days.length === 1, axisLabel: labels },
    yAxis: {
      ...yAxis(palette),
      min: 0,
      ...(bounded === undefined ? {} : { max: bounded }),
      axisLabel: { color: palette.soft, formatter: unit.axis },
    },
    series: [
      {
        id: "now",
        type: "line",
        data: days.map((day) => day[metric]),
        symbol: "circle",
        symbolSize: 6,
        showSymbol: days.length < 40,
        lineStyle: { color: palette.accent, width: 2.25 },
        itemStyle: { color: palette.accent },
        areaStyle: { color: palette.accent, opacity: 0.1 },
        z: 3,
      },
      {
        id: "before",
        type: "line",
        data: before.slice(0, days.length).map((day) => day[metric]),
        symbol: "none",
        lineStyle: { color: palette.median, width: 1.5, type: [4, 4] },
        itemStyle: { color: palette.median },
        z: 2,
      },
    ],
  };
}

/** Seconds on an axis. */
export function axisDuration(seconds: number): string {
  return seconds >= 36_000 ? `${compact(seconds / 3600)} h` : duration(seconds);
}
