/** Reasons for which records were rejected, each with samples of what came. */
import type { Quality, Sample } from "../../api/types";
import { count, instant, share } from "../../text/format";
import { Bar } from "../../ui/table";

type Reason = Quality["reasons"][number];

export function Reasons({ reasons, all }: { reasons: Reason[]; all: number }) {
  if (reasons.length === 0) return <p class="hint">No record was rejected.</p>;
  const most = Math.max(...reasons.map((reason) => reason.records));
  return (
    <ul class="reasons">
      {reasons.map((reason) => (
        <li key={reason.reason}>
          <details>
            <summary>
              <code>{reason.reason}</code>
              <Bar value={reason.records} most={most} text={count(reason.records)} />
              <span class="reason-share">{share(reason.records / all)} of records</span>
            </summary>
            {reason.samples.length === 0 ? (
              <p class="hint">No sample was kept.</p>
            ) : (
              <ul class="samples">
                {reason.samples.map((sample) => (
                  <SampleItem key={`${sample.partition}:${sample.offset}`} sample={sample} />
                ))}
              </ul>
            )}
          </details>
        </li>
      ))}
    </ul>
  );
}

function SampleItem({ sample }: { sample: Sample }) {
  return (
    <li>
      <p class="sample-head">
        {sample.detail ?? "no detail"}
        <span class="hint">
          partition {sample.partition}, offset {count(sample.offset)}, {instant(sample.received_at)}
        </span>
      </p>
      <pre tabindex={0} aria-label="Payload">
        {sample.payload === null ? "(no payload kept)" : sample.payload === "" ? "(empty)" : sample.payload}
        {sample.payload_cut && " …"}
      </pre>
      {sample.payload_cut && <p class="hint">Only its first 500 characters.</p>}
    </li>
  );
}
