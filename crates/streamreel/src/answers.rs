//! The four questions of a content team, answered from gold and drawn for a terminal.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use datafusion::execution::context::SessionContext;
use serde::Serialize;
use streamreel_lake::plan;

use crate::draw::{self, bars, curve, fit, heatmap, playhead, thousands};
use crate::failure::Outcome;
use crate::output::cell;

/// How many rows a ranking shows.
const TOP: usize = 5;
/// Columns of the drop-off timeline.
const TIMELINE_CELLS: usize = 66;
const HOURS: usize = 24;
const REGIONS_SHOWN: usize = 12;

/// The four answers.
#[derive(Debug, Serialize)]
pub struct Answers {
    /// The most watched title.
    pub title: Title,
    /// Its retention: share of views a second.
    pub retention: Curve,
    /// Where its viewers leave, skip and come back.
    pub drop_off: Vec<Bucket>,
    /// What is watched most.
    pub top: Top,
    /// Watch time by region and hour of day (UTC).
    pub regions: Vec<Region>,
}

/// A title.
#[derive(Debug, Default, Serialize)]
pub struct Title {
    /// Its id.
    pub video_id: String,
    /// Its name, or its id.
    pub name: String,
    /// Its views.
    pub views: i64,
}

/// Shares of views, a value a second.
#[derive(Debug, Default, Serialize)]
pub struct Curve {
    /// Views that include the second.
    pub retention: Vec<f64>,
    /// Views whose last second is this or a later one.
    pub survival: Vec<f64>,
}

/// Five seconds of content.
#[derive(Debug, Serialize)]
pub struct Bucket {
    /// Where it begins.
    pub start_s: i64,
    /// Views that end in it.
    pub exits: i64,
    /// Seeks that leave from it.
    pub seeks_away: i64,
    /// Seeks that land in it.
    pub seeks_in: i64,
}

/// Rankings by watch time.
#[derive(Debug, Serialize)]
pub struct Top {
    /// Titles.
    pub content: Vec<Ranked>,
    /// Creators.
    pub creators: Vec<Ranked>,
    /// Genres.
    pub genres: Vec<Ranked>,
}

/// One of a ranking.
#[derive(Debug, Serialize)]
pub struct Ranked {
    /// Name.
    pub name: String,
    /// Views.
    pub views: i64,
    /// Content seconds watched.
    pub watch_time_s: f64,
    /// Of the video, on average.
    pub avg_watch_time_percentage: f64,
}

/// A region.
#[derive(Debug, Serialize)]
pub struct Region {
    /// ISO code; empty where it is unknown.
    pub region: String,
    /// Content seconds watched in all.
    pub watch_time_s: f64,
    /// The same by hour of the day, 24 values.
    pub by_hour: Vec<f64>,
}

async fn rows(session: &SessionContext, sql: &str) -> Outcome<RecordBatch> {
    let frame = plan::sql(session, sql).await?;
    let schema = frame.schema().inner().clone();
    Ok(concat_batches(&schema, &frame.collect().await?)?)
}

fn floats(batch: &RecordBatch, column: &str) -> Outcome<Vec<f64>> {
    let values = cast(&batch[column], &DataType::Float64)?;
    Ok(values.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect())
}

fn integers(batch: &RecordBatch, column: &str) -> Outcome<Vec<i64>> {
    let values = cast(&batch[column], &DataType::Int64)?;
    Ok(values.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect())
}

/// Reads the answers from the published gold.
///
/// # Errors
/// If a table can't be read.
pub async fn read(session: &SessionContext) -> Outcome<Answers> {
    let title = title(session).await?;
    // An id is text that a player sent.
    let id = title.video_id.replace('\'', "''");
    Ok(Answers {
        retention: retention(session, &id).await?,
        drop_off: drop_off(session, &id).await?,
        top: Top {
            content: top(session, "top_content", "coalesce(title, video_id)").await?,
            creators: top(session, "top_creators", "coalesce(creator, '(unknown)')").await?,
            genres: top(session, "top_genres", "coalesce(genre, '(unknown)')").await?,
        },
        regions: regions(session).await?,
        title,
    })
}

async fn title(session: &SessionContext) -> Outcome<Title> {
    let sql = "select video_id, coalesce(title, video_id) as name, views from gold.top_content \
               where period = 'all' order by rank limit 1";
    let batch = rows(session, sql).await?;
    if batch.num_rows() == 0 {
        return Ok(Title::default());
    }
    let (video_id, name) = (cell(&batch, "video_id", 0), cell(&batch, "name", 0));
    Ok(Title { video_id, name, views: integers(&batch, "views")?[0] })
}

async fn retention(session: &SessionContext, id: &str) -> Outcome<Curve> {
    let sql = format!(
        "select cast(watched as double) / views as retention, cast(survived as double) / views as survival \
         from gold.retention_curve where video_id = '{id}' order by second_s"
    );
    let batch = rows(session, &sql).await?;
    Ok(Curve { retention: floats(&batch, "retention")?, survival: floats(&batch, "survival")? })
}

async fn drop_off(session: &SessionContext, id: &str) -> Outcome<Vec<Bucket>> {
    let sql = format!(
        "select bucket_start_s, sum(exits) as exits, sum(seeks_away) as seeks_away, sum(seeks_in) as seeks_in \
         from gold.drop_off where video_id = '{id}' group by bucket_start_s order by bucket_start_s"
    );
    let batch = rows(session, &sql).await?;
    let (starts, exits) = (integers(&batch, "bucket_start_s")?, integers(&batch, "exits")?);
    let (away, into) = (integers(&batch, "seeks_away")?, integers(&batch, "seeks_in")?);
    let bucket = |i| Bucket { start_s: starts[i], exits: exits[i], seeks_away: away[i], seeks_in: into[i] };
    Ok((0..batch.num_rows()).map(bucket).collect())
}

async fn top(session: &SessionContext, table: &str, name: &str) -> Outcome<Vec<Ranked>> {
    let sql = format!(
        "select {name} as name, views, watch_time_s, avg_watch_time_percentage from gold.{table} \
         where period = 'all' order by rank limit {TOP}"
    );
    let batch = rows(session, &sql).await?;
    let (views, watch) = (integers(&batch, "views")?, floats(&batch, "watch_time_s")?);
    let percentage = floats(&batch, "avg_watch_time_percentage")?;
    let ranked = |i| Ranked {
        name: cell(&batch, "name", i),
        views: views[i],
        watch_time_s: watch[i],
        avg_watch_time_percentage: percentage[i],
    };
    Ok((0..batch.num_rows()).map(ranked).collect())
}

async fn regions(session: &SessionContext) -> Outcome<Vec<Region>> {
    let sql = "select coalesce(region, '') as region, hour_of_day, sum(watch_time_s) as watch_time_s \
               from gold.regional_engagement where hour_of_day is not null \
               group by coalesce(region, ''), hour_of_day order by region, hour_of_day";
    let batch = rows(session, sql).await?;
    let (hours, watch) = (integers(&batch, "hour_of_day")?, floats(&batch, "watch_time_s")?);
    let mut regions: Vec<Region> = Vec::new();
    for (row, (&hour, &watch_time_s)) in hours.iter().zip(&watch).enumerate() {
        let region = cell(&batch, "region", row);
        if regions.last().is_none_or(|last| last.region != region) {
            regions.push(Region { region, watch_time_s: 0.0, by_hour: vec![0.0; HOURS] });
        }
        if let Some(last) = regions.last_mut() {
            last.by_hour[(hour as usize).min(HOURS - 1)] += watch_time_s;
            last.watch_time_s += watch_time_s;
        }
    }
    regions.sort_by(|a, b| b.watch_time_s.total_cmp(&a.watch_time_s).then_with(|| a.region.cmp(&b.region)));
    Ok(regions)
}

/// Draws them, 80 columns wide.
pub fn draw(answers: &Answers) -> String {
    let Answers { title, retention, drop_off, top, regions } = answers;
    format!(
        "1. WHERE DO VIEWERS STAY?   {} ({}), {} views\n   upper line: share of views still there; lower: that include the second\n\n{}\n\
         2. WHERE DO THEY LEAVE AND SKIP?   the same title, {} wide cells\n\n{}\n\
         3. WHAT IS WATCHED MOST?   by watch time\n\n{}\n{}\n{}\n\
         4. WHERE, AND WHEN?   watch time by region and hour of the day (UTC)\n\n{}",
        fit(&title.name, 30).trim_end(),
        title.video_id,
        thousands(title.views),
        curve(&[("retention", retention.retention.clone()), ("survival", retention.survival.clone())]),
        playhead(cell_seconds(drop_off)),
        timeline(drop_off),
        ranking(&top.content),
        ranking(&top.creators),
        ranking(&top.genres),
        map(regions)
    )
}

/// Content seconds that a cell of the timeline stands for.
fn cell_seconds(buckets: &[Bucket]) -> i64 {
    let end = buckets.iter().map(|b| b.start_s + 5).max().unwrap_or(5);
    (end as usize).div_ceil(TIMELINE_CELLS).div_ceil(5) as i64 * 5
}

fn timeline(buckets: &[Bucket]) -> String {
    let seconds = cell_seconds(buckets);
    let cells = buckets.iter().map(|b| (b.start_s / seconds) as usize + 1).max().unwrap_or(1);
    let sum = |of: fn(&Bucket) -> i64| {
        let mut row = vec![0.0; cells];
        for bucket in buckets {
            row[(bucket.start_s / seconds) as usize] += of(bucket) as f64;
        }
        row
    };
    // Each row by itself: seeks are many, exits few.
    let row =
        |name: &str, of| heatmap(&[(name.to_owned(), sum(of))], &[], 1).lines().nth(1).unwrap_or_default().to_owned();
    let mut text = String::new();
    for (name, of) in
        [("leave", (|b| b.exits) as fn(&Bucket) -> i64), ("skip from", |b| b.seeks_away), ("skip to", |b| b.seeks_in)]
    {
        text.push_str(&row(name, of));
        text.push('\n');
    }
    let end = playhead(cells as i64 * seconds);
    text.push_str(&format!("           0:00{}{end}\n", " ".repeat(cells.saturating_sub(4 + end.len()))));
    text
}

fn ranking(ranked: &[Ranked]) -> String {
    let row = |r: &Ranked| {
        let hours = r.watch_time_s / 3600.0;
        (r.name.clone(), r.watch_time_s, format!("{hours:>6.1} h {:>3.0} %", r.avg_watch_time_percentage))
    };
    bars(&ranked.iter().map(row).collect::<Vec<_>>())
}

fn map(regions: &[Region]) -> String {
    let name = |r: &Region| if r.region.is_empty() { "unknown".to_owned() } else { r.region.clone() };
    let rows: Vec<_> = regions.iter().take(REGIONS_SHOWN).map(|r| (name(r), r.by_hour.clone())).collect();
    let hours: Vec<String> = (0..HOURS).map(|h| if h % 3 == 0 { format!("{h:02}") } else { String::new() }).collect();
    let width = (draw::WIDTH - 12) / HOURS;
    heatmap(&rows, &hours, width)
}
