/** The axis that the charts of a video share: the stretch that is zoomed to, and the second that is pointed at. */
import type { EChartsType } from "echarts/core";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import type { Query } from "../../state/query";

/** First and last second shown. */
export type Stretch = [from: number, to: number];

/** `60-120` of the page's address, within the video; `null` for the whole of it. */
export function parseStretch(text: string | null, seconds: number): Stretch | null {
  const match = /^(\d+)-(\d+)$/.exec(text ?? "");
  if (match === null) return null;
  return clampStretch([Number(match[1]), Number(match[2])], seconds);
}

/** At least two seconds, at most all; all of it is no zoom. */
export function clampStretch([from, to]: Stretch, seconds: number): Stretch | null {
  const start = Math.max(0, Math.min(Math.round(from), seconds - 2));
  const end = Math.max(start + 2, Math.min(Math.round(to), seconds));
  return (start === 0 && end >= seconds) || end > seconds ? null : [start, end];
}

/** Half or twice as wide, around `centre`. */
export function scaledStretch(stretch: Stretch | null, factor: number, centre: number | null, seconds: number): Stretch | null {
  const [from, to] = stretch ?? [0, seconds];
  const width = Math.min(seconds, (to - from) * factor);
  const middle = centre !== null && centre >= from && centre <= to ? centre : (from + to) / 2;
  const start = Math.max(0, Math.min(middle - width / 2, seconds - width));
  return clampStretch([start, start + width], seconds);
}

export interface Timeline {
  seconds: number;
  zoom: Stretch | null;
  setZoom: (zoom: Stretch | null) => void;
  cursor: number | null;
  /** Points at a second, in the charts, too. */
  point: (second: number | null) => void;
  onCurve: (chart: EChartsType | null) => void;
  onDropOff: (chart: EChartsType | null) => void;
}

export function useTimeline(query: Query, seconds: number): Timeline {
  const zoom = parseStretch(query.params.get("zoom"), seconds);
  const [cursor, setCursor] = useState<number | null>(null);
  const main = useRef<EChartsType | null>(null);
  const latest = useRef({ query, seconds });
  latest.current = { query, seconds };

  const setZoom = useCallback((next: Stretch | null) => {
    latest.current.query.change({ zoom: next === null ? null : next.join("-") }, true);
  }, []);

  const watch = useCallback((chart: EChartsType) => {
    // Dragging selects a stretch; with a finger it scrolls the page instead.
    if (matchMedia("(pointer: fine)").matches) {
      chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
    }
    chart.on("datazoom", () => {
      const [state] = (chart.getOption() as { dataZoom: { startValue: number; endValue: number }[] }).dataZoom;
      if (state !== undefined) setZoom(clampStretch([state.startValue, state.endValue], latest.current.seconds));
    });
    chart.on("updateAxisPointer", (event) => {
      const value = (event as { axesInfo?: { value: number }[] }).axesInfo?.[0]?.value;
      if (value !== undefined) setCursor(Math.max(0, Math.min(Math.round(value), latest.current.seconds - 1)));
    });
  }, []);

  const onCurve = useCallback((chart: EChartsType | null) => {
    main.current = chart;
    if (chart !== null) watch(chart);
  }, []);
  const onDropOff = useCallback((chart: EChartsType | null) => {
    if (chart !== null) watch(chart);
  }, []);

  const point = useCallback((second: number | null) => {
    setCursor(second);
    const chart = main.current;
    if (chart === null) return;
    if (second === null) {
      chart.dispatchAction({ type: "hideTip" });
      return;
    }
    const x = chart.convertToPixel({ xAxisIndex: 0 }, second);
    if (typeof x === "number") chart.dispatchAction({ type: "showTip", x, y: chart.getHeight() / 2 });
  }, []);

  useEffect(() => setCursor(null), [seconds]);
  return { seconds, zoom, setZoom, cursor, point, onCurve, onDropOff };
}
