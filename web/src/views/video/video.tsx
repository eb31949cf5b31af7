/** One video: its curves, its drop-off on the same axis, and who watched. */
import { useRoute } from "preact-iso";

import type { Curve, DropOff, Library, Video } from "../../api/types";
import { type Answer, useApi, useApis, useReady } from "../../api/use";
import { type Comparison, comparedPath, curvePath, parseComparisons } from "../../state/compare";
import { type Filters, filterParams, withQuery } from "../../state/filters";
import { type Query, useQuery } from "../../state/query";
import { View } from "../../shell";
import { count, period, position } from "../../text/format";
import { regionName, UNKNOWN } from "../../text/names";
import { Body, Figure } from "../../ui/figure";
import { FilterBar } from "../../ui/filters";
import { NoViews } from "../../ui/states";
import { type Compared, CurveFigure } from "./curve-figure";
import { DropOffFigure } from "./dropoff-figure";
import { VideoTiles } from "./tiles";
import { useTimeline } from "./timeline";
import { ViewBars } from "./view-bars";

const TILES = 104;
const BARS = 120;

export function VideoPage() {
  const { params } = useRoute();
  const id = params["id"] ?? "";
  // Another video is another page: nothing of the state of the last one stays.
  return <OneVideo key={id} id={id} />;
}

function OneVideo({ id }: { id: string }) {
  const query = useQuery();
  const { filters } = query;
  const video = useApi<Video>(path(id, "", filters));
  const dropOff = useApi<DropOff>(path(id, "/drop-off", filters));
  const curve = useApi<Curve>(curvePath(id, filters));
  const library = useApi<Library>(path(id, "/library", libraryFilters(filters)));
  const comparisons = parseComparisons(query.params);
  const compared = useApis<Curve>(comparisons.map((comparison) => comparedPath(id, filters, comparison)));
  const names = useNames(comparisons);
  const data = video.data;
  const ready = useReady(video, dropOff, curve, library, ...compared);
  const lines = comparisons.flatMap((comparison, i) => {
    const answer = compared[i];
    return answer === undefined ? [] : [{ comparison, answer, name: names[i] ?? "" }];
  });
  return (
    <View title={data?.title ?? id} sub={data === null ? "\u00a0" : <Facts video={data} />} ready={ready}>
      <FilterBar hide={["creator", "genre"]} />
      <Body state={video} height={TILES}>
        {() => data !== null && (data.totals.views === 0 ? <NoViews /> : <VideoTiles video={data} dropOff={dropOff} />)}
      </Body>
      {video.problem === null && (data === null || data.totals.views > 0) && (
        <>
          <Curves query={query} video={data} curve={curve} library={library} comparisons={lines} dropOff={dropOff} />
          <div class="pair">
            <Figure title="Views by region" height={BARS} state={video} wide={false}>
              <ViewBars values={data?.regions ?? []} name={regionName} what="regions" />
            </Figure>
            <Figure title="Views by device" height={BARS} state={video} wide={false}>
              <ViewBars values={data?.devices ?? []} name={(value) => value ?? UNKNOWN} what="devices" />
            </Figure>
          </div>
        </>
      )}
    </View>
  );
}

interface CurvesProps {
  query: Query;
  video: Video | null;
  curve: Answer<Curve>;
  library: Answer<Library>;
  comparisons: Compared[];
  dropOff: Answer<DropOff>;
}

/** Both charts have the axis of the longest line. */
function Curves({ query, video, curve, library, comparisons, dropOff }: CurvesProps) {
  const lengths = [curve, ...comparisons.map((line) => line.answer)].map((answer) => answer.data?.plays.length ?? 0);
  const timeline = useTimeline(query, Math.max(2, ...lengths));
  return (
    <>
      <CurveFigure query={query} video={video} curve={curve} library={library} comparisons={comparisons} timeline={timeline} />
      <DropOffFigure dropOff={dropOff} timeline={timeline} />
    </>
  );
}

/** What compared lines are called; a video by its title once that is known. */
function useNames(comparisons: Comparison[]): string[] {
  const ids = comparisons.flatMap((comparison) => (comparison.kind === "video" ? [comparison.video] : []));
  const videos = useApis<Video>(ids.map((id) => `/videos/${encodeURIComponent(id)}`));
  return comparisons.map((comparison) => {
    if (comparison.kind === "region") return regionName(comparison.region);
    if (comparison.kind === "dates") return period(comparison.from, comparison.to);
    return videos[ids.indexOf(comparison.video)]?.data?.title ?? comparison.video;
  });
}

function path(id: string, part: string, filters: Filters): string {
  return withQuery(`/videos/${encodeURIComponent(id)}${part}`, filterParams(filters));
}

/** The library is that of the same dates and regions; it has no other filters. */
function libraryFilters({ from, to, picked }: Filters): Filters {
  const region = picked["region"];
  return { from, to, picked: region === undefined ? {} : { region } };
}

function Facts({ video }: { video: Video }) {
  const facts = [video.creator ?? "Creator unknown", video.genre ?? "genre unknown"];
  facts.push(video.duration_s === null ? "length unknown" : `length ${position(video.duration_s)}`, video.video_id);
  const days =
    video.dates === null ? "no views" : `${count(video.totals.views)} views ${period(video.dates.first, video.dates.last)} (UTC)`;
  return (
    <>
      {facts.join(" · ")} · {days}
    </>
  );
}
