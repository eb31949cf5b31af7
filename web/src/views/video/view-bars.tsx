/** Views of the values that there are, as bars. */
import type { FacetValue } from "../../api/types";
import { count, ratio } from "../../text/format";
import { Bar, type Column, Table } from "../../ui/table";

interface ViewBarsProps {
  values: FacetValue[];
  name: (value: string | null) => string;
  /** Plural of what they are. */
  what: string;
}

export function ViewBars({ values, name, what }: ViewBarsProps) {
  const most = Math.max(0, ...values.map((v) => v.views));
  const all = values.reduce((sum, v) => sum + v.views, 0);
  const columns: Column<FacetValue>[] = [
    { key: "name", label: what.charAt(0).toUpperCase() + what.slice(1, -1), head: true, value: (v) => name(v.value) },
    {
      key: "views",
      label: "Views",
      numeric: true,
      value: (v) => v.views,
      cell: (v) => <Bar value={v.views} most={most} text={count(v.views)} />,
    },
    { key: "share", label: "Share", numeric: true, fixed: true, value: (v) => v.views / all, cell: (v) => ratio(v.views / all) },
  ];
  return (
    <Table
      caption={`Views by ${what.slice(0, -1)}`}
      columns={columns}
      rows={values}
      pageSize={10}
      sort={{ key: "views", order: "desc" }}
    />
  );
}
