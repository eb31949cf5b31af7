/** A number each, with its change against the period before and its course; the chosen one is drawn large below. */
import type { Overview, Totals } from "../../api/types";
import { Sparkline } from "../../chart/sparkline";
import { axisDuration, type Unit } from "../../chart/trend";
import { compact, count, type Delta, duration, percentage, pointDelta, ratio, relativeDelta } from "../../text/format";
import { type Metric, METRIC_NAMES, TERMS } from "../../text/terms";

export const METRICS = ["views", "viewers", "watch_time_s", "avg_retention", "completion_rate", "engaged_views"] as const;

export const UNITS: Record<Metric, Unit> = {
  views: { format: count, axis: compact },
  viewers: { format: count, axis: compact },
  engaged_views: { format: count, axis: compact },
  watch_time_s: { format: duration, axis: axisDuration },
  avg_retention: { format: percentage, axis: (v) => `${Math.round(v)} %` },
  completion_rate: { format: ratio, axis: (v) => `${Math.round(v * 100)} %` },
};

/** Counts change by a percentage, percentages by points. */
export function change(metric: Metric, now: Totals, before: Totals | null): Delta | null {
  if (before === null) return null;
  if (metric === "avg_retention") return pointDelta(now[metric], before[metric]);
  if (metric === "completion_rate") {
    const points = (rate: number | null) => (rate === null ? null : rate * 100);
    return pointDelta(points(now[metric]), points(before[metric]));
  }
  return relativeDelta(now[metric], before[metric]);
}

const ARROWS = { up: "▲", down: "▼", same: "●" } as const;

interface TilesProps {
  overview: Overview;
  chosen: Metric;
  onChoose: (metric: Metric) => void;
}

export function Tiles({ overview, chosen, onChoose }: TilesProps) {
  return (
    <ul class="tiles" aria-label="Totals of the period">
      {METRICS.map((metric) => {
        const delta = change(metric, overview.totals, overview.previous_totals);
        return (
          <li key={metric}>
            <button
              type="button"
              class="tile"
              aria-pressed={metric === chosen}
              onClick={() => onChoose(metric)}
              title={TERMS[metric]}
            >
              <span class="tile-name">{METRIC_NAMES[metric]}</span>
              <span class="tile-value" data-metric={metric}>
                {UNITS[metric].format(overview.totals[metric])}
              </span>
              <span class={`delta ${delta?.direction ?? "none"}`}>
                {delta === null ? (
                  "nothing to compare"
                ) : (
                  <>
                    <span aria-hidden="true">{ARROWS[delta.direction]} </span>
                    {delta.text}
                    <span class="unseen"> against the period before</span>
                  </>
                )}
              </span>
              <Sparkline values={overview.days.map((day) => day[metric])} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}
