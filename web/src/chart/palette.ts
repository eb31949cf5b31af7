/** The style sheet's colours for what is drawn on a canvas. */
import { useMemo } from "preact/hooks";

import { useDark } from "../state/theme";

export interface Palette {
  ink: string;
  soft: string;
  line: string;
  surface: string;
  accent: string;
  band: string;
  median: string;
  /** Lines that are compared, in order; the first is the page's own. */
  series: string[];
  /** exits, seeks away, seeks in, pauses */
  dropOff: string[];
  /** clean, rejected, duplicate */
  outcomes: string[];
}

function read(): Palette {
  const probe = document.body.appendChild(document.createElement("i"));
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const several = (name: string, n: number): string[] => Array.from({ length: n }, (_, i) => colour(`${name}-${i + 1}`));
  const palette = {
    ink: colour("ink"),
    soft: colour("ink-soft"),
    line: colour("line"),
    surface: colour("surface"),
    accent: colour("accent"),
    band: colour("band"),
    median: colour("median"),
    series: several("series", 6),
    dropOff: several("drop", 4),
    outcomes: several("outcome", 3),
  };
  probe.remove();
  return palette;
}

export function usePalette(): Palette {
  const dark = useDark();
  return useMemo(read, [dark]);
}
