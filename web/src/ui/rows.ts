/** Sorting and paging of a table's rows. */

export type Value = string | number | boolean | null;
export type Order = "asc" | "desc";

const words = new Intl.Collator("en", { numeric: true });

/** Sorted by `value`; unknown values come last either way, equal ones stay as they were. */
export function sorted<Row>(rows: readonly Row[], value: (row: Row) => Value, order: Order): Row[] {
  const sign = order === "asc" ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    if (typeof x === "string" && typeof y === "string") return sign * words.compare(x, y);
    return sign * (Number(x) - Number(y));
  });
}

/** Which rows page `page` (from 0) has, and which page really is shown if there are fewer. */
export function pageOf(total: number, size: number, page: number): { page: number; pages: number; from: number; to: number } {
  const pages = Math.max(1, Math.ceil(total / size));
  const shown = Math.min(Math.max(0, page), pages - 1);
  return { page: shown, pages, from: shown * size, to: Math.min(total, (shown + 1) * size) };
}
