/** The curves second by second. */
import type { Library } from "../../api/types";
import { counts, type Drawn, formatValue, libraryAt, valueAt } from "../../chart/curve";
import { count, position } from "../../text/format";
import { CURVE_NAMES, type CurveKind } from "../../text/terms";
import { type Column, Table } from "../../ui/table";

interface CurveTableProps {
  drawn: Drawn[];
  library: Library | null;
  kind: CurveKind;
}

export function CurveTable({ drawn, library, kind }: CurveTableProps) {
  const seconds = Math.max(0, ...drawn.map((d) => d.curve.plays.length));
  const rows = Array.from({ length: seconds }, (_, second) => second);
  const columns: Column<number>[] = [
    { key: "second", label: "Second", numeric: true, head: true, value: (s) => s, cell: (s) => count(s) },
    { key: "position", label: "Position", numeric: true, fixed: true, value: (s) => s, cell: position },
    ...drawn.flatMap(({ name, curve }, i): Column<number>[] => [
      {
        key: `value${i}`,
        label: `${name}: ${CURVE_NAMES[kind].toLowerCase()}`,
        numeric: true,
        value: (s) => valueAt(curve, kind, s),
        cell: (s) => formatValue(kind, valueAt(curve, kind, s)),
      },
      {
        key: `count${i}`,
        label: `${kind === "plays" ? "plays" : "views"} (of ${count(curve.views)} views)`,
        numeric: true,
        value: (s) => counts(curve, kind)[s] ?? null,
        cell: (s) => count(counts(curve, kind)[s]),
      },
    ]),
    ...libraryColumns(library, kind, drawn[0]?.curve.plays.length ?? 0),
  ];
  return (
    <Table
      caption={`${CURVE_NAMES[kind]} by second`}
      columns={columns}
      rows={rows}
      sort={{ key: "second", order: "asc" }}
      pageSize={30}
    />
  );
}

function libraryColumns(library: Library | null, kind: CurveKind, seconds: number): Column<number>[] {
  const body = library?.[kind] ?? null;
  if (body === null) return [];
  const column = (key: string, label: string, points: number[]): Column<number> => ({
    key,
    label,
    numeric: true,
    value: (s) => (s < seconds ? libraryAt(points, s, seconds) : null),
    cell: (s) => formatValue(kind, s < seconds ? libraryAt(points, s, seconds) : null),
  });
  return [
    column("p25", "Library, lower quartile", body.p25),
    column("median", "Library median", body.median),
    column("p75", "Library, upper quartile", body.p75),
  ];
}
