/** Adds a line to the plot: another region, other dates, or another video. */
import { useEffect, useState } from "preact/hooks";

import type { Page, Video, VideoItem } from "../../api/types";
import { useApi } from "../../api/use";
import { type Comparison, formatComparison, MOST_COMPARISONS } from "../../state/compare";
import { withQuery } from "../../state/filters";
import type { Query } from "../../state/query";
import { compact, position } from "../../text/format";
import { regionName } from "../../text/names";
import { DateField } from "../../ui/dates";
import { Popover } from "../../ui/popover";

interface CompareProps {
  query: Query;
  video: Video | null;
  comparisons: Comparison[];
}

export function Compare({ query, video, comparisons }: CompareProps) {
  const full = comparisons.length >= MOST_COMPARISONS;
  return (
    <Popover
      label={full ? "Compare (at most 5)" : "Compare"}
      title="Compare with"
      active={comparisons.length > 0}
      disabled={full}
    >
      {(close) => {
        const add = (comparison: Comparison): void => {
          query.change({ compare: [...comparisons.map(formatComparison), formatComparison(comparison)] });
          close();
        };
        return (
          <div class="compare">
            <RegionChoice video={video} add={add} />
            <DatesChoice video={video} add={add} />
            <VideoChoice video={video} add={add} />
          </div>
        );
      }}
    </Popover>
  );
}

interface ChoiceProps {
  video: Video | null;
  add: (comparison: Comparison) => void;
}

function RegionChoice({ video, add }: ChoiceProps) {
  return (
    <label class="compare-part">
      <span>A region</span>
      <select class="field" value="-" onChange={(event) => add({ kind: "region", region: event.currentTarget.value })}>
        <option value="-" disabled>
          Choose one …
        </option>
        {video?.regions.map((region) => (
          <option key={region.value ?? ""} value={region.value ?? ""}>
            {regionName(region.value)} ({compact(region.views)} views)
          </option>
        ))}
      </select>
    </label>
  );
}

function DatesChoice({ video, add }: ChoiceProps) {
  const [from, setFrom] = useState<string | null>(null);
  const [to, setTo] = useState<string | null>(null);
  const bounds = video?.dates ?? null;
  const ready = from !== null && to !== null && from <= to;
  return (
    <fieldset class="compare-part">
      <legend>Other dates (UTC)</legend>
      <div class="date-pair">
        <DateField label="First" value={from} bounds={bounds} onChange={setFrom} />
        <DateField label="Last" value={to} bounds={bounds} onChange={setTo} />
      </div>
      <button type="button" class="button small" disabled={!ready} onClick={() => ready && add({ kind: "dates", from, to })}>
        Add dates
      </button>
    </fieldset>
  );
}

function VideoChoice({ video, add }: ChoiceProps) {
  const [text, setText] = useState("");
  const [search, setSearch] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSearch(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  const params = new URLSearchParams({ limit: "9", sort: "views", order: "desc", ...(search === "" ? {} : { search }) });
  const found = useApi<Page<VideoItem>>(withQuery("/videos", params));
  const items = (found.data?.items ?? []).filter((item) => item.video_id !== video?.video_id).slice(0, 8);
  return (
    <div class="compare-part">
      <label>
        <span>Another video</span>
        <input
          class="field"
          type="search"
          placeholder="Search title or id"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <ul class="choices">
        {items.map((item) => (
          <li key={item.video_id}>
            <button type="button" class="choice" onClick={() => add({ kind: "video", video: item.video_id })}>
              <span class="choice-name">{item.title ?? item.video_id}</span>
              <span class="choice-views">{position(item.duration_s)}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.problem !== null && <p class="wrong">{found.problem.detail || found.problem.title}</p>}
      {found.data !== null && items.length === 0 && <p class="hint">No other video’s title or id contains “{search}”.</p>}
    </div>
  );
}
