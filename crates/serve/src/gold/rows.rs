//! Tables of gold that are asked for by video: held in memory in the order of the videos, or asked for one by one.

use std::borrow::Cow;
use std::ops::Range;

use datafusion::scalar::ScalarValue;

use super::videos::{Regions, Videos};
use crate::api::Filter;
use crate::api::time::Day;
use crate::silver::{Columns, Query, Reader, Trouble, Values, text_at};

/// Which views a row is about, besides its video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// Number of the region, see [`Regions`].
    region: u32,
    /// Date of the views, in days since 1970.
    pub(crate) date: i32,
}

/// A row about the views of a video in a group.
pub(crate) trait VideoRow: Copy + Send + Sync + 'static {
    /// The table, `gold.name`.
    const TABLE: &'static str;
    /// Its columns besides video_id, region and view_date, of `t`.
    const SELECT: &'static str;

    /// Reads a batch whose rows are of these groups.
    fn read(columns: &Columns<'_>, groups: &[Group], rows: &mut Vec<Self>) -> Result<(), Trouble>;

    /// Whose views it is about.
    fn group(&self) -> Group;
}

/// The groups that a filter chooses; it decides by date and region alone.
pub(crate) struct Groups {
    dates: Range<i64>,
    /// Whether a region is chosen, by its number; `None`: all are.
    regions: Option<Vec<bool>>,
}

impl Groups {
    /// Those of a filter.
    pub(crate) fn of(filter: &Filter, regions: &Regions) -> Self {
        let bound = |day: Option<Day>, none: i64, more: i64| day.map_or(none, |day| i64::from(day.0) + more);
        let chosen = |choice: &std::collections::BTreeSet<Option<String>>| {
            regions.names().map(|name| choice.iter().any(|chosen| chosen.as_deref() == name)).collect()
        };
        Self {
            dates: bound(filter.from, i64::MIN, 0)..bound(filter.to, i64::MAX, 1),
            regions: filter.regions().map(chosen),
        }
    }

    /// Whether the row's group is among them.
    pub(crate) fn have<R: VideoRow>(&self, row: &R) -> bool {
        let Group { region, date } = row.group();
        self.dates.contains(&i64::from(date))
            && self.regions.as_ref().is_none_or(|chosen| chosen.get(region as usize) == Some(&true))
    }
}

/// A table's rows by video.
pub(crate) enum ByVideo<R> {
    /// All in memory: those of video `n` end at `ends[n]`.
    Held {
        /// In the order of the videos.
        rows: Vec<R>,
        /// An end a video.
        ends: Vec<usize>,
    },
    /// Too many for that.
    Stored,
}

impl<R: VideoRow> ByVideo<R> {
    /// The rows of the video with this number.
    pub(crate) async fn of(&self, tables: &Tables<'_>, video: usize) -> Result<Cow<'_, [R]>, Trouble> {
        match self {
            ByVideo::Held { .. } => Ok(Cow::Borrowed(self.held(video).unwrap_or_default())),
            ByVideo::Stored => tables.of_video(video).await.map(Cow::Owned),
        }
    }

    /// The same, where they are in memory.
    pub(crate) fn held(&self, video: usize) -> Option<&[R]> {
        let ByVideo::Held { rows, ends } = self else { return None };
        let start = if video == 0 { 0 } else { *ends.get(video - 1)? };
        rows.get(start..*ends.get(video)?)
    }
}

/// What reading the tables of a build needs.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) videos: &'a Videos,
    pub(crate) regions: &'a Regions,
}

impl Tables<'_> {
    /// Loads a table of so many rows, if that fits into the bytes that are left.
    pub(crate) async fn load<R: VideoRow>(&self, count: u64, left: &mut usize) -> Result<ByVideo<R>, Trouble> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bytes = count.saturating_mul(size_of::<R>()).saturating_add(self.videos.len() * size_of::<usize>());
        if bytes > *left {
            let (table, left) = (R::TABLE, *left);
            tracing::info!(table, rows = count, bytes, left, "too large to be held; each question is a query");
            return Ok(ByVideo::Stored);
        }
        *left -= bytes;
        let reading = Reading {
            rows: Vec::with_capacity(count),
            ends: Vec::with_capacity(self.videos.len()),
            videos: self.videos.clone(),
            regions: self.regions.clone(),
        };
        let query = Query::plain(format!("{} order by t.video_id", select::<R>()));
        let take = |reading: &mut Reading<R>, batch| reading.take(&Columns(&batch));
        let reading = self.reader.fold(query, reading, take).await?;
        Ok(reading.finish())
    }

    async fn of_video<R: VideoRow>(&self, video: usize) -> Result<Vec<R>, Trouble> {
        let mut values = Values::default();
        let id = values.bind(ScalarValue::from(&*self.videos.at(video).video_id));
        let query = Query { sql: format!("{} where t.video_id = {id}", select::<R>()), values };
        let mut rows = Vec::new();
        for batch in self.reader.collect(query).await? {
            let columns = Columns(&batch);
            R::read(&columns, &groups(&columns, self.regions)?, &mut rows)?;
        }
        Ok(rows)
    }
}

fn select<R: VideoRow>() -> String {
    format!("select t.video_id, t.region, t.view_date, {} from {} t", R::SELECT, R::TABLE)
}

/// The group of each row.
fn groups(columns: &Columns<'_>, regions: &Regions) -> Result<Vec<Group>, Trouble> {
    let (names, dates) = (columns.texts("region")?, columns.days("view_date")?);
    let mut groups = Vec::with_capacity(columns.0.num_rows());
    for row in 0..columns.0.num_rows() {
        let name = text_at(&names, row);
        let unknown = || Trouble::Shape(format!("region {name:?} is in a table of gold and in no view"));
        let region = regions.number(name).ok_or_else(unknown)?;
        groups.push(Group { region, date: dates.value(row) });
    }
    Ok(groups)
}

/// Rows on their way into memory; they come in the order of their videos' ids.
struct Reading<R> {
    rows: Vec<R>,
    ends: Vec<usize>,
    videos: Videos,
    regions: Regions,
}

impl<R: VideoRow> Reading<R> {
    fn take(&mut self, columns: &Columns<'_>) -> Result<(), Trouble> {
        let ids = columns.texts("video_id")?;
        for row in 0..columns.0.num_rows() {
            let is_before = |video: usize| *self.videos.at(video).video_id < *ids.value(row);
            while self.ends.len() < self.videos.len() && is_before(self.ends.len()) {
                self.ends.push(self.rows.len() + row);
            }
        }
        let groups = groups(columns, &self.regions)?;
        R::read(columns, &groups, &mut self.rows)
    }

    fn finish(mut self) -> ByVideo<R> {
        self.rows.shrink_to_fit();
        self.ends.resize(self.videos.len(), self.rows.len());
        ByVideo::Held { rows: self.rows, ends: self.ends }
    }
}
