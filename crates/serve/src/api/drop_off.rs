//! `GET /videos/{video_id}/drop-off`: where views of a video end, and where they skip.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::ArrowError;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Answer;
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::filter::Filter;
use super::state::Api;
use super::time::Day;
use super::video::{AboutVideo, PathId};
use crate::gold::{Actions, Groups, SeekCounts};
use crate::problem::Problem;
use crate::silver::{Trouble, buckets, seeks_after_half};

/// Seconds of a bucket.
const BUCKET_S: i64 = 5;

/// Where views end and skip.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DropOff {
    /// The video.
    #[schema(value_type = String)]
    video_id: Arc<str>,
    /// Seconds of a bucket.
    bucket_s: i64,
    /// Views chosen.
    views: i64,
    /// Every bucket of the video, and those beyond its end in which something happened.
    buckets: Vec<BucketAnswer>,
    /// Seeks that leave from the second half of the video.
    seeks_after_half: SeeksAfterHalf,
}

/// Some seconds of the video.
#[derive(Debug, Serialize, ToSchema)]
struct BucketAnswer {
    /// Where they begin.
    start_s: i64,
    /// Views whose last segment ends here.
    exits: i64,
    /// Seeks that leave from here.
    seeks_away: i64,
    /// Seeks that land here.
    seeks_in: i64,
    /// Pauses.
    pauses: i64,
}

impl Row for BucketAnswer {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("start_s", Column::Integer),
        ("exits", Column::Integer),
        ("seeks_away", Column::Integer),
        ("seeks_in", Column::Integer),
        ("pauses", Column::Integer),
    ];
}

/// Seeks that leave from at least half of the duration.
#[derive(Debug, Serialize, ToSchema)]
struct SeeksAfterHalf {
    /// Views chosen.
    views: i64,
    /// Views with such a seek.
    views_with_seek: i64,
    /// Such seeks.
    seeks: i64,
    /// Views with such a seek / views; null without views.
    ratio: Option<f64>,
    /// The same by date, dates with views only.
    days: Vec<SeekDay>,
}

/// A date.
#[derive(Debug, Serialize, ToSchema)]
struct SeekDay {
    /// The date.
    date: Day,
    /// Views.
    views: i64,
    /// Views with such a seek.
    views_with_seek: i64,
    /// Such seeks.
    seeks: i64,
}

impl Answer for DropOff {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        Some(csv::write(&self.buckets))
    }
}

/// Exits, seeks and pauses by position, and seeks from the second half; as CSV the buckets.
#[utoipa::path(
    get, path = "/videos/{video_id}/drop-off", tag = "videos",
    params(("video_id" = String, Path, description = "Id of the video."), Filter),
    responses(
        (status = 200, description = "By position.", content((DropOff = "application/json"), (String = "text/csv"))),
        (status = 404, description = "No view of the video is in the build.", body = crate::problem::ProblemDetails, content_type = "application/problem+json")
    )
)]
pub(crate) async fn drop_off(
    State(api): State<Arc<Api>>,
    video_id: PathId,
    mut asking: Asking,
) -> Result<Response, Problem> {
    let about = AboutVideo::take(&api, video_id, &mut asking)?;
    api.answers.answer(&asking, about.question("drop-off"), async { Ok(compute(&api, &about).await?) }).await
}

type Found = (BTreeMap<i64, Actions>, BTreeMap<i32, SeekCounts>);

async fn compute(api: &Api, about: &AboutVideo) -> Result<DropOff, Trouble> {
    let (mut found, days) = if about.filter.needs_silver() {
        let reader = api.reader(&about.snapshot);
        tokio::try_join!(buckets(reader, &about.filter), seeks_after_half(reader, &about.filter))?
    } else {
        from_gold(api, about).await?
    };
    let seconds = i64::try_from(about.video().seconds).unwrap_or(i64::MAX);
    for start_s in (0..seconds).step_by(BUCKET_S as usize) {
        found.entry(start_s).or_default();
    }
    let bucket = |(start_s, actions): (i64, Actions)| {
        let Actions { exits, seeks_away, seeks_in, pauses } = actions;
        BucketAnswer { start_s, exits, seeks_away, seeks_in, pauses }
    };
    let mut all = SeekCounts::default();
    days.values().for_each(|day| all.add(day));
    let day = |(date, counts): (i32, SeekCounts)| {
        let SeekCounts { views, views_with_seek, seeks } = counts;
        SeekDay { date: Day(date), views, views_with_seek, seeks }
    };
    Ok(DropOff {
        video_id: Arc::clone(&about.video().video_id),
        bucket_s: BUCKET_S,
        views: all.views,
        buckets: found.into_iter().map(bucket).collect(),
        seeks_after_half: SeeksAfterHalf {
            views: all.views,
            views_with_seek: all.views_with_seek,
            seeks: all.seeks,
            ratio: (all.views > 0).then(|| all.views_with_seek as f64 / all.views as f64),
            days: days.into_iter().map(day).collect(),
        },
    })
}

async fn from_gold(api: &Api, about: &AboutVideo) -> Result<Found, Trouble> {
    let AboutVideo { snapshot, number, filter, .. } = about;
    let mut found = Found::default();
    if !filter.admits(about.video()) {
        return Ok(found);
    }
    let groups = Groups::of(filter, &snapshot.regions);
    let tables = snapshot.tables(&api.engine, api.limits());
    for row in snapshot.drop_off.of(&tables, *number).await?.iter().filter(|row| groups.have(*row)) {
        found.0.entry(row.start_s).or_default().add(&row.actions);
    }
    for row in snapshot.groups.of(&tables, *number).await?.iter().filter(|row| groups.have(*row)) {
        found.1.entry(row.date()).or_default().add(&row.counts);
    }
    Ok(found)
}
