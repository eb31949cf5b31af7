/** The audit: equations whose two sides come from different places and must be the same. */
import { useEffect } from "preact/hooks";

import type { Audit, Equation } from "../../api/types";
import type { Answer } from "../../api/use";
import { count, instant, plural } from "../../text/format";
import { Figure } from "../../ui/figure";
import { type Column, Table } from "../../ui/table";
import { Verdict } from "../../ui/verdict";

const HEIGHT = 160;

const COLUMNS: Column<Equation>[] = [
  { key: "holds", label: "Holds", value: (e) => e.holds, cell: (e) => <Verdict good={e.holds} yes="holds" no="fails" /> },
  {
    key: "layer",
    label: "Layer",
    value: (e) => `${e.layer} ${e.scope}`,
    cell: (e) => `${e.layer}${e.scope === "" ? "" : ` ${e.scope}`}`,
  },
  { key: "left", label: "Left side", head: true, fixed: true, value: (e) => e.left.what },
  {
    key: "left_value",
    label: "Left value",
    numeric: true,
    fixed: true,
    value: (e) => e.left.value,
    cell: (e) => count(e.left.value),
  },
  {
    key: "right_value",
    label: "Right value",
    numeric: true,
    fixed: true,
    value: (e) => e.right.value,
    cell: (e) => count(e.right.value),
  },
  {
    key: "right",
    label: "Right side",
    fixed: true,
    value: (e) => e.right.what,
    cell: (e) => (e.detail === null ? e.right.what : `${e.right.what} (${e.detail})`),
  },
];

/** `checkedAt`: when the server last checked; another time asks anew. */
export function AuditFigure({ answer, checkedAt }: { answer: Answer<Audit>; checkedAt: string | null }) {
  const { data, retry } = answer;
  useEffect(() => {
    if (data !== null && checkedAt !== null && data.checked_at !== checkedAt) retry();
  }, [checkedAt]);
  const failed = data?.equations.filter((e) => !e.holds).length ?? 0;
  const rows = [...(data?.equations ?? [])].sort((a, b) => Number(a.holds) - Number(b.holds));
  return (
    <Figure
      title="Audit"
      height={HEIGHT}
      state={answer}
      note={
        data !== null && (
          <>
            <Verdict
              good={data.holds}
              yes={`All ${plural(rows.length, "equation")} hold`}
              no={
                failed === 0
                  ? "Of another log"
                  : `${failed} of ${plural(rows.length, "equation")} ${failed === 1 ? "fails" : "fail"}`
              }
            />{" "}
            Nothing received is lost, nothing counts twice: each line compares two numbers from different places. Checked{" "}
            {instant(data.checked_at)}.{data.left_out !== null && ` The topics were left out: ${data.left_out}.`}
          </>
        )
      }
    >
      <Table caption="Equations of the audit" columns={COLUMNS} rows={rows} empty="Nothing to check yet." pageSize={100} />
    </Figure>
  );
}
