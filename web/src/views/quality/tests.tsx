/** The data tests of the models, as the published build ran them. */
import type { Quality, TestResult } from "../../api/types";
import type { Answer } from "../../api/use";
import { count, instant, plural } from "../../text/format";
import { Figure } from "../../ui/figure";
import { type Column, Table } from "../../ui/table";
import { Verdict } from "../../ui/verdict";

const HEIGHT = 160;

const passed = (test: TestResult): boolean => test.result === "passed" || test.result === "unchanged";

const COLUMNS: Column<TestResult>[] = [
  {
    key: "result",
    label: "Result",
    value: (t) => t.result,
    cell: (t) => <Verdict good={passed(t)} yes={t.result} no={t.result} />,
  },
  { key: "model", label: "Model", value: (t) => t.model },
  { key: "name", label: "Test", head: true, value: (t) => t.name, cell: (t) => <span class="long">{t.name}</span> },
  { key: "kind", label: "Kind", value: (t) => t.kind },
  { key: "severity", label: "Severity", value: (t) => t.severity },
  { key: "failures", label: "Failures", numeric: true, value: (t) => t.failures, cell: (t) => count(t.failures) },
];

export function Tests({ answer }: { answer: Answer<Quality> }) {
  const tests = answer.data?.tests ?? null;
  const results = [...(tests?.results ?? [])].sort((a, b) => Number(passed(a)) - Number(passed(b)));
  const failed = results.filter((test) => !passed(test)).length;
  return (
    <Figure
      title="Tests of the models"
      height={HEIGHT}
      state={answer}
      note={
        tests !== null && (
          <>
            <Verdict
              good={failed === 0}
              yes={`All ${plural(results.length, "test")} pass`}
              no={`${failed} of ${results.length} do not pass`}
            />{" "}
            A failed test of severity error publishes nothing. Build of {instant(tests.finished_at)}.
          </>
        )
      }
    >
      <Table
        caption="Tests of the models"
        columns={COLUMNS}
        rows={results}
        pageSize={25}
        empty="No build has been tested yet: type “streamreel build” in another terminal."
      />
    </Figure>
  );
}
