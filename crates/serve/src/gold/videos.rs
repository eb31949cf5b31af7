//! The videos with a view, and the regions of views: what there is in a build.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::Array;
use streamreel_event::MAX_DURATION_S;
use streamreel_viewing::curve::first_second;

use crate::api::time::{Dates, Day};
use crate::silver::{Columns, Facts, Query, Reader, SUMS, Trouble, add_facts, text_at};

/// Seconds of a curve at most: as far as positions go, and the durations of builds that check them; gold may be of another.
const MOST_SECONDS: usize = MAX_DURATION_S as usize;

/// A video with at least one view.
#[derive(Debug, Clone)]
pub(crate) struct Video {
    pub(crate) video_id: Arc<str>,
    pub(crate) title: Option<Arc<str>>,
    pub(crate) creator: Option<Arc<str>>,
    pub(crate) genre: Option<Arc<str>>,
    /// The longest of its views.
    pub(crate) duration_s: Option<f64>,
    /// Whole seconds to the duration, or to the furthest second watched where that is further.
    pub(crate) length_s: usize,
    /// Seconds of its curves: the length, as far as positions go.
    pub(crate) seconds: usize,
    /// First and last date with a view of it.
    pub(crate) dates: Dates,
    /// Sums over all its views.
    pub(crate) facts: Facts,
    /// Different people among all its views.
    pub(crate) viewers: i64,
    /// Id and title in lower case, to be searched.
    lower: (Box<str>, Box<str>),
}

impl Video {
    /// Whether id or title contains a text, given in lower case.
    pub(crate) fn matches(&self, lower: &str) -> bool {
        self.lower.0.contains(lower) || self.lower.1.contains(lower)
    }

    /// The title in lower case, to be sorted by.
    pub(crate) fn sort_title(&self) -> Option<&str> {
        self.title.is_some().then_some(&*self.lower.1)
    }
}

/// All videos, in the order of their ids. About 300 bytes each.
#[derive(Debug, Clone)]
pub(crate) struct Videos(Arc<[Video]>);

impl Videos {
    /// Reads them from silver.views.
    pub(crate) async fn load(reader: Reader<'_>) -> Result<Self, Trouble> {
        let viewers = "select v.video_id, count(distinct v.user_id) as number from silver.views v group by v.video_id";
        let viewers = numbers(reader, viewers).await?;
        let ends = "select t.video_id, max(t.second_s) as number from gold.retention_changes t group by t.video_id";
        let ends = numbers(reader, ends).await?;
        let sql = format!(
            "select v.video_id, max(v.title) as title, max(v.creator) as creator, max(v.genre) as genre, \
             max(v.video_duration_s) as duration_s, min(v.view_date) as first_date, max(v.view_date) as last_date, \
             {SUMS} from silver.views v group by v.video_id order by v.video_id"
        );
        let take = move |videos: &mut Vec<Video>, batch| append(&Columns(&batch), &viewers, &ends, videos);
        let videos = reader.fold(Query::plain(sql), Vec::new(), take).await?;
        Ok(Self(videos.into()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The video with this number.
    pub(crate) fn at(&self, number: usize) -> &Video {
        &self.0[number]
    }

    /// All, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Video> {
        self.0.iter()
    }

    /// Number and video of an id.
    pub(crate) fn find(&self, video_id: &str) -> Option<(usize, &Video)> {
        let number = self.0.binary_search_by(|video| (*video.video_id).cmp(video_id)).ok()?;
        Some((number, &self.0[number]))
    }

    /// First and last date with a view.
    pub(crate) fn dates(&self) -> Option<Dates> {
        let first = self.iter().map(|video| video.dates.first).min()?;
        let last = self.iter().map(|video| video.dates.last).max()?;
        Some(Dates { first, last })
    }
}

/// A number a video.
async fn numbers(reader: Reader<'_>, sql: &str) -> Result<HashMap<String, i64>, Trouble> {
    let take = |numbers: &mut HashMap<String, i64>, batch| {
        let columns = Columns(&batch);
        let (ids, found) = (columns.texts("video_id")?, columns.integers("number")?);
        numbers.extend((0..columns.0.num_rows()).map(|row| (ids.value(row).to_owned(), found.value(row))));
        Ok(())
    };
    reader.fold(Query::plain(sql), HashMap::new(), take).await
}

fn length_s(duration_s: Option<f64>, end: i64) -> usize {
    usize::try_from(duration_s.map_or(0, first_second).max(end)).unwrap_or(0)
}

fn append(
    columns: &Columns<'_>,
    viewers: &HashMap<String, i64>,
    ends: &HashMap<String, i64>,
    videos: &mut Vec<Video>,
) -> Result<(), Trouble> {
    let (ids, titles) = (columns.texts("video_id")?, columns.texts("title")?);
    let (creators, genres) = (columns.texts("creator")?, columns.texts("genre")?);
    let durations = columns.floats("duration_s")?;
    let (first, last) = (columns.days("first_date")?, columns.days("last_date")?);
    // Videos that follow each other often share these.
    let mut shared: HashMap<String, Arc<str>> = HashMap::new();
    let mut share =
        |text: Option<&str>| text.map(|text| Arc::clone(shared.entry(text.to_owned()).or_insert_with(|| text.into())));
    add_facts(columns, |row, facts| {
        let video_id = ids.value(row);
        let title = text_at(&titles, row);
        let duration_s = durations.is_valid(row).then(|| durations.value(row));
        let end = ends.get(video_id).copied().unwrap_or(0);
        let length_s = length_s(duration_s, end);
        videos.push(Video {
            video_id: video_id.into(),
            title: title.map(Arc::from),
            creator: share(text_at(&creators, row)),
            genre: share(text_at(&genres, row)),
            duration_s,
            length_s,
            seconds: length_s.min(MOST_SECONDS),
            dates: Dates { first: Day(first.value(row)), last: Day(last.value(row)) },
            facts,
            viewers: viewers.get(video_id).copied().unwrap_or(0),
            lower: (video_id.to_lowercase().into(), title.unwrap_or_default().to_lowercase().into()),
        });
    })
}

/// The regions of views, numbered. The unknown one is a region, too.
#[derive(Debug, Clone)]
pub(crate) struct Regions {
    names: Arc<[Option<Arc<str>>]>,
    known: Arc<HashMap<Arc<str>, u32>>,
    unknown: Option<u32>,
}

impl Regions {
    /// Reads them from gold.
    pub(crate) async fn load(reader: Reader<'_>) -> Result<Self, Trouble> {
        let query = Query::plain("select distinct t.region from gold.seeks_after_half t order by t.region");
        let take = |names: &mut Vec<Option<Arc<str>>>, batch| {
            let texts = Columns(&batch).texts("region")?;
            names.extend(texts.iter().map(|name| name.map(Arc::from)));
            Ok(())
        };
        let names = reader.fold(query, Vec::new(), take).await?;
        let numbered = || names.iter().zip(0..);
        let known = numbered().filter_map(|(name, number)| Some((name.clone()?, number))).collect();
        let unknown = numbered().find(|(name, _)| name.is_none()).map(|(_, number)| number);
        Ok(Self { known: Arc::new(known), unknown, names: names.into() })
    }

    /// The number of a region.
    pub(crate) fn number(&self, name: Option<&str>) -> Option<u32> {
        match name {
            Some(name) => self.known.get(name).copied(),
            None => self.unknown,
        }
    }

    /// All names, by number.
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(|name| name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};

    use super::*;

    #[test]
    fn curves_are_bounded_however_long_a_video_is() {
        let cases: [(Option<f64>, i64, usize, usize); 7] = [
            (None, 0, 0, 0),
            (None, 75, 75, 75),
            (Some(60.0), 0, 60, 60),
            (Some(60.0), 75, 75, 75),
            (Some(60.0), 2_000_000, 2_000_000, MOST_SECONDS),
            (Some(1e9), 75, 1_000_000_000, MOST_SECONDS),
            (Some(f64::INFINITY), 0, i64::MAX as usize, MOST_SECONDS),
        ];
        let ids: Vec<String> = (0..cases.len()).map(|number| format!("v{number}")).collect();
        let texts = || Arc::new(StringArray::from_iter_values(&ids)) as ArrayRef;
        let ones = || Arc::new(Int64Array::from(vec![1_i64; cases.len()])) as ArrayRef;
        let dates = || Arc::new(Date32Array::from(vec![0_i32; cases.len()])) as ArrayRef;
        let durations = Arc::new(cases.iter().map(|case| case.0).collect::<Float64Array>()) as ArrayRef;
        let columns = [
            ("video_id", texts()),
            ("title", texts()),
            ("creator", texts()),
            ("genre", texts()),
            ("duration_s", durations),
            ("first_date", dates()),
            ("last_date", dates()),
        ];
        let sums = ["watch_time", "percentage", "views", "percentages", "completed", "completions", "engaged"];
        let sums = sums.map(|name| (name, ones()));
        let batch = RecordBatch::try_from_iter(columns.into_iter().chain(sums)).unwrap();
        let ends: HashMap<String, i64> = ids.iter().cloned().zip(cases.iter().map(|case| case.1)).collect();
        let mut videos = Vec::new();
        append(&Columns(&batch), &HashMap::new(), &ends, &mut videos).unwrap();
        assert_eq!(videos.len(), cases.len());
        for (video, (duration_s, end, length_s, seconds)) in videos.iter().zip(cases) {
            assert_eq!((video.length_s, video.seconds), (length_s, seconds), "{duration_s:?} {end}");
        }
    }
}
