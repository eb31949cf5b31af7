/** What the JSON API answers. `*_s` are seconds, `*_percentage` and `avg_retention` 0..100, `*_rate` and `*_ratio` 0..1. */

/** A first and a last UTC date, both included. */
export interface Dates {
  first: string;
  last: string;
}

export interface Build {
  build_id: string;
  finished_at: string;
}

export interface Status {
  version: string;
  build: (Build & { bronze_version: number; records: number; gold_rows: number }) | null;
  dates: Dates | null;
  tables: { name: string; rows: number; version: number }[];
}

/** A value that can be filtered by; `null` is a group of its own: unknown. */
export interface FacetValue {
  value: string | null;
  views: number;
}

/** Says that a list was cut, and how long it would be. */
export interface Cut {
  limit: number;
  total: number;
}

export interface Facets {
  dates: Dates | null;
  regions: FacetValue[];
  creators: FacetValue[];
  genres: FacetValue[];
  devices: FacetValue[];
  user_columns: { name: string; values: FacetValue[]; cut: Cut | null }[];
  /** Which of the lists above were cut. */
  cuts: ({ name: string } & Cut)[];
}

export interface Totals {
  views: number;
  viewers: number;
  watch_time_s: number;
  avg_retention: number | null;
  completion_rate: number | null;
  engaged_views: number;
}

export type Day = Totals & { date: string };

export interface Period {
  from: string;
  to: string;
}

export interface Overview {
  period: Period | null;
  previous: Period | null;
  totals: Totals;
  previous_totals: Totals | null;
  days: Day[];
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  total: number;
}

export interface VideoFacts {
  video_id: string;
  title: string | null;
  creator: string | null;
  genre: string | null;
  duration_s: number | null;
}

export type VideoItem = VideoFacts & Totals;

export interface Video extends VideoFacts {
  dates: Dates | null;
  totals: Totals;
  regions: FacetValue[];
  devices: FacetValue[];
}

export interface Peak {
  from_s: number;
  to_s: number;
  second_s: number;
  ratio: number;
  text: string;
}

export interface Cliff {
  second_s: number;
  lost_ratio: number;
  views_lost: number;
  text: string;
}

/** Counts per second from 0. */
export interface Curve {
  video_id: string;
  duration_s: number | null;
  views: number;
  plays: number[];
  watched: number[];
  survived: number[];
  peaks: Peak[];
  cliffs: Cliff[];
  /** Of a video that is too long for one answer. */
  cut: Cut | null;
}

export interface Quartiles {
  p25: number[];
  median: number[];
  p75: number[];
}

/** Videos of like length: ratios at the 101 `percentages` of their length. The bodies are `null` for fewer than three videos. */
export interface Library {
  videos: number;
  duration_from_s: number | null;
  duration_to_s: number | null;
  percentages: number[];
  plays: Quartiles | null;
  retention: Quartiles | null;
  survival: Quartiles | null;
}

export interface Bucket {
  start_s: number;
  exits: number;
  seeks_away: number;
  seeks_in: number;
  pauses: number;
}

export interface SeeksAfterHalf {
  views: number;
  views_with_seek: number;
  seeks: number;
  ratio: number | null;
  days: { date: string; views: number; views_with_seek: number; seeks: number }[];
}

export interface DropOff {
  video_id: string;
  bucket_s: number;
  views: number;
  buckets: Bucket[];
  seeks_after_half: SeeksAfterHalf;
}

export interface Ranked {
  rank: number;
  video_id?: string;
  title?: string | null;
  creator?: string | null;
  genre?: string | null;
  views: number;
  viewers: number;
  watch_time_s: number;
  avg_watch_time_percentage: number | null;
  completion_rate: number | null;
}

export interface RegionTotals {
  region: string | null;
  views: number;
  viewers: number;
  watch_time_s: number;
  avg_watch_time_percentage: number | null;
}

export interface RegionHour {
  region: string | null;
  hour_of_day: number;
  views: number;
  watch_time_s: number;
  avg_watch_time_percentage: number | null;
}

export interface Regions {
  regions: RegionTotals[];
  hours: RegionHour[];
}

export interface Sample {
  detail: string | null;
  payload: string | null;
  payload_cut: boolean;
  partition: number;
  offset: number;
  received_at: string;
}

/** `result`: `passed`, `failed`, `skipped`, or `unchanged` since it last passed. */
export interface TestResult {
  name: string;
  model: string;
  kind: string;
  severity: string;
  result: string;
  failures: number;
}

export interface Quality {
  records: number;
  clean: number;
  rejected: number;
  duplicates: number;
  reasons: { reason: string; records: number; samples: Sample[] }[];
  duplicates_by: { name: string; records: number }[];
  corrections: { name: string; events: number }[];
  view_corrections: { name: string; count: number }[];
  tests: (Build & { results: TestResult[] }) | null;
}

export interface Side {
  what: string;
  value: number;
}

export interface Equation {
  name: string;
  /** What is wrong; `null` if nothing. */
  detail: string | null;
  layer: string;
  scope: string;
  left: Side;
  right: Side;
  holds: boolean;
}

export interface Audit {
  holds: boolean;
  /** Why there are no equations of the topics; `null` where the log was checked. */
  left_out: string | null;
  checked_at: string;
  build_id: string | null;
  equations: Equation[];
}

export interface Rates {
  at: string;
  received: number;
  clean: number;
  rejected: number;
  duplicate: number;
}

/** Rates are means of the last seconds; counts are since the server began, `unprocessed` apart. `history` ends with the running second. */
export interface Live {
  at: string;
  received_per_s: number;
  clean_per_s: number;
  rejected_per_s: number;
  duplicate_per_s: number;
  received: number;
  clean: number;
  rejected: number;
  duplicates: number;
  unprocessed: number;
  viewers_now: number;
  videos: { video_id: string; title: string | null; viewers: number }[];
  lag: { event_to_clean_ms: number | null; clean_to_lake_ms: number | null; lake_behind_records: number | null };
  history: Rates[];
  build: Build | null;
  audit: { holds: boolean; equations: number; failed: number; checked_at: string } | null;
}
