/** A card with a chart, and the same numbers as a table. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";

import type { Answer } from "../api/use";
import { Failure, Skeleton } from "./states";

export interface FigureProps {
  title: string;
  /** What is shown, by which denominator. */
  note?: ComponentChildren;
  tools?: ComponentChildren;
  /** The chart. */
  children: ComponentChildren;
  /** Without one, what is shown is a table already. */
  table?: () => ComponentChildren;
  /** Of the chart, and so of what stands for it. */
  height: number;
  state?: Answer<unknown>;
  wide?: boolean;
}

export function Figure({ title, note, tools, children, table, height, state, wide = true }: FigureProps) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  return (
    <section class={`card figure${wide ? " wide" : ""}`} aria-labelledby={id} aria-busy={state?.loading === true}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        <div class="tools">
          {tools}
          {table !== undefined && (
            <button type="button" class="button small" onClick={() => setAsTable(!asTable)}>
              {asTable ? "Show chart" : "Show table"}
              <span class="unseen"> of {title}</span>
            </button>
          )}
        </div>
      </header>
      {note !== undefined && <div class="note">{note}</div>}
      <Body state={state} height={height}>
        {() => (asTable && table !== undefined ? table() : children)}
      </Body>
    </section>
  );
}

interface BodyProps {
  state: Answer<unknown> | undefined;
  height: number;
  children: () => ComponentChildren;
}

/** What there is; else what failed; else the outline of what comes. */
export function Body({ state, height, children }: BodyProps) {
  if (state !== undefined && state.problem !== null)
    return <Failure problem={state.problem} retry={state.retry} height={height} />;
  if (state !== undefined && state.data === null) return <Skeleton height={height} />;
  return (
    <div class={state?.loading === true ? "body stale" : "body"} style={{ minHeight: `${height}px` }}>
      {children()}
    </div>
  );
}
