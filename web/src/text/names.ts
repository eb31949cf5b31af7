/** Names of regions and of values that are not known. */

const countries = new Intl.DisplayNames("en", { type: "region" });

/** What a group without a value is called. */
export const UNKNOWN = "Unknown";

/** Of `US` "United States", of `US-CA` "United States, CA"; a code that nobody knows stays as it is. */
export function regionName(code: string | null): string {
  if (code === null || code === "") return UNKNOWN;
  const [country, part] = code.split("-");
  try {
    const name = countries.of(country ?? code) ?? code;
    return part === undefined ? name : `${name}, ${part}`;
  } catch {
    return code;
  }
}

/** The country of a region: `US` of `US-CA`. */
export function country(code: string): string {
  return code.split("-")[0] ?? code;
}

export function valueName(filter: string, value: string | null): string {
  if (filter === "region") return regionName(value);
  return value === null || value === "" ? UNKNOWN : value;
}

/** What a filter is called: "Region", or "Plan" of `user.plan`. */
export function filterName(filter: string): string {
  const bare = filter.replace(/^user\./, "").replaceAll("_", " ");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}
