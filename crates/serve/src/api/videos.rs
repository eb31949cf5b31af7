//! `GET /videos`: the videos with views, their numbers, sorted and searched.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use moka::future::Cache;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::document;
use super::filter::{Filter, TAKEN};
use super::order::{Order, SortKey, parameters};
use super::paging::{ListId, Page};
use super::query::{Params, encode};
use super::state::Api;
use super::totals::Totals;
use crate::gold::{Snapshot, Video};
use crate::problem::Problem;
use crate::silver::{Columns, Facts, Trouble, add_facts, facts, viewers};

/// A video's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Number of the video in the snapshot.
    pub(crate) video: u32,
    /// Its numbers.
    pub(crate) totals: Totals,
}

/// Lists that were made, and orders of lists; up to so many bytes.
pub(crate) struct Lists {
    entries: Cache<String, Arc<[Entry]>>,
    pub(crate) orders: Cache<String, Arc<[u32]>>,
}

impl Lists {
    /// Keeps so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let weight = |key: &String, bytes: usize| u32::try_from(key.len() + bytes + 128).unwrap_or(u32::MAX);
        let entries =
            Cache::builder().weigher(move |key, list: &Arc<[Entry]>| weight(key, size_of_val::<[Entry]>(list)));
        let orders = Cache::builder().weigher(move |key, order: &Arc<[u32]>| weight(key, size_of_val::<[u32]>(order)));
        Self { entries: entries.max_capacity(bytes / 2).build(), orders: orders.max_capacity(bytes / 2).build() }
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.entries.invalidate_all();
        self.orders.invalidate_all();
    }

    /// The videos with views that are chosen, in the order of their ids.
    pub(crate) async fn entries(
        &self,
        api: &Api,
        snapshot: &Snapshot,
        filter: &Filter,
    ) -> Result<Arc<[Entry]>, Problem> {
        let key = format!("{}\n{}", snapshot.build.build_id, filter.canonical());
        let list = self.entries.try_get_with(key, async {
            let list = if filter.is_all() { all(snapshot) } else { chosen(api, snapshot, filter).await? };
            Ok::<_, Problem>(Arc::from(list))
        });
        list.await.map_err(|problem| (*problem).clone())
    }
}

fn all(snapshot: &Snapshot) -> Vec<Entry> {
    let entry =
        |(video, number): (&Video, u32)| Entry { video: number, totals: Totals::new(&video.facts, video.viewers) };
    snapshot.videos.iter().zip(0..).map(entry).collect()
}

async fn chosen(api: &Api, snapshot: &Snapshot, filter: &Filter) -> Result<Vec<Entry>, Trouble> {
    const BY_VIDEO: [(&str, &str); 1] = [("v.video_id", "video_id")];
    let reader = api.reader(snapshot);
    let (sums, people) = tokio::try_join!(facts(reader, filter, &BY_VIDEO), viewers(reader, filter, &BY_VIDEO))?;
    let mut found: Vec<Option<(Facts, i64)>> = vec![None; snapshot.videos.len()];
    for batch in &sums {
        let columns = Columns(batch);
        let ids = columns.texts("video_id")?;
        add_facts(&columns, |row, facts| {
            if let Some((number, _)) = snapshot.videos.find(ids.value(row)) {
                found[number] = Some((facts, 0));
            }
        })?;
    }
    for batch in &people {
        let columns = Columns(batch);
        let (ids, counts) = (columns.texts("video_id")?, columns.integers("viewers")?);
        for row in 0..batch.num_rows() {
            if let Some((_, viewers)) = snapshot.videos.find(ids.value(row)).and_then(|(n, _)| found[n].as_mut()) {
                *viewers = counts.value(row);
            }
        }
    }
    let entry = |(found, video): (Option<(Facts, i64)>, u32)| {
        found.map(|(facts, viewers)| Entry { video, totals: Totals::new(&facts, viewers) })
    };
    Ok(found.into_iter().zip(0..).filter_map(entry).collect())
}

/// What videos are sorted by.
#[derive(Debug, Clone, Copy)]
enum By {
    Id,
    Title,
    Number(fn(&Totals) -> Option<f64>),
}

const fn number(name: &'static str, of: fn(&Totals) -> Option<f64>) -> SortKey<By> {
    SortKey { name, key: By::Number(of), descending: true }
}

const KEYS: &[SortKey<By>] = &[
    number("watch_time_s", |totals| Some(totals.watch_time_s)),
    number("views", |totals| Some(totals.views as f64)),
    number("viewers", |totals| Some(totals.viewers as f64)),
    number("avg_retention", |totals| totals.avg_retention),
    number("completion_rate", |totals| totals.completion_rate),
    SortKey { name: "title", key: By::Title, descending: false },
    SortKey { name: "video_id", key: By::Id, descending: false },
];

/// Parameters of the list besides filter and page.
pub(crate) struct Listing;

impl IntoParams for Listing {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let search = "Only videos whose title or id contains this, upper and lower case alike.";
        let mut all = vec![document::parameter("search", search, document::text(None))];
        all.extend(parameters(KEYS));
        all
    }
}

/// A page of videos.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoList {
    /// The videos.
    items: Vec<VideoItem>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// Videos on all pages.
    total: usize,
}

/// A video of the list.
#[derive(Debug, Serialize, ToSchema)]
struct VideoItem {
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
    #[serde(flatten)]
    totals: Totals,
}

impl Row for VideoItem {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("video_id", Column::Text),
        ("title", Column::Text),
        ("creator", Column::Text),
        ("genre", Column::Text),
        ("duration_s", Column::Number),
        ("views", Column::Integer),
        ("viewers", Column::Integer),
        ("watch_time_s", Column::Number),
        ("avg_retention", Column::Number),
        ("completion_rate", Column::Number),
        ("engaged_views", Column::Integer),
    ];
}

impl Answer for VideoList {
    fn csv(&self) -> Option<Result<Vec<u8>, arrow_schema::ArrowError>> {
        Some(csv::write(&self.items))
    }

    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

/// The videos with a view that the filter chooses.
#[utoipa::path(
    get, path = "/videos", tag = "videos", params(Filter, Listing, Page),
    responses((status = 200, description = "A page of them.", content((VideoList = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn videos(State(api): State<Arc<Api>>, mut asking: Asking) -> Result<Response, Problem> {
    let snapshot = api.snapshot()?;
    let params = &mut asking.params;
    let filter = Filter::take(params, &snapshot.user_columns)?;
    let (search, order) = (take_search(params)?, Order::take(params, KEYS)?);
    let query = canonical(&filter, &search, &order);
    let list = ListId::new(&snapshot.build.build_id, &format!("videos?{query}"));
    let page = Page::take(params, list)?;
    params.none_left(&[&TAKEN[..], &["search", "sort", "order", "limit", "cursor"]].concat())?;
    let state = snapshot.build.build_id.as_str();
    let question = Question { state, endpoint: "videos".to_owned(), query: query.clone(), page: Some(page) };
    let compute = async {
        let entries = api.lists.entries(&api, &snapshot, &filter).await?;
        let key = format!("{state}\nvideos?{query}");
        let sorted = async { Arc::from(sorted(&snapshot, &entries, &search, &order)) };
        let rows = api.lists.orders.get_with(key, sorted).await;
        let items = rows[page.of(rows.len())].iter().map(|&row| item(&snapshot, &entries[row as usize]));
        Ok(VideoList { items: items.collect(), next_cursor: page.next(rows.len(), list), total: rows.len() })
    };
    api.answers.answer(&asking, question, compute).await
}

fn take_search(params: &mut Params) -> Result<String, Problem> {
    Ok(params.one("search")?.unwrap_or_default().to_lowercase())
}

fn canonical(filter: &Filter, search: &str, order: &Order<By>) -> String {
    let mut query = filter.canonical();
    if !query.is_empty() {
        query.push('&');
    }
    if !search.is_empty() {
        query.push_str("search=");
        encode(search, &mut query);
        query.push('&');
    }
    query + &order.canonical()
}

fn sorted(snapshot: &Snapshot, entries: &[Entry], search: &str, order: &Order<By>) -> Vec<u32> {
    let video = |row: usize| snapshot.videos.at(entries[row].video as usize);
    let mut rows: Vec<u32> =
        (0..entries.len()).filter(|&row| video(row).matches(search)).map(|row| row as u32).collect();
    match order.key {
        // Entries are in the order of ids.
        By::Id if order.descending => rows.reverse(),
        By::Id => {}
        By::Title => order.sort(&mut rows, |row| video(row).sort_title(), |a, b| a.cmp(b)),
        By::Number(of) => order.sort(&mut rows, |row| of(&entries[row].totals), f64::total_cmp),
    }
    rows
}

fn item(snapshot: &Snapshot, entry: &Entry) -> VideoItem {
    let video = snapshot.videos.at(entry.video as usize).clone();
    VideoItem {
        video_id: video.video_id,
        title: video.title,
        creator: video.creator,
        genre: video.genre,
        duration_s: video.duration_s,
        totals: entry.totals,
    }
}
