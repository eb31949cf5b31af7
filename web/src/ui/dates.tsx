/** Two dates, typed as YYYY-MM-DD or taken from the browser's calendar. */
import { useEffect, useId, useRef, useState } from "preact/hooks";

import type { Dates } from "../api/types";
import { addDays, isDate } from "../state/filters";

export interface DateFieldProps {
  label: string;
  value: string | null;
  bounds: Dates | null;
  /** Called with a date, or with `null` once the field is empty. */
  onChange: (date: string | null) => void;
}

export function DateField({ label, value, bounds, onChange }: DateFieldProps) {
  const [text, setText] = useState(value ?? "");
  const calendar = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => setText(value ?? ""), [value]);
  const wrong = text !== "" && !isDate(text);
  const commit = (next: string): void => {
    if (next === "" ? value !== null : isDate(next) && next !== value) onChange(next === "" ? null : next);
  };
  return (
    <div class="date-field">
      <label for={id}>{label}</label>
      <span class="date-entry">
        <input
          id={id}
          class="field"
          inputMode="numeric"
          placeholder="YYYY-MM-DD"
          maxLength={10}
          size={10}
          autocomplete="off"
          value={text}
          aria-invalid={wrong}
          aria-describedby={wrong ? `${id}-wrong` : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
          onChange={(event) => commit(event.currentTarget.value.trim())}
        />
        <button
          type="button"
          class="button small calendar"
          onClick={() => calendar.current?.showPicker()}
          aria-label={`Calendar: ${label}`}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2v3M10.5 2v3" />
          </svg>
        </button>
        <input
          ref={calendar}
          class="calendar-source"
          type="date"
          tabIndex={-1}
          aria-hidden="true"
          value={value ?? ""}
          min={bounds?.first}
          max={bounds?.last}
          onChange={(event) => onChange(event.currentTarget.value || null)}
        />
      </span>
      {wrong && (
        <span class="wrong" id={`${id}-wrong`}>
          Not a date: write YYYY-MM-DD.
        </span>
      )}
    </div>
  );
}

/** Spans that end with the last date that has data. */
export function spans(bounds: Dates): { label: string; from: string | null; to: string | null }[] {
  const last = (days: number) => ({ label: `Last ${days} days`, from: addDays(bounds.last, 1 - days), to: bounds.last });
  return [
    { label: "Last day", from: bounds.last, to: bounds.last },
    last(7),
    last(28),
    { label: "All dates", from: null, to: null },
  ];
}
