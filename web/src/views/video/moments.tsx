/** Peaks and cliffs in words; each points at its second in the chart. */
import type { Curve } from "../../api/types";
import { position } from "../../text/format";

export function Moments({ curve, point }: { curve: Curve; point: (second: number) => void }) {
  const peaks = curve.peaks.map((peak) => ({ ...peak, at: `${position(peak.from_s)} to ${position(peak.to_s)}` }));
  const cliffs = curve.cliffs.map((cliff) => ({ ...cliff, at: position(cliff.second_s) }));
  return (
    <div class="moments">
      <List
        letter="P"
        title="Peaks: watched again"
        moments={peaks}
        none="No second is watched more than its surroundings."
        point={point}
      />
      <List
        letter="C"
        title="Cliffs: left"
        moments={cliffs}
        none="No second loses more views than its surroundings."
        point={point}
      />
    </div>
  );
}

interface ListProps {
  letter: "P" | "C";
  title: string;
  moments: { second_s: number; at: string; text: string }[];
  none: string;
  point: (second: number) => void;
}

function List({ letter, title, moments, none, point }: ListProps) {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {moments.length === 0 ? (
        <p class="hint">{none}</p>
      ) : (
        <ol>
          {moments.map((moment, i) => (
            <li key={moment.second_s}>
              <button type="button" class="moment" onClick={() => point(moment.second_s)}>
                <span class={`mark ${letter}`}>
                  {letter}
                  {i + 1}
                </span>
                <span class="moment-at">{moment.at}</span>
                <span>{moment.text}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
