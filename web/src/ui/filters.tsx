/** The bar of filters above a view. */
import { useContext } from "preact/hooks";

import type { Dates } from "../api/types";
import { FacetsContext } from "../state/facets";
import { type Filters, isEmpty, withPicked } from "../state/filters";
import { useQuery } from "../state/query";
import { period } from "../text/format";
import { filterName, valueName } from "../text/names";
import { DateField, spans } from "./dates";
import { Picker } from "./picker";
import { Popover } from "./popover";
import { Failure } from "./states";

const LISTS = { region: "regions", creator: "creators", genre: "genres", device: "devices" } as const;
type Listed = keyof typeof LISTS;

/** `hide`: filters that make no sense in a view, as the creator of one video. */
export function FilterBar({ hide = [] }: { hide?: Listed[] }) {
  const query = useQuery();
  const facets = useContext(FacetsContext);
  const { filters, setFilters } = query;
  if (facets.problem !== null) return facets.problem.noBuild ? null : <Failure problem={facets.problem} retry={facets.retry} />;
  const { data } = facets;
  // Before the first build there is nothing to filter.
  if (data === null) return null;
  const pick = (name: string) => (values: string[]) => setFilters(withPicked(filters, name, values));
  return (
    <form class="filters" role="search" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <DatePicker filters={filters} bounds={data.dates} setFilters={setFilters} />
      {(Object.keys(LISTS) as Listed[])
        .filter((name) => !hide.includes(name))
        .map((name) => (
          <Picker
            key={name}
            filter={name}
            values={data[LISTS[name]]}
            cut={data.cuts.find((cut) => cut.name === LISTS[name]) ?? null}
            picked={filters.picked[name] ?? []}
            onChange={pick(name)}
          />
        ))}
      {data.user_columns.map((column) => (
        <Picker
          key={column.name}
          filter={`user.${column.name}`}
          values={column.values}
          cut={column.cut}
          picked={filters.picked[`user.${column.name}`] ?? []}
          onChange={pick(`user.${column.name}`)}
        />
      ))}
      {!isEmpty(filters) && (
        <button type="button" class="chip clear" onClick={() => setFilters({ from: null, to: null, picked: {} })}>
          Clear all
        </button>
      )}
      <Chosen filters={filters} setFilters={setFilters} />
    </form>
  );
}

interface Part {
  filters: Filters;
  setFilters: (filters: Filters) => void;
}

function DatePicker({ filters, bounds, setFilters }: Part & { bounds: Dates | null }) {
  const from = filters.from ?? bounds?.first;
  const to = filters.to ?? bounds?.last;
  const state = from === undefined || to === undefined ? "all" : period(from, to);
  return (
    <Popover
      title="Dates filter"
      active={filters.from !== null || filters.to !== null}
      label={
        <span class="picker-text">
          <span class="picker-name">Dates (UTC)</span> <span class="picker-state dates">{state}</span>
        </span>
      }
    >
      {(close) => (
        <>
          <div class="date-pair">
            <DateField
              label="From"
              value={filters.from}
              bounds={bounds}
              onChange={(date) => setFilters({ ...filters, from: date })}
            />
            <DateField
              label="To, included"
              value={filters.to}
              bounds={bounds}
              onChange={(date) => setFilters({ ...filters, to: date })}
            />
          </div>
          {bounds !== null && (
            <>
              <div class="spans">
                {spans(bounds).map((span) => (
                  <button
                    key={span.label}
                    type="button"
                    class="button small"
                    onClick={() => {
                      setFilters({ ...filters, from: span.from, to: span.to });
                      close();
                    }}
                  >
                    {span.label}
                  </button>
                ))}
              </div>
              <p class="hint">There are views from {period(bounds.first, bounds.last)}.</p>
            </>
          )}
        </>
      )}
    </Popover>
  );
}

/** What is filtered by, to be taken away one by one. */
function Chosen({ filters, setFilters }: Part) {
  if (Object.keys(filters.picked).length === 0) return null;
  return (
    <ul class="chosen-filters" aria-label="Filters that hold">
      {Object.entries(filters.picked).flatMap(([name, values]) =>
        values.map((value) => (
          <li key={`${name}:${value}`}>
            <button
              type="button"
              class="chip"
              onClick={() =>
                setFilters(
                  withPicked(
                    filters,
                    name,
                    values.filter((other) => other !== value),
                  ),
                )
              }
            >
              <span class="unseen">Remove </span>
              {filterName(name)}: {valueName(name, value)}
              <span aria-hidden="true"> ×</span>
            </button>
          </li>
        )),
      )}
    </ul>
  );
}
