//! `gold.top_content`, `top_creators`, `top_genres`: by day and over all dates.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;

use crate::api::time::Day;
use crate::silver::{Columns, Query, Reader, Trouble, Values};

/// What is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankingKind {
    Content,
    Creators,
    Genres,
}

impl RankingKind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Content, Self::Creators, Self::Genres];

    /// Its table in gold.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Content => "top_content",
            Self::Creators => "top_creators",
            Self::Genres => "top_genres",
        }
    }

    /// The columns that say what is ranked.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Content => &["video_id", "title", "creator", "genre"],
            Self::Creators => &["creator"],
            Self::Genres => &["genre"],
        }
    }

    fn select(self) -> String {
        format!(
            "select t.view_date, {}, t.views, t.viewers, t.watch_time_s, t.avg_watch_time_percentage, t.completion_rate, \
             t.rank from gold.{} t",
            self.names().iter().map(|name| format!("t.{name}")).collect::<Vec<_>>().join(", "),
            self.table()
        )
    }

    /// About the bytes of a row in memory.
    fn row_bytes(self) -> usize {
        const NUMBERS: usize = 56;
        const TEXT: usize = 24;
        NUMBERS + TEXT * self.names().len()
    }
}

/// A ranking's rows, by day and rank.
pub(crate) enum Ranking {
    /// All in memory.
    Held {
        /// In the order of dates (over all first) and ranks.
        rows: RecordBatch,
        /// The rows of each date; `None`: over all.
        dates: HashMap<Option<Day>, Range<usize>>,
    },
    /// Too many for that.
    Stored(RankingKind),
}

impl Ranking {
    /// Loads a ranking of so many rows, if that fits into the bytes that are left.
    pub(super) async fn load(
        kind: RankingKind,
        reader: Reader<'_>,
        count: u64,
        left: &mut usize,
    ) -> Result<Self, Trouble> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count.saturating_mul(kind.row_bytes()) > *left {
            let (table, left) = (kind.table(), *left);
            tracing::info!(table, rows = count, left, "too large to be held; each question is a query");
            return Ok(Self::Stored(kind));
        }
        let query = Query::plain(format!("{} order by t.view_date nulls first, t.rank", kind.select()));
        let rows = one_batch(&reader.collect(query).await?)?;
        let mut dates: HashMap<Option<Day>, Range<usize>> = HashMap::new();
        if rows.num_rows() > 0 {
            let days = Columns(&rows).days("view_date")?;
            for row in 0..rows.num_rows() {
                let date = days.is_valid(row).then(|| Day(days.value(row)));
                dates.entry(date).or_insert(row..row).end = row + 1;
            }
        }
        *left = left.saturating_sub(rows.get_array_memory_size());
        Ok(Self::Held { rows, dates })
    }

    /// The rows of a date, or over all, by rank.
    pub(crate) async fn of(&self, date: Option<Day>, reader: Reader<'_>) -> Result<RecordBatch, Trouble> {
        match self {
            Self::Held { rows, dates } => {
                let range = dates.get(&date).cloned().unwrap_or(0..0);
                Ok(rows.slice(range.start, range.len()))
            }
            Self::Stored(kind) => {
                let mut values = Values::default();
                let condition = match date {
                    Some(day) => format!("t.period = 'day' and t.view_date = {}", values.bind(day.scalar())),
                    None => "t.period = 'all'".to_owned(),
                };
                let query = Query { sql: format!("{} where {condition} order by t.rank", kind.select()), values };
                one_batch(&reader.collect(query).await?)
            }
        }
    }
}

/// Joins batches; without any, a batch without columns or rows.
fn one_batch(batches: &[RecordBatch]) -> Result<RecordBatch, Trouble> {
    let Some(first) = batches.first() else { return Ok(RecordBatch::new_empty(arrow_schema::Schema::empty().into())) };
    concat_batches(&first.schema(), batches).map_err(|error| Trouble::Shape(error.to_string()))
}
