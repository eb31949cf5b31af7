/** How it goes in all: totals against the period before, day by day, and what was watched most. */
import { useMemo } from "preact/hooks";

import type { Day, Overview as Answered } from "../../api/types";
import { useApi, useReady } from "../../api/use";
import { Chart } from "../../chart/chart";
import { usePalette } from "../../chart/palette";
import { trendOption } from "../../chart/trend";
import { View } from "../../shell";
import { addDays, countDays, filterParams, withQuery } from "../../state/filters";
import { useChoice, useQuery } from "../../state/query";
import { count, period, plural } from "../../text/format";
import { METRIC_NAMES, TERMS } from "../../text/terms";
import { Body, Figure } from "../../ui/figure";
import { FilterBar } from "../../ui/filters";
import { NoViews } from "../../ui/states";
import { type Column, Table } from "../../ui/table";
import { Leaders, useLeaders } from "./leaders";
import { METRICS, Tiles, UNITS } from "./tiles";

const TILES = 132;
const CHART = 260;

export function Overview() {
  const query = useQuery();
  const answer = useApi<Answered>(withQuery("/overview", filterParams(query.filters)));
  const [metric, setMetric] = useChoice(query, "metric", METRICS);
  const leaders = useLeaders(query);
  const data = answer.data;
  const ready = useReady(answer, leaders.videos, leaders.regions);
  const empty = data !== null && data.totals.views === 0;
  return (
    <View title="Overview" sub={data === null ? "\u00a0" : <Compared overview={data} />} ready={ready}>
      <FilterBar />
      <Body state={answer} height={TILES}>
        {() => data !== null && (empty ? <NoViews /> : <Tiles overview={data} chosen={metric} onChoose={setMetric} />)}
      </Body>
      {!empty && answer.problem === null && (
        <>
          <Trend answer={answer} metric={metric} />
          <Leaders {...leaders} />
        </>
      )}
    </View>
  );
}

function Compared({ overview: { period: now, previous } }: { overview: Answered }) {
  const query = useQuery();
  if (now === null) return <>No views yet</>;
  const days = Math.min(7, Math.floor(countDays(now.from, now.to) / 2));
  const shorter = { ...query.filters, from: addDays(now.to, 1 - days), to: now.to };
  return (
    <>
      {period(now.from, now.to)} (UTC)
      {previous === null ? ", nothing before it to compare with" : `, against ${period(previous.from, previous.to)}`}
      {previous === null && days > 0 && (
        <a href={withQuery("/", filterParams(shorter))}>Compare the last {plural(days, "day")} with those before</a>
      )}
    </>
  );
}

type TrendProps = { answer: ReturnType<typeof useApi<Answered>>; metric: (typeof METRICS)[number] };

function Trend({ answer, metric }: TrendProps) {
  const query = useQuery();
  const palette = usePalette();
  const previous = answer.data?.previous ?? null;
  const before = useApi<Answered>(
    previous === null ? null : withQuery("/overview", filterParams({ ...query.filters, from: previous.from, to: previous.to })),
  );
  const days = answer.data?.days ?? [];
  const old = previous === null ? [] : (before.data?.days ?? []);
  const option = useMemo(
    () => trendOption(days, old, metric, UNITS[metric], palette),
    [days, old.length, before.data, metric, palette],
  );
  const name = METRIC_NAMES[metric];
  return (
    <Figure
      title={`${name} by day`}
      height={CHART}
      state={answer}
      note={
        <>
          {TERMS[metric]}
          {previous !== null && (
            <span class="key">
              <i class="stroke accent" aria-hidden="true" /> this period <i class="stroke median" aria-hidden="true" /> the period
              before
            </span>
          )}
        </>
      }
      table={() => <DayTable days={days} />}
    >
      <Chart
        height={CHART}
        option={option}
        label={`${name} on ${plural(days.length, "day")}${previous === null ? "" : ", and on those before"}. The table view has the numbers.`}
      />
    </Figure>
  );
}

function DayTable({ days }: { days: Day[] }) {
  const columns: Column<Day>[] = [
    { key: "date", label: "Date (UTC)", value: (day) => day.date, head: true },
    ...METRICS.map((metric) => ({
      key: metric,
      label: METRIC_NAMES[metric],
      title: TERMS[metric],
      numeric: true,
      value: (day: Day) => day[metric],
      cell: (day: Day) => UNITS[metric].format(day[metric]),
    })),
  ];
  return (
    <Table caption={`Totals of ${count(days.length)} days`} columns={columns} rows={days} sort={{ key: "date", order: "asc" }} />
  );
}
