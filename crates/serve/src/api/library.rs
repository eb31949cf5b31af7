//! `GET /videos/{video_id}/library`: what is usual for videos of like length, to compare a curve with.

use std::sync::Arc;

use arrow_schema::ArrowError;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use streamreel_viewing::curve::first_second;
use utoipa::ToSchema;

use super::answer::Answer;
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::filter::Filter;
use super::state::Api;
use super::video::{AboutVideo, PathId};
use crate::gold::{Counts, Groups, Snapshot, Video};
use crate::problem::Problem;
use crate::silver::{Curves, watched_curves};

/// Videos of like length are between these parts of the video's.
const LIKE: (f64, f64) = (0.67, 1.5);
/// Views that a video has to have, of those chosen.
const LEAST_VIEWS: i64 = 10;
/// Videos that there have to be.
const LEAST_VIDEOS: usize = 3;
/// Percentages of a video: 0 to 100.
const PERCENTAGES: usize = 101;

/// What is usual: for every percentage of a video, quartiles over the library's videos of like length.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Library {
    /// Videos of like length with at least 10 of the views chosen; the video itself is one of them.
    videos: usize,
    /// Shortest duration that is like; null where the video's is unknown.
    duration_from_s: Option<f64>,
    /// Longest duration that is like.
    duration_to_s: Option<f64>,
    /// 0 to 100: where in the video.
    percentages: Vec<usize>,
    /// Plays / views; null with fewer than three videos.
    plays: Option<Spread>,
    /// Views that include the second / views.
    retention: Option<Spread>,
    /// Views whose last second is this or a later one / views.
    survival: Option<Spread>,
}

/// Quartiles over videos, a value a percentage.
#[derive(Debug, Serialize, ToSchema)]
struct Spread {
    /// A quarter of the videos is below.
    p25: Vec<f64>,
    /// Half of the videos are below.
    median: Vec<f64>,
    /// Three quarters of the videos are below.
    p75: Vec<f64>,
}

/// A percentage, for CSV.
#[derive(Serialize)]
struct PercentageRow {
    percentage: usize,
    plays_p25: Option<f64>,
    plays_median: Option<f64>,
    plays_p75: Option<f64>,
    retention_p25: Option<f64>,
    retention_median: Option<f64>,
    retention_p75: Option<f64>,
    survival_p25: Option<f64>,
    survival_median: Option<f64>,
    survival_p75: Option<f64>,
}

impl Row for PercentageRow {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("percentage", Column::Integer),
        ("plays_p25", Column::Number),
        ("plays_median", Column::Number),
        ("plays_p75", Column::Number),
        ("retention_p25", Column::Number),
        ("retention_median", Column::Number),
        ("retention_p75", Column::Number),
        ("survival_p25", Column::Number),
        ("survival_median", Column::Number),
        ("survival_p75", Column::Number),
    ];
}

impl Answer for Library {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        let row = |percentage: usize| {
            let of = |spread: &Option<Spread>| match spread {
                Some(s) => [Some(s.p25[percentage]), Some(s.median[percentage]), Some(s.p75[percentage])],
                None => [None; 3],
            };
            let [plays_p25, plays_median, plays_p75] = of(&self.plays);
            let [retention_p25, retention_median, retention_p75] = of(&self.retention);
            let [survival_p25, survival_median, survival_p75] = of(&self.survival);
            PercentageRow {
                percentage,
                plays_p25,
                plays_median,
                plays_p75,
                retention_p25,
                retention_median,
                retention_p75,
                survival_p25,
                survival_median,
                survival_p75,
            }
        };
        Some(csv::write(&self.percentages.iter().map(|&percentage| row(percentage)).collect::<Vec<_>>()))
    }
}

/// The library's median video of like length (0.67 to 1.5 times the duration), with quartiles, in the views that the filter chooses.
#[utoipa::path(
    get, path = "/videos/{video_id}/library", tag = "videos",
    params(("video_id" = String, Path, description = "Id of the video."), Filter),
    responses(
        (status = 200, description = "By percentage.", content((Library = "application/json"), (String = "text/csv"))),
        (status = 404, description = "No view of the video is in the build.", body = crate::problem::ProblemDetails, content_type = "application/problem+json")
    )
)]
pub(crate) async fn library(
    State(api): State<Arc<Api>>,
    video_id: PathId,
    mut asking: Asking,
) -> Result<Response, Problem> {
    let about = AboutVideo::take(&api, video_id, &mut asking)?;
    api.answers.answer(&asking, about.question("library"), compute(&api, &about)).await
}

async fn compute(api: &Api, about: &AboutVideo) -> Result<Library, Problem> {
    let range = about.video().duration_s.map(|duration| (duration * LIKE.0, duration * LIKE.1));
    let mut library = Library {
        videos: 0,
        duration_from_s: range.map(|(from, _)| from),
        duration_to_s: range.map(|(_, to)| to),
        percentages: (0..PERCENTAGES).collect(),
        plays: None,
        retention: None,
        survival: None,
    };
    let Some((from, to)) = range else { return Ok(library) };
    let entries = api.lists.entries(api, &about.snapshot, &about.given).await?;
    let like = entries.iter().filter(|entry| {
        let duration = about.snapshot.videos.at(entry.video as usize).duration_s;
        entry.totals.views >= LEAST_VIEWS && duration.is_some_and(|duration| (from..=to).contains(&duration))
    });
    let like: Vec<(usize, i64)> = like.map(|entry| (entry.video as usize, entry.totals.views)).collect();
    library.videos = like.len();
    if like.len() < LEAST_VIDEOS {
        return Ok(library);
    }
    let samples = samples(api, about, like).await?;
    let spread = |of: fn(&Sample) -> &[f64; PERCENTAGES]| Some(spread(&samples, of));
    library.plays = spread(|sample| &sample.plays);
    library.retention = spread(|sample| &sample.retention);
    library.survival = spread(|sample| &sample.survival);
    Ok(library)
}

/// A video's ratios at every percentage.
struct Sample {
    plays: [f64; PERCENTAGES],
    retention: [f64; PERCENTAGES],
    survival: [f64; PERCENTAGES],
}

impl Sample {
    /// Percentage p stands for second floor(p x duration / 100), as in `gold.retention_curve_by_region`.
    fn of(video: &Video, views: i64, counts: &Counts) -> Self {
        let known = video.duration_s.filter(|duration| first_second(*duration) >= video.seconds as i64);
        let duration_s = known.unwrap_or(video.seconds as f64);
        let second = |p: usize| ((p as f64 * duration_s / 100.0).floor() as usize).min(video.seconds.saturating_sub(1));
        let at = |curve: &[i64]| {
            std::array::from_fn(|p| curve.get(second(p)).map_or(0.0, |&count| count as f64 / views as f64))
        };
        Self { plays: at(&counts.plays), retention: at(&counts.watched), survival: at(&counts.survived) }
    }
}

/// The samples of videos with so many views. Where their changes are not in memory, or not enough, they come from silver.
async fn samples(api: &Api, about: &AboutVideo, like: Vec<(usize, i64)>) -> Result<Vec<Sample>, Problem> {
    let snapshot = Arc::clone(&about.snapshot);
    let in_memory = !about.given.needs_silver() && snapshot.changes.held(0).is_some();
    let curves = if in_memory { None } else { Some(watched_curves(api.reader(&snapshot), &about.given).await?) };
    let groups = Groups::of(&about.given, &snapshot.regions);
    let work = move || {
        let sample = |(number, views)| {
            let video = snapshot.videos.at(number);
            Sample::of(video, views, &counts(&snapshot, number, &groups, curves.as_ref()))
        };
        like.into_iter().map(sample).collect()
    };
    Ok(api.engine.compute(work).await?)
}

fn counts(snapshot: &Snapshot, number: usize, groups: &Groups, curves: Option<&Curves>) -> Counts {
    let video = snapshot.videos.at(number);
    match curves {
        Some(curves) => curves.get(&*video.video_id).cloned().unwrap_or_default(),
        None => {
            let changes = snapshot.changes.held(number).unwrap_or_default();
            Counts::of_changes(changes.iter().filter(|change| groups.have(*change)), video.seconds)
        }
    }
}

/// Quartiles, between values where they fall between two.
fn spread(samples: &[Sample], of: fn(&Sample) -> &[f64; PERCENTAGES]) -> Spread {
    let mut spread = Spread { p25: Vec::new(), median: Vec::new(), p75: Vec::new() };
    for p in 0..PERCENTAGES {
        let mut values: Vec<f64> = samples.iter().map(|sample| of(sample)[p]).collect();
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let place = q * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        spread.p25.push(quantile(0.25));
        spread.median.push(quantile(0.5));
        spread.p75.push(quantile(0.75));
    }
    spread
}
