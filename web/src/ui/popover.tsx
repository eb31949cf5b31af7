/** A button that opens a panel below it; Escape, or a click elsewhere, closes it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface PopoverProps {
  /** What the button shows. */
  label: ComponentChildren;
  /** What the panel is called. */
  title: string;
  active?: boolean;
  disabled?: boolean;
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, title, active = false, disabled = false, children }: PopoverProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const id = useId();
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };

  useEffect(() => {
    if (!open) return;
    const outside = (event: Event): void => {
      if (event.target instanceof Node && root.current?.contains(event.target) !== true) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);

  useLayoutEffect(() => {
    const box = panel.current;
    if (!open || box === null) return;
    const over = box.getBoundingClientRect().right - (document.documentElement.clientWidth - 12);
    if (over > 0) box.style.left = `${-over}px`;
    box.querySelector<HTMLElement>("input, select, button")?.focus();
  }, [open]);

  return (
    <div
      class="popover"
      ref={root}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) close();
      }}
    >
      <button
        ref={button}
        type="button"
        class={`button picker${active ? " active" : ""}`}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        disabled={disabled}
        onClick={() => setOpen(!open)}
      >
        {label}
        <span class="chevron" aria-hidden="true" />
      </button>
      {open && (
        <div class="panel" id={id} ref={panel} role="group" aria-label={title}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
