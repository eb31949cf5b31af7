/** Columns that tables of videos, creators, genres and regions share: a measure is named, explained and written alike in all. */
import { count, duration, percentage, ratio } from "../text/format";
import { TERMS } from "../text/terms";
import { Bar, type Column } from "./table";

/** With bars, of which the longest is the largest of `rows`. */
export function watchTime<Row extends { watch_time_s: number }>(rows: readonly Row[]): Column<Row> {
  const most = Math.max(0, ...rows.map((row) => row.watch_time_s));
  return {
    key: "watch_time_s",
    label: "Watch time",
    title: TERMS.watch_time_s,
    numeric: true,
    value: (row) => row.watch_time_s,
    cell: (row) => <Bar value={row.watch_time_s} most={most} text={duration(row.watch_time_s)} />,
  };
}

export function views<Row extends { views: number }>(): Column<Row> {
  return measure("views", "Views", TERMS.views, count);
}

export function viewers<Row extends { viewers: number }>(): Column<Row> {
  return measure("viewers", "Viewers", TERMS.viewers, count);
}

/** `key`: what the API calls it in these rows. */
export function retention<Key extends string, Row extends Record<Key, number | null>>(key: Key): Column<Row> {
  return measure(key, "Retention", TERMS.avg_retention, percentage);
}

export function completion<Row extends { completion_rate: number | null }>(): Column<Row> {
  return measure("completion_rate", "Completion", TERMS.completion_rate, ratio);
}

function measure<Key extends string, Row extends Record<Key, number | null>>(
  key: Key,
  label: string,
  title: string,
  text: (value: number | null) => string,
): Column<Row> {
  return { key, label, title, numeric: true, value: (row) => row[key], cell: (row) => text(row[key]) };
}
