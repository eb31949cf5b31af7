/** What stands where data would: an outline of it while it loads, what failed, or what to do so that there is some. */
import type { ComponentChildren } from "preact";

import type { Problem } from "../api/client";
import { useQuery } from "../state/query";

/** As high as what will come, so that nothing moves when it does. */
export function Skeleton({ height, label = "Loading" }: { height: number; label?: string }) {
  return (
    <div class="skeleton" style={{ height: `${height}px` }} role="status">
      <span class="unseen">{label} …</span>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Command({ children }: { children: string }) {
  return <code class="command">{children}</code>;
}

/** Before the first build. */
export function NothingBuilt({ detail }: { detail?: string }) {
  return (
    <Empty title="Nothing has been built yet">
      {detail !== undefined && detail !== "" && <p>{detail}</p>}
      <p>To look around with made-up viewers, stop this server and type</p>
      <Command>streamreel demo --serve</Command>
      <p>For events of your own, type in another terminal, with the same --home,</p>
      <Command>streamreel ingest events.ndjson</Command>
      <Command>streamreel process</Command>
      <Command>streamreel build</Command>
      <p>The page shows the numbers as soon as the build is published.</p>
    </Empty>
  );
}

/** Nothing in the selection. */
export function NoViews() {
  const query = useQuery();
  return (
    <Empty title="No views match these filters">
      <p>Widen the dates or take a filter away.</p>
      <button type="button" class="button" onClick={() => query.setFilters({ from: null, to: null, picked: {} })}>
        Clear all filters
      </button>
    </Empty>
  );
}

export function Failure({ problem, retry, height }: { problem: Problem; retry: () => void; height?: number }) {
  const query = useQuery();
  if (problem.noBuild) return <NothingBuilt detail={problem.detail} />;
  const parameter = problem.parameter !== null && query.params.has(problem.parameter) ? problem.parameter : null;
  return (
    <div class="problem" role="alert" style={height === undefined ? {} : { minHeight: `${height}px` }}>
      <p class="problem-title">
        {problem.title}
        {problem.status > 0 && <span class="problem-status"> (status {problem.status})</span>}
      </p>
      <p>{problem.detail}</p>
      <p class="actions">
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
        {parameter !== null && (
          <button type="button" class="button" onClick={() => query.change({ [parameter]: null })}>
            Remove “{parameter}”
          </button>
        )}
      </p>
    </div>
  );
}
