//! `GET /videos/{video_id}/curve`: the retention curve, second by second, with what stands out in it.

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
use super::totals::Cut;
use super::video::{AboutVideo, PathId};
use crate::gold::{Counts, Groups, cliffs, clock, peaks};
use crate::problem::Problem;
use crate::silver::{Trouble, seeks_after_half, watched_curves};

/// A curve: counts for every second from 0. Divided by `views` they are plays a view, retention and survival.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurveAnswer {
    /// The video.
    #[schema(value_type = String)]
    video_id: Arc<str>,
    /// Its duration; where views have different ones, the longest.
    duration_s: Option<f64>,
    /// The denominator: views chosen, those that watched nothing included.
    views: i64,
    /// How often the second was played; watched twice counts twice.
    plays: Vec<i64>,
    /// Views that include the second.
    watched: Vec<i64>,
    /// Views whose last second watched is this or a later one.
    survived: Vec<i64>,
    /// Stretches that are played more often than what surrounds them, the five most prominent.
    peaks: Vec<PeakAnswer>,
    /// Places where views end, the five steepest; the end of the video is none.
    cliffs: Vec<CliffAnswer>,
    /// Whether the curve is longer.
    cut: Option<Cut>,
}

/// A stretch that is watched again.
#[derive(Debug, Serialize, ToSchema)]
struct PeakAnswer {
    /// Where it begins.
    from_s: usize,
    /// Where it ends; not included.
    to_s: usize,
    /// Where it is played most.
    second_s: usize,
    /// Plays / views there.
    ratio: f64,
    /// In words.
    #[schema(example = "rewatched around 1:05: 1.8 plays a view")]
    text: String,
}

/// A place where views end.
#[derive(Debug, Serialize, ToSchema)]
struct CliffAnswer {
    /// The steepest second.
    second_s: usize,
    /// Views that end within 5 s / views.
    lost_ratio: f64,
    /// Views that end within 5 s.
    views_lost: i64,
    /// In words.
    #[schema(example = "12 % of views end around 0:30")]
    text: String,
}

/// A second, for CSV.
#[derive(Serialize)]
struct Second {
    second_s: usize,
    views: i64,
    plays: i64,
    watched: i64,
    survived: i64,
}

impl Row for Second {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("second_s", Column::Integer),
        ("views", Column::Integer),
        ("plays", Column::Integer),
        ("watched", Column::Integer),
        ("survived", Column::Integer),
    ];
}

impl Answer for CurveAnswer {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        let second = |second_s| Second {
            second_s,
            views: self.views,
            plays: self.plays[second_s],
            watched: self.watched[second_s],
            survived: self.survived[second_s],
        };
        Some(csv::write(&(0..self.plays.len()).map(second).collect::<Vec<_>>()))
    }
}

/// The curves of the video's views that the filter chooses. As long as the video, whatever the filter, so that curves can be compared.
#[utoipa::path(
    get, path = "/videos/{video_id}/curve", tag = "videos",
    params(("video_id" = String, Path, description = "Id of the video."), Filter),
    responses(
        (status = 200, description = "The curves.", content((CurveAnswer = "application/json"), (String = "text/csv"))),
        (status = 404, description = "No view of the video is in the build.", body = crate::problem::ProblemDetails, content_type = "application/problem+json")
    )
)]
pub(crate) async fn curve(
    State(api): State<Arc<Api>>,
    video_id: PathId,
    mut asking: Asking,
) -> Result<Response, Problem> {
    let about = AboutVideo::take(&api, video_id, &mut asking)?;
    api.answers.answer(&asking, about.question("curve"), async { Ok(compute(&api, &about).await?) }).await
}

async fn compute(api: &Api, about: &AboutVideo) -> Result<CurveAnswer, Trouble> {
    let video = about.video();
    let (views, counts) =
        if about.filter.needs_silver() { from_silver(api, about).await? } else { from_gold(api, about).await? };
    let counts = counts.resized(video.seconds);
    let cut = (video.length_s > video.seconds).then_some(Cut { limit: video.seconds, total: video.length_s });
    let peaks = peaks(&counts.plays, views).into_iter().map(|peak| PeakAnswer {
        from_s: peak.from_s,
        to_s: peak.to_s,
        second_s: peak.second_s,
        ratio: peak.ratio,
        text: format!("rewatched around {}: {:.1} plays a view", clock(peak.second_s), peak.ratio),
    });
    let cliffs = cliffs(&counts.survived, views).into_iter().map(|cliff| CliffAnswer {
        second_s: cliff.second_s,
        lost_ratio: cliff.lost_ratio,
        views_lost: cliff.views_lost,
        text: format!("{:.0} % of views end around {}", 100.0 * cliff.lost_ratio, clock(cliff.second_s)),
    });
    Ok(CurveAnswer {
        video_id: Arc::clone(&video.video_id),
        duration_s: video.duration_s,
        views,
        peaks: peaks.collect(),
        cliffs: cliffs.collect(),
        plays: counts.plays,
        watched: counts.watched,
        survived: counts.survived,
        cut,
    })
}

/// Prefix sums over the changes of the groups chosen.
async fn from_gold(api: &Api, about: &AboutVideo) -> Result<(i64, Counts), Trouble> {
    let AboutVideo { snapshot, number, filter, .. } = about;
    if !filter.admits(about.video()) {
        return Ok((0, Counts::default()));
    }
    let groups = Groups::of(filter, &snapshot.regions);
    let tables = snapshot.tables(&api.engine, api.limits());
    let views = snapshot.groups.of(&tables, *number).await?;
    let views = views.iter().filter(|row| groups.have(*row)).map(|row| row.counts.views).sum();
    let changes = snapshot.changes.of(&tables, *number).await?;
    let counts = Counts::of_changes(changes.iter().filter(|row| groups.have(*row)), about.video().seconds);
    Ok((views, counts))
}

/// The segments of the views chosen.
async fn from_silver(api: &Api, about: &AboutVideo) -> Result<(i64, Counts), Trouble> {
    let reader = api.reader(&about.snapshot);
    let (days, curves) =
        tokio::try_join!(seeks_after_half(reader, &about.filter), watched_curves(reader, &about.filter))?;
    let views = days.values().map(|day| day.views).sum();
    Ok((views, curves.into_values().next().unwrap_or_default()))
}
