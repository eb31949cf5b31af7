/** The retention chart: a line a selection, the library's median with its quartiles, peaks and cliffs. */
import type { Curve, Library, Quartiles } from "../api/types";
import { count, decimal, position, ratio } from "../text/format";
import type { CurveKind } from "../text/terms";
import { base, MARGIN, positionAxis, tooltipBase, yAxis, zooming } from "./base";
import type { Palette } from "./palette";
import { type Line, tooltip } from "./tooltip";

/** A line: its name, its curve, and how it is drawn. */
export interface Drawn {
  name: string;
  curve: Curve;
}

/** Strokes beside colours, so that lines can be told apart without these. */
export const STROKES: (string | number[])[] = ["solid", [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2]];

const FIELD = { retention: "watched", survival: "survived", plays: "plays" } as const;

/** Counts of each second. */
export function counts(curve: Curve, kind: CurveKind): number[] {
  return curve[FIELD[kind]];
}

/** Value of a second: its count divided by all views; `null` where there is none. */
export function valueAt(curve: Curve, kind: CurveKind, second: number): number | null {
  const counted = counts(curve, kind)[second];
  return counted === undefined || curve.views === 0 ? null : counted / curve.views;
}

export function formatValue(kind: CurveKind, value: number | null): string {
  return kind === "plays" ? `${decimal(value)} a view` : ratio(value);
}

/** The library's value at a second of a video that is `seconds` long: its points are percentages of the length. */
export function libraryAt(points: number[], second: number, seconds: number): number | null {
  if (seconds <= 0) return null;
  const percent = Math.min(100, Math.floor((second / seconds) * 100));
  return points[percent] ?? null;
}

function points(curve: Curve, kind: CurveKind): [number, number][] {
  const views = Math.max(1, curve.views);
  return counts(curve, kind).map((n, second) => [second, n / views]);
}

function quartiles(library: Library, kind: CurveKind): Quartiles | null {
  return library[kind];
}

function librarySeries(library: Library, kind: CurveKind, seconds: number, palette: Palette): object[] {
  const body = quartiles(library, kind);
  if (body === null) return [];
  const at = (values: number[]): [number, number][] =>
    values.map((value, i) => [Math.min(((library.percentages[i] ?? i) / 100) * seconds, seconds - 1), value]);
  const quiet = { type: "line", silent: true, showSymbol: false, symbol: "none", tooltip: { show: false } };
  const spread = body.p75.map((high, i) => high - (body.p25[i] ?? high));
  return [
    {
      ...quiet,
      id: "p25",
      name: "p25",
      data: at(body.p25),
      stack: "band",
      stackStrategy: "all",
      lineStyle: { opacity: 0 },
      z: 1,
    },
    {
      ...quiet,
      id: "p75",
      name: "p75",
      data: at(spread),
      stack: "band",
      stackStrategy: "all",
      lineStyle: { opacity: 0 },
      areaStyle: { color: palette.band, opacity: 1 },
      z: 1,
    },
    {
      ...quiet,
      id: "median",
      name: "median",
      data: at(body.median),
      lineStyle: { color: palette.median, width: 1.5, type: [4, 4] },
      z: 2,
    },
  ];
}

/** Peaks stand on the curve with a triangle up, cliffs with one down; both with the number that the list below gives them. */
function markSeries(curve: Curve, kind: CurveKind, palette: Palette): object[] {
  const mark = (id: string, seconds: number[], upward: boolean): object => ({
    id,
    name: id,
    type: "line",
    silent: true,
    tooltip: { show: false },
    z: 6,
    lineStyle: { opacity: 0 },
    symbol: "triangle",
    symbolSize: [11, 9],
    symbolRotate: upward ? 0 : 180,
    symbolOffset: [0, upward ? -9 : 9],
    itemStyle: { color: upward ? palette.series[0] : palette.dropOff[0] },
    label: {
      show: true,
      position: upward ? "top" : "bottom",
      distance: upward ? 2 : 2,
      color: palette.ink,
      fontWeight: 600,
      formatter: (point: { dataIndex: number }) => `${upward ? "P" : "C"}${point.dataIndex + 1}`,
    },
    data: seconds.map((second) => [second, valueAt(curve, kind, second) ?? 0]),
  });
  return [
    mark(
      "peaks",
      curve.peaks.map((peak) => peak.second_s),
      true,
    ),
    mark(
      "cliffs",
      curve.cliffs.map((cliff) => cliff.second_s),
      false,
    ),
  ];
}

/** What the tooltip and the readout say of one second. */
export function readout(drawn: Drawn[], library: Library | null, kind: CurveKind, second: number, palette: Palette): Line[] {
  const lines: Line[] = drawn.map(({ name, curve }, i) => {
    const value = valueAt(curve, kind, second);
    const counted = counts(curve, kind)[second];
    const views = counted === undefined ? "ended" : `${count(counted)} of ${count(curve.views)}`;
    const colour = palette.series[i];
    return { name, value: `${formatValue(kind, value)} · ${views}`, ...(colour === undefined ? {} : { colour }) };
  });
  const body = library === null ? null : quartiles(library, kind);
  const own = drawn[0]?.curve.plays.length ?? 0;
  if (body !== null && second < own) {
    const [low, median, high] = [body.p25, body.median, body.p75].map((p) => formatValue(kind, libraryAt(p, second, own)));
    lines.push({ name: "Library median", value: `${median} (${low} to ${high})`, colour: palette.median });
  }
  return lines;
}

export interface CurveChart {
  drawn: Drawn[];
  library: Library | null;
  kind: CurveKind;
  /** Length of the axis. */
  seconds: number;
  /** First and last second shown; `null` for all. */
  zoom: [number, number] | null;
}

export function curveOption({ drawn, library, kind, seconds, zoom }: CurveChart, palette: Palette): object {
  const first = drawn[0];
  const format = (value: number): string => (kind === "plays" ? value.toFixed(1) : `${Math.round(value * 100)} %`);
  return {
    ...base(palette),
    grid: { ...MARGIN, top: 26, bottom: 26 },
    tooltip: {
      ...tooltipBase(palette),
      formatter: (items: { axisValue: number }[]) => {
        const second = Math.max(0, Math.min(seconds - 1, Math.round(items[0]?.axisValue ?? 0)));
        return tooltip(`${position(second)} (second ${count(second)})`, readout(drawn, library, kind, second, palette));
      },
    },
    xAxis: positionAxis(palette, seconds, zoom),
    yAxis: {
      ...yAxis(palette),
      min: 0,
      ...(kind === "plays" ? {} : { max: 1, interval: 0.25 }),
      axisLabel: { color: palette.soft, formatter: format },
    },
    ...zooming(seconds, zoom),
    series: [
      ...(library === null || first === undefined ? [] : librarySeries(library, kind, first.curve.plays.length, palette)),
      ...drawn.map(({ name, curve }, i) => ({
        id: `line${i}`,
        name,
        type: "line",
        showSymbol: false,
        symbol: "none",
        data: points(curve, kind),
        lineStyle: { color: palette.series[i], width: i === 0 ? 2.25 : 1.75, type: STROKES[i] ?? "solid" },
        itemStyle: { color: palette.series[i] },
        emphasis: { disabled: true },
        z: 5 - Math.min(i, 2),
      })),
      ...(first === undefined ? [] : markSeries(first.curve, kind, palette)),
    ],
  };
}
