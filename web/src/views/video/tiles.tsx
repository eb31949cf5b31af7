/** The video's totals, and its seeks after half of it. */
import type { DropOff, Totals, Video } from "../../api/types";
import type { Answer } from "../../api/use";
import { Sparkline } from "../../chart/sparkline";
import { count, duration, percentage, ratio } from "../../text/format";
import { type Metric, METRIC_NAMES, SEEKS_AFTER_HALF, TERMS } from "../../text/terms";

const SHOWN: [Metric, (totals: Totals) => string][] = [
  ["views", (t) => count(t.views)],
  ["viewers", (t) => count(t.viewers)],
  ["watch_time_s", (t) => duration(t.watch_time_s)],
  ["avg_retention", (t) => percentage(t.avg_retention)],
  ["completion_rate", (t) => ratio(t.completion_rate)],
];

export function VideoTiles({ video, dropOff }: { video: Video; dropOff: Answer<DropOff> }) {
  const after = dropOff.data?.seeks_after_half ?? null;
  const days = after?.days.map((day) => (day.views === 0 ? null : day.views_with_seek / day.views)) ?? [];
  return (
    <dl class="tiles plain">
      {SHOWN.map(([metric, format]) => (
        <div class="tile" key={metric} title={TERMS[metric]}>
          <dt class="tile-name">{METRIC_NAMES[metric]}</dt>
          <dd class="tile-value" data-metric={metric}>
            {format(video.totals)}
          </dd>
        </div>
      ))}
      <div class="tile" title={SEEKS_AFTER_HALF}>
        <dt class="tile-name">Seeks after 50 %</dt>
        <dd class="tile-value" data-metric="seeks_after_half">
          {ratio(after?.ratio ?? null)}
        </dd>
        <dd class="tile-more">
          {after === null ? "\u00a0" : `${count(after.views_with_seek)} views, ${count(after.seeks)} seeks`}
        </dd>
        <Sparkline values={days} />
      </div>
    </dl>
  );
}
