//! Silver against bronze, gold against silver: two queries an equation.

use std::collections::HashMap;

use datafusion::execution::context::SessionContext;

use crate::rows::number;
use crate::{Error, Report};

/// What must be equal: layer, and for each side what it is and how it is computed.
struct Law {
    layer: &'static str,
    left: Side,
    right: Side,
}

/// What it is, and the query that computes it.
type Side = (&'static str, &'static str);

const fn law(layer: &'static str, left: Side, right: Side) -> Law {
    Law { layer, left, right }
}

const VIEWS: Side = ("views of silver", "select count(*) from silver.views");

/// Seconds that segments cover, each counted as often as it was played.
const COVERED: &str =
    "select cast(sum(greatest(ceil(end_s - 0.5) - ceil(start_s - 0.5), 0)) as bigint) from silver.watched_segments";

/// Seconds that views cover, each once a view: what a segment adds lies beyond the furthest end of those before it.
const WATCHED: &str = "select cast(sum(to_s - greatest(from_s, coalesce(reached_s, from_s))) as bigint) from \
     (select from_s, to_s, max(to_s) over (partition by view_id order by from_s, to_s \
     rows between unbounded preceding and 1 preceding) as reached_s from \
     (select view_id, ceil(start_s - 0.5) as from_s, ceil(end_s - 0.5) as to_s from silver.watched_segments) \
     where to_s > from_s) where reached_s is null or to_s > reached_s";

/// Seconds up to the last one that a view covers, of all views.
const SURVIVED: &str = "select cast(sum(last_s) as bigint) from \
     (select max(ceil(end_s - 0.5)) as last_s from silver.watched_segments \
     where ceil(end_s - 0.5) > ceil(start_s - 0.5) group by view_id)";

/// The views of silver with what gold groups them by.
macro_rules! keyed_views {
    () => {
        "(select video_id, creator, genre, region, view_date, cast(extract(hour from started_at) as int) as hour_of_day, \
         watch_time_s from silver.views)"
    };
}

/// Groups of views in silver against those rows of a table of gold that have the group's watch time. Group by group, because
/// sums of doubles are only the same when added up as the table does it: in whole billionths.
macro_rules! watch_time {
    ($groups:literal, $rows:literal, $table:literal, $condition:literal, [$key:literal $(, $more:literal)*]) => {
        law(
            "gold",
            (
                concat!("groups of views by ", $groups),
                concat!("select count(*) from (select distinct ", $key, $(", ", $more,)* " from ", keyed_views!(), ")"),
            ),
            (
                concat!($rows, ": rows with their watch time"),
                concat!(
                    "select count(*) from (select * from ", $table, " where ", $condition, ") g inner join (select ",
                    $key, $(", ", $more,)*
                    ", cast(sum(cast(round(watch_time_s * 1e9) as decimal(28, 0))) as double) / 1e9 as summed_s from ",
                    keyed_views!(), " group by ", $key, $(", ", $more,)*
                    ") v on (g.", $key, " is not distinct from v.", $key, ")",
                    $(" and (g.", $more, " is not distinct from v.", $more, ")",)*
                    " where abs(g.watch_time_s - v.summed_s) < 0.000001"
                ),
            ),
        )
    };
}

/// Every law, in the order of the flow. For each table whose sums could hide a row, as one that adds only zeros or one
/// that another makes up for, there is one that counts.
const LAWS: &[Law] = &[
    law(
        "silver",
        ("clean records of bronze", "select count(*) from bronze.events where outcome = 'clean'"),
        (
            "enriched events + late duplicates",
            "select cast(count(*) + coalesce(sum(late_duplicates), 0) as bigint) from silver.enriched_events",
        ),
    ),
    law(
        "silver",
        ("enriched events", "select count(*) from silver.enriched_events"),
        (
            "records that they come from",
            "select count(*) from (select distinct source_log, source_topic, source_partition, source_offset from silver.enriched_events)",
        ),
    ),
    law(
        "silver",
        ("enriched events", "select count(*) from silver.enriched_events"),
        ("events of all views and sessions", "select cast(sum(events) as bigint) from silver.view_spans"),
    ),
    law(
        "silver",
        ("views and sessions", "select count(*) from silver.view_spans"),
        (
            "views + sessions without a play",
            "select (select count(*) from silver.views) + (select count(*) from silver.view_spans where not has_play)",
        ),
    ),
    law("silver", VIEWS, ("ids of views", "select count(*) from (select distinct view_id from silver.views)")),
    law(
        "silver",
        ("segments that ended", "select cast(sum(segments_ended) as bigint) from silver.views"),
        (
            "credited + dropped by name",
            "select (select count(*) from silver.watched_segments) + coalesce((select cast(sum(too_short \
             + begins_beyond_duration + open_plays_dropped) as bigint) from silver.views), 0)",
        ),
    ),
    law(
        "silver",
        VIEWS,
        (
            "views whose watch time is the length of their segments",
            "select count(*) from silver.views v left join (select view_id, sum(end_s - start_s) as length_s \
             from silver.watched_segments group by view_id) s on s.view_id = v.view_id \
             where abs(v.watch_time_s - coalesce(s.length_s, 0)) < 0.000001",
        ),
    ),
    law(
        "silver",
        ("seeks of views", "select cast(sum(seeks) as bigint) from silver.views"),
        (
            "seeks",
            "select count(*) from silver.seeks s where exists (select 1 from silver.views v where v.view_id = s.view_id)",
        ),
    ),
    law("gold", VIEWS, ("viewer_retention", "select cast(sum(total_views) as bigint) from gold.viewer_retention")),
    law(
        "gold",
        VIEWS,
        ("viewer_retention_by_region", "select cast(sum(total_views) as bigint) from gold.viewer_retention_by_region"),
    ),
    law(
        "gold",
        ("seconds played in silver", COVERED),
        (
            "retention_changes",
            "select cast(-sum(cast(second_s as bigint) * plays_change) as bigint) from gold.retention_changes",
        ),
    ),
    law(
        "gold",
        (
            "videos, regions and dates with a second played",
            "select count(*) from (select distinct video_id, region, view_date from silver.watched_segments \
             where ceil(end_s - 0.5) > ceil(start_s - 0.5))",
        ),
        (
            "those whose retention_changes make up for each other",
            "select count(*) from (select video_id, region, view_date from gold.retention_changes \
             group by video_id, region, view_date \
             having sum(plays_change) = 0 and sum(watched_change) = 0 and sum(survived_change) = 0)",
        ),
    ),
    law(
        "gold",
        ("seconds played in silver", COVERED),
        ("retention_curve", "select cast(sum(plays) as bigint) from gold.retention_curve"),
    ),
    law(
        "gold",
        ("seconds watched in silver, once a view", WATCHED),
        (
            "retention_changes, watched",
            "select cast(-sum(cast(second_s as bigint) * watched_change) as bigint) from gold.retention_changes",
        ),
    ),
    law(
        "gold",
        ("seconds watched in silver, once a view", WATCHED),
        ("retention_curve, watched", "select cast(sum(watched) as bigint) from gold.retention_curve"),
    ),
    law(
        "gold",
        ("seconds up to the last one of each view in silver", SURVIVED),
        (
            "retention_changes, survived",
            "select cast(-sum(cast(second_s as bigint) * survived_change) as bigint) from gold.retention_changes",
        ),
    ),
    law(
        "gold",
        ("seconds up to the last one of each view in silver", SURVIVED),
        ("retention_curve, survived", "select cast(sum(survived) as bigint) from gold.retention_curve"),
    ),
    law(
        "gold",
        (
            "seconds that videos have",
            "select cast(sum(greatest(v.seconds, coalesce(s.seconds, 0))) as bigint) from \
             (select video_id, coalesce(max(ceil(video_duration_s - 0.5)), 0) as seconds from silver.views \
             group by video_id) v left join \
             (select video_id, max(ceil(end_s - 0.5)) as seconds from silver.watched_segments \
             where ceil(end_s - 0.5) > ceil(start_s - 0.5) group by video_id) s on s.video_id = v.video_id",
        ),
        ("rows of retention_curve", "select count(*) from gold.retention_curve"),
    ),
    law(
        "gold",
        (
            "views of videos that have a curve, once a percentage",
            "select 101 * count(*) from silver.views where video_id in (select video_id from gold.retention_curve)",
        ),
        ("retention_curve_by_region", "select cast(sum(views) as bigint) from gold.retention_curve_by_region"),
    ),
    law(
        "gold",
        ("exits of silver", "select count(exit_s) from silver.views"),
        ("drop_off", "select cast(sum(exits) as bigint) from gold.drop_off"),
    ),
    law(
        "gold",
        ("pauses of silver", "select count(*) from silver.watched_segments where ended_by = 'pause'"),
        ("drop_off", "select cast(sum(pauses) as bigint) from gold.drop_off"),
    ),
    law(
        "gold",
        (
            "seeks from a known position in silver",
            "select count(from_s) from silver.seeks where view_id in (select view_id from silver.views)",
        ),
        ("drop_off", "select cast(sum(seeks_away) as bigint) from gold.drop_off"),
    ),
    law(
        "gold",
        (
            "seeks to a known position in silver",
            "select count(to_s) from silver.seeks where view_id in (select view_id from silver.views)",
        ),
        ("drop_off", "select cast(sum(seeks_in) as bigint) from gold.drop_off"),
    ),
    law("gold", VIEWS, ("seeks_after_half", "select cast(sum(views) as bigint) from gold.seeks_after_half")),
    law(
        "gold",
        VIEWS,
        ("top_content, all", "select cast(sum(views) as bigint) from gold.top_content where period = 'all'"),
    ),
    law(
        "gold",
        VIEWS,
        ("top_content, day by day", "select cast(sum(views) as bigint) from gold.top_content where period = 'day'"),
    ),
    law(
        "gold",
        VIEWS,
        ("top_creators, all", "select cast(sum(views) as bigint) from gold.top_creators where period = 'all'"),
    ),
    law(
        "gold",
        VIEWS,
        ("top_creators, day by day", "select cast(sum(views) as bigint) from gold.top_creators where period = 'day'"),
    ),
    law(
        "gold",
        VIEWS,
        ("top_genres, all", "select cast(sum(views) as bigint) from gold.top_genres where period = 'all'"),
    ),
    law(
        "gold",
        VIEWS,
        ("top_genres, day by day", "select cast(sum(views) as bigint) from gold.top_genres where period = 'day'"),
    ),
    law(
        "gold",
        VIEWS,
        (
            "regional_engagement, whole days",
            "select cast(sum(views) as bigint) from gold.regional_engagement where hour_of_day is null",
        ),
    ),
    law(
        "gold",
        VIEWS,
        (
            "regional_engagement, hour by hour",
            "select cast(sum(views) as bigint) from gold.regional_engagement where hour_of_day is not null",
        ),
    ),
    watch_time!("video", "top_content, all", "gold.top_content", "period = 'all'", ["video_id"]),
    watch_time!(
        "video and date",
        "top_content, day by day",
        "gold.top_content",
        "period = 'day'",
        ["video_id", "view_date"]
    ),
    watch_time!("creator", "top_creators, all", "gold.top_creators", "period = 'all'", ["creator"]),
    watch_time!(
        "creator and date",
        "top_creators, day by day",
        "gold.top_creators",
        "period = 'day'",
        ["creator", "view_date"]
    ),
    watch_time!("genre", "top_genres, all", "gold.top_genres", "period = 'all'", ["genre"]),
    watch_time!(
        "genre and date",
        "top_genres, day by day",
        "gold.top_genres",
        "period = 'day'",
        ["genre", "view_date"]
    ),
    watch_time!(
        "region and date",
        "regional_engagement, whole days",
        "gold.regional_engagement",
        "hour_of_day is null",
        ["region", "view_date"]
    ),
    watch_time!(
        "region, date and hour",
        "regional_engagement, hour by hour",
        "gold.regional_engagement",
        "hour_of_day is not null",
        ["region", "view_date", "hour_of_day"]
    ),
];

/// Checks every law.
pub(crate) async fn check(session: &SessionContext, report: &mut Report) -> Result<(), Error> {
    let mut values = HashMap::new();
    for Law { layer, left, right } in LAWS {
        // Many laws have a side in common.
        for (what, sql) in [*left, *right] {
            if !values.contains_key(sql) {
                values.insert(sql, number(session, what, sql).await?);
            }
        }
        report.add(layer, "", (left.0, values[left.1]), (right.0, values[right.1]));
    }
    Ok(())
}
