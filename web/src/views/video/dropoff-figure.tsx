/** The drop-off timeline, and seeks after half of the video with their trend. */
import { useMemo, useState } from "preact/hooks";

import type { Bucket, DropOff, SeeksAfterHalf } from "../../api/types";
import type { Answer } from "../../api/use";
import { Chart } from "../../chart/chart";
import { bars, barWidth, ceilingOf, dropOffOption, total } from "../../chart/dropoff";
import { usePalette } from "../../chart/palette";
import { Sparkline } from "../../chart/sparkline";
import { count, plural, position, ratio } from "../../text/format";
import { DROP_OFF, DROP_OFF_NAMES, DROP_OFF_TERMS, type DropOffKind, SEEKS_AFTER_HALF } from "../../text/terms";
import { Figure } from "../../ui/figure";
import { type Column, Table } from "../../ui/table";
import { GROUP } from "./curve-figure";
import type { Timeline } from "./timeline";

const HEIGHT = 200;

export function DropOffFigure({ dropOff, timeline }: { dropOff: Answer<DropOff>; timeline: Timeline }) {
  const palette = usePalette();
  const [shown, setShown] = useState<readonly DropOffKind[]>(DROP_OFF);
  const { data } = dropOff;
  const { seconds, zoom } = timeline;
  const [full, setFull] = useState(false);
  const least = data?.bucket_s ?? 5;
  const width = barWidth(least, zoom === null ? seconds : zoom[1] - zoom[0]);
  const buckets = useMemo(() => bars(data?.buckets ?? [], width), [data, width]);
  const lower = ceilingOf(buckets, shown);
  const ceiling = full ? null : lower;
  const option = useMemo(
    () => dropOffOption({ buckets, width, shown, seconds, zoom, ceiling }, palette),
    [buckets, shown, seconds, zoom?.join(), ceiling, palette],
  );
  const toggle = (kind: DropOffKind): void => {
    setShown(DROP_OFF.filter((other) => (other === kind) !== shown.includes(other)));
  };
  return (
    <Figure
      title="Drop-off timeline"
      height={HEIGHT + 96}
      state={dropOff}
      note={
        <>
          What viewers did in each {width} s of the video{width > least && ` (zoom in for ${least} s)`}, in{" "}
          <strong>{plural(data?.views ?? 0, "view")}</strong>. The same axis as above.
        </>
      }
      table={() => data !== null && <BucketTable answer={data} />}
    >
      <ul class="legend" aria-label="What is stacked">
        {DROP_OFF.map((kind, i) => (
          <li key={kind}>
            <label title={DROP_OFF_TERMS[kind]}>
              <input type="checkbox" checked={shown.includes(kind)} onChange={() => toggle(kind)} />
              <i class="swatch" style={{ background: `var(--drop-${i + 1})` }} aria-hidden="true" />
              <span class="legend-name">{DROP_OFF_NAMES[kind]}</span>
              <span class="legend-more">{data === null ? "" : count(sum(data.buckets, kind))}</span>
            </label>
          </li>
        ))}
      </ul>
      <Chart
        height={HEIGHT}
        option={option}
        group={GROUP}
        onChart={timeline.onDropOff}
        label={`Exits, seeks away, seeks in and pauses by position, over ${position(seconds)}. The table view has all numbers.`}
      />
      {lower !== null && (
        <p class="hint beyond">
          {ceiling === null ? "The scale fits the largest bar. " : `Beyond the scale: ${beyond(buckets, width, shown, lower)}. `}
          <button type="button" class="button small" onClick={() => setFull(!full)}>
            {full ? "Fit the others" : "Fit the largest"}
          </button>
        </p>
      )}
      {data !== null && <AfterHalf seeks={data.seeks_after_half} />}
    </Figure>
  );
}

const NAMED = 3;

/** Bars that do not fit, the largest first. */
function beyond(buckets: Bucket[], width: number, shown: readonly DropOffKind[], ceiling: number): string {
  const cut = buckets.filter((bucket) => total(bucket, shown) > ceiling).sort((a, b) => total(b, shown) - total(a, shown));
  const named = cut
    .slice(0, NAMED)
    .map((bucket) => `${position(bucket.start_s)} to ${position(bucket.start_s + width)} (${count(total(bucket, shown))})`);
  return `${named.join(", ")}${cut.length > NAMED ? ` and ${cut.length - NAMED} more` : ""}`;
}

function sum(buckets: Bucket[], kind: DropOffKind): number {
  return buckets.reduce((total, bucket) => total + bucket[kind], 0);
}

function AfterHalf({ seeks }: { seeks: SeeksAfterHalf }) {
  const [open, setOpen] = useState(false);
  const rows = seeks.days;
  const share = (day: (typeof rows)[number]): number | null => (day.views === 0 ? null : day.views_with_seek / day.views);
  const columns: Column<(typeof rows)[number]>[] = [
    { key: "date", label: "Date (UTC)", head: true, value: (day) => day.date },
    { key: "share", label: "Views with such a seek", numeric: true, value: share, cell: (day) => ratio(share(day)) },
    {
      key: "with",
      label: "of them",
      numeric: true,
      value: (day) => day.views_with_seek,
      cell: (day) => count(day.views_with_seek),
    },
    { key: "views", label: "Views", numeric: true, value: (day) => day.views, cell: (day) => count(day.views) },
    { key: "seeks", label: "Seeks", numeric: true, value: (day) => day.seeks, cell: (day) => count(day.seeks) },
  ];
  return (
    <div class="after-half">
      <p>
        <strong>Seeks after 50 %: {ratio(seeks.ratio)}</strong> of views ({count(seeks.views_with_seek)} of {count(seeks.views)};{" "}
        {plural(seeks.seeks, "seek")}). <span class="hint">{SEEKS_AFTER_HALF}</span>
      </p>
      <div class="after-half-trend">
        <Sparkline values={rows.map(share)} />
        <button type="button" class="button small" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Hide days" : "Day by day"}
        </button>
      </div>
      {open && (
        <Table
          caption="Seeks after 50 % by day"
          columns={columns}
          rows={rows}
          sort={{ key: "date", order: "asc" }}
          pageSize={14}
        />
      )}
    </div>
  );
}

function BucketTable({ answer }: { answer: DropOff }) {
  const columns: Column<Bucket>[] = [
    { key: "from", label: "From", numeric: true, head: true, value: (b) => b.start_s, cell: (b) => position(b.start_s) },
    {
      key: "to",
      label: "To",
      numeric: true,
      fixed: true,
      value: (b) => b.start_s,
      cell: (b) => position(b.start_s + answer.bucket_s),
    },
    ...DROP_OFF.map((kind): Column<Bucket> => ({
      key: kind,
      label: DROP_OFF_NAMES[kind],
      title: DROP_OFF_TERMS[kind],
      numeric: true,
      value: (b) => b[kind],
      cell: (b) => count(b[kind]),
    })),
  ];
  return (
    <Table
      caption="Drop-off by position"
      columns={columns}
      rows={answer.buckets}
      sort={{ key: "from", order: "asc" }}
      pageSize={30}
    />
  );
}
