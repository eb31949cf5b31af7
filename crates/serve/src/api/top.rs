//! `GET /top/{content|creators|genres}`: the rankings of gold.

use std::sync::Arc;

use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{KnownFormat, SchemaFormat};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::document;
use super::filter::take_day;
use super::order::{Order, SortKey, parameters};
use super::paging::{ListId, Page};
use super::query::Params;
use super::state::Api;
use super::time::{Dates, Day};
use crate::gold::RankingKind;
use crate::problem::Problem;
use crate::silver::{Columns, Trouble, text_at};

/// What is ranked: a day, or all dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PeriodKind {
    All,
    Day,
}

/// Whole numbers of a column by row.
type Integers = fn(&Numbers, usize) -> Option<f64>;

const fn key(name: &'static str, key: Integers, descending: bool) -> SortKey<Integers> {
    SortKey { name, key, descending }
}

const KEYS: &[SortKey<Integers>] = &[
    key("rank", |numbers, row| Some(numbers.rank.value(row) as f64), false),
    key("watch_time_s", |numbers, row| float(&numbers.watch_time_s, row), true),
    key("views", |numbers, row| Some(numbers.views.value(row) as f64), true),
    key("viewers", |numbers, row| Some(numbers.viewers.value(row) as f64), true),
    key("avg_watch_time_percentage", |numbers, row| float(&numbers.avg_watch_time_percentage, row), true),
    key("completion_rate", |numbers, row| float(&numbers.completion_rate, row), true),
];

/// Parameters of a ranking besides the page.
pub(crate) struct RankingParams;

impl IntoParams for RankingParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let date = document::text(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
        let mut all = vec![
            document::parameter(
                "period",
                "Over all dates, or of one day.",
                document::one_of(["all", "day"], Some("all")),
            ),
            document::parameter("date", "Which day, with `period=day`; unless given, the last one with views.", date),
        ];
        all.extend(parameters(KEYS));
        all
    }
}

/// The numbers of one ranked.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct RankedNumbers {
    /// Views.
    views: i64,
    /// Different people.
    viewers: i64,
    /// Content seconds watched.
    watch_time_s: Option<f64>,
    /// Mean part of the video that a view watched, 0 to 100.
    avg_watch_time_percentage: Option<f64>,
    /// Completed views / views whose duration is known, 0 to 1.
    completion_rate: Option<f64>,
}

/// One of a ranking.
trait Ranked: Row + Send + Sync {
    fn new(rank: i64, names: &[Option<&str>], numbers: RankedNumbers) -> Self;
}

fn name(names: &[Option<&str>], at: usize) -> Option<String> {
    names.get(at).copied().flatten().map(str::to_owned)
}

/// A video of the ranking.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankedVideo {
    /// Place by watch time, from 1; ties by id.
    rank: i64,
    /// Its id.
    video_id: Option<String>,
    /// Its title.
    title: Option<String>,
    /// Who made it.
    creator: Option<String>,
    /// Its genre.
    genre: Option<String>,
    #[serde(flatten)]
    numbers: RankedNumbers,
}

/// A creator of the ranking.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankedCreator {
    /// Place by watch time, from 1; ties by name.
    rank: i64,
    /// The name; null for videos without metadata.
    creator: Option<String>,
    #[serde(flatten)]
    numbers: RankedNumbers,
}

/// A genre of the ranking.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankedGenre {
    /// Place by watch time, from 1; ties by name.
    rank: i64,
    /// The name; null for videos without metadata.
    genre: Option<String>,
    #[serde(flatten)]
    numbers: RankedNumbers,
}

macro_rules! ranked {
    ($name:ident: $($field:literal),+) => {
        impl Row for $name {
            const COLUMNS: &'static [(&'static str, Column)] = &[
                ("rank", Column::Integer),
                $(($field, Column::Text),)+
                ("views", Column::Integer),
                ("viewers", Column::Integer),
                ("watch_time_s", Column::Number),
                ("avg_watch_time_percentage", Column::Number),
                ("completion_rate", Column::Number),
            ];
        }
    };
}

ranked!(RankedVideo: "video_id", "title", "creator", "genre");
ranked!(RankedCreator: "creator");
ranked!(RankedGenre: "genre");

impl Ranked for RankedVideo {
    fn new(rank: i64, names: &[Option<&str>], numbers: RankedNumbers) -> Self {
        let (video_id, title) = (name(names, 0), name(names, 1));
        Self { rank, video_id, title, creator: name(names, 2), genre: name(names, 3), numbers }
    }
}

impl Ranked for RankedCreator {
    fn new(rank: i64, names: &[Option<&str>], numbers: RankedNumbers) -> Self {
        Self { rank, creator: name(names, 0), numbers }
    }
}

impl Ranked for RankedGenre {
    fn new(rank: i64, names: &[Option<&str>], numbers: RankedNumbers) -> Self {
        Self { rank, genre: name(names, 0), numbers }
    }
}

/// A page of a ranking.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Top<T> {
    /// Over all dates, or of one day.
    period: PeriodKind,
    /// The day; null over all.
    date: Option<Day>,
    /// Those ranked.
    items: Vec<T>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// Ranked on all pages.
    total: usize,
}

impl<T: Row> Answer for Top<T> {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        Some(csv::write(&self.items))
    }

    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

/// Videos by watch time, or by another number.
#[utoipa::path(
    get, path = "/top/content", tag = "rankings", params(RankingParams, Page),
    responses((status = 200, description = "A page of the ranking.", content((Top<RankedVideo> = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn content(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    top::<RankedVideo>(api, RankingKind::Content, asking).await
}

/// Creators by watch time, or by another number.
#[utoipa::path(
    get, path = "/top/creators", tag = "rankings", params(RankingParams, Page),
    responses((status = 200, description = "A page of the ranking.", content((Top<RankedCreator> = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn creators(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    top::<RankedCreator>(api, RankingKind::Creators, asking).await
}

/// Genres by watch time, or by another number.
#[utoipa::path(
    get, path = "/top/genres", tag = "rankings", params(RankingParams, Page),
    responses((status = 200, description = "A page of the ranking.", content((Top<RankedGenre> = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn genres(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    top::<RankedGenre>(api, RankingKind::Genres, asking).await
}

async fn top<T: Ranked>(api: Arc<Api>, kind: RankingKind, mut asking: Asking) -> Result<Response, Problem> {
    let snapshot = api.snapshot()?;
    let params = &mut asking.params;
    let (period, date) = take_period(params, snapshot.dates)?;
    let order = Order::take(params, KEYS)?;
    let mut query = match (period, date) {
        (PeriodKind::Day, Some(date)) => format!("period=day&date={date}&"),
        (PeriodKind::Day, None) => "period=day&".to_owned(),
        (PeriodKind::All, _) => "period=all&".to_owned(),
    };
    query.push_str(&order.canonical());
    let endpoint = kind.table();
    let list = ListId::new(&snapshot.build.build_id, &format!("{endpoint}?{query}"));
    let page = Page::take(params, list)?;
    params.none_left(&["period", "date", "sort", "order", "limit", "cursor"])?;
    let state = snapshot.build.build_id.as_str();
    let question = Question { state, endpoint: endpoint.to_owned(), query: query.clone(), page: Some(page) };
    let compute = async {
        let rows = match (period, date) {
            // Without any view there is no day.
            (PeriodKind::Day, None) => RecordBatch::new_empty(arrow_schema::Schema::empty().into()),
            _ => snapshot.ranking(kind).of(date, api.reader(&snapshot)).await?,
        };
        let total = rows.num_rows();
        let (items, next_cursor) = if total == 0 {
            (Vec::new(), None)
        } else {
            let columns = Columns(&rows);
            let numbers = Numbers::of(&columns)?;
            let key = format!("{state}\n{endpoint}?{query}");
            let sorted = async { Arc::from(numbers.sorted(&order)) };
            let sorted: Arc<[u32]> = api.lists.orders.get_with(key, sorted).await;
            (items::<T>(&columns, kind, &numbers, &sorted[page.of(total)])?, page.next(total, list))
        };
        Ok(Top { period, date, items, next_cursor, total })
    };
    api.answers.answer(&asking, question, compute).await
}

fn take_period(params: &mut Params, dates: Option<Dates>) -> Result<(PeriodKind, Option<Day>), Problem> {
    let period = params.one_of("period", &[("all", PeriodKind::All), ("day", PeriodKind::Day)])?;
    let date = take_day(params, "date")?;
    match period.unwrap_or(PeriodKind::All) {
        PeriodKind::All if date.is_some() => {
            Err(Problem::parameter("date", "a date belongs to one day; give `period=day` with it"))
        }
        PeriodKind::All => Ok((PeriodKind::All, None)),
        PeriodKind::Day => Ok((PeriodKind::Day, date.or(dates.map(|dates| dates.last)))),
    }
}

/// The numbers of a ranking, by row.
struct Numbers {
    rank: Int64Array,
    views: Int64Array,
    viewers: Int64Array,
    watch_time_s: Float64Array,
    avg_watch_time_percentage: Float64Array,
    completion_rate: Float64Array,
}

impl Numbers {
    fn of(columns: &Columns<'_>) -> Result<Self, Trouble> {
        Ok(Self {
            rank: columns.integers("rank")?,
            views: columns.integers("views")?,
            viewers: columns.integers("viewers")?,
            watch_time_s: columns.floats("watch_time_s")?,
            avg_watch_time_percentage: columns.floats("avg_watch_time_percentage")?,
            completion_rate: columns.floats("completion_rate")?,
        })
    }

    /// The rows come by rank, which so decides where numbers are equal.
    fn sorted(&self, order: &Order<Integers>) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..self.rank.len() as u32).collect();
        order.sort(&mut rows, |row| (order.key)(self, row), f64::total_cmp);
        rows
    }
}

fn float(values: &Float64Array, row: usize) -> Option<f64> {
    values.is_valid(row).then(|| values.value(row))
}

fn items<T: Ranked>(
    columns: &Columns<'_>,
    kind: RankingKind,
    numbers: &Numbers,
    rows: &[u32],
) -> Result<Vec<T>, Trouble> {
    let texts: Vec<StringArray> = kind.names().iter().map(|name| columns.texts(name)).collect::<Result<_, _>>()?;
    let item = |&row: &u32| {
        let row = row as usize;
        let names: Vec<Option<&str>> = texts.iter().map(|text| text_at(text, row)).collect();
        let ranked = RankedNumbers {
            views: numbers.views.value(row),
            viewers: numbers.viewers.value(row),
            watch_time_s: float(&numbers.watch_time_s, row),
            avg_watch_time_percentage: float(&numbers.avg_watch_time_percentage, row),
            completion_rate: float(&numbers.completion_rate, row),
        };
        T::new(numbers.rank.value(row), &names, ranked)
    };
    Ok(rows.iter().map(item).collect())
}
