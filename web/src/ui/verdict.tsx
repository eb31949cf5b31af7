/** Whether something is as it must be. */
import { Icon } from "./icon";

/** A mark and a word, so that neither is told by its colour alone. */
export function Verdict({ good, yes, no }: { good: boolean; yes: string; no: string }) {
  return (
    <span class={good ? "verdict good" : "verdict bad"}>
      <Icon name={good ? "yes" : "no"} />
      {good ? yes : no}
    </span>
  );
}
