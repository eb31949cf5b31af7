/** The most watched videos and regions of the selection. */
import type { Page, Regions, RegionTotals, VideoItem } from "../../api/types";
import { type Answer, useApi } from "../../api/use";
import { filterParams, withQuery } from "../../state/filters";
import { type Query, useQuery } from "../../state/query";
import { count, duration, percentage } from "../../text/format";
import { regionName } from "../../text/names";
import { Figure } from "../../ui/figure";
import { sorted } from "../../ui/rows";
import { Bar, type Column, Table } from "../../ui/table";

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
  const most = Math.max(0, ...items.map((v) => v.watch_time_s));
  return [
    {
      key: "title",
      label: "Video",
      head: true,
      fixed: true,
      value: (v) => v.title,
      cell: (v) => <a href={link(`/videos/${encodeURIComponent(v.video_id)}`)}>{v.title ?? v.video_id}</a>,
    },
    {
      key: "watch",
      label: "Watch time",
      numeric: true,
      fixed: true,
      value: (v) => v.watch_time_s,
      cell: (v) => <Bar value={v.watch_time_s} most={most} text={duration(v.watch_time_s)} />,
    },
    { key: "views", label: "Views", numeric: true, fixed: true, value: (v) => v.views, cell: (v) => count(v.views) },
    {
      key: "retention",
      label: "Retention",
      numeric: true,
      fixed: true,
      value: (v) => v.avg_retention,
      cell: (v) => percentage(v.avg_retention),
    },
  ];
}

function regionColumns(rows: RegionTotals[]): Column<RegionTotals>[] {
  const most = Math.max(0, ...rows.map((r) => r.watch_time_s));
  return [
    { key: "region", label: "Region", head: true, fixed: true, value: (r) => regionName(r.region) },
    {
      key: "watch",
      label: "Watch time",
      numeric: true,
      fixed: true,
      value: (r) => r.watch_time_s,
      cell: (r) => <Bar value={r.watch_time_s} most={most} text={duration(r.watch_time_s)} />,
    },
    { key: "views", label: "Views", numeric: true, fixed: true, value: (r) => r.views, cell: (r) => count(r.views) },
    {
      key: "retention",
      label: "Retention",
      numeric: true,
      fixed: true,
      value: (r) => r.avg_watch_time_percentage,
      cell: (r) => percentage(r.avg_watch_time_percentage),
    },
  ];
}
