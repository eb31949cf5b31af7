/** A small box beside the pointer. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

interface Shown {
  x: number;
  y: number;
  content: ComponentChildren;
}

/** What to draw, and how to show and hide it. */
export function useHint(): { hint: ComponentChildren; show: (event: PointerEvent, content: ComponentChildren) => void; hide: () => void } {
  const [shown, setShown] = useState<Shown | null>(null);
  const right = shown !== null && shown.x > document.documentElement.clientWidth / 2;
  const hint = shown !== null && (
    <div
      class="hint-box"
      aria-hidden="true"
      style={{ top: shown.y + 14, ...(right ? { right: document.documentElement.clientWidth - shown.x + 10 } : { left: shown.x + 12 }) }}
    >
      {shown.content}
    </div>
  );
  return {
    hint,
    show: (event, content) => setShown({ x: event.clientX, y: event.clientY, content }),
    hide: () => setShown(null),
  };
}
