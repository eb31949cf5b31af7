/** The retention curve with all that can be laid over it. */
import { useMemo } from "preact/hooks";

import type { Curve, Library, Video } from "../../api/types";
import type { Answer } from "../../api/use";
import { Chart } from "../../chart/chart";
import { curveOption, type Drawn, readout } from "../../chart/curve";
import { usePalette } from "../../chart/palette";
import { type Comparison, formatComparison, MOST_COMPARISONS } from "../../state/compare";
import { isEmpty } from "../../state/filters";
import { type Query, useChoice } from "../../state/query";
import { count, plural, position } from "../../text/format";
import { CURVE_NAMES, CURVE_TERMS, CURVES } from "../../text/terms";
import { Figure } from "../../ui/figure";
import { Segmented } from "../../ui/segmented";
import { Compare } from "./compare";
import { CurveTable } from "./curve-table";
import { Legend } from "./legend";
import { Moments } from "./moments";
import { Scrubber, ZoomButtons } from "./scrubber";
import type { Timeline } from "./timeline";

const HEIGHT = 340;
export const GROUP = "video";

/** A selection that the video's own is compared with. */
export interface Compared {
  comparison: Comparison;
  name: string;
  answer: Answer<Curve>;
}

interface CurveFigureProps {
  query: Query;
  video: Video | null;
  curve: Answer<Curve>;
  library: Answer<Library>;
  comparisons: Compared[];
  timeline: Timeline;
}

export function CurveFigure({ query, video, curve, library, comparisons, timeline }: CurveFigureProps) {
  const palette = usePalette();
  const [kind, setKind] = useChoice(query, "curve", CURVES);
  const [spread, setSpread] = useChoice(query, "library", ["on", "off"]);
  const base = isEmpty(query.filters) ? "This video" : "This selection";
  const drawn = useMemo((): Drawn[] => {
    const lines = [{ name: base, answer: curve }, ...comparisons];
    return lines.flatMap(({ name, answer }) => (answer.data === null ? [] : [{ name, curve: answer.data }]));
  }, [base, curve.data, JSON.stringify(comparisons.map((c) => c.name)), ...padded(comparisons)]);
  const shownLibrary = spread === "on" ? library.data : null;
  const option = useMemo(
    () => curveOption({ drawn, library: shownLibrary, kind, seconds: timeline.seconds, zoom: timeline.zoom }, palette),
    [drawn, shownLibrary, kind, palette, timeline.zoom?.join(), timeline.seconds],
  );
  const say = (second: number): string =>
    readout(drawn, shownLibrary, kind, second, palette)
      .map((line) => `${line.name} ${line.value}`)
      .join("; ");
  const views = curve.data?.views ?? 0;
  return (
    <Figure
      title="Retention curve"
      height={HEIGHT + 150}
      state={curve}
      tools={
        <>
          <Segmented
            label="Definition"
            options={CURVES.map((value) => ({ value, label: CURVE_NAMES[value] }))}
            value={kind}
            onChange={setKind}
          />
          <Compare query={query} video={video} comparisons={comparisons.map((c) => c.comparison)} />
          <ZoomButtons timeline={timeline} />
        </>
      }
      note={
        <>
          {CURVE_TERMS[kind]} Denominator: <strong>{curve.data === null ? "…" : plural(views, "view")}</strong> of this selection.
          Drag over the chart to zoom.
          {curve.data !== null && curve.data.cut !== null && (
            <>
              {" "}
              Only the first {position(curve.data.cut.limit)} of {position(curve.data.cut.total)} are shown.
            </>
          )}
        </>
      }
      table={() => <CurveTable drawn={drawn} library={shownLibrary} kind={kind} />}
    >
      <Legend
        base={base}
        curve={curve}
        comparisons={comparisons}
        library={library}
        spread={spread === "on"}
        setSpread={(on) => setSpread(on ? "on" : "off")}
        remove={(comparison) => {
          const gone = formatComparison(comparison);
          query.change({ compare: query.params.getAll("compare").filter((text) => text !== gone) });
        }}
      />
      <Chart
        height={HEIGHT}
        option={option}
        group={GROUP}
        onChart={timeline.onCurve}
        label={`${CURVE_NAMES[kind]} of ${count(views)} views over ${position(timeline.seconds)}, ${plural(drawn.length, "line")}. The slider below reads it second by second; the table view has all numbers.`}
      />
      <Scrubber timeline={timeline} say={say} />
      {curve.data !== null && <Moments curve={curve.data} point={timeline.point} />}
    </Figure>
  );
}

/** The curves, as a list that is always as long, which is what hooks compare by. */
function padded(comparisons: Compared[]): (Curve | null)[] {
  return Array.from({ length: MOST_COMPARISONS }, (_, i) => comparisons[i]?.answer.data ?? null);
}
