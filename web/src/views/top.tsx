/** Rankings of videos, creators and genres, over all dates or of one day. */
import { useRoute } from "preact-iso";
import { useContext } from "preact/hooks";

import { usePages } from "../api/pages";
import type { Ranked } from "../api/types";
import { useReady } from "../api/use";
import { View } from "../shell";
import { FacetsContext } from "../state/facets";
import { filterParams, withQuery } from "../state/filters";
import { type Query, useChoice, useQuery } from "../state/query";
import { count } from "../text/format";
import { UNKNOWN } from "../text/names";
import { DateField } from "../ui/dates";
import { Body } from "../ui/figure";
import { completion, retention, viewers, views, watchTime } from "../ui/measures";
import { Segmented } from "../ui/segmented";
import { type Column, More, type Sort, Table } from "../ui/table";
import { Missing } from "./missing";

const LISTS = ["content", "creators", "genres"] as const;
type List = (typeof LISTS)[number];
const NAMES: Record<List, string> = { content: "Videos", creators: "Creators", genres: "Genres" };
const SORTS = ["rank", "watch_time_s", "views", "viewers", "avg_watch_time_percentage", "completion_rate"] as const;
const HEIGHT = 160;
const PAGE = 50;
const PERIODS = ["all", "day"] as const;

export function Top() {
  const query = useQuery();
  const { params } = useRoute();
  const list = LISTS.find((name) => name === (params["what"] ?? "content"));
  return list === undefined ? <Missing /> : <Listed list={list} query={query} />;
}

function Listed({ list, query }: { list: List; query: Query }) {
  const dates = useContext(FacetsContext).data?.dates ?? null;
  const [period, setPeriod] = useChoice(query, "period", PERIODS);
  const date = period === "day" ? (query.params.get("date") ?? dates?.last ?? null) : null;
  const sort = sortOf(query);
  const asked = new URLSearchParams({ period, sort: sort.key, order: sort.order, limit: String(PAGE) });
  if (date !== null) asked.set("date", date);
  const { items, total, state, loading, more } = usePages<Ranked>(`/top/${list}`, asked);
  const keep = {
    period: query.params.get("period"),
    date: query.params.get("date"),
    sort: query.params.get("sort"),
    order: query.params.get("order"),
  };
  const sub = `${date === null ? "All dates" : `${date} (UTC)`}, all regions and devices. The rank is by watch time.`;
  return (
    <View title={`Top ${NAMES[list].toLowerCase()}`} sub={sub} ready={useReady(state)}>
      <div class="filters">
        <nav class="tabs" aria-label="Rankings">
          {LISTS.map((name) => (
            <a key={name} href={query.link(`/top/${name}`, keep)} aria-current={name === list ? "page" : undefined}>
              {NAMES[name]}
            </a>
          ))}
        </nav>
        <Segmented
          label="Period"
          options={[
            { value: "all", label: "All time" },
            { value: "day", label: "One day" },
          ]}
          value={period}
          onChange={setPeriod}
        />
        {period === "day" && (
          <DateField label="Day (UTC)" value={date} bounds={dates} onChange={(day) => query.change({ date: day }, true)} />
        )}
      </div>
      <section class="card wide" aria-label={`Ranking of ${NAMES[list].toLowerCase()}`} aria-busy={loading}>
        <Body state={state} height={HEIGHT}>
          {() => (
            <Table
              caption={`Ranking of ${NAMES[list].toLowerCase()}`}
              columns={columns(list, items, date)}
              rows={items}
              sort={sort}
              onSort={({ key, order }) => query.change({ sort: key, order }, true)}
              empty={date === null ? "No views yet." : `No views on ${date}.`}
            />
          )}
        </Body>
        <More shown={items.length} total={total} more={more} />
      </section>
    </View>
  );
}

function sortOf(query: Query): Sort {
  const key = SORTS.find((name) => name === query.params.get("sort")) ?? "rank";
  const order = query.params.get("order");
  return { key, order: order === "asc" || order === "desc" ? order : key === "rank" ? "asc" : "desc" };
}

/** Where a row leads: a video to its curves, a creator or a genre to its videos. */
function target(list: List, row: Ranked, date: string | null): string {
  const dates = date === null ? {} : { from: date, to: date };
  if (list === "content") return withQuery(`/videos/${encodeURIComponent(row.video_id ?? "")}`, new URLSearchParams(dates));
  const value = (list === "creators" ? row.creator : row.genre) ?? "";
  const name = list === "creators" ? "creator" : "genre";
  return withQuery("/videos", filterParams({ from: date, to: date, picked: { [name]: [value] } }));
}

function nameOf(list: List, row: Ranked): string {
  if (list === "content") return row.title ?? row.video_id ?? UNKNOWN;
  return (list === "creators" ? row.creator : row.genre) ?? UNKNOWN;
}

function columns(list: List, items: Ranked[], date: string | null): Column<Ranked>[] {
  const facts: Column<Ranked>[] = [
    { key: "creator", label: "Creator", fixed: true, value: (row) => row.creator ?? UNKNOWN },
    { key: "genre", label: "Genre", fixed: true, value: (row) => row.genre ?? UNKNOWN },
  ];
  return [
    {
      key: "rank",
      label: "#",
      title: "Rank by watch time",
      numeric: true,
      value: (row) => row.rank,
      cell: (row) => count(row.rank),
    },
    {
      key: "name",
      label: NAMES[list].replace(/s$/, ""),
      head: true,
      fixed: true,
      value: (row) => nameOf(list, row),
      cell: (row) => <a href={target(list, row, date)}>{nameOf(list, row)}</a>,
    },
    ...(list === "content" ? facts : []),
    watchTime(items),
    views(),
    viewers(),
    retention("avg_watch_time_percentage"),
    completion(),
  ];
}
