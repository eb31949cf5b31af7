/** Records a second by what became of them, over the last minutes. */
import type { Rates } from "../api/types";
import { clock, compact, rate } from "../text/format";
import { base, MARGIN, tooltipBase, xAxis, yAxis } from "./base";
import type { Palette } from "./palette";
import { tooltip } from "./tooltip";

export const OUTCOMES = ["clean", "rejected", "duplicate"] as const;
export const OUTCOME_NAMES = { clean: "Clean", rejected: "Rejected", duplicate: "Duplicate" } as const;

export function ratesOption(history: Rates[], palette: Palette): object {
  const labels = { color: palette.soft, hideOverlap: true, showMaxLabel: true, alignMaxLabel: "right" };
  return {
    ...base(palette),
    grid: { ...MARGIN, top: 14, bottom: 26 },
    tooltip: {
      ...tooltipBase(palette),
      formatter: (items: { dataIndex: number }[]) => {
        const second = history[items[0]?.dataIndex ?? 0];
        if (second === undefined) return "";
        const lines = OUTCOMES.map((outcome, i) => {
          const colour = palette.outcomes[i];
          return {
            name: OUTCOME_NAMES[outcome],
            value: `${rate(second[outcome])} /s`,
            ...(colour === undefined ? {} : { colour }),
          };
        });
        return tooltip(`${clock(second.at)} UTC`, [{ name: "Received", value: `${rate(second.received)} /s` }, ...lines]);
      },
    },
    xAxis: {
      ...xAxis(palette),
      type: "category",
      boundaryGap: false,
      axisLabel: labels,
      data: history.map((second) => clock(second.at)),
    },
    yAxis: { ...yAxis(palette), min: 0, minInterval: 1, axisLabel: { color: palette.soft, formatter: compact } },
    series: OUTCOMES.map((outcome, i) => ({
      id: outcome,
      name: OUTCOME_NAMES[outcome],
      type: "line",
      stack: "all",
      symbol: "none",
      lineStyle: { width: 1, color: palette.outcomes[i] },
      itemStyle: { color: palette.outcomes[i] },
      areaStyle: { color: palette.outcomes[i], opacity: 0.55 },
      emphasis: { disabled: true },
      data: history.map((second) => second[outcome]),
    })),
  };
}
