/** Picks several of the values that there are, each with its views. */
import { useState } from "preact/hooks";

import type { Cut, FacetValue } from "../api/types";
import { compact, count } from "../text/format";
import { filterName, valueName } from "../text/names";
import { Popover } from "./popover";

export interface PickerProps {
  /** The filter: `region`, `user.plan`, ... */
  filter: string;
  values: FacetValue[];
  cut: Cut | null;
  picked: string[];
  onChange: (picked: string[]) => void;
}

/** From how many values on there is a field to search them. */
const SEARCHABLE = 9;

/** The values whose name or code contains `search`; picked ones that have no views now are kept, so that they can be taken away. */
export function matching(filter: string, values: FacetValue[], picked: string[], search: string): FacetValue[] {
  const known = new Set(values.map((v) => v.value ?? ""));
  const all = [...values, ...picked.filter((p) => !known.has(p)).map((value) => ({ value, views: 0 }))];
  const wanted = search.trim().toLowerCase();
  return all.filter((v) => `${valueName(filter, v.value)} ${v.value ?? ""}`.toLowerCase().includes(wanted));
}

export function Picker({ filter, values, cut, picked, onChange }: PickerProps) {
  const name = filterName(filter);
  const only = picked.length === 1 ? valueName(filter, picked[0] ?? null) : null;
  const state = picked.length === 0 ? "all" : (only ?? `${picked.length} chosen`);
  return (
    <Popover
      title={`${name} filter`}
      active={picked.length > 0}
      label={
        <span class="picker-text">
          <span class="picker-name">{name}</span> <span class="picker-state">{state}</span>
        </span>
      }
    >
      {() => <Choices filter={filter} values={values} cut={cut} picked={picked} onChange={onChange} />}
    </Popover>
  );
}

function Choices({ filter, values, cut, picked, onChange }: PickerProps) {
  const [search, setSearch] = useState("");
  const name = filterName(filter);
  const shown = matching(filter, values, picked, search);
  const toggle = (value: string): void => {
    onChange(picked.includes(value) ? picked.filter((p) => p !== value) : [...picked, value]);
  };
  return (
    <>
      {values.length >= SEARCHABLE && (
        <input
          class="field"
          type="search"
          placeholder={`Search ${values.length} values`}
          aria-label={`Search ${name}`}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
      )}
      <ul class="choices">
        {shown.map((v) => (
          <li key={v.value ?? ""}>
            <label>
              <input type="checkbox" checked={picked.includes(v.value ?? "")} onChange={() => toggle(v.value ?? "")} />
              <span class={v.value === null ? "choice-name unknown" : "choice-name"}>{valueName(filter, v.value)}</span>
              <span class="choice-views" title={`${count(v.views)} views`}>
                {compact(v.views)}
                <span class="unseen"> views</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
      {shown.length === 0 && (
        <p class="hint">
          No {name.toLowerCase()} contains “{search}”.
        </p>
      )}
      {cut !== null && (
        <p class="hint">
          The {count(cut.limit)} values with the most views, of {count(cut.total)}.
        </p>
      )}
      {picked.length > 0 && (
        <button type="button" class="button small" onClick={() => onChange([])}>
          Clear {name.toLowerCase()}
        </button>
      )}
    </>
  );
}
