/** A small box beside the pointer. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

interface Shown {
  x: number;
  y: number;
  content: ComponentChildren;
}

/** What to draw, and how to show and hide it. */
export function useHint(): {
  hint: ComponentChildren;
  show: (event: PointerEvent, content: ComponentChildren) => void;
  hide: () => void;
} {
  const [shown, setShown] = useState<Shown | null>(null);
  const width = document.documentElement.clientWidth;
  const right = shown !== null && shown.x > width / 2;
  const hint = shown !== null && (
    <div
      class="hint-box"
      aria-hidden="true"
      style={{ top: `${shown.y + 14}px`, ...(right ? { right: `${width - shown.x + 10}px` } : { left: `${shown.x + 12}px` }) }}
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
