/** What all charts share: quiet axes, a tooltip in the page's own clothes, no animation. */
import { position } from "../text/format";
import type { Palette } from "./palette";

/** Charts that stand above each other use the same margins, so that their axes line up. */
export const MARGIN = { left: 52, right: 16, outerBoundsMode: "none" };

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

export function base(palette: Palette) {
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: palette.ink, fontSize: 12 },
  };
}

export function tooltipBase(palette: Palette) {
  return {
    trigger: "axis",
    confine: true,
    backgroundColor: palette.surface,
    borderColor: palette.line,
    padding: 10,
    textStyle: { color: palette.ink, fontSize: 12 },
    axisPointer: { type: "line", lineStyle: { color: palette.soft, type: "solid" } },
    transitionDuration: 0,
  };
}

export function xAxis(palette: Palette) {
  return {
    axisLine: { lineStyle: { color: palette.line } },
    axisTick: { lineStyle: { color: palette.line } },
    axisLabel: { color: palette.soft, hideOverlap: true },
    splitLine: { show: false },
  };
}

export function yAxis(palette: Palette) {
  return {
    type: "value",
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: palette.soft },
    splitLine: { lineStyle: { color: palette.line } },
    splitNumber: 4,
  };
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];
const MOST_LABELS = 9;

/** Seconds between labels so that a stretch of `seconds` has few of them, at round times. */
export function labelStep(seconds: number): number {
  return STEPS.find((step) => seconds / step <= MOST_LABELS) ?? Math.ceil(seconds / MOST_LABELS / 3600) * 3600;
}

/** Places in a video, from its beginning to `seconds`, of which the stretch `zoom` is shown. */
export function positionAxis(palette: Palette, seconds: number, zoom: [number, number] | null) {
  const [from, to] = zoom ?? [0, seconds];
  return {
    ...xAxis(palette),
    type: "value",
    min: 0,
    max: seconds,
    interval: labelStep(to - from),
    // Bars may stand over the ends, so that both charts have the same axis.
    containShape: false,
    axisLabel: { color: palette.soft, hideOverlap: true, formatter: position, showMaxLabel: false },
    axisPointer: { snap: false, label: { show: false } },
  };
}

/** Zoom by dragging over the chart (a feature of the toolbox, whose buttons are the page's own) and with Ctrl and the wheel. */
export function zooming(seconds: number, zoom: [number, number] | null) {
  const [startValue, endValue] = zoom ?? [0, seconds];
  return {
    dataZoom: [
      {
        type: "inside",
        xAxisIndex: 0,
        filterMode: "none",
        zoomOnMouseWheel: "ctrl",
        moveOnMouseWheel: false,
        moveOnMouseMove: false,
        startValue,
        endValue,
      },
    ],
    toolbox: {
      show: true,
      itemSize: 0,
      top: -100,
      feature: { dataZoom: { yAxisIndex: "none", filterMode: "none" } },
    },
  };
}
