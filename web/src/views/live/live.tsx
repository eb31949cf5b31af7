/** What happens now: records a second, viewers, lags, the last build, and whether all of it adds up. */
import { useMemo } from "preact/hooks";

import type { Audit, Live as Now } from "../../api/types";
import { useApi, useReady } from "../../api/use";
import { Chart } from "../../chart/chart";
import { usePalette } from "../../chart/palette";
import { OUTCOME_NAMES, OUTCOMES, ratesOption } from "../../chart/rates";
import { View } from "../../shell";
import { useQuery } from "../../state/query";
import { clock, count, instant, milliseconds, plural, rate } from "../../text/format";
import { Figure } from "../../ui/figure";
import { Empty, Command, Skeleton } from "../../ui/states";
import { Bar, type Column, Table } from "../../ui/table";
import { AuditFigure } from "./audit";
import { type Stream, useStream } from "./stream";

const CHART = 240;
const LIST = 400;

export function Live() {
  const stream = useStream();
  const { live } = stream;
  const audit = useApi<Audit>("/audit");
  const ready = useReady({ data: live ?? (stream.link === "lost" ? stream : null), problem: null }, audit);
  return (
    <View title="Live" sub={<LinkState stream={stream} />} ready={ready}>
      {live === null ? <Skeleton height={132} label="Waiting for the server" /> : <Tiles live={live} />}
      {live !== null && live.received === 0 && (
        <Empty title="Nothing has come in since this server began">
          <p>Send events to the collector (POST /v1/events), or type in another terminal, with the same --home,</p>
          <Command>streamreel ingest events.ndjson</Command>
          <p>or let made-up viewers come:</p>
          <Command>streamreel up --simulate 500</Command>
        </Empty>
      )}
      <RatesFigure live={live} />
      <div class="pair">
        <VideosFigure live={live} />
        <LagsFigure live={live} />
      </div>
      <AuditFigure answer={audit} checkedAt={live?.audit?.checked_at ?? null} />
    </View>
  );
}

const LINKS = {
  connecting: "Connecting …",
  open: "Live",
  stale: "Stale: the server says nothing",
  lost: "Connection lost, trying again …",
} as const;

function LinkState({ stream: { live, link } }: { stream: Stream }) {
  return (
    <>
      <span class={`link ${link}`} role="status">
        {LINKS[link]}
      </span>
      {live !== null && (
        <span>
          {link === "open" ? "" : "what is shown is of "}
          {clock(live.at)} UTC
        </span>
      )}
    </>
  );
}

const SINCE = "since the server began";

function Tiles({ live }: { live: Now }) {
  const tiles: [string, string, string, string][] = [
    ["viewers", "Viewers now", count(live.viewers_now), "newest event within 60 s is no pause or end"],
    ["received", "Received", `${rate(live.received_per_s)} /s`, `${count(live.received)} ${SINCE}`],
    ["clean", "Clean", `${rate(live.clean_per_s)} /s`, `${count(live.clean)} ${SINCE}`],
    ["rejected", "Rejected", `${rate(live.rejected_per_s)} /s`, `${count(live.rejected)} ${SINCE}`],
    ["duplicate", "Duplicates", `${rate(live.duplicate_per_s)} /s`, `${count(live.duplicates)} ${SINCE}`],
    ["unprocessed", "Not processed yet", count(live.unprocessed), "records in the topic"],
  ];
  return (
    <dl class="tiles plain">
      {tiles.map(([key, name, value, more]) => (
        <div class="tile" key={key}>
          <dt class="tile-name">{name}</dt>
          <dd class="tile-value" data-metric={key}>
            {value}
          </dd>
          <dd class="tile-more">{more}</dd>
        </div>
      ))}
    </dl>
  );
}

function RatesFigure({ live }: { live: Now | null }) {
  const palette = usePalette();
  const history = live === null ? [] : complete(live);
  const option = useMemo(() => ratesOption(history, palette), [live?.at, palette]);
  const columns: Column<(typeof history)[number]>[] = [
    { key: "at", label: "Time (UTC)", head: true, value: (second) => second.at, cell: (second) => clock(second.at) },
    {
      key: "received",
      label: "Received",
      numeric: true,
      value: (second) => second.received,
      cell: (second) => count(second.received),
    },
    ...OUTCOMES.map((outcome): Column<(typeof history)[number]> => ({
      key: outcome,
      label: OUTCOME_NAMES[outcome],
      numeric: true,
      value: (second) => second[outcome],
      cell: (second) => count(second[outcome]),
    })),
  ];
  return (
    <Figure
      title="Records a second"
      height={CHART}
      note={
        <span class="key">
          The last two minutes, by what became of a record:
          {OUTCOMES.map((outcome, i) => (
            <span key={outcome}>
              <i class="swatch" style={{ background: `var(--outcome-${i + 1})` }} aria-hidden="true" />{" "}
              {OUTCOME_NAMES[outcome].toLowerCase()}
            </span>
          ))}
        </span>
      }
      table={() => (
        <Table caption="Records by second" columns={columns} rows={history} sort={{ key: "at", order: "desc" }} pageSize={15} />
      )}
    >
      <Chart
        height={CHART}
        option={option}
        label="Records a second of the last two minutes, stacked by outcome. The table view has the numbers."
      />
    </Figure>
  );
}

/** Without the running second, which has only begun. */
function complete({ at, history }: Now): Now["history"] {
  return history.filter((second) => second.at.slice(0, 19) < at.slice(0, 19));
}

function VideosFigure({ live }: { live: Now | null }) {
  const query = useQuery();
  const rows = live?.videos ?? [];
  const most = Math.max(0, ...rows.map((row) => row.viewers));
  const columns: Column<(typeof rows)[number]>[] = [
    {
      key: "title",
      label: "Video",
      head: true,
      fixed: true,
      value: (row) => row.title ?? row.video_id,
      cell: (row) => <a href={query.link(`/videos/${encodeURIComponent(row.video_id)}`)}>{row.title ?? row.video_id}</a>,
    },
    {
      key: "viewers",
      label: "Viewers now",
      numeric: true,
      fixed: true,
      value: (row) => row.viewers,
      cell: (row) => <Bar value={row.viewers} most={most} text={count(row.viewers)} />,
    },
  ];
  return (
    <Figure
      title="Watched now"
      height={LIST}
      wide={false}
      note={rows.length >= 20 ? "The 20 videos with the most viewers now." : undefined}
    >
      <Table caption="Viewers now by video" columns={columns} rows={rows} empty="Nobody watches now." pageSize={10} />
    </Figure>
  );
}

function LagsFigure({ live }: { live: Now | null }) {
  const lag = live?.lag;
  return (
    <Figure title="How fresh it is" height={LIST} wide={false}>
      <dl class="facts">
        <dt>From the event to clean, median</dt>
        <dd>{milliseconds(lag?.event_to_clean_ms)}</dd>
        <dt>From clean to the lake</dt>
        <dd>{milliseconds(lag?.clean_to_lake_ms)}</dd>
        <dt>The lake is behind by</dt>
        <dd>{lag?.lake_behind_records == null ? "–" : plural(lag.lake_behind_records, "record")}</dd>
        <dt>Last build</dt>
        <dd>{live?.build == null ? "none yet" : instant(live.build.finished_at)}</dd>
        <dt>Build id</dt>
        <dd class="id">{live?.build?.build_id ?? "–"}</dd>
      </dl>
      {live !== null && live.build === null && (
        <p class="hint">
          To build now, type <code>streamreel build</code> in another terminal.
        </p>
      )}
    </Figure>
  );
}
