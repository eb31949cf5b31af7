/** What came in that could not be used as it was: rejects, duplicates, corrections; and the tests of the models. */
import type { Quality as Answered } from "../../api/types";
import { useApi, useReady } from "../../api/use";
import { View } from "../../shell";
import { count, share } from "../../text/format";
import { VIEW_CORRECTIONS } from "../../text/terms";
import { Body, Figure } from "../../ui/figure";
import { Command, Empty } from "../../ui/states";
import { Bar, type Column, Table } from "../../ui/table";
import { Reasons } from "./reasons";
import { Tests } from "./tests";

const TILES = 92;
const REASONS = 120;
const COUNTS = 160;

interface Counted {
  name: string;
  count: number;
  meaning?: string | undefined;
}

export function Quality() {
  const answer = useApi<Answered>("/quality");
  const { data } = answer;
  return (
    <View title="Data quality" sub="Every record that was ever received, whatever became of it." ready={useReady(answer)}>
      <Body state={answer} height={TILES}>
        {() => data !== null && (data.records === 0 ? <NoRecords /> : <Tiles quality={data} />)}
      </Body>
      {answer.problem === null && data?.records !== 0 && (
        <>
          <Figure
            title="Rejected, by reason"
            height={REASONS}
            state={answer}
            note="Open a reason for the newest records it rejected, as they came."
          >
            {data !== null && <Reasons reasons={data.reasons} all={data.records} />}
          </Figure>
          <Counters answer={answer} />
          <Tests answer={answer} />
        </>
      )}
    </View>
  );
}

function NoRecords() {
  return (
    <Empty title="No record has been landed yet">
      <p>Type in another terminal, with the same --home,</p>
      <Command>streamreel ingest events.ndjson</Command>
      <Command>streamreel process</Command>
    </Empty>
  );
}

function Tiles({ quality }: { quality: Answered }) {
  const { records, clean, rejected, duplicates } = quality;
  const tiles: [string, string, number][] = [
    ["records", "Records received", records],
    ["clean", "Clean", clean],
    ["rejected", "Rejected", rejected],
    ["duplicates", "Duplicates", duplicates],
  ];
  return (
    <dl class="tiles plain">
      {tiles.map(([key, name, value]) => (
        <div class="tile" key={key}>
          <dt class="tile-name">{name}</dt>
          <dd class="tile-value" data-metric={key}>
            {count(value)}
          </dd>
          <dd class="tile-more">
            {key === "records"
              ? "= clean + rejected + duplicates"
              : `${share(records === 0 ? null : value / records)} of records`}
          </dd>
        </div>
      ))}
    </dl>
  );
}

const DUPLICATES: Record<string, string> = {
  in_window: "in the window: dropped by the processor",
  late_duplicates: "later: dropped when the view was derived",
};

function Counters({ answer }: { answer: ReturnType<typeof useApi<Answered>> }) {
  const data = answer.data;
  const duplicates = data?.duplicates_by.map((d) => ({ name: DUPLICATES[d.name] ?? d.name, count: d.records })) ?? [];
  const corrections = data?.corrections.map((c) => ({ name: c.name, count: c.events })) ?? [];
  const views = data?.view_corrections.map((v) => ({ ...v, meaning: VIEW_CORRECTIONS[v.name] })) ?? [];
  return (
    <div class="pair">
      <div>
        <Figure
          title="Duplicates"
          height={COUNTS}
          state={answer}
          wide={false}
          note="Same user and event id as an earlier record."
        >
          <Counts
            caption="Duplicates by where they were dropped"
            what="Dropped"
            unit="Records"
            rows={duplicates}
            empty="No duplicates."
          />
        </Figure>
        <Figure
          title="Corrections of events"
          height={COUNTS}
          state={answer}
          wide={false}
          note="A bad optional field became unknown; the event was kept."
        >
          <Counts
            caption="Corrections of events by name"
            what="Correction"
            unit="Events"
            rows={corrections}
            empty="No event had to be corrected."
          />
        </Figure>
      </div>
      <Figure
        title="Corrections of views"
        height={COUNTS}
        state={answer}
        wide={false}
        note="What the rules did while they turned events into watched seconds."
      >
        <Counts caption="Corrections of views by name" what="Counter" unit="Count" rows={views} empty="No views yet." />
      </Figure>
    </div>
  );
}

interface CountsProps {
  caption: string;
  what: string;
  unit: string;
  rows: Counted[];
  empty: string;
}

function Counts({ caption, what, unit, rows, empty }: CountsProps) {
  const most = Math.max(0, ...rows.map((row) => row.count));
  const columns: Column<Counted>[] = [
    {
      key: "name",
      label: what,
      head: true,
      value: (row) => row.name,
      cell: (row) => (
        <>
          {row.name}
          {row.meaning !== undefined && <small class="meaning">{row.meaning}</small>}
        </>
      ),
    },
    {
      key: "count",
      label: unit,
      numeric: true,
      value: (row) => row.count,
      cell: (row) => <Bar value={row.count} most={most} text={count(row.count)} />,
    },
  ];
  return <Table caption={caption} columns={columns} rows={rows} sort={{ key: "count", order: "desc" }} empty={empty} />;
}
