/** What the lines of the retention curve are, each with its denominator. */
import type { Curve, Library } from "../../api/types";
import type { Answer } from "../../api/use";
import { STROKES } from "../../chart/curve";
import type { Comparison } from "../../state/compare";
import { plural, position } from "../../text/format";
import type { Compared } from "./curve-figure";

interface LegendProps {
  base: string;
  curve: Answer<Curve>;
  comparisons: Compared[];
  library: Answer<Library>;
  spread: boolean;
  setSpread: (on: boolean) => void;
  remove: (comparison: Comparison) => void;
}

export function Legend({ base, curve, comparisons, library, spread, setSpread, remove }: LegendProps) {
  const lines = [{ name: base, answer: curve, comparison: null }, ...comparisons];
  // Colours go to the lines that are there, in order.
  let drawn = 0;
  return (
    <ul class="legend" aria-label="Lines">
      {lines.map(({ name, answer, comparison }) => {
        const at = answer.data === null ? null : drawn++;
        return (
          <li key={`${name}${comparison?.kind ?? ""}`}>
            <Stroke at={at} />
            <span class="legend-name">{name}</span>
            <span class="legend-more">{state(answer)}</span>
            {comparison !== null && (
              <button type="button" class="remove" onClick={() => remove(comparison)} aria-label={`Remove ${name}`}>
                ×
              </button>
            )}
          </li>
        );
      })}
      <li>
        <label class="legend-library">
          <input type="checkbox" checked={spread} onChange={(event) => setSpread(event.currentTarget.checked)} />
          <svg class="stroke-sample" viewBox="0 0 24 12" aria-hidden="true">
            <rect class="band" width="24" height="12" />
            <path class="median" d="M0 6h24" />
          </svg>
          <span class="legend-name">Library median</span>
          <span class="legend-more">{libraryState(library)}</span>
        </label>
      </li>
    </ul>
  );
}

function Stroke({ at }: { at: number | null }) {
  if (at === null) return <span class="stroke-sample" />;
  const stroke = STROKES[at] ?? "solid";
  return (
    <svg class="stroke-sample" viewBox="0 0 24 12" aria-hidden="true">
      <path
        d="M0 6h24"
        style={{ stroke: `var(--series-${at + 1})` }}
        {...(Array.isArray(stroke) ? { "stroke-dasharray": stroke.join(" ") } : {})}
      />
    </svg>
  );
}

function state(answer: Answer<Curve>): string {
  if (answer.problem !== null) return answer.problem.detail || answer.problem.title;
  if (answer.data === null) return "loading …";
  return answer.data.views === 0 ? "no views" : plural(answer.data.views, "view");
}

function libraryState(library: Answer<Library>): string {
  if (library.problem !== null) return library.problem.detail || library.problem.title;
  if (library.data === null) return "loading …";
  const { videos, duration_from_s: from, duration_to_s: to, retention } = library.data;
  const length = from === null || to === null ? "of like length" : `of ${position(from)} to ${position(to)}`;
  if (retention === null) return `too few videos ${length} (${videos})`;
  return `and middle half of ${plural(videos, "video")} ${length}`;
}
