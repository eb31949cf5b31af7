/** A real table: sortable by its heads, in pages where it is long. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";

import { count } from "../text/format";
import { type Order, pageOf, sorted, type Value } from "./rows";

export interface Column<Row> {
  key: string;
  label: string;
  /** Said in full where the head is short. */
  title?: string;
  /** What is sorted by, and shown unless there is `cell`. */
  value: (row: Row) => Value;
  cell?: (row: Row) => ComponentChildren;
  numeric?: boolean;
  /** The cell that names the row. */
  head?: boolean;
  /** Can't be sorted by. */
  fixed?: boolean;
}

export interface Sort {
  key: string;
  order: Order;
}

export interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  sort?: Sort;
  /** Sorting is done elsewhere, as by the server; otherwise the table does it. */
  onSort?: (sort: Sort) => void;
  pageSize?: number;
  empty?: string;
}

const PAGE = 50;

export function Table<Row>({
  caption,
  columns,
  rows,
  sort: given,
  onSort,
  pageSize = PAGE,
  empty = "Nothing here.",
}: TableProps<Row>) {
  const [own, setOwn] = useState<Sort | null>(given ?? null);
  const [page, setPage] = useState(0);
  const sort = onSort === undefined ? own : (given ?? null);
  const ordered = useMemo(() => {
    const column = columns.find((c) => c.key === sort?.key);
    return onSort !== undefined || sort === null || column === undefined ? rows : sorted(rows, column.value, sort.order);
  }, [rows, columns, sort?.key, sort?.order, onSort === undefined]);
  const shown =
    onSort === undefined ? pageOf(ordered.length, pageSize, page) : pageOf(ordered.length, Math.max(1, ordered.length), 0);

  const choose = (column: Column<Row>): void => {
    const first: Order = column.numeric === true && column.key !== "rank" ? "desc" : "asc";
    const order: Order = sort?.key === column.key ? (sort.order === "asc" ? "desc" : "asc") : first;
    (onSort ?? setOwn)({ key: column.key, order });
    setPage(0);
  };

  return (
    <div class="table-box">
      <div class="table-scroll" role="group" aria-label={caption} tabindex={0}>
        <table>
          <caption class="unseen">{caption}</caption>
          <thead>
            <tr>
              {columns.map((column) => (
                <Head key={column.key} column={column} sort={sort} choose={choose} />
              ))}
            </tr>
          </thead>
          <tbody>
            {ordered.slice(shown.from, shown.to).map((row, i) => (
              <tr key={shown.from + i}>
                {columns.map((column) => (
                  <Cell key={column.key} column={column} row={row} />
                ))}
              </tr>
            ))}
            {ordered.length === 0 && (
              <tr>
                <td colSpan={columns.length} class="nothing">
                  {empty}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      {shown.pages > 1 && (
        <nav class="pager" aria-label={`Pages of ${caption}`}>
          <button type="button" class="button small" disabled={shown.page === 0} onClick={() => setPage(shown.page - 1)}>
            Previous
          </button>
          <span aria-live="polite">
            Rows {count(shown.from + 1)} to {count(shown.to)} of {count(ordered.length)}
          </span>
          <button
            type="button"
            class="button small"
            disabled={shown.page === shown.pages - 1}
            onClick={() => setPage(shown.page + 1)}
          >
            Next
          </button>
        </nav>
      )}
    </div>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  sort: Sort | null;
  choose: (column: Column<Row>) => void;
}

function Head<Row>({ column, sort, choose }: HeadProps<Row>) {
  const active = sort?.key === column.key ? sort.order : null;
  const sortState = active === null ? undefined : active === "asc" ? "ascending" : "descending";
  return (
    <th
      scope="col"
      class={column.numeric === true ? "number" : ""}
      {...(sortState === undefined ? {} : { "aria-sort": sortState })}
    >
      {column.fixed === true ? (
        <span title={column.title}>{column.label}</span>
      ) : (
        <button type="button" class="sort" title={column.title} onClick={() => choose(column)}>
          {column.label}
          <span class="arrow" aria-hidden="true">
            {active === null ? "\u00a0" : active === "asc" ? "↑" : "↓"}
          </span>
        </button>
      )}
    </th>
  );
}

function Cell<Row>({ column, row }: { column: Column<Row>; row: Row }) {
  const content = column.cell === undefined ? column.value(row) : column.cell(row);
  const style = column.numeric === true ? "number" : "";
  if (column.head === true) {
    return (
      <th scope="row" class={style}>
        {content}
      </th>
    );
  }
  return <td class={style}>{content}</td>;
}

/** Below a list that comes in pages: how much of it is shown, and a button for more. */
export function More({ shown, total, more }: { shown: number; total: number; more: (() => void) | null }) {
  if (more === null) return null;
  return (
    <p class="pager">
      <button type="button" class="button" onClick={more}>
        Show more
      </button>
      {count(shown)} of {count(total)} shown
    </p>
  );
}

/** A number with a bar as long as its share of the largest one. */
export function Bar({ value, most, text }: { value: number; most: number; text: string }) {
  const width = most > 0 ? `${((value / most) * 100).toFixed(1)}%` : "0";
  return (
    <span class="bar-cell">
      <span class="bar" aria-hidden="true">
        <i style={{ width }} />
      </span>
      <span class="bar-text">{text}</span>
    </span>
  );
}
