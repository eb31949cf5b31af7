//! `GET /videos/{video_id}`: a video and its numbers; and what all endpoints about one video begin with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::filter::{DEVICE, Filter, TAKEN};
use super::overview::only;
use super::problem_kinds::bad_path;
use super::query::encode;
use super::state::Api;
use super::time::Dates;
use super::totals::{GroupCount, Totals, sort_groups};
use crate::gold::{Snapshot, Video};
use crate::problem::Problem;
use crate::silver::{Columns, Facts, Trouble, add_facts, facts, text_at, viewers};

/// A path parameter as axum gives it.
pub(crate) type PathId = Result<Path<String>, PathRejection>;

/// A question about one video.
pub(crate) struct AboutVideo {
    /// The build.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Number of the video.
    pub(crate) number: usize,
    /// The views of the video that are chosen.
    pub(crate) filter: Filter,
    /// The filter as it was given.
    pub(crate) given: Filter,
}

impl AboutVideo {
    /// Takes path and parameters.
    ///
    /// # Errors
    /// 404 for a video without a view in the build; 400 for wrong parameters; 409 before the first build.
    pub(crate) fn take(api: &Api, video_id: PathId, asking: &mut Asking) -> Result<Self, Problem> {
        let snapshot = api.snapshot()?;
        let Path(video_id) = video_id.map_err(bad_path)?;
        let given = Filter::take(&mut asking.params, &snapshot.user_columns)?;
        asking.params.none_left(&TAKEN)?;
        let (number, _) = snapshot.video(&video_id).ok_or_else(|| {
            let shown: String = video_id.chars().take(128).collect();
            Problem::unknown_video(&shown)
        })?;
        Ok(Self { number, filter: given.of_video(&video_id), given, snapshot })
    }

    /// The video.
    pub(crate) fn video(&self) -> &Video {
        self.snapshot.videos.at(self.number)
    }

    /// The question, under the name of an endpoint.
    pub(crate) fn question(&self, endpoint: &str) -> Question<'_> {
        let mut path = "videos/".to_owned();
        encode(&self.video().video_id, &mut path);
        Question {
            state: &self.snapshot.build.build_id,
            endpoint: format!("{path}/{endpoint}"),
            query: self.given.canonical(),
            page: None,
        }
    }
}

/// A video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoDetails {
    /// Its id.
    #[schema(value_type = String)]
    video_id: Arc<str>,
    /// Its title.
    #[schema(value_type = Option<String>)]
    title: Option<Arc<str>>,
    /// Who made it.
    #[schema(value_type = Option<String>)]
    creator: Option<Arc<str>>,
    /// Its genre.
    #[schema(value_type = Option<String>)]
    genre: Option<Arc<str>>,
    /// Its duration; where views have different ones, the longest.
    duration_s: Option<f64>,
    /// First and last date with a view of it, whatever the filter.
    dates: Dates,
    /// The views chosen.
    totals: Totals,
    /// The same by region, most views first.
    regions: Vec<GroupCount>,
    /// The same by device, most views first.
    devices: Vec<GroupCount>,
}

impl Answer for VideoDetails {}

/// A video, and the numbers of its views that the filter chooses.
#[utoipa::path(
    get, path = "/videos/{video_id}", tag = "videos",
    params(("video_id" = String, Path, description = "Id of the video."), Filter),
    responses(
        (status = 200, description = "The video.", body = VideoDetails),
        (status = 404, description = "No view of the video is in the build.", body = crate::problem::ProblemDetails, content_type = "application/problem+json")
    )
)]
pub(crate) async fn video(
    State(api): State<Arc<Api>>,
    video_id: PathId,
    mut asking: Asking,
) -> Result<Response, Problem> {
    let about = AboutVideo::take(&api, video_id, &mut asking)?;
    let question = about.question("");
    api.answers.answer(&asking, question, async { Ok(compute(&api, &about).await?) }).await
}

async fn compute(api: &Api, about: &AboutVideo) -> Result<VideoDetails, Trouble> {
    const GROUPS: [(&str, &str); 2] = [("v.region", "region"), (DEVICE, "device")];
    let reader = api.reader(&about.snapshot);
    let (sums, people) = tokio::try_join!(facts(reader, &about.filter, &GROUPS), viewers(reader, &about.filter, &[]))?;
    let mut all = Facts::default();
    let mut regions: BTreeMap<Option<String>, i64> = BTreeMap::new();
    let mut devices: BTreeMap<Option<String>, i64> = BTreeMap::new();
    for batch in &sums {
        let columns = Columns(batch);
        let (region, device) = (columns.texts("region")?, columns.texts("device")?);
        add_facts(&columns, |row, facts| {
            all.add(&facts);
            for (groups, texts) in [(&mut regions, &region), (&mut devices, &device)] {
                *groups.entry(text_at(texts, row).map(str::to_owned)).or_default() += facts.views;
            }
        })?;
    }
    let video = about.video().clone();
    Ok(VideoDetails {
        video_id: video.video_id,
        title: video.title,
        creator: video.creator,
        genre: video.genre,
        duration_s: video.duration_s,
        dates: video.dates,
        totals: Totals::new(&all, only(&people)?),
        regions: counts(regions),
        devices: counts(devices),
    })
}

fn counts(groups: BTreeMap<Option<String>, i64>) -> Vec<GroupCount> {
    let mut counts: Vec<GroupCount> = groups.into_iter().map(|(value, views)| GroupCount { value, views }).collect();
    sort_groups(&mut counts);
    counts
}
