/** The world as paths, a country each; a chunk of its own, since the borders are large. */
import { geoNaturalEarth1, geoPath } from "d3-geo";
import type { FeatureCollection, Geometry } from "geojson";
import codes from "i18n-iso-countries/codes.json";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import atlas from "world-atlas/countries-50m.json";

import { plural } from "../../text/format";
import { regionName } from "../../text/names";
import { useHint } from "../../ui/hint";
import { type Country, formatMeasure, heat, type Measure, MEASURE_NAMES, strength } from "./measures";

const WIDTH = 960;
const HEIGHT = 450;
const ANTARCTICA = "AQ";

interface Shape {
  code: string | null;
  name: string;
  path: string;
}

const shapes = draw();
const drawn = new Set(shapes.map((shape) => shape.code));

/** The atlas has numeric codes of ISO 3166-1, events have letters. Kosovo has no numeric code. */
function draw(): Shape[] {
  const letters = new Map((codes as [string, string, string][]).map(([two, , numeric]) => [numeric, two]));
  const topology = atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>;
  const all = feature(topology, topology.objects.countries) as FeatureCollection<Geometry, { name: string }>;
  const named = all.features.map((one) => {
    const code = one.id === undefined ? undefined : letters.get(String(one.id).padStart(3, "0"));
    return { one, name: one.properties.name, code: code ?? (one.properties.name === "Kosovo" ? "XK" : null) };
  });
  const shown = named.filter(({ code }) => code !== ANTARCTICA);
  const projection = geoNaturalEarth1().fitSize([WIDTH, HEIGHT], {
    type: "FeatureCollection",
    features: shown.map(({ one }) => one),
  });
  const path = geoPath(projection).digits(1);
  return shown.map(({ one, code, name }) => ({ code, name, path: path(one) ?? "" }));
}

/** How the subdivisions of a country make its number. */
function divided(countries: Map<string, Country>, measure: Measure): string {
  const some = [...countries.values()].some((one) => one.rows.length > 1);
  if (!some) return "";
  if (measure === "viewers") return " Viewers of subdivisions (US-CA, US-NY) do not add up: such a country shows none.";
  const how = measure === "avg_watch_time_percentage" ? "averaged by views" : "summed";
  return ` Subdivisions (US-CA, US-NY) are ${how} by country.`;
}

interface WorldProps {
  countries: Map<string, Country>;
  measure: Measure;
  most: number;
}

export default function World({ countries, measure, most }: WorldProps) {
  const { hint, show, hide } = useHint();
  const absent = [...countries.values()].filter((one) => !drawn.has(one.code));
  return (
    <>
      <svg
        class="world"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`World map of ${MEASURE_NAMES[measure].toLowerCase()} by country. The table below has all numbers.`}
      >
        {shapes.map(({ code, name, path }) => {
          const country = code === null ? undefined : countries.get(code);
          const value = country?.value ?? null;
          const text = `${country === undefined ? name : regionName(country.code)}: ${country === undefined ? "no views" : formatMeasure(measure, value)}`;
          return (
            <path
              key={`${code}${name}`}
              d={path}
              class={value === null ? "land" : "land known"}
              data-region={code}
              style={value === null ? {} : { fill: heat(strength(measure, value, most)) }}
              onPointerMove={(event) => show(event, text)}
              onPointerLeave={hide}
            />
          );
        })}
      </svg>
      <p class="hint">
        {absent.length === 0
          ? "All countries with views are on the map."
          : `Too small for the map: ${absent.map((one) => `${regionName(one.code)} (${formatMeasure(measure, one.value)})`).join(", ")}.`}{" "}
        {plural(countries.size, "country", "countries")} in all; regions that are unknown are in the table only.
        {divided(countries, measure)}
      </p>
      {hint}
    </>
  );
}
