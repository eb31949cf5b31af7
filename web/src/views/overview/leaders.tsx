/** The most watched videos and regions of the selection. */
import type { Page, Regions, RegionTotals, VideoItem } from "../../api/types";
import { type Answer, useApi } from "../../api/use";
import { filterParams, withQuery } from "../../state/filters";
import { type Query, useQuery } from "../../state/query";
import { count } from "../../text/format";
import { regionName } from "../../text/names";
import { Figure } from "../../ui/figure";
import { retention, views, watchTime } from "../../ui/measures";
import { sorted } from "../../ui/rows";
import { type Column, Table } from "../../ui/table";

const SHOWN = 8;
const HEIGHT = 300;

interface LeadersProps {
  videos: Answer<Page<VideoItem>>;
  regions: Answer<Regions>;
}

export function useLeaders(query: Query): LeadersProps {
  const videos = useApi<Page<VideoItem>>(
    withQuery("/videos", filterParams(query.filters, { sort: "watch_time_s", order: "desc", limit: SHOWN })),
  );
  const regions = useApi<Regions>(withQuery("/regions", filterParams(query.filters)));
  return { videos, regions };
}

export function Leaders({ videos, regions }: LeadersProps) {
  const query = useQuery();
  const items = videos.data?.items ?? [];
  const top = sorted(regions.data?.regions ?? [], (r) => r.watch_time_s, "desc").slice(0, SHOWN);
  return (
    <div class="pair">
      <Figure
        title="Most watched videos"
        height={HEIGHT}
        state={videos}
        wide={false}
        tools={
          <a class="more" href={query.link("/videos")}>
            All {count(videos.data?.total)} videos
          </a>
        }
      >
        <Table caption="Most watched videos of the selection" columns={videoColumns(items, query.link)} rows={items} />
      </Figure>
      <Figure
        title="Most watching regions"
        height={HEIGHT}
        state={regions}
        wide={false}
        tools={
          <a class="more" href={query.link("/regions")}>
            All {count(regions.data?.regions.length)} regions
          </a>
        }
      >
        <Table caption="Regions of the selection with the most watch time" columns={regionColumns(top)} rows={top} />
      </Figure>
    </div>
  );
}

function videoColumns(items: VideoItem[], link: (path: string) => string): Column<VideoItem>[] {
  return inOrder([
    {
      key: "title",
      label: "Video",
      head: true,
      value: (v) => v.title,
      cell: (v) => <a href={link(`/videos/${encodeURIComponent(v.video_id)}`)}>{v.title ?? v.video_id}</a>,
    },
    watchTime(items),
    views(),
    retention("avg_retention"),
  ]);
}

function regionColumns(rows: RegionTotals[]): Column<RegionTotals>[] {
  return inOrder([
    { key: "region", label: "Region", head: true, value: (r) => regionName(r.region) },
    watchTime(rows),
    views(),
    retention("avg_watch_time_percentage"),
  ]);
}

/** The order of the few rows is what the table is about. */
function inOrder<Row>(columns: Column<Row>[]): Column<Row>[] {
  return columns.map((column) => ({ ...column, fixed: true }));
}
