/** The page's frame: navigation, state of the server, and the view that the address names. */
import { LocationProvider, Route, Router } from "preact-iso";
import { useEffect } from "preact/hooks";

import type { Facets } from "./api/types";
import { BuildContext, useApi } from "./api/use";
import { Shell } from "./shell";
import { FacetsContext } from "./state/facets";
import { type StatusAnswer, useStatus } from "./state/status";
import { Failure, Skeleton } from "./ui/states";
import { Live } from "./views/live/live";
import { Missing } from "./views/missing";
import { Overview } from "./views/overview/overview";
import { Quality } from "./views/quality/quality";
import { Regions } from "./views/regions/regions";
import { Terms } from "./views/terms";
import { Top } from "./views/top";
import { VideoPage } from "./views/video/video";
import { Videos } from "./views/videos";

export function App() {
  const status = useStatus();
  return (
    <BuildContext.Provider value={status.data?.build?.build_id ?? null}>
      <LocationProvider>
        <Shell status={status}>
          <Main status={status} />
        </Shell>
      </LocationProvider>
    </BuildContext.Provider>
  );
}

/** Waits for what every view needs, so that the bar of filters does not grow under the reader's eyes. */
function Main({ status }: { status: StatusAnswer }) {
  const built = status.data !== null && status.data.build !== null;
  const facets = useApi<Facets>(built ? "/facets" : null);
  useEffect(announce, []);
  if (status.data === null) {
    return status.problem === null ? <Skeleton height={640} /> : <Failure problem={status.problem} retry={status.retry} />;
  }
  if (built && facets.data === null && facets.problem === null) return <Skeleton height={640} />;
  return (
    <FacetsContext.Provider value={facets}>
      <Router onRouteChange={announce}>
        <Route path="/" component={Overview} />
        <Route path="/videos" component={Videos} />
        <Route path="/videos/:id" component={VideoPage} />
        <Route path="/top" component={Top} />
        <Route path="/top/:what" component={Top} />
        <Route path="/regions" component={Regions} />
        <Route path="/live" component={Live} />
        <Route path="/quality" component={Quality} />
        <Route path="/terms" component={Terms} />
        <Route default component={Missing} />
      </Router>
    </FacetsContext.Provider>
  );
}

let shown = location.pathname;

/** Another view begins at its heading, for those who hear the page. */
function announce(): void {
  if (location.pathname === shown) return;
  shown = location.pathname;
  document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
}
