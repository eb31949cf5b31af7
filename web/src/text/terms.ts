/** What the numbers mean, in one sentence each, with their denominators. */

export const TERMS = {
  views: "One viewer with one video in one playback session, with at least one play. Belongs to the UTC date of its first event.",
  viewers: "Different people. Does not add up over days, regions or videos: the same person may be in several.",
  watch_time_s: "Content seconds that were really played, summed over all views; watched twice counts twice.",
  avg_retention:
    "Mean share of the video that a view watched at least once. Denominator: views whose video has a known duration.",
  completion_rate: "Views that watched at least 95 % of the video. Denominator: views whose video has a known duration.",
  engaged_views: "Views with at least 10 s of watch time, or half of a video shorter than 20 s.",
} as const;

export type Metric = keyof typeof TERMS;

export const METRIC_NAMES: Record<Metric, string> = {
  views: "Views",
  viewers: "Viewers",
  watch_time_s: "Watch time",
  avg_retention: "Average retention",
  completion_rate: "Completion",
  engaged_views: "Engaged views",
};

export const CURVES = ["retention", "survival", "plays"] as const;
export type CurveKind = (typeof CURVES)[number];

export const CURVE_NAMES: Record<CurveKind, string> = { retention: "Retention", survival: "Survival", plays: "Plays" };

/** What a value of the curve is; the denominator, all views of the selection, is said beside it with its number. */
export const CURVE_TERMS: Record<CurveKind, string> = {
  retention:
    "Views that watched this second at least once, divided by all views. Never above 100 %, but it may rise where people skip ahead.",
  survival: "Views whose last watched second is this one or later, divided by all views. It never rises.",
  plays: "How often this second was played, divided by all views. Above 1 where people watch it again.",
};

export const DROP_OFF = ["exits", "seeks_away", "seeks_in", "pauses"] as const;
export type DropOffKind = (typeof DROP_OFF)[number];

export const DROP_OFF_NAMES: Record<DropOffKind, string> = {
  exits: "Exits",
  seeks_away: "Seeks away",
  seeks_in: "Seeks in",
  pauses: "Pauses",
};

export const DROP_OFF_TERMS: Record<DropOffKind, string> = {
  exits: "a view's last watched segment ends here",
  seeks_away: "a seek leaves from here",
  seeks_in: "a seek lands here",
  pauses: "a pause ends a segment here",
};

/** What the counters of a view count; the names are those of `silver.views`. */
export const VIEW_CORRECTIONS: Record<string, string> = {
  late_duplicates: "second copies of an event, dropped when the view was derived",
  restarts: "plays at an impossible position while playing",
  implied_plays: "heartbeats that proved a lost play",
  stale_plays: "plays that still had the position before a seek",
  echoed_seeks: "seeks whose start was only their end again",
  unreported_seeks: "impossible positions while playing",
  rounded_back: "positions up to 2 s behind the last one",
  capped_unproven: "stretches without evidence that were cut",
  open_plays: "views that were still playing at their last event",
  open_plays_dropped: "open segments that were dropped by configuration",
  beyond_duration: "segments of which more than 1 s was beyond the duration",
  begins_beyond_duration: "segments dropped because they begin beyond the duration",
  duration_conflicts: "views whose player gave another duration than the metadata",
  too_short: "segments dropped because they were shorter than 0.25 s",
  unplaced_s: "seconds played at a place that nothing told",
};

export const SEEKS_AFTER_HALF = "Views with a seek that leaves from at least half of the video's duration, divided by all views.";
