/** All videos of the selection, to be searched and sorted. */
import { useEffect, useState } from "preact/hooks";

import { usePages } from "../api/pages";
import type { VideoItem } from "../api/types";
import { useReady } from "../api/use";
import { View } from "../shell";
import { filterParams } from "../state/filters";
import { type Query, useQuery } from "../state/query";
import { plural, position } from "../text/format";
import { UNKNOWN } from "../text/names";
import { Body } from "../ui/figure";
import { FilterBar } from "../ui/filters";
import { completion, retention, viewers, views, watchTime } from "../ui/measures";
import { NoViews } from "../ui/states";
import { type Column, More, type Sort, Table } from "../ui/table";

const SORTS = ["watch_time_s", "views", "viewers", "avg_retention", "completion_rate", "title"] as const;
const PAGE = 50;
const HEIGHT = 160;

export function Videos() {
  const query = useQuery();
  const sort = sortOf(query);
  const search = query.params.get("search");
  const asked = filterParams(query.filters, { search, sort: sort.key, order: sort.order, limit: PAGE });
  const { items, total, state, loading, more } = usePages<VideoItem>("/videos", asked);
  return (
    <View title="Videos" ready={useReady(state)}>
      <FilterBar />
      <section class="card wide" aria-label="Videos" aria-busy={loading}>
        <header class="card-head">
          <SearchField query={query} />
          <p class="found" role="status">
            {state.data === null ? "\u00a0" : plural(total, "video")}
          </p>
        </header>
        <Body state={state} height={HEIGHT}>
          {() =>
            total === 0 && search === null ? (
              <NoViews />
            ) : (
              <Table
                caption="Videos of the selection"
                columns={columns(items, query)}
                rows={items}
                sort={sort}
                onSort={({ key, order }) => query.change({ sort: key, order }, true)}
                empty={`No title or id contains “${search ?? ""}”.`}
              />
            )
          }
        </Body>
        <More shown={items.length} total={total} more={more} />
      </section>
    </View>
  );
}

function sortOf(query: Query): Sort {
  const key = SORTS.find((name) => name === query.params.get("sort")) ?? "watch_time_s";
  const order = query.params.get("order");
  return { key, order: order === "asc" || order === "desc" ? order : key === "title" ? "asc" : "desc" };
}

function SearchField({ query }: { query: Query }) {
  const held = query.params.get("search") ?? "";
  const [text, setText] = useState(held);
  useEffect(() => setText(held), [held]);
  useEffect(() => {
    if (text === held) return;
    const timer = setTimeout(() => query.change({ search: text === "" ? null : text }, true), 250);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="search">
      <span class="unseen">Search title or id</span>
      <input
        class="field"
        type="search"
        placeholder="Search title or id"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}

function columns(items: VideoItem[], query: Query): Column<VideoItem>[] {
  return [
    {
      key: "title",
      label: "Title",
      head: true,
      value: (v) => v.title,
      cell: (v) => (
        <a href={query.link(`/videos/${encodeURIComponent(v.video_id)}`)}>
          {v.title ?? v.video_id} <small class="id">{v.video_id}</small>
        </a>
      ),
    },
    { key: "creator", label: "Creator", fixed: true, value: (v) => v.creator ?? UNKNOWN },
    { key: "genre", label: "Genre", fixed: true, value: (v) => v.genre ?? UNKNOWN },
    {
      key: "length",
      label: "Length",
      numeric: true,
      fixed: true,
      value: (v) => v.duration_s,
      cell: (v) => position(v.duration_s),
    },
    watchTime(items),
    views(),
    viewers(),
    retention("avg_retention"),
    completion(),
  ];
}
