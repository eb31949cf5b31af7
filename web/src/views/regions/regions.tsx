/** Where and when it is watched: a map, regions by hour of the day, and all numbers. */
import { useEffect, useMemo, useState } from "preact/hooks";

import { Problem } from "../../api/client";
import type { Regions as Answered, RegionTotals } from "../../api/types";
import { type Answer, useApi, useReady } from "../../api/use";
import { View } from "../../shell";
import { filterParams, withQuery } from "../../state/filters";
import { type Query, useChoice, useQuery } from "../../state/query";
import { regionName } from "../../text/names";
import { Figure } from "../../ui/figure";
import { FilterBar } from "../../ui/filters";
import { retention, viewers, views, watchTime } from "../../ui/measures";
import { Segmented } from "../../ui/segmented";
import { Failure, NoViews } from "../../ui/states";
import { type Column, Table } from "../../ui/table";
import { type HourMeasure, Hours } from "./hours";
import { byCountry, type Country, formatMeasure, type Measure, MEASURE_NAMES, MEASURES } from "./measures";
import type WorldMap from "./world";

const MAP = 140;
const HOURS = 160;
const TABLE = 160;

export function Regions() {
  const query = useQuery();
  const answer = useApi<Answered>(withQuery("/regions", filterParams(query.filters)));
  const [measure, setMeasure] = useChoice(query, "metric", MEASURES);
  const [numbers, setNumbers] = useState(false);
  const { data } = answer;
  const world = useWorld();
  const ready = useReady(answer, { data: world.component, problem: world.failure });
  const hourly: HourMeasure = measure === "viewers" ? "views" : measure;
  return (
    <View title="Regions" sub="ISO 3166 codes as players report them; hours are UTC." ready={ready}>
      <FilterBar />
      <div class="filters">
        <Segmented
          label="Measure"
          options={MEASURES.map((value) => ({ value, label: MEASURE_NAMES[value] }))}
          value={measure}
          onChange={setMeasure}
        />
      </div>
      {data !== null && data.regions.length === 0 ? (
        <NoViews />
      ) : (
        <>
          <MapFigure answer={answer} measure={measure} world={world} />
          <Figure
            title="Region by hour of the day"
            height={HOURS}
            state={answer}
            note={`${MEASURE_NAMES[hourly]} by the UTC hour in which a view started.${measure === "viewers" ? " Viewers are not counted by hour, so views are shown." : ""}`}
            tools={
              <button type="button" class="button small" onClick={() => setNumbers(!numbers)}>
                {numbers ? "Hide numbers" : "Show numbers"}
              </button>
            }
          >
            {data !== null && <Hours answer={data} measure={hourly} numbers={numbers} />}
          </Figure>
          <Figure title="All regions" height={TABLE} state={answer}>
            {data !== null && <RegionTable rows={data.regions} query={query} />}
          </Figure>
        </>
      )}
    </View>
  );
}

interface MapFigureProps {
  answer: Answer<Answered>;
  measure: Measure;
  world: LoadedWorld;
}

function MapFigure({ answer, measure, world: { component: World, failure } }: MapFigureProps) {
  const rows = answer.data?.regions ?? [];
  const countries = useMemo(() => byCountry(rows, measure), [rows, measure]);
  const most = Math.max(0, ...[...countries.values()].map((one) => one.value ?? 0));
  return (
    <Figure
      title={`${MEASURE_NAMES[measure]} by country`}
      height={MAP}
      state={answer}
      note={<Scale measure={measure} most={most} />}
      table={() => <CountryTable countries={[...countries.values()]} measure={measure} />}
    >
      {failure !== null && <Failure problem={failure} retry={() => location.reload()} height={MAP} />}
      {World !== null && <World countries={countries} measure={measure} most={most} />}
    </Figure>
  );
}

/** What the map shows. */
function CountryTable({ countries, measure }: { countries: Country[]; measure: Measure }) {
  const columns: Column<Country>[] = [
    { key: "country", label: "Country", head: true, value: (one) => regionName(one.code) },
    {
      key: "value",
      label: MEASURE_NAMES[measure],
      numeric: true,
      value: (one) => one.value,
      cell: (one) => formatMeasure(measure, one.value),
    },
    { key: "parts", label: "Made of", fixed: true, value: (one) => one.rows.map((row) => row.region).join(", ") },
  ];
  const caption = `${MEASURE_NAMES[measure]} by country`;
  return <Table caption={caption} columns={columns} rows={countries} sort={{ key: "value", order: "desc" }} pageSize={25} />;
}

interface LoadedWorld {
  component: typeof WorldMap | null;
  failure: Problem | null;
}

/** The map comes when it is looked at. */
function useWorld(): LoadedWorld {
  const [world, setWorld] = useState<LoadedWorld>({ component: null, failure: null });
  useEffect(() => {
    import("./world").then(
      (loaded) => setWorld({ component: loaded.default, failure: null }),
      (error: unknown) => {
        const detail = `${String(error)}. The table below has the same numbers.`;
        setWorld({ component: null, failure: new Problem("The map could not be loaded", detail, 0, "", null) });
      },
    );
  }, []);
  return world;
}

function Scale({ measure, most }: { measure: Measure; most: number }) {
  return (
    <span class="scale">
      0 <i class="scale-bar" aria-hidden="true" /> {formatMeasure(measure, most)}
      {measure === "avg_watch_time_percentage" ? "" : ", on a square-root scale"}
    </span>
  );
}

function RegionTable({ rows, query }: { rows: RegionTotals[]; query: Query }) {
  const columns: Column<RegionTotals>[] = [
    {
      key: "region",
      label: "Region",
      head: true,
      value: (row) => regionName(row.region),
      cell: (row) => (
        <a href={query.link("/", { region: row.region ?? "" })}>
          {regionName(row.region)} {row.region !== null && <small class="id">{row.region}</small>}
        </a>
      ),
    },
    watchTime(rows),
    views(),
    viewers(),
    retention("avg_watch_time_percentage"),
  ];
  return (
    <Table caption="All regions" columns={columns} rows={rows} sort={{ key: "watch_time_s", order: "desc" }} pageSize={25} />
  );
}
