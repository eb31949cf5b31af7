//! Curves of chosen views, from their watched segments: the same arithmetic as in `gold.retention_changes`, by the kernel that
//! defines which seconds a segment covers.

use std::collections::BTreeMap;

use streamreel_viewing::{EndedBy, Segment, curve};

use super::columns::Columns;
use super::engine::{Query, Reader, Trouble, Values};
use crate::api::Filter;
use crate::gold::Counts;

/// Curves by video id; a video without any second watched is missing.
pub(crate) type Curves = BTreeMap<String, Counts>;

/// The curves of the views chosen.
///
/// # Errors
/// [`Trouble`] of the query.
pub(crate) async fn watched_curves(reader: Reader<'_>, filter: &Filter) -> Result<Curves, Trouble> {
    let mut values = Values::default();
    let (views, dates) = (filter.predicate(&mut values), filter.date_predicate("s", &mut values));
    let sql = format!(
        "select s.video_id, s.view_id, s.start_s, s.end_s from silver.watched_segments s \
         inner join (select v.view_id from silver.views v where {views}) c on s.view_id = c.view_id \
         where {dates} order by s.video_id, s.view_id"
    );
    let take = |reading: &mut Reading, batch| reading.take(&Columns(&batch));
    let reading = reader.fold(Query { sql, values }, Reading::default(), take).await?;
    Ok(reading.finish())
}

/// The views of a video come one after the other, the segments of a view too.
#[derive(Default)]
struct Reading {
    curves: Curves,
    video_id: String,
    view_id: String,
    segments: Vec<Segment>,
    watched: Vec<std::ops::Range<i64>>,
    video: VideoChanges,
}

#[derive(Default)]
struct VideoChanges {
    plays: curve::Changes,
    watched: curve::Changes,
    survived: curve::Changes,
}

impl Reading {
    fn take(&mut self, columns: &Columns<'_>) -> Result<(), Trouble> {
        let (videos, views) = (columns.texts("video_id")?, columns.texts("view_id")?);
        let (starts, ends) = (columns.floats("start_s")?, columns.floats("end_s")?);
        for row in 0..columns.0.num_rows() {
            if views.value(row) != self.view_id {
                self.end_view();
                views.value(row).clone_into(&mut self.view_id);
            }
            if videos.value(row) != self.video_id {
                self.end_video();
                videos.value(row).clone_into(&mut self.video_id);
            }
            self.segments.push(positions(starts.value(row), ends.value(row)));
        }
        Ok(())
    }

    fn end_view(&mut self) {
        curve::plays(&self.segments).for_each(|seconds| self.video.plays.add(seconds));
        curve::watched(&self.segments, &mut self.watched);
        self.watched.drain(..).for_each(|seconds| self.video.watched.add(seconds));
        if let Some(last) = curve::last_second(&self.segments) {
            self.video.survived.add(0..last + 1);
        }
        self.segments.clear();
    }

    fn end_video(&mut self) {
        let VideoChanges { plays, watched, survived } = std::mem::take(&mut self.video);
        let counts = Counts { plays: plays.counts(), watched: watched.counts(), survived: survived.counts() };
        if !counts.plays.is_empty() {
            self.curves.insert(std::mem::take(&mut self.video_id), counts);
        }
    }

    fn finish(mut self) -> Curves {
        self.end_view();
        self.end_video();
        self.curves
    }
}

/// A segment of which only the positions count.
fn positions(start_s: f64, end_s: f64) -> Segment {
    Segment { start_s, end_s, started_at_us: 0, ended_at_us: 0, playing_s: 0.0, ended_by: EndedBy::Open }
}
