/** Regions by hour of the day: a table whose cells are coloured, with or without its numbers. */
import { useMemo, useState } from "preact/hooks";

import type { RegionHour, Regions } from "../../api/types";
import { regionName } from "../../text/names";
import { useHint } from "../../ui/hint";
import { formatMeasure, heat, type Measure, strength } from "./measures";

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const FIRST = 20;
/** So that a number stays readable on its colour. */
const FAINT = 0.4;

/** Viewers are not counted by hour. */
export type HourMeasure = Exclude<Measure, "viewers">;

export function twoDigits(hour: number): string {
  return String(hour).padStart(2, "0");
}

interface HoursProps {
  answer: Regions;
  measure: HourMeasure;
  numbers: boolean;
}

export function Hours({ answer, measure, numbers }: HoursProps) {
  const [all, setAll] = useState(false);
  const { hint, show, hide } = useHint();
  const cells = useMemo(() => new Map(answer.hours.map((cell) => [`${cell.region} ${cell.hour_of_day}`, cell])), [answer]);
  const most = Math.max(0, ...answer.hours.map((cell) => cell[measure] ?? 0));
  const ordered = [...answer.regions].sort((a, b) => b.views - a.views);
  const shown = all ? ordered : ordered.slice(0, FIRST);
  const text = (region: string | null, hour: number, cell: RegionHour | undefined): string =>
    `${regionName(region)}, ${twoDigits(hour)}:00 to ${twoDigits(hour)}:59 UTC: ${cell === undefined ? "no views" : formatMeasure(measure, cell[measure])}`;
  return (
    <>
      <div class="table-scroll" role="group" aria-label="Region by hour of the day" tabindex={0}>
        <table class={numbers ? "hours numbers" : "hours"}>
          <caption class="unseen">Region by hour of the day, UTC</caption>
          <thead>
            <tr>
              <th scope="col">Region</th>
              {HOURS.map((hour) => (
                <th key={hour} scope="col" class="number">
                  {twoDigits(hour)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map(({ region }) => (
              <tr key={region ?? ""}>
                <th scope="row">{regionName(region)}</th>
                {HOURS.map((hour) => {
                  const cell = cells.get(`${region} ${hour}`);
                  const share = strength(measure, cell?.[measure] ?? null, most);
                  return (
                    <td
                      key={hour}
                      style={cell === undefined ? {} : { background: heat(numbers ? share * FAINT : share) }}
                      onPointerMove={(event) => show(event, text(region, hour, cell))}
                      onPointerLeave={hide}
                    >
                      <span class={numbers ? "" : "unseen"}>
                        {cell === undefined ? "0" : formatMeasure(measure, cell[measure])}
                      </span>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {ordered.length > FIRST && (
        <p class="pager">
          <button type="button" class="button small" onClick={() => setAll(!all)}>
            {all ? `Show the ${FIRST} with the most views` : `Show all ${ordered.length} regions`}
          </button>
        </p>
      )}
      {hint}
    </>
  );
}
