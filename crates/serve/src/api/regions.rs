//! `GET /regions`: where, and at which hour, people watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::ArrowError;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::filter::{Filter, TAKEN};
use super::state::Api;
use crate::gold::Snapshot;
use crate::problem::Problem;
use crate::silver::{Columns, Facts, Trouble, add_facts, facts, text_at, viewers};

/// Views by region, and by region and hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionsAnswer {
    /// By region, most views first.
    regions: Vec<RegionRow>,
    /// By region and hour of the day, in the order of the regions; hours without views are missing.
    hours: Vec<HourRow>,
}

/// A region.
#[derive(Debug, Serialize, ToSchema)]
struct RegionRow {
    /// ISO 3166; null where it is unknown.
    region: Option<String>,
    /// Views.
    views: i64,
    /// Different people.
    viewers: i64,
    /// Content seconds watched.
    watch_time_s: f64,
    /// Mean part of the video that a view watched, 0 to 100, over the views whose duration is known.
    avg_watch_time_percentage: Option<f64>,
}

impl Row for RegionRow {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("region", Column::Text),
        ("views", Column::Integer),
        ("viewers", Column::Integer),
        ("watch_time_s", Column::Number),
        ("avg_watch_time_percentage", Column::Number),
    ];
}

/// An hour of the day in a region.
#[derive(Debug, Serialize, ToSchema)]
struct HourRow {
    /// ISO 3166; null where it is unknown.
    region: Option<String>,
    /// 0 to 23, UTC: that in which a view began.
    hour_of_day: i64,
    /// Views.
    views: i64,
    /// Content seconds watched.
    watch_time_s: f64,
    /// As of the region.
    avg_watch_time_percentage: Option<f64>,
}

impl Answer for RegionsAnswer {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        Some(csv::write(&self.regions))
    }
}

/// Views by region, and by region and hour of the day (UTC); as CSV the regions. Viewers of several dates are counted once.
#[utoipa::path(
    get, path = "/regions", tag = "views", params(Filter),
    responses((status = 200, description = "By region.", content((RegionsAnswer = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn regions(State(api): State<Arc<Api>>, mut asking: Asking) -> Result<Response, Problem> {
    let snapshot = api.snapshot()?;
    let filter = Filter::take(&mut asking.params, &snapshot.user_columns)?;
    asking.params.none_left(&TAKEN)?;
    let state = snapshot.build.build_id.as_str();
    let question = Question { state, endpoint: "regions".to_owned(), query: filter.canonical(), page: None };
    api.answers.answer(&asking, question, async { Ok(compute(&api, &snapshot, &filter).await?) }).await
}

type Region = Option<String>;

async fn compute(api: &Api, snapshot: &Snapshot, filter: &Filter) -> Result<RegionsAnswer, Trouble> {
    const BY_REGION: [(&str, &str); 1] = [("v.region", "region")];
    const BY_HOUR: [(&str, &str); 2] =
        [("v.region", "region"), ("cast(extract(hour from v.started_at) as bigint)", "hour_of_day")];
    let reader = api.reader(snapshot);
    let (sums, people) = tokio::try_join!(facts(reader, filter, &BY_HOUR), viewers(reader, filter, &BY_REGION))?;
    let mut hours: BTreeMap<(Region, i64), Facts> = BTreeMap::new();
    let mut regions: BTreeMap<Region, (Facts, i64)> = BTreeMap::new();
    for batch in &sums {
        let columns = Columns(batch);
        let (names, hour) = (columns.texts("region")?, columns.integers("hour_of_day")?);
        add_facts(&columns, |row, facts| {
            let region = text_at(&names, row).map(str::to_owned);
            regions.entry(region.clone()).or_default().0.add(&facts);
            hours.entry((region, hour.value(row))).or_default().add(&facts);
        })?;
    }
    for batch in &people {
        let columns = Columns(batch);
        let (names, counts) = (columns.texts("region")?, columns.integers("viewers")?);
        for row in 0..batch.num_rows() {
            regions.entry(text_at(&names, row).map(str::to_owned)).or_default().1 += counts.value(row);
        }
    }
    let mut ranked: Vec<(Region, (Facts, i64))> = regions.into_iter().collect();
    ranked.sort_by(|(a, (of_a, _)), (b, (of_b, _))| {
        of_b.views.cmp(&of_a.views).then(a.is_none().cmp(&b.is_none())).then_with(|| a.cmp(b))
    });
    let hours_of = |region: &Region| {
        hours.range((region.clone(), 0)..=(region.clone(), i64::MAX)).map(|((region, hour), facts)| HourRow {
            region: region.clone(),
            hour_of_day: *hour,
            views: facts.views,
            watch_time_s: facts.watch_time_s(),
            avg_watch_time_percentage: facts.avg_percentage(),
        })
    };
    let hours = ranked.iter().flat_map(|(region, _)| hours_of(region)).collect();
    let region = |(region, (facts, viewers)): (Region, (Facts, i64))| RegionRow {
        region,
        views: facts.views,
        viewers,
        watch_time_s: facts.watch_time_s(),
        avg_watch_time_percentage: facts.avg_percentage(),
    };
    Ok(RegionsAnswer { regions: ranked.into_iter().map(region).collect(), hours })
}
